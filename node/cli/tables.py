"""Tables for a terminal: columns as wide as what is in them, nothing cut, numbers to the right."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

import typer

from ledger.calendar import get_date
from ledger.values import NEVER

_MICROS_DIGITS = 6


def print_table(head: Sequence[str] | None, rows: Sequence[Sequence[str]]) -> None:
    """The rows under their heads, on standard output."""
    table = [tuple(head), *rows] if head else list(rows)
    widths = [max(map(len, column)) for column in zip_longest(*table, fillvalue="")]
    for row in table:
        cells = [
            cell.rjust(width) if _is_number(cell) else cell.ljust(width)
            for cell, width in zip(row, widths, strict=True)
        ]
        typer.echo("  ".join(cells).rstrip())


def format_money(micros: int) -> str:
    """Micro-units as a decimal number of whole units, never rounded."""
    digits = str(abs(micros)).rjust(_MICROS_DIGITS + 1, "0")
    sign = "-" if micros < 0 else ""
    return f"{sign}{digits[:-_MICROS_DIGITS]}.{digits[-_MICROS_DIGITS:]}"


def format_day(day: int) -> str:
    """A day as ISO 8601 has it."""
    if day == NEVER:
        return "never"
    date = get_date(day)
    return f"{date.year:04d}-{date.month:02d}-{date.day:02d}"


def _is_number(cell: str) -> bool:
    return cell.lstrip("-").replace(".", "", 1).isdigit()
