"""What each household knows of its own points: what verified answers told it, and nothing else.

The story decides from this book alone, never by asking the node for a balance, so what is done depends only
on what was proved before. Points that will lapse are known by their last day; their expiry entries need not
be seen.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from contracts.mechanics.lots import split_lots
from ledger.outcome import Lot


class Held(NamedTuple):
    """Lots that are set aside for an order."""

    member: str
    program: str
    lots: tuple[Lot, ...]


class Book:
    """Points by member, program and last day."""

    def __init__(self) -> None:
        self._points: dict[tuple[str, str], dict[int, int]] = {}
        self._promised: dict[tuple[str, str], int] = {}
        """What was asked for in this hour and is not answered yet."""
        self._held: dict[tuple[str, str], Held] = {}
        self._debts: dict[tuple[str, str], int] = {}
        """What each account owed by its last answer that said so."""

    def get_available(self, member: str, program: str, *, day: int) -> int:
        """The points that can be spent on this day and are not promised yet."""
        by_day = self._points.get((member, program))
        if by_day is None:
            return 0
        spendable = sum(points for last_day, points in by_day.items() if last_day >= day)
        return spendable - self._promised.get((member, program), 0)

    def promise(self, member: str, program: str, points: int) -> None:
        """These points are about to be asked for."""
        key = (member, program)
        self._promised[key] = self._promised.get(key, 0) + points

    def settle_promises(self) -> None:
        """Every answer of the hour is in: nothing is pending."""
        self._promised.clear()

    def add(self, member: str, program: str, lots: Iterable[Lot]) -> None:
        """These lots came into the account."""
        by_day = self._points.setdefault((member, program), {})
        for lot in lots:
            by_day[lot.expires] = by_day.get(lot.expires, 0) + lot.points

    def take(self, member: str, program: str, lots: Iterable[Lot]) -> None:
        """These lots left the account."""
        by_day = self._points[member, program]
        for lot in lots:
            left = by_day[lot.expires] - lot.points
            if left:
                by_day[lot.expires] = left
            else:
                del by_day[lot.expires]

    def note_debt(self, member: str, program: str, debt: int | None) -> None:
        """What an account owes now, where an answer says so."""
        if debt is not None:
            self._debts[member, program] = debt

    def add_returned(self, member: str, program: str, lots: Iterable[Lot], *, repaid: int) -> None:
        """These lots came back, but for the first ``repaid`` points, which went against a debt."""
        _, arrived = split_lots(lots, repaid)
        self.add(member, program, arrived)

    def hold(self, held: Held, *, reference: str, merchant: str) -> None:
        """These lots are set aside."""
        self.take(held.member, held.program, held.lots)
        self._held[reference, merchant] = held

    def end_hold(self, *, reference: str, merchant: str) -> Held:
        """Nothing is set aside for this order any more; what was."""
        return self._held.pop((reference, merchant))

    def give_back(self, *, reference: str, merchant: str, day: int) -> None:
        """Time has given back, on this day, what was set aside for this order."""
        held = self.end_hold(reference=reference, merchant=merchant)
        living = [lot for lot in held.lots if lot.expires >= day]
        owed = self._debts.get((held.member, held.program), 0)
        repaid = min(owed, sum(lot.points for lot in living))
        self._debts[held.member, held.program] = owed - repaid
        self.add_returned(held.member, held.program, living, repaid=repaid)
