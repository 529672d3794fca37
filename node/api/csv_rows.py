"""CSV rows that a spreadsheet shows and never runs: RFC 4180 in UTF-8, numbers as numbers, texts as texts.

Names are free text, and a spreadsheet takes a cell that begins with ``=`` for a formula, whoever wrote it. So
a text gets an apostrophe before whatever could be taken for one: at its beginning, or after a separator by
which somebody's spreadsheet may cut the cell in two; spaces, quotes and what cannot be seen in between do not
help. Undoing it takes away exactly those apostrophes. Numbers are columns of their own and stay as they are,
signs included.

Money stands twice: in whole micro-units, which is exact in any program that has whole numbers of 64 bits, and
as a decimal of the currency's units, which is for reading and adding up.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from ledger.calendar import MILLIS_PER_DAY, get_date

Cell = str | int | None

# What spreadsheets take for the start of a formula, also full-width, small, raised and lowered.
_STARTS: Final = "=+@\t\r\n-" + "＝＋＠－" + "﹦﹢﹫﹣" + "⁼⁺⁻₌₊₋" + "⩵⩶﬩−"
_UNSEEN: Final = r"\s\x00-\x1f\x7f-\x9f\xad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
_QUOTES: Final = "'\"`´‘’‚‛“”„‟＂＇｀"
_BEFORE: Final = rf"(\A|[;,|\t\r\n])(?=[{_UNSEEN}{_QUOTES}]*[{re.escape(_STARTS)}])"
_RISKY: Final = re.compile(_BEFORE)
_DISARMED: Final = re.compile(_BEFORE.replace("(?=", "'(?="))
_QUOTED: Final = re.compile(r'[",\r\n]')
_MICROS_DIGITS: Final = 6


def disarm(text: str) -> str:
    """The text, in which nothing begins as a formula does."""
    return _RISKY.sub(r"\1'", text)


def restore(text: str) -> str:
    """The text as it was before `disarm`."""
    return _DISARMED.sub(r"\1", text)


def encode_row(cells: Iterable[Cell]) -> str:
    """One record with its line's end. A whole number is bare, a text disarmed, None empty."""
    return ",".join(map(_encode_cell, cells)) + "\r\n"


def _encode_cell(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, int):
        return str(cell)
    if cell.isalnum() and cell.isascii():
        return cell
    text = disarm(cell)
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) else text


class Units(int):
    """Micro-units that are shown as a decimal of whole units, never rounded."""

    __slots__ = ()

    def __str__(self) -> str:
        digits = str(abs(self)).rjust(_MICROS_DIGITS + 1, "0")
        sign = "-" if self < 0 else ""
        return f"{sign}{digits[:-_MICROS_DIGITS]}.{digits[-_MICROS_DIGITS:]}"


def get_money_cells(micros: int | None) -> tuple[Cell, Cell]:
    """The two cells of an amount: micro-units, and the decimal."""
    return (None, None) if micros is None else (micros, Units(micros))


def format_time(millis: int) -> str:
    """A moment as ISO 8601 has it, in UTC. A year beyond 9999 is longer."""
    day, rest = divmod(millis, MILLIS_PER_DAY)
    date = get_date(day)
    seconds, fraction = divmod(rest, 1_000)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    day_text = f"{date.year:04d}-{date.month:02d}-{date.day:02d}"
    return f"{day_text}T{hour:02d}:{minute:02d}:{second:02d}.{fraction:03d}Z"
