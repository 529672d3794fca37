"""The orders behind a participant's lines: the window's entries in which it owes or is owed.

An entry is kept as its bytes while the log is read, and told when it was read through. What an entry does not
have is absent: a correction by vote has neither member nor points. Members appear under their pseudonyms; who
they are, their custodians know.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from contracts.mechanics.statement import ROUNDING_PREFIX
from contracts.messages import Message, SystemMessage
from ledger.errors import Unverified
from ledger.leaves import TRANSACTION_LEAF_DECODER
from node.statements.view import Order
from node.statements.windows import Moved

_REFERENCES: Final = ("reference", "hold", "proposal")
"""What an entry's own number is called, by kind: a capture goes by its hold's."""


class _Outcome(Struct, frozen=True, gc=False):
    points: int | None = None


class _Entry(Struct, frozen=True, gc=False):
    message: Message
    outcome: _Outcome


class _System(Struct, frozen=True, gc=False):
    message: SystemMessage
    outcome: _Outcome


_ENTRY: Final = msgspec.json.Decoder(_Entry)
_SYSTEM: Final = msgspec.json.Decoder(_System)


class OrderBook:
    """What concerns one participant in one window, as it is read."""

    def __init__(self, participant: str, *, window: int, utc_offset_minutes: int) -> None:
        self._accounts = (participant, ROUNDING_PREFIX + participant)
        self._window = window
        self._offset = utc_offset_minutes
        self._kept: list[Moved] = []

    def watch(self, moved: Moved) -> None:
        """Keep the entry if it is one of these."""
        if moved.window == self._window and any(map(self._is_own, moved.legs)):
            self._kept.append(moved)

    def _is_own(self, leg: Any) -> bool:
        return leg.source in self._accounts or leg.destination in self._accounts

    def list(self) -> list[Order]:
        """One a leg, in the log's order. Raises `Unverified` ``LEAF_MALFORMED``."""
        orders: list[Order] = []
        transaction, time = b"", 0
        for moved in self._kept:
            try:
                if moved.transaction and moved.transaction is not transaction:
                    transaction = moved.transaction
                    time = TRANSACTION_LEAF_DECODER.decode(transaction).time
                orders += self._tell(moved, time if moved.transaction else None)
            except (msgspec.MsgspecError, UnicodeError) as error:
                raise Unverified("LEAF_MALFORMED", index=moved.place, reason=str(error)[:200]) from None
        return orders

    def _tell(self, moved: Moved, time: int | None) -> Iterator[Order]:
        """The entry's legs that are the participant's. What a block did by itself has no time of its own."""
        entry = _SYSTEM.decode(moved.leaf) if time is None else _ENTRY.decode(moved.leaf)
        message: Any = entry.message
        points = entry.outcome.points
        reference = next((getattr(message, name) for name in _REFERENCES if hasattr(message, name)), None)
        for leg in moved.legs:
            if self._is_own(leg):
                yield Order(
                    entry=moved.place,
                    time=time,
                    occurred_at=getattr(message, "occurred_at", None),
                    kind=type(message).__struct_config__.tag,
                    reference=reference,
                    member=getattr(message, "member", None),
                    program=getattr(message, "program", None),
                    points=getattr(message, "points", None) if points is None else points,
                    source=leg.source,
                    destination=leg.destination,
                    reason=leg.reason,
                    micros=leg.micros,
                )
