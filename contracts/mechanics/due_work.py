"""Due work: what a block has to do by itself, found through an index in order of (day, account).

The amount a block does is bounded (`due_entries_max`), so a month end with a million lapsing lots never makes
one block slow; what is left waits for the next, and a lot past its day cannot be spent meanwhile.
"""

from __future__ import annotations

from typing import NamedTuple

from ledger.due import DAY_DIGITS
from ledger.state import DUE_TABLE, StateView
from ledger.values import NEVER


class Due(NamedTuple):
    """One account with lots whose day has passed."""

    key: str
    day: int
    member: str
    program: str


def get_due_key(day: int, member: str, program: str) -> str:
    """The key of an account's lots of one last day."""
    return f"{day:0{DAY_DIGITS}d}|{member}|{program}"


def get_due_change(day: int, member: str, program: str) -> tuple[str, str, int] | None:
    """The change that puts an account into the index; none for points that never lapse."""
    return (DUE_TABLE, get_due_key(day, member, program), 1) if day < NEVER else None


def find_due(state: StateView, *, day: int, limit: int) -> list[Due]:
    """The accounts with lots whose last day lies before ``day``, in order, at most ``limit``."""
    keys = state.first_due(before=f"{day:0{DAY_DIGITS}d}", limit=limit)
    return [Due(key, int(parts[0]), parts[1], parts[2]) for key in keys for parts in (key.split("|"),)]
