"""What a cell must be: a whole number of points, a calendar day, a customer number, an order's reference.

A cell is taken only in the one form that cannot be misread. `1.000` is a thousand here and one there,
`03/04/2026` March or April: neither is guessed.
"""

from __future__ import annotations

import re
from typing import Final

from ledger.calendar import Date, get_date, get_day_number
from ledger.values import NEVER

_WHOLE: Final = re.compile(r"\A(0|[1-9][0-9]{0,15})\Z")
_DAY: Final = re.compile(r"\A([0-9]{4})-([0-9]{2})-([0-9]{2})\Z")
_CUSTOMER: Final = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._:/#-]{0,63}\Z")
_MEMBER: Final = re.compile(r"\Am_[0-9a-hjkmnp-tv-z]{26}\Z")
_REFERENCE: Final = re.compile(r"\A[A-Za-z0-9._:-]{1,64}\Z")


class Unread(ValueError):
    """A cell that is not what its column holds: what it should be."""


def read_whole(text: str, *, least: int, most: int) -> int:
    """The whole number. Raises `Unread`."""
    if not _WHOLE.match(text):
        raise Unread(f"{_show(text)} is not a whole number in plain digits")
    value = int(text)
    if not least <= value <= most:
        raise Unread(f"{text} is not between {least:,} and {most:,}")
    return value


def read_day(text: str, *, may_be_never: bool = False) -> int:
    """The day. Raises `Unread`."""
    if may_be_never and text.lower() == "never":
        return NEVER
    found = _DAY.match(text)
    if found is None:
        raise Unread(f"{_show(text)} is not a day as in 2026-12-31" + (" or never" if may_be_never else ""))
    date = Date(int(found[1]), int(found[2]), int(found[3]))
    is_possible = date.year >= 1970 and 1 <= date.month <= 12 and 1 <= date.day <= 31
    day = get_day_number(date) if is_possible else -1
    if not is_possible or get_date(day) != date or day > NEVER:
        raise Unread(f"{text} is not in the calendar")
    return day


def read_customer(text: str) -> str:
    """The customer number. Raises `Unread`."""
    if not text:
        raise Unread("empty")
    if not _CUSTOMER.match(text):
        raise Unread(f"{_show(text)} is not a customer number: 1 to 64 of A-Z a-z 0-9 . _ : / # -, no names")
    return text


def read_member(text: str) -> str:
    """The pseudonym. Raises `Unread`."""
    if not _MEMBER.match(text):
        raise Unread(f"{_show(text)} is not a member's pseudonym, m_ and 26 letters or digits")
    return text


def read_reference(text: str) -> str:
    """The order's reference. Raises `Unread`."""
    if not _REFERENCE.match(text):
        raise Unread(f"{_show(text)} is not a reference: 1 to 64 of A-Z a-z 0-9 . _ : -")
    return text


def _show(text: str) -> str:
    """A cell as it can be printed, not too much of it."""
    shown = text if len(text) <= 24 else text[:23] + "…"
    return "an empty cell" if not text else ascii(shown) if not shown.isprintable() else f"'{shown}'"
