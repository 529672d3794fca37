"""The year's windows, votes and payments as they were read from the log, and whether they add up.

Whatever a participant was owed or owed by the lines of all statements, it was paid or has paid through a
bank, or it is carried on, or a default took it: to the micro, for everybody.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from msgspec import Struct, UnsetType, field

from contracts.mechanics.statement import ROUNDING_PREFIX
from contracts.mechanics.waterfall import FROM_COVER, FROM_FUND, FROM_RESERVE
from contracts.messages.actions import Action
from contracts.messages.statement import Statement

SOURCES: Final = (FROM_COVER, FROM_RESERVE, FROM_FUND)
"""What stands in for a defaulter before its creditors do."""


class Week(Struct):
    """A window that was cut."""

    statement: Statement
    digest: str
    """The hash of its statement, as the log has it and as it was worked out again."""
    state: str = "closed"
    disputes: dict[str, list[int]] = field(default_factory=dict)
    """Who disputed which lines."""


class Motion(Struct):
    """A proposal, and what became of it."""

    proposal: str
    proposer: str
    actions: list[Action]
    time: int
    ballots: dict[str, str] = field(default_factory=dict)
    enacts_at: int = 0
    enacted: str = ""
    """The code of its enactment."""


class Paid(NamedTuple):
    """A transfer that payer and payee have attested."""

    window: int
    place: int
    payer: str
    payee: str
    micros: int


class Default(NamedTuple):
    """Who did not pay, and who did instead or goes without."""

    participant: str
    window: int
    draws: list[tuple[str, int]]


class Cap(Struct):
    """How often an issuer's points were turned down away from home since it might owe no more."""

    refused: int = 0
    home: int = 0
    """Payments at home with the same points, from then until its cover was attested anew."""
    first: int = 0
    last: int = 0


class Balance(NamedTuple):
    """One participant's year in money, micros: the first is the sum of the others, received less paid."""

    net: int
    received: int
    paid: int
    defaulted: int
    """What sources other than the payer paid it, what it went without; for the defaulter, what it left."""
    carried: int


class Year(NamedTuple):
    """What the log says."""

    weeks: list[Week]
    motions: list[Motion]
    signed: int
    """How many times a statement was countersigned."""
    paid: list[Paid]
    default: Default | None
    corrections: list[tuple[str, str, int]]
    """(from, to, micros) by vote."""
    marks: dict[str, int]
    """The most that each participant ever owed unsettled, holds aside."""
    alerts: Counter[tuple[str, str]]
    caps: dict[str, Cap]
    """By program."""
    covers: list[tuple[int, str, int]]
    """(when, whose, how much) as the trustee attested them."""

    def count(self, state: str) -> int:
        """How many windows are in this state."""
        return sum(week.state == state for week in self.weeks)

    def find_weeks(self, state: str) -> list[int]:
        """Their numbers."""
        return [week.statement.window for week in self.weeks if week.state == state]

    def get_week(self, window: int) -> Week:
        """A window by its number."""
        return self.weeks[window - 1]

    def find_corrections(self) -> list[int]:
        """The windows in which something is owed by way of correction."""
        return [
            week.statement.window
            for week in self.weeks
            if any(line.reason == "correction" for line in week.statement.lines)
        ]

    def sum_brands(self) -> dict[str, int]:
        """Brand → micros that its house was to be paid for it, all windows together."""
        sums: Counter[str] = Counter()
        for week in self.weeks:
            for position in week.statement.positions:
                for each in () if isinstance(position.brands, UnsetType) else position.brands:
                    sums[each.brand] += each.units * week.statement.payment_unit_micros
        return dict(sums)

    def list_unmade(self, default: Default) -> list[tuple[str, int]]:
        """(payee, micros) of the transfers that the defaulter left, in the statement's order."""
        statement = self.get_week(default.window).statement
        made = {each.place for each in self.paid if each.window == default.window}
        return [
            (each.destination, each.units * statement.payment_unit_micros)
            for place, each in enumerate(statement.transfers)
            if each.source == default.participant and place not in made
        ]

    def compute_balances(self) -> dict[str, Balance]:
        """Everybody's year. Raises `ValueError` where one does not add up."""
        nets: Counter[str] = Counter()
        for week in self.weeks:
            for line in week.statement.lines:
                nets[line.source] -= int(line.micros)
                nets[line.destination.removeprefix(ROUNDING_PREFIX)] += int(line.micros)
        received: Counter[str] = Counter()
        paid: Counter[str] = Counter()
        for each in self.paid:
            received[each.payee] += each.micros
            paid[each.payer] += each.micros
        defaulted = self._share_default()
        last = self.weeks[-1].statement.positions if self.weeks else []
        carried = {each.participant: int(each.carry_after) for each in last}
        balances = {}
        for name in sorted(nets):
            row = Balance(nets[name], received[name], paid[name], defaulted[name], carried.get(name, 0))
            left = row.net - row.received + row.paid - row.defaulted - row.carried
            if left and not self.find_open():
                raise ValueError(f"{name}: {left} micros of the year are neither paid nor carried on")
            balances[name] = row
        return balances

    def find_open(self) -> list[int]:
        """Windows whose transfers are still to be paid, and the last where it was aborted."""
        return [
            week.statement.window
            for week in self.weeks
            if week.state not in ("settled", "aborted") and week.statement.transfers
        ] + [week.statement.window for week in self.weeks[-1:] if week.state == "aborted"]

    def _share_default(self) -> Counter[str]:
        shares: Counter[str] = Counter()
        if self.default is None:
            return shares
        given = sum(micros for source, micros in self.default.draws if source in SOURCES)
        for payee, micros in self.list_unmade(self.default):
            shares[self.default.participant] -= micros
            shares[payee] += min(given, micros)
            given -= min(given, micros)
        for source, micros in self.default.draws:
            if source not in SOURCES:
                shares[source] += micros
        return shares
