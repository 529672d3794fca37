"""Due work: what a block has to do by itself: clocks first, then what an index finds, in order of (minute,
kind, what).

Clocks are those of proposals and windows. They are few, and whoever makes much other work (holds, lots that
lapse) keeps none of them waiting.

The amount a block does is bounded (`due_entries_max`), so a month end with a million lapsing lots never makes
one block slow. What is left waits for the next; a lot past its day, or a hold past its time, cannot be used
meanwhile.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from ledger.calendar import MILLIS_PER_DAY
from ledger.due import MINUTE_DIGITS
from ledger.rule import BlockContext
from ledger.state import DUE_TABLE, StateView
from ledger.values import NEVER

EXPIRY: Final = "e"
HOLD: Final = "h"
CLOCK: Final = "clock"
"""The table of clocks, by the same keys as what is due."""
PROPOSAL_DUE: Final = "p"
WINDOW_DUE: Final = "w"
_MILLIS_PER_MINUTE: Final = 60_000
_MINUTES_PER_DAY: Final = MILLIS_PER_DAY // _MILLIS_PER_MINUTE


class Due(NamedTuple):
    """One piece of work whose minute has come."""

    table: str
    """`DUE_TABLE` or `CLOCK`."""
    key: str
    minute: int
    kind: str
    """`EXPIRY`, `HOLD`, `PROPOSAL_DUE` or `WINDOW_DUE`."""
    about: str
    """The key of the account, hold, proposal or window."""


def get_expiry_key(block: BlockContext, *, day: int, account_key: str) -> str | None:
    """The key for an account's lots of one last day: due when that day is over; none where they never lapse.

    A day ends at a full minute, since the chain's offset is in minutes.
    """
    if day >= NEVER:
        return None
    minute = (day + 1) * _MINUTES_PER_DAY - block.utc_offset_minutes
    return f"{minute:0{MINUTE_DIGITS}d}|{EXPIRY}|{account_key}"


def get_expired_day(block: BlockContext, due: Due) -> int:
    """The last day of the lots that this expiry is about."""
    return block.day_of(due.minute * _MILLIS_PER_MINUTE) - 1


def get_hold_due_key(expires: int, hold_key: str) -> str:
    """The key for a hold: due with the first full minute at or after `expires`."""
    return get_due_key(expires, HOLD, hold_key)


def get_due_key(time: int, kind: str, about: str) -> str:
    """The key for work of a kind: due with the first full minute at or after ``time``."""
    minute = -(-time // _MILLIS_PER_MINUTE)
    return f"{minute:0{MINUTE_DIGITS}d}|{kind}|{about}"


def find_due(state: StateView, block: BlockContext, *, limit: int) -> list[Due]:
    """What is due at the block's time, clocks first and each in order, at most ``limit``."""
    before = f"{block.time // _MILLIS_PER_MINUTE + 1:0{MINUTE_DIGITS}d}"
    clocks = [key for key, _ in state.list_records(CLOCK) if key < before][:limit]
    rest = state.first_due(before=before, limit=limit - len(clocks))
    return [*(_read_due(CLOCK, key) for key in clocks), *(_read_due(DUE_TABLE, key) for key in rest)]


def _read_due(table: str, key: str) -> Due:
    minute, kind, about = key.split("|", 2)
    return Due(table, key, int(minute), kind, about)
