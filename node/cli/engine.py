"""`commonpoint engine`: who makes a ledger's blocks, and how one that a sequencer kept goes on with
validators.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from node.cli import engine_recovery
from node.cli.tell import tell

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Who makes the blocks: one sequencer, or a set of validators.",
)

for _command in (engine_recovery.note, engine_recovery.endorse, engine_recovery.recover):
    app.command()(_command)

Data = Annotated[Path, typer.Option(metavar="DIR", help="The data directory.", envvar="COMMONPOINT_DATA")]
ValidatorFiles = Annotated[
    list[Path],
    typer.Option(
        "--validator", metavar="FILE", help="validator.json of each validator, one's own too; repeatable."
    ),
]


@app.command()
def show(*, data: Data) -> None:
    """Say which engine makes the blocks of the ledger in DIR, whose node is stopped. One line of JSON."""
    from ledger.codec import encode
    from node.app import hold_data_dir
    from node.cli.logs import write_logs
    from node.config import load_config
    from node.engine.cometbft.switching import read_standing

    write_logs()
    config = load_config(data)
    config.check_private()
    with hold_data_dir(config):
        standing = read_standing(config)
    engine, head = standing.engine, standing.head
    told: dict[str, object] = {"chain": config.origin.chain, "engine": "solo", "height": head.height}
    if engine is not None:
        told |= {
            "engine": engine.engine,
            "since": engine.height,
            "validators": [
                {"participant": name, "power": power, "public": public}
                for name, power, public in engine.validators
            ],
        }
    typer.echo(encode(told))


@app.command()
def plan(*, data: Data, validator: ValidatorFiles) -> None:
    """Print the actions of the proposal after which these validators, all that there are to be, make the
    blocks in the place of the sequencer, or of the validators before: their log keys are trusted, their
    engines decide. One line of JSON, for `commonpoint proposal new`.
    """
    from ledger.codec import encode
    from node.config import load_config
    from node.engine.cometbft.founding import read_validator
    from node.engine.cometbft.switching import has_validators, plan_set, plan_switch

    config = load_config(data)
    origin = config.origin
    if origin.settings.clock != "system":
        raise typer.BadParameter(
            "validators need real time; this ledger is told its time", param_hint="--data"
        )
    validators = [read_validator(path) for path in validator]
    make = plan_set if has_validators(config) else plan_switch
    typer.echo(encode(make(origin, validators)))
    tell("Where the policy in force asks for witnesses, add them to this one before it is proposed.")


@app.command()
def switch(
    *,
    data: Data,
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
            help="The log, at least up to the switch: a backup, or the folder of the sequencer, of a "
            "follower or of another validator. DIR is new. Without it DIR is the sequencer's own, and its "
            "node is stopped.",
        ),
    ] = None,
    later: Annotated[
        bool,
        typer.Option(
            "--later",
            help="The switch did not name these keys: execute what the others decide, and take part once the "
            "alliance has voted this validator in.",
        ),
    ] = False,
    listen: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT", help="Where the engine listens, if not at the address it is known by."
        ),
    ] = None,
) -> None:
    """Prepare DIR for a validator, once the alliance has voted for it: the log is executed, CometBFT's folder
    follows from it.
    """
    import os

    from node.app import UMASK
    from node.cli.logs import write_logs
    from node.engine.cometbft.founding import read_validator
    from node.engine.cometbft.switching import prepare_validator

    write_logs()
    os.umask(UMASK)
    config, engine, head = prepare_validator(
        data,
        source=source,
        keys=keys,
        validators=[read_validator(path) for path in validator],
        listen=listen,
        is_later=later,
    )
    typer.echo(config.origin.chain)
    tell(f"{data} goes on after height {head.height} with {len(engine.validators)} validators.")
    tell("Run it in this one place only: a validator's keys that vote twice are evidence against it.")
    tell(f"Next: commonpoint node --data {data}")
