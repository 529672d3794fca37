"""What a state says of each participant: points, liability, fees and position.

Points and money that flow are told for the replayed blocks alone; what is owed to members is told as it
stands at the end. Nothing is estimated: points and positions are the ledger's own tallies, the liability is
the sum over every lot, and fees are added up leg by leg.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from contracts.mechanics.records import PARTICIPANT, PROGRAM, SERIES
from contracts.mechanics.terms import get_pars
from ledger.outcome import Leg
from ledger.posting import (
    CLAWED_BACK,
    EXCHANGED_IN,
    EXCHANGED_OUT,
    EXPIRED,
    ISSUED_HOME,
    ISSUED_PARTNER,
    REDEEMED_ELSEWHERE,
    REDEEMED_HOME,
    REFUNDED_ELSEWHERE,
    REFUNDED_HOME,
)
from ledger.state import State
from ledger.totals import ACCOUNT_TABLE, POSITION_TABLE, TALLY_TABLE
from node.audit.replay import ReplayedBlock

_FEE: Final = {"accrual_fee": 1, "commission": 1, "accrual_fee_return": -1, "commission_return": -1}
"""Reason → whether the operator is paid, or pays back."""
_POINTS: Final = {
    ISSUED_HOME: ("issued", 1),
    ISSUED_PARTNER: ("issued", 1),
    REDEEMED_HOME: ("redeemed_home", 1),
    REFUNDED_HOME: ("redeemed_home", -1),
    REDEEMED_ELSEWHERE: ("redeemed_elsewhere", 1),
    REFUNDED_ELSEWHERE: ("redeemed_elsewhere", -1),
    EXCHANGED_IN: ("exchanged_in", 1),
    EXCHANGED_OUT: ("exchanged_out", 1),
    EXPIRED: ("expired", 1),
    CLAWED_BACK: ("clawed_back", 1),
}
"""System account → what it is told under, and its sign."""


class Figures(Struct, frozen=True, kw_only=True):
    """One participant. Points are those of its own programs; money is micros."""

    clawed_back: int = 0
    exchanged_in: int = 0
    exchanged_out: int = 0
    expired: int = 0
    fees_micros: int = 0
    """Commission and accrual fees: what the operator was paid, and (below zero) what an acceptor or partner
    paid or did without.
    """
    issued: int = 0
    """At home and by partners."""
    liability_micros: int = 0
    """Points at the end, each times what its series pays the acceptor a point."""
    liability_points: int = 0
    position_micros: int = 0
    """By how much it is owed more (below zero: owes more) than before the first block."""
    redeemed_elsewhere: int = 0
    """Less what was refunded."""
    redeemed_home: int = 0


NOTHING: Final = Figures()
MEASURES: Final = Figures.__struct_fields__


class Fees:
    """Commission and accrual fees of one history, leg by leg."""

    def __init__(self, operator: str) -> None:
        self._operator = operator
        self.micros: Counter[str] = Counter()

    def take(self, block: ReplayedBlock, answers: Any) -> None:
        """Add up what these answers to a block's transactions hold."""
        for transaction, answer in zip(block.recorded.transactions, answers, strict=True):
            for outcome in answer.outcomes:
                # Few outcomes have such a leg, and looking for the word is ten times quicker than reading.
                if b'"accrual_fee' in outcome or b'"commission' in outcome:
                    self._add(transaction.header.sender, outcome)

    def _add(self, sender: str, outcome: bytes) -> None:
        for leg in _OUTCOME.decode(outcome).legs:
            sign = _FEE.get(leg.reason, 0)
            self.micros[self._operator] += sign * leg.micros
            self.micros[sender] -= sign * leg.micros


class _Outcome(Struct):
    legs: list[Leg] = []


_OUTCOME: Final = msgspec.json.Decoder(_Outcome)


def read_flows(state: State) -> dict[tuple[str, str], int]:
    """By (participant, measure) what has flowed since genesis: points of its programs, and its position."""
    flows: Counter[tuple[str, str]] = Counter()
    issuers = {program: record.issuer for program, record in state.list_records(PROGRAM)}
    for key, points in state.list_records(TALLY_TABLE):
        program, account = key.split("|")
        if account in _POINTS:
            measure, sign = _POINTS[account]
            flows[issuers[program], measure] += sign * points
    for name, micros in state.list_records(POSITION_TABLE):
        flows[name, "position_micros"] += micros
    return flows


def read_figures(
    state: State, *, before: dict[tuple[str, str], int], fees: Fees, height: int
) -> dict[str, Figures]:
    """Everybody's figures as of this state, those of rounding accounts too; flows are since ``before``."""
    found: dict[str, Counter[str]] = {name: Counter() for name, _ in state.list_records(PARTICIPANT)}
    for (name, measure), amount in read_flows(state).items():
        found.setdefault(name, Counter())[measure] = amount - before.get((name, measure), 0)
    for name, micros in fees.micros.items():
        found[name]["fees_micros"] = micros
    issuers = {program: record.issuer for program, record in state.list_records(PROGRAM)}
    pars = {key: get_pars(record, height=height).redeem for key, record in state.list_records(SERIES)}
    for (program, series), points in sorted(_sum_series(state).items()):
        found[issuers[program]]["liability_points"] += points
        found[issuers[program]]["liability_micros"] += points * pars[f"{program}|{series}"]
    return {name: Figures(**figures) for name, figures in sorted(found.items())}


def _sum_series(state: State) -> Counter[tuple[str, str]]:
    """Points by (program, series), held ones included."""
    points: Counter[tuple[str, str]] = Counter()
    for key, account in state.list_records(ACCOUNT_TABLE):
        program = key[key.index("|") + 1 :]
        for lot in (*account.lots, *account.held):
            points[program, lot.series] += lot.points
    return points


def subtract(one: Figures, other: Figures) -> Figures:
    """The first less the second, measure by measure."""
    subtrahend = asdict(other)
    return Figures(**{name: amount - subtrahend[name] for name, amount in asdict(one).items()})
