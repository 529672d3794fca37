"""A merchant's own books: what its tills were told by proven answers, against what a statement says.

Of the lines in which a merchant stands it has made some itself: what it is owed for points it took, what it
owes for points it gave out, and what of either came back. Of these its books have every leg, so each line
must be their sum to the micro. The other side's lines are for the other side's books.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from merchant_sdk import Committed, Statement

_IS_OWED: Final = frozenset({"redeem", "earn_return"})
"""Whose entry it is, is owed it."""
_OWES: Final = frozenset({"earn", "accrual_fee", "redeem_return"})
"""Whose entry it is, owes it."""

Key = tuple[str, str, str]
"""(from, to, reason)"""


class Order(NamedTuple):
    """An order of a till, and what is owed for it."""

    reference: str
    micros: int


class StatementDisagrees(Exception):
    """A statement's line is not what our own tills were told."""


class OwnLines:
    """The lines of the open window that are of our own making, as far as it has come."""

    def __init__(self, participant: str) -> None:
        self._participant = participant
        self._sums: dict[Key, int] = {}
        self._newest: dict[Key, int] = {}
        """Those of the newest block, which may already be of the next window."""
        self._height = 0
        self._first: dict[Key, Order] = {}
        self._first_of_newest: dict[Key, Order] = {}
        self.examples: dict[Key, Order] = {}
        """One order behind each own line of the window that was closed last: its first."""

    def add(self, result: Committed[Any]) -> None:
        """The legs of a proven answer; answers come in the order of heights."""
        if result.height > self._height:
            self._take_over()
            self._height = result.height
        for leg in result.legs:
            key = (leg.source, leg.destination, leg.reason)
            if self._is_own(*key):
                self._newest[key] = self._newest.get(key, 0) + leg.micros
                reference = getattr(result.message, "reference", "") or getattr(result.message, "hold", "")
                self._first_of_newest.setdefault(key, Order(reference, leg.micros))

    def close(self, statement: Statement) -> None:
        """The window is over, its own lines are ours. Raises `StatementDisagrees`."""
        if self._height <= statement.content.last_height:
            self._take_over()
        told = {
            (line.source, line.destination, line.reason): int(line.micros)
            for line in statement.content.lines
            if self._is_own(line.source, line.destination, line.reason)
        }
        if told != self._sums:
            differing = sorted(told.items() ^ self._sums.items())
            raise StatementDisagrees(
                f"window {statement.window}: {self._participant} has other sums for {differing}"
            )
        self._sums = {}
        self.examples, self._first = self._first, {}

    def _is_own(self, source: str, destination: str, reason: str) -> bool:
        if reason in _IS_OWED:
            return destination == self._participant
        return reason in _OWES and source == self._participant

    def _take_over(self) -> None:
        for key, micros in self._newest.items():
            self._sums[key] = self._sums.get(key, 0) + micros
        for key, order in self._first_of_newest.items():
            self._first.setdefault(key, order)
        self._newest = {}
        self._first_of_newest = {}
