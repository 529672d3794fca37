"""The waterfall: who pays when a participant does not.

Its own cover first, then its own reserve, then the alliance's fund; what is missing then, its creditors of
that window go without, each by its share of what the defaulter owed them on balance. The payees get what the
statement says all the same: what creditors go without they come to owe the payees, in the open window.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from contracts.mechanics.settlement_records import COVER, FUND, Cover, Transfer, WindowRecord
from contracts.mechanics.statement import ROUNDING_PREFIX, compute_shares
from contracts.mechanics.windows import Debt, bring_over, is_attested, settle_if_paid, sum_debts
from contracts.messages.statement import BroughtLine, Statement, StatementLine
from ledger.codec import INTEGER_MAX
from ledger.errors import Rejected
from ledger.outcome import DRAWS_MAX, Draw, Event
from ledger.rule import BlockContext
from ledger.state import StateView

FROM_COVER: Final = "backing:cover"
FROM_RESERVE: Final = "backing:reserve"
FROM_FUND: Final = "backing:fund"
SOURCES: Final = (FROM_COVER, FROM_RESERVE, FROM_FUND)
"""What is drawn upon before anybody goes without, in this order; no participant can be called so."""
DEFAULT_REFERENCE: Final = "default"
"""Stands where the bank's reference would, of whoever had given none."""

Change = tuple[str, str, Any]


class Sources(NamedTuple):
    """What cover, reserve and fund give, in this order, and how they stand afterwards."""

    draws: list[Draw]
    missing: int
    changes: list[Change]


class Default(NamedTuple):
    """What a default comes to."""

    changes: Sequence[Change]
    events: Sequence[Event]
    draws: Sequence[Draw]


def share_default(
    state: StateView,
    block: BlockContext,
    *,
    number: int,
    window: WindowRecord,
    statement: Statement,
    defaulter: str,
) -> Default:
    """What the defaulter has not paid of a confirmed window is paid by others. Raises `Rejected`
    ``NOTHING_OWED``.
    """
    unpaid = [one for one in window.transfers if one.payer == defaulter and not is_attested(one)]
    if not unpaid:
        raise Rejected("NOTHING_OWED", participant=defaulter, window=number)
    payments = [(transfer.payee, transfer.units * window.unit_micros) for transfer in unpaid]
    shortfall = sum(micros for _, micros in payments)
    sources = _draw_sources(state, block, defaulter, shortfall)
    losses = share_loss(statement, defaulter, payments, sources.missing)
    debts = match_debts(losses, payments, missing=sources.missing)
    transfers = tuple(_take_as_attested(one) if one in unpaid else one for one in window.transfers)
    step = settle_if_paid(
        state,
        number,
        replace(window, transfers=transfers),
        relieved=sum_debts(debts, sign=-1),
    )
    draws = [*sources.draws, *_tell_losses(losses, room=DRAWS_MAX - len(sources.draws))]
    changes = [*sources.changes, *bring_over(state, number, debts), *step.changes]
    return Default(changes, step.events, draws)


def _tell_losses(losses: Sequence[tuple[str, int]], *, room: int) -> list[Draw]:
    """What each goes without, as far as there is room; more than one number can say is told in several."""
    draws: list[Draw] = []
    for creditor, micros in losses:
        left = micros
        while left and len(draws) < room:
            told = min(left, INTEGER_MAX)
            draws.append(Draw(told, creditor))
            left -= told
    return draws


def _draw_sources(state: StateView, block: BlockContext, defaulter: str, shortfall: int) -> Sources:
    """What of the shortfall is there before anybody else has to go without."""
    cover: Cover | None = state.get(COVER, defaulter)
    stands = cover is not None and block.time < cover.expires
    fund: int = state.get(FUND, FUND) or 0
    missing = shortfall
    draws: list[Draw] = []
    for name, there in (
        (FROM_COVER, cover.cover if cover is not None and stands else 0),
        (FROM_RESERVE, cover.reserve if cover is not None and stands else 0),
        (FROM_FUND, fund),
    ):
        given = min(there, missing)
        missing -= given
        if given:
            draws.append(Draw(given, name))
    given_by = {draw.source: draw.micros for draw in draws}
    changes: list[Change] = []
    if cover is not None and (FROM_COVER in given_by or FROM_RESERVE in given_by):
        left = Cover(
            cover.cover - given_by.get(FROM_COVER, 0),
            cover.expires,
            cover.reserve - given_by.get(FROM_RESERVE, 0),
        )
        changes.append((COVER, defaulter, left))
    if FROM_FUND in given_by:
        changes.append((FUND, FUND, fund - given_by[FROM_FUND]))
    return Sources(draws, missing, changes)


def share_loss(
    statement: Statement, defaulter: str, payments: Sequence[tuple[str, int]], missing: int
) -> list[tuple[str, int]]:
    """What each creditor goes without, in order of ids, of those who go without anything."""
    if not missing:
        return []
    # What a carry alone made payable has no creditor in the window: then whoever would be paid goes without.
    claims = compute_claims(statement, defaulter) or _sum_by_name(payments)
    names = sorted(claims)
    shares = compute_shares(missing, [claims[name] for name in names])
    return [(name, share) for name, share in zip(names, shares, strict=True) if share]


def compute_claims(statement: Statement, defaulter: str) -> dict[str, int]:
    """What a participant owes others in a window more than they owe it, by creditor."""
    claims: dict[str, int] = {}
    lines: list[StatementLine | BroughtLine] = [*statement.lines, *statement.brought]
    for line in lines:
        if line.destination.startswith(ROUNDING_PREFIX):
            continue
        if line.source == defaulter:
            claims[line.destination] = claims.get(line.destination, 0) + int(line.micros)
        elif line.destination == defaulter:
            claims[line.source] = claims.get(line.source, 0) - int(line.micros)
    return {name: micros for name, micros in claims.items() if micros > 0}


def match_debts(
    losses: Sequence[tuple[str, int]], payments: Sequence[tuple[str, int]], *, missing: int
) -> dict[Debt, int]:
    """Who comes to owe which payee how much of what is missing: both in their order.

    What the sources gave meets the payments from the first one on; what is left of them is the creditors'.
    Whoever is both owes itself nothing.
    """
    debts: dict[Debt, int] = {}
    met = sum(micros for _, micros in payments) - missing
    creditors = iter(losses)
    creditor, share = "", 0
    for payee, micros in payments:
        paid = min(met, micros)
        met -= paid
        left = micros - paid
        while left:
            if not share:
                creditor, share = next(creditors)
            part = min(left, share)
            left -= part
            share -= part
            if creditor != payee:
                debts[creditor, payee] = debts.get((creditor, payee), 0) + part
    return debts


def _take_as_attested(transfer: Transfer) -> Transfer:
    return replace(
        transfer,
        payer_reference=transfer.payer_reference or DEFAULT_REFERENCE,
        payee_reference=transfer.payee_reference or DEFAULT_REFERENCE,
    )


def _sum_by_name(payments: Sequence[tuple[str, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for name, micros in payments:
        sums[name] = sums.get(name, 0) + micros
    return sums
