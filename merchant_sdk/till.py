"""An offline till spends from an allowance: points that were held for it while the line was there.

    allowance = shop.reserve(code, 500)                    the line is there: 500 points are held
    allowance.spend(120, order="K-17")                     no line: written down, synced, done
    allowance.spend(80, order="K-18")
    allowance.settle()                                     the line is back: 200 captured, 300 go back

**Why nothing is spent twice.** The points are set aside on the ledger, so neither the member nor another till
can spend them meanwhile. The hold's number is random and stands in this till's file alone, and only its
sender can capture it; so no other file can hand out the same points. Here every spend is taken from what is
left, under the file's lock, and is on the disk before `spend` returns; the sum never passes what is held. And
the ledger lets a hold be captured once. So do not copy the file to a second till, nor put an old copy back:
the ledger would still pay once only, but both would have given goods away.

**Time.** Spending ends `settle_seconds` before the hold does (a day unless told). So long the line may stay
away, and so far this machine's clock may be behind, before what was spent is lost to the shop: a hold that
lapsed cannot be captured. The till's time is the machine's, moved ahead to the ledger's where that was ahead
when the hold was made. It never goes back: setting the clock back while the program runs changes nothing, and
across a restart time stands still until the clock has caught up with what was written down last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

import msgspec

from ledger.values import Points, Reference
from merchant_sdk.errors import InvalidRequest
from merchant_sdk.till_store import Row, Spend, TillStore

C = TypeVar("C")

SPEND_SECONDS: Final = 12 * 3_600
SETTLE_SECONDS: Final = 24 * 3_600


class Allowance(Generic[C]):
    """Points that this till may spend without a line, each once."""

    def __init__(self, store: TillStore, row: Row, settle_with: Callable[[Allowance[C]], C]) -> None:
        self._store = store
        self._row = row
        self._settle_with = settle_with

    @property
    def reference(self) -> str:
        """The hold's number at the ledger: what a later refund names as the order."""
        return self._row.reference

    @property
    def number(self) -> str:
        """The number under which it was reserved; empty without one."""
        return self._row.number

    @property
    def member(self) -> str:
        """Whose points they are."""
        return self._row.member

    @property
    def program(self) -> str:
        """Whose points they were issued as."""
        return self._row.program

    @property
    def points(self) -> int:
        """Points held."""
        return self._row.points

    @property
    def spend_until(self) -> int:
        """From then on nothing is spent, milliseconds UTC."""
        return self._row.spend_until

    @property
    def expires(self) -> int:
        """Until then it has to be settled, milliseconds UTC of the ledger's time."""
        return self._row.expires

    @property
    def state(self) -> str:
        """``open``, ``settling``, ``settled``, or ``lost``: the hold lapsed before it was settled."""
        return self._store.get(self.reference).state

    @property
    def spent(self) -> int:
        """Points spent so far, by whichever process."""
        return sum(spend.points for spend in self.spends())

    @property
    def left(self) -> int:
        """Points that can still be spent."""
        return self.points - self.spent

    def spends(self) -> list[Spend]:
        """What was spent, order by order, the oldest first."""
        return self._store.list_spends(self.reference)

    def spend(self, points: int, order: str) -> Spend:
        """Spend ``points`` on an order: on the disk when this returns.

        The same order again is the same spend. Raises `AllowanceError`, or `OutboxError` where it could not
        be written; then nothing is spent.
        """
        try:
            msgspec.convert((points, order), tuple[Points, Reference])
        except msgspec.ValidationError as error:
            raise InvalidRequest(
                "points are a number, an order has a number of its own", reason=str(error)
            ) from None
        return self._store.spend(self.reference, order, points)

    def void(self, order: str) -> None:
        """The sale did not come about after all: what was spent on it can be spent again.

        Raises `AllowanceError` (`ORDER_UNKNOWN`) where nothing was spent on it.
        """
        self._store.void(self.reference, order)

    def settle(self) -> C:
        """Capture what was spent, once, and give the rest back. Needs the line; may be asked for again.

        Raises as any verb does. Where surely nothing was sent, spending goes on.
        """
        return self._settle_with(self)
