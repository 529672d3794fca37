"""Terms: what a program's points are worth in this block, and when points issued now lapse.

Prices and series change only at heights announced before, so the terms of a program are worked out once a
block.
"""

from __future__ import annotations

from msgspec import Struct

from contracts.mechanics.records import PROGRAM, SERIES, Pars, Program, Series
from ledger.calendar import compute_month_end
from ledger.errors import Rejected
from ledger.rule import BlockContext
from ledger.state import StateView
from ledger.values import NEVER


class SeriesTerms(Struct, frozen=True, gc=False):
    """One series as it stands in this block. Never on the wire."""

    series: str
    opened: int
    par_accrue: int
    par_redeem: int
    since: int
    """The height from which these pars hold."""
    expires: int
    """The last day of points issued today."""


class Terms(Struct, frozen=True, gc=False):
    """One program as it stands in this block. Never on the wire."""

    program: str
    issuer: str
    spend_per_point: int
    open_series: SeriesTerms | None


def get_terms(state: StateView, block: BlockContext, program: str) -> Terms:
    """The program's terms. Raises `Rejected` ``PROGRAM_UNKNOWN``."""
    terms: Terms | None = block.memo[PROGRAM].get(program)
    if terms is None:
        record: Program | None = state.get(PROGRAM, program)
        if record is None:
            raise Rejected("PROGRAM_UNKNOWN", program=program)
        series = get_open_series(record, height=block.height)
        open_series = get_series_terms(state, block, program, series) if series is not None else None
        terms = Terms(program, record.issuer, record.spend_per_point, open_series)
        block.memo[PROGRAM][program] = terms
    return terms


def get_series_terms(state: StateView, block: BlockContext, program: str, series: str) -> SeriesTerms:
    """A series' terms. Raises `Rejected` ``SERIES_UNKNOWN``."""
    known = block.memo[SERIES]
    terms: SeriesTerms | None = known.get((program, series))
    if terms is None:
        record: Series | None = state.get(SERIES, f"{program}|{series}")
        if record is None:
            raise Rejected("SERIES_UNKNOWN", program=program, series=series)
        pars = get_pars(record, height=block.height)
        expires = NEVER
        if record.expiry_months:
            expires = compute_month_end(block.day, months_later=record.expiry_months)
        terms = SeriesTerms(series, record.opened, pars.accrue, pars.redeem, pars.height, expires)
        known[program, series] = terms
    return terms


def get_open_series(program: Program, *, height: int) -> str | None:
    """The one series open for issuing at a height."""
    found = None
    for opened in program.series:
        if opened.height <= height:
            found = opened.series
    return found


def get_pars(series: Series, *, height: int) -> Pars:
    """The pars in force at a height; before its opening a series has its opening pars."""
    found = series.pars[0]
    for pars in series.pars:
        if pars.height <= height:
            found = pars
    return found
