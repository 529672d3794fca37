"""Quotes: what an exchange would take and give in the next block, by the very functions that would decide it.

A quote promises nothing but its arithmetic: whether the issuers allow the exchange and the member has the
points is decided when it is submitted. It lives until the next height at which one of its two rates changes.
"""

from __future__ import annotations

from typing import Any

from contracts.mechanics.records import PROGRAM, SERIES, Program, Series
from contracts.mechanics.terms import get_series_terms, get_terms
from contracts.rules.exchange import compute_exchange
from ledger.errors import Rejected
from ledger.values import POINTS_MAX
from node.api.view import View


def compute_quote(view: View, *, program: str, series: str, target: str, points: int) -> dict[str, Any]:
    """The quote, in the order of the exchange rule's own checks. Raises `Rejected`."""
    block = view.block
    get_terms(view, block, program)
    into = get_terms(view, block, target).open_series
    if program == target:
        raise Rejected("PROGRAMS_MUST_DIFFER", program=program)
    source = get_series_terms(view, block, program, series)
    if into is None:
        raise Rejected("NO_OPEN_SERIES", program=target)
    taken, received = compute_exchange(
        points=points, par_redeem=source.par_redeem, par_accrue=into.par_accrue
    )
    if not received:
        raise Rejected("EXCHANGE_TOO_SMALL", points=points)
    if received > POINTS_MAX:
        raise Rejected("AMOUNT_TOO_LARGE", points=received, allowed=POINTS_MAX)
    quote = {
        "least": received,
        "points_received": received,
        "points_taken": taken,
        "rate_height": max(source.since, into.since),
    }
    ahead = _find_rate_heights(view, program=program, series=series, target=target, open_series=into.series)
    return {**quote, "valid_to_height": min(ahead)} if ahead else quote


def _find_rate_heights(view: View, *, program: str, series: str, target: str, open_series: str) -> list[int]:
    """The announced heights at which one of the two rates changes: a new par, or another open series to
    receive.
    """
    heights: list[int] = []
    for key in (f"{program}|{series}", f"{target}|{open_series}"):
        record: Series = view.get(SERIES, key)
        heights += [pars.height for pars in record.pars]
    receiving: Program = view.get(PROGRAM, target)
    heights += [opened.height for opened in receiving.series]
    return [height for height in heights if height > view.block.height]
