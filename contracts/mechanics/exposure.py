"""Exposure: nobody owes more than their cap, whatever arrives at once.

What counts is every leg a participant owes, and what it would owe for open holds; what others owe it does not
count against that. A capture of a valid hold and a refund always go through: the hold has reserved its room,
and a refund undoes a debit of the other side.
"""

from __future__ import annotations

from collections.abc import Iterable

from contracts.mechanics.records import EXPOSURE, NO_EXPOSURE, Exposure
from ledger.errors import Rejected
from ledger.outcome import Leg
from ledger.state import StateView
from ledger.totals import DEBIT_TABLE
from ledger.values import FOREVER

Change = tuple[str, str, Exposure]


def check_legs(state: StateView, debtor: str, legs: Iterable[Leg], *, code: str = "ISSUER_CAP") -> None:
    """The debtor may owe these legs as well. Raises `Rejected` with ``code``."""
    check_debit(state, debtor, sum(leg.micros for leg in legs if leg.source == debtor), code=code)


def check_debit(state: StateView, debtor: str, micros: int, *, code: str = "ISSUER_CAP") -> None:
    """The debtor may owe so much more. Raises `Rejected` with ``code``.

    Who would owe nothing more passes no cap, however much they owe already.
    """
    exposure: Exposure | None = state.get(EXPOSURE, debtor)
    if exposure is not None and exposure.cap != FOREVER and micros:
        _check_cap(state, debtor, exposure, micros, code=code)


def reserve(state: StateView, debtor: str, gross: int) -> Change:
    """The change that sets room for a hold's gross aside. Raises `Rejected` ``ISSUER_CAP``."""
    exposure: Exposure = state.get(EXPOSURE, debtor) or NO_EXPOSURE
    _check_cap(state, debtor, exposure, gross, code="ISSUER_CAP")
    return EXPOSURE, debtor, Exposure(exposure.cap, exposure.held + gross)


def unreserve(state: StateView, debtor: str, gross: int) -> Change:
    """The change that gives a hold's room back."""
    exposure: Exposure = state.get(EXPOSURE, debtor) or NO_EXPOSURE
    return EXPOSURE, debtor, Exposure(exposure.cap, exposure.held - gross)


def _check_cap(state: StateView, debtor: str, exposure: Exposure, micros: int, *, code: str) -> None:
    owed = (state.get(DEBIT_TABLE, debtor) or 0) + exposure.held + micros
    if owed > exposure.cap != FOREVER:
        raise Rejected(code, debtor=debtor, owed=owed, cap=exposure.cap)
