"""Exposure: nobody owes more than their limit, whatever arrives at once.

What counts is every leg a participant owes that is not settled, and what it would owe for open holds; what
others owe it does not count against that. The limit is the smaller of its cap, where one was set, and its
cover, where one was attested. A capture of a valid hold and a refund always go through: the hold has reserved
its room, and a refund undoes a debit of the other side.

Who comes near to its limit is told once, with the message that brings it there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from contracts.mechanics.records import EXPOSURE, NO_EXPOSURE, Exposure
from contracts.mechanics.settlement_records import COVER, Cover
from ledger.errors import Rejected
from ledger.outcome import Event, Leg
from ledger.rule import BlockContext
from ledger.state import StateView
from ledger.totals import DEBIT_TABLE
from ledger.values import FOREVER

ALERT_PERCENTS: Final = (90, 75, 50)
"""The highest that was reached is told, and it alone."""
ALERTS_SINCE: Final = 2
"""The version of the rulebook from which on anything is told."""

Change = tuple[str, str, Exposure]
Alerts = list[Event] | UnsetType
"""As an outcome says them: not there where there are none."""


def check_legs(
    state: StateView, block: BlockContext, debtor: str, legs: Iterable[Leg], *, code: str = "ISSUER_CAP"
) -> Alerts:
    """The debtor may owe these legs as well. Raises `Rejected` with ``code``."""
    return check_debit(
        state, block, debtor, sum([leg.micros for leg in legs if leg.source == debtor]), code=code
    )


def check_debit(
    state: StateView,
    block: BlockContext,
    debtor: str,
    micros: int,
    *,
    code: str = "ISSUER_CAP",
    to_itself: int = 0,
) -> Alerts:
    """The debtor may owe so much more; what is to be told of it. Raises `Rejected` with ``code``.

    ``to_itself`` is what of it nobody comes to owe in the end, since debtor and creditor are one. Who would
    owe nothing more passes no limit, however much they owe already.
    """
    exposure: Exposure | None = state.get(EXPOSURE, debtor)
    cover: Cover | None = state.get(COVER, debtor)
    if cover is None and (exposure is None or exposure.cap == FOREVER):
        return UNSET
    limit = _compute_limit(exposure or NO_EXPOSURE, cover, time=block.time)
    if not micros:
        return UNSET
    before = compute_owed(state, debtor)
    if before + micros > limit:
        raise Rejected(code, debtor=debtor, owed=before + micros, limit=limit)
    if block.rulebook < ALERTS_SINCE:
        return UNSET
    return _find_alert(debtor, before=before, after=before + micros - to_itself, limit=limit)


def reserve(state: StateView, block: BlockContext, debtor: str, gross: int) -> tuple[Change, Alerts]:
    """The change that sets room for a hold's gross aside, and what is to be told of it. Raises `Rejected`
    ``ISSUER_CAP``.
    """
    alerts = check_debit(state, block, debtor, gross)
    exposure: Exposure = state.get(EXPOSURE, debtor) or NO_EXPOSURE
    return (EXPOSURE, debtor, Exposure(exposure.cap, exposure.held + gross, exposure.relieved)), alerts


def unreserve(state: StateView, debtor: str, gross: int) -> Change:
    """The change that gives a hold's room back."""
    exposure: Exposure = state.get(EXPOSURE, debtor) or NO_EXPOSURE
    return EXPOSURE, debtor, Exposure(exposure.cap, exposure.held - gross, exposure.relieved)


def relieve(state: StateView, amounts: Mapping[str, int]) -> list[Change]:
    """The changes with which each participant owes so much less that is not settled; below zero, more."""
    return [
        (EXPOSURE, name, replace(found, relieved=found.relieved + micros))
        for name, micros in sorted(amounts.items())
        if micros
        for found in [state.get(EXPOSURE, name) or NO_EXPOSURE]
    ]


def compute_owed(state: StateView, participant: str) -> int:
    """What a participant owes that is not settled, and would owe for open holds."""
    exposure: Exposure = state.get(EXPOSURE, participant) or NO_EXPOSURE
    debits: int = state.get(DEBIT_TABLE, participant) or 0
    return debits - exposure.relieved + exposure.held


def get_limit(state: StateView, block: BlockContext, participant: str) -> int | None:
    """How much a participant may owe in this block; None for as much as it likes."""
    cover: Cover | None = state.get(COVER, participant)
    limit = _compute_limit(state.get(EXPOSURE, participant) or NO_EXPOSURE, cover, time=block.time)
    return None if limit == FOREVER else limit


def _compute_limit(exposure: Exposure, cover: Cover | None, *, time: int) -> int:
    """The smaller of cap and cover; `FOREVER` where there is neither."""
    if cover is None:
        return exposure.cap
    return min(exposure.cap, cover.cover if time < cover.expires else 0)


def _find_alert(debtor: str, *, before: int, after: int, limit: int) -> Alerts:
    for percent in ALERT_PERCENTS:
        if after * 100 >= percent * limit:
            if before * 100 >= percent * limit:
                return UNSET
            return [Event(about=debtor, name=f"EXPOSURE_{percent}")]
    return UNSET
