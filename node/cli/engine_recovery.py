"""`commonpoint engine note`, `endorse` and `recover`: a ledger that has lost its quorum for good goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from node.cli.tell import tell

Data = Annotated[Path, typer.Option(metavar="DIR", help="The data directory.", envvar="COMMONPOINT_DATA")]
NoteFile = Annotated[Path, typer.Option("--note", metavar="FILE", help="The note, signatures below it.")]
ValidatorFiles = Annotated[
    list[Path],
    typer.Option(
        "--validator", metavar="FILE", help="validator.json of each who goes on, one's own too; repeatable."
    ),
]


def note(*, data: Data, validator: ValidatorFiles) -> None:
    """Print the note with which these go on from where the log in DIR ends, whose node is stopped."""
    from node.app import hold_data_dir
    from node.cli.logs import write_logs
    from node.config import load_config
    from node.engine.cometbft.founding import read_validator
    from node.engine.cometbft.recovering import encode_note, make_note

    write_logs()
    config = load_config(data)
    config.check_private()
    with hold_data_dir(config):
        made = make_note(config, [read_validator(path) for path in validator])
    typer.echo(encode_note(made))
    tell("Compare it with the others': the same line at each, or the one with the largest size, which the")
    tell("others then catch up to. Each organisation adds its line: commonpoint engine endorse.")


def endorse(
    *,
    note_file: NoteFile,
    keys: Annotated[Path, typer.Option(metavar="FOLDER", help="The organisation's keys, with govern.pem.")],
    participant: Annotated[
        str | None, typer.Option(help="Whose keys they are, where the folder does not say it.")
    ] = None,
) -> None:
    """Print one organisation's signature of a note, a line to be put below it."""
    from ledger.codec import encode
    from node.engine.cometbft import recovery
    from node.remote.admission import find_signer, get_participant

    found = recovery.read_recovery(note_file)
    signer = find_signer(keys, ("govern",))
    who = participant or get_participant(keys)
    tell(found.line.decode())
    typer.echo(encode(recovery.endorse(found, participant=who, signer=signer)))


def recover(
    *,
    data: Data,
    note_file: NoteFile,
    keys: Annotated[
        Path,
        typer.Option(metavar="FOLDER", help="The validator's keys, as commonpoint validator new made them."),
    ],
    validator: ValidatorFiles,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="DIR2",
            help="A copy of the log, at least up to the note's height, for one who has none. DIR is new.",
        ),
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Where the engine listens, if not at the address it is known by."
        ),
    ] = None,
    later: Annotated[
        bool, typer.Option("--later", help="The note does not name these keys: they are to be voted in.")
    ] = False,
) -> None:
    """Prepare DIR to go on as a signed note says: same history, other validators."""
    import os

    from node.app import UMASK
    from node.cli.logs import write_logs
    from node.engine.cometbft.founding import read_validator
    from node.engine.cometbft.recovering import recover_validator
    from node.engine.cometbft.recovery import read_recovery

    write_logs()
    os.umask(UMASK)
    recovery = read_recovery(note_file)
    config = recover_validator(
        data,
        recovery=recovery,
        source=source,
        keys=keys,
        validators=[read_validator(path) for path in validator],
        listen=listen,
        is_later=later,
    )
    typer.echo(config.origin.chain)
    tell(
        f"{data} goes on after height {recovery.note.height} with {len(recovery.note.validators)} validators."
    )
    tell("Next: commonpoint node --data DIR; then a vote that names these validators in the ledger too.")
