"""`commonpoint rebuild`: state and look-ups made anew from the log alone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from node.cli.tell import tell


def rebuild(
    data: Annotated[Path, typer.Option(metavar="DIR", help="The data directory.", envvar="COMMONPOINT_DATA")],
) -> None:
    """Throw away what was folded from the log and make it again, holding every leaf against it."""
    from node import app

    head = app.rebuild(data)
    tell(f"State and look-ups were made anew from {head.size} leaves, height {head.height}.")
