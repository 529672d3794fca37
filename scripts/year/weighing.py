"""How much each participant owed at the most that was not settled, worked out from the legs in the log.

What was owed since genesis, less the windows that were settled or aborted. Open holds are left aside, and
what an aborted window or a default brings over counts from the cut of the window that has it.
"""

from __future__ import annotations

from collections.abc import Iterator

from contracts.messages.statement import Statement


class Debts:
    """Who owes how much, leg by leg."""

    def __init__(self) -> None:
        self._owed: dict[str, int] = {}
        self.marks: dict[str, int] = {}
        """By participant: the most it ever owed, micros."""

    def add(self, debtor: str, micros: int) -> None:
        """It owes this too."""
        owed = self._owed.get(debtor, 0) + micros
        self._owed[debtor] = owed
        if owed > self.marks.get(debtor, 0):
            self.marks[debtor] = owed

    def close(self, statement: Statement) -> None:
        """The window was cut: what was brought into it is owed in it."""
        for line in statement.brought:
            self.add(line.source, int(line.micros))

    def relieve(self, statement: Statement) -> None:
        """The window is settled or aborted: what was owed in it no longer is."""
        for debtor, micros in _list_debits(statement):
            self._owed[debtor] -= micros


def _list_debits(statement: Statement) -> Iterator[tuple[str, int]]:
    for line in statement.lines:
        yield line.source, int(line.micros)
    for brought in statement.brought:
        yield brought.source, int(brought.micros)
