"""`commonpoint key`: keys of participants, the next key of a log, and bearer tokens for reading a node.

Private keys are made where they are used and stay there; what leaves is `participant.json`, which holds
public keys.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from node.cli.tell import tell

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Keys of participants, and tokens for reading."
)

_DEFAULT_PURPOSES = ["custody", "govern", "till", "transact"]


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder that is new or empty.")],
    participant: Annotated[str, typer.Option(help="Participant id.")],
    name: Annotated[str | None, typer.Option(help="The organisation's name, for people.")] = None,
    purpose: Annotated[
        list[str] | None, typer.Option(help="govern, transact, till or custody; all four if none is named.")
    ] = None,
) -> None:
    """Make encrypted keys in FOLDER, and participant.json to be handed to the alliance's operator."""
    from typing import get_args

    from contracts.messages.registry import KeyPurpose
    from ledger.codec import encode
    from node import keystore

    wanted = purpose or _DEFAULT_PURPOSES
    for each in wanted:
        if each not in get_args(KeyPurpose):
            raise typer.BadParameter(f"{each!r} is not a purpose", param_hint="--purpose")
    seeds = {each: keystore.make_seed() for each in wanted}
    described = keystore.describe_participant(
        participant=participant, name=participant if name is None else name, seeds=seeds
    )
    line = encode(described)
    keystore.check_description(line)
    keystore.make_folder(folder)
    keystore.write_keys(folder, seeds)
    keystore.write_private(folder / keystore.PARTICIPANT_FILE, line + b"\n")
    typer.echo(line)
    tell(f"The keys are in {folder}. The line above is public, and in {keystore.PARTICIPANT_FILE} too.")


@app.command()
def show(
    folder: Annotated[Path | None, typer.Argument(metavar="FOLDER", help="A folder of keys.")] = None,
    data: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A data directory instead.", envvar="COMMONPOINT_DATA")
    ] = None,
) -> None:
    """Print purpose, key id and public key of every key in FOLDER. Nothing private is printed."""
    from ledger.codec import to_base64url
    from node import keystore
    from node.config import KEYS_FOLDER

    if folder is None and data is None:
        raise typer.BadParameter("give a FOLDER or --data DIR")
    keys = folder if folder is not None else (data or Path()) / KEYS_FOLDER
    keystore.check_private_folder(keys)
    for path in sorted(keys.glob("*.pem")):
        signer = keystore.open_signer(keys, path.stem)
        typer.echo(f"{path.stem}\t{signer.key_id}\t{to_base64url(signer.public)}")


@app.command()
def log(
    data: Annotated[Path, typer.Option(metavar="DIR", help="The data directory.", envvar="COMMONPOINT_DATA")],
    *,
    take: Annotated[
        bool, typer.Option("--take", help="It was voted for, and the node has stopped for it: sign with it.")
    ] = False,
) -> None:
    """Make the key that is to sign the log after this one, and print the actions to propose; one line of
    JSON, for `commonpoint proposal new`.
    """
    from ledger.codec import encode
    from node.config import load_config
    from node.log_key import plan_next, take_next

    config = load_config(data)
    config.check_private()
    if take:
        size = take_next(config)
        tell(f"The key before has signed the first {size} leaves, and is kept as log-until-{size}.pem.")
        tell(f"Next: commonpoint node --data {data}")
        return
    typer.echo(encode([plan_next(config)]))
    tell("Where a proposal for another policy is under way, decide that first: this one replaces all of it.")


@app.command()
def token(
    data: Annotated[Path, typer.Option(metavar="DIR", help="The data directory.", envvar="COMMONPOINT_DATA")],
    role: Annotated[
        str, typer.Option(help="auditor, follower, operator, participant:<id> or member:<id>.")
    ] = "auditor",
    minutes: Annotated[int, typer.Option(help="How long it is good for.", min=1, max=1440)] = 15,
) -> None:
    """Print a bearer token for reading this node, and nothing else."""
    from node.access import parse_role
    from node.config import load_config
    from node.core import get_system_time
    from node.tokens import TokenIssuer

    config = load_config(data)
    config.check_private()
    issuer = TokenIssuer(secret=config.read_token_secret(), chain=config.origin.chain, clock=get_system_time)
    text, _ = issuer.issue(parse_role(role), seconds=minutes * 60)
    typer.echo(text)
