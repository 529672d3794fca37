"""`commonpoint validator`: the keys of an organisation that keeps a ledger together with others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from node.cli.tell import tell

app = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="Keys of a validator, in ledgers that several keep."
)


@app.callback()
def _group() -> None:
    """One command so far; it keeps its name all the same."""


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder that is new or empty.")],
    participant: Annotated[str, typer.Option(help="Participant id of the organisation.")],
    address: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where the other validators reach this one's engine.")
    ],
) -> None:
    """Make a validator's keys in FOLDER, and validator.json to be handed to the others."""
    from ledger.codec import encode
    from node.engine.cometbft.founding import VALIDATOR_FILE, make_validator

    typer.echo(encode(make_validator(folder, participant=participant, address=address)))
    tell(f"The keys are in {folder}. The line above is public, and in {VALIDATOR_FILE} too.")
