"""What moved points of one program on the ledger, entry by entry, in the words of a merchant's own books.

A capture is a redemption, since only then are points gone; holds and releases move nothing. What was turned
down moves nothing either. The day is that of the purchase, in the chain's offset, whenever the ledger heard
of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from msgspec import UNSET

from ledger.calendar import get_day
from ledger.outcome import Outcome

KINDS: Final = (
    "earn",
    "award",
    "return",
    "redeem",
    "refund",
    "expire",
    "import",
    "adjust_give",
    "adjust_take",
    "gift_out",
    "gift_in",
    "exchange_out",
    "exchange_in",
)
_NAMED: Final = {
    "earn": "earn",
    "award": "award",
    "return_order": "return",
    "redeem": "redeem",
    "capture": "redeem",
    "refund": "refund",
    "expire": "expire",
    "import_balance": "import",
    "gift": "gift_out",
    "exchange": "exchange_out",
}


class Movement(NamedTuple):
    """Points of one account that moved once, as one of the two books has it."""

    member: str
    kind: str
    order: str
    """The order's reference; empty where there is none."""
    day: int
    points: int
    """Without a sign: the kind says which way they went."""
    balance: int | None
    """What was on the account after it, where that is told."""
    place: int
    """Line of the export, or index of the entry."""
    holder: str
    """The customer, as the export calls them; the pseudonym on the ledger's side."""


def read_movements(
    place: int, message: Any, outcome: Outcome, *, program: str, utc_offset_minutes: int
) -> Iterator[Movement]:
    """What an entry moved in this program: nothing, one account's points, or two's."""
    if outcome.code != "OK":
        return
    kind = str(type(message).__struct_config__.tag)
    named = f"adjust_{message.direction}" if kind == "adjust" else _NAMED.get(kind)
    if named is None:
        return
    if kind == "expire":
        day = message.day
    else:
        day = get_day(message.occurred_at, utc_offset_minutes=utc_offset_minutes)
    order = _get_order(message)
    points = _get_points(message, outcome)
    if message.program == program and points:
        balance = None if outcome.balance is UNSET else outcome.balance
        yield Movement(message.member, named, order, day, points, balance, place, message.member)
    recipient = getattr(message, "recipient", None)
    if recipient is None or getattr(message, "target", message.program) != program:
        return
    received = outcome.lots if kind == "gift" else outcome.received
    points = 0 if received is UNSET else sum(lot.points for lot in received)
    if points:
        yield Movement(recipient, named.replace("_out", "_in"), order, day, points, None, place, recipient)


def _get_order(message: Any) -> str:
    for field in ("original", "hold", "reference"):
        value = getattr(message, field, None)
        if value is not None:
            return str(value)
    return ""


def _get_points(message: Any, outcome: Outcome) -> int:
    """How many moved: what the rule computed, what was asked, or what the lots add up to."""
    if outcome.points is not UNSET:
        return outcome.points
    asked: int | None = getattr(message, "points", None)
    if asked is not None and not hasattr(message, "target"):
        return asked
    return 0 if outcome.lots is UNSET else sum(lot.points for lot in outcome.lots)
