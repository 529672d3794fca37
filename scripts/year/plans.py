"""What the alliance decides in the year, and when: what the seed cannot draw and the data does not know.

By weeks of the year, counted from 0; each is taken up when the first window is closed in its week or later.
Sums follow from the run itself, so that a small one tells the same story. Nothing here asks anybody:
`scripts.year.affairs` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from contracts.messages.actions import (
    CapDebit,
    ChangeParameter,
    Correction,
    DeclareDefault,
    ResolveDispute,
    SetPar,
    Trial,
)
from merchant_sdk import Statement
from scripts.year.alliance import OPERATOR, SERIES, SUPERMARKET
from scripts.year.charter import compute_cap
from scripts.year.council import Motion

COVERS_WEEK: Final = 4
DISPUTE_WEEK: Final = 10
PAR_WEEK: Final = 16
TRIAL_WEEK: Final = 20
SQUEEZE_WEEK: Final = 24
GENERAL_WEEK: Final = 28
DEFAULT_WEEK: Final = 46

SQUEEZED: Final = SUPERMARKET
"""Whose cover is less for a while."""
FALLING: Final = "beauty"
PAR_REDEEM: Final = 24_000
"""A fifth below the opening par: twice as far as its issuer alone may go."""
PAR_ACCRUE: Final = 25_000
COMMISSION: Final = "commission_basis_points"
COMMISSION_BASIS_POINTS: Final = 60
TRIAL_BASIS_POINTS: Final = 2_500
"""Of the members: those for whom the lower commission is tried."""


class Dispute(NamedTuple):
    """An issuer does not agree to pay for one order."""

    issuer: str
    acceptor: str
    line: int


def make_caps(covers: Mapping[str, int]) -> Motion:
    """Nobody may owe more than four fifths of what covers it."""
    actions = [CapDebit(cap=compute_cap(cover), participant=name) for name, cover in covers.items()]
    return Motion("caps", "parameters", OPERATOR, actions, against=("travel",))


def make_par() -> Motion:
    """One program's points are worth less from now on."""
    action = SetPar(par_accrue=PAR_ACCRUE, par_redeem=PAR_REDEEM, program=FALLING, series=SERIES)
    return Motion("beauty-par", "rates", FALLING, [action], against=("florist", "travel"))


def make_trial() -> Motion:
    """A lower commission is tried with some of the members."""
    trial = Trial(members_basis_points=TRIAL_BASIS_POINTS)
    action = ChangeParameter(parameter=COMMISSION, trial=trial, value=COMMISSION_BASIS_POINTS)
    return Motion("commission-trial", "parameters", SUPERMARKET, [action], against=(OPERATOR,))


def make_general() -> Motion:
    """What was tried holds for everybody."""
    action = ChangeParameter(parameter=COMMISSION, value=COMMISSION_BASIS_POINTS)
    return Motion("commission", "parameters", SUPERMARKET, [action], against=(OPERATOR,))


def make_resolution(window: int, dispute: Dispute, *, micros: int) -> Motion:
    """The issuer was right: the acceptor pays the order back."""
    correction = Correction(dispute.acceptor, micros, dispute.issuer)
    action = ResolveDispute(corrections=[correction], participant=dispute.issuer, window=window)
    against = (dispute.acceptor,)
    return Motion("dispute", "settlement", dispute.issuer, [action], against=against)


def make_default(window: int, defaulter: str) -> Motion:
    """Who has not paid twice does not pay any more."""
    action = DeclareDefault(participant=defaulter, window=window)
    return Motion("default", "settlement", OPERATOR, [action], against=(defaulter,))


def find_dispute(statement: Statement) -> Dispute | None:
    """The greatest line for points that were taken, of one merchant and another."""
    found = [
        (int(line.micros), -place)
        for place, line in enumerate(statement.content.lines)
        if line.reason == "redeem"
    ]
    if not found:
        return None
    place = -max(found)[1]
    line = statement.content.lines[place]
    return Dispute(line.source, line.destination, place)


def find_defaulter(statement: Statement) -> str | None:
    """The merchant that pays most in this window, the supermarket aside."""
    sums: dict[str, int] = {}
    for each in statement.content.transfers:
        if each.source not in (OPERATOR, SUPERMARKET):
            sums[each.source] = sums.get(each.source, 0) + each.units
    return max(sums, key=lambda name: (sums[name], name)) if sums else None


def sum_debits(statement: Statement, participant: str) -> int:
    """What a participant came to owe in the window, micros."""
    return sum(int(line.micros) for line in statement.content.lines if line.source == participant)
