"""Two columns for people: a label and a number, or a label and a text that is broken between words."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import typer

_WIDTH = 80


def print_columns(rows: Sequence[tuple[str, str]], *, begin: str = "    ", is_text: bool = False) -> None:
    """The rows, numbers to the right."""
    label = max((len(row[0]) for row in rows), default=0)
    value = max((len(row[1]) for row in rows), default=0)
    for name, text in rows:
        if not is_text:
            typer.echo(f"{begin}{name.ljust(label)}  {text.rjust(value)}")
            continue
        lead = f"{begin}{name.ljust(label)}  "
        lines = textwrap.wrap(
            text, _WIDTH, initial_indent=lead, subsequent_indent=" " * len(lead), break_long_words=False
        )
        typer.echo("\n".join(lines or [lead.rstrip()]))
