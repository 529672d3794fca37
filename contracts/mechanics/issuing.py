"""Issuing: new points reach a member, less what the account owes.

Whatever computed them, points earned are a lot of the program's open series; what the account owes after a
return is repaid first and never arrives; what does arrive may have to cool. The partner of another issuer's
program pays for each point it makes that issuer owe.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, Struct

from contracts.mechanics.clearing import compute_accrual_fee, make_accrual_legs
from contracts.mechanics.debts import repay_first
from contracts.mechanics.exposure import Alerts, check_legs
from contracts.mechanics.issuance import use_issuance
from contracts.mechanics.lots import check_room, get_account, get_arrivals
from contracts.mechanics.policies import compute_spendable_from
from contracts.mechanics.records import EARNED, Earned, Policy
from contracts.mechanics.references import Taken
from contracts.mechanics.terms import SeriesTerms, Terms
from contracts.messages.reject_codes import OK
from ledger.outcome import Leg, Lot, Outcome
from ledger.posting import CLAWED_BACK, ISSUED_HOME, ISSUED_PARTNER, Posting
from ledger.rule import Asked, Decision
from ledger.state import StateView


class Issue(Struct, frozen=True, gc=False):
    """Points about to be issued, and for what. Never on the wire."""

    member: str
    program: str
    account_key: str
    points: int
    amount: int
    """Micros of the order: what a later return is measured by; 0 where it cannot be returned."""


def issue_points(
    state: StateView,
    asked: Asked,
    issue: Issue,
    *,
    taken: Taken,
    terms: Terms,
    series: SeriesTerms,
    policy: Policy,
    changes: list[Any],
) -> Decision:
    """The decision that issues these points, with ``changes`` besides.

    Raises `Rejected`, in this order: ``ISSUANCE_EXHAUSTED``, ``LOT_LIMIT``, ``BALANCE_LIMIT``,
    ``DEBIT_CAP``.
    """
    block = asked.block
    changes += use_issuance(state, block, program=issue.program, points=issue.points)
    account_key = issue.account_key
    account = get_account(state, block, account_key)
    day = compute_spendable_from(policy, day=block.day, expires=series.expires)
    lot = Lot(series.expires, series.opened, 0, issue.points, series.series, day)
    repayment = repay_first(state, account_key, [lot] if issue.points else [])
    check_room(account, repayment.lots)
    source = ISSUED_HOME
    legs: list[Leg] = []
    alerts: Alerts = UNSET
    par_accrue = fee = 0
    if asked.sender != terms.issuer:
        source = ISSUED_PARTNER
        par_accrue = series.par_accrue
        fee = compute_accrual_fee(
            state, asked, member=issue.member, points=issue.points, par_accrue=par_accrue
        )
        legs = make_accrual_legs(asked, issuer=terms.issuer, accrual=issue.points * par_accrue, fee=fee)
        alerts = check_legs(state, block, asked.sender, legs, code="DEBIT_CAP")

    postings = [Posting(issue.program, source, issue.member, new) for new in repayment.lots]
    if repayment.paid:
        postings += [Posting(issue.program, source, CLAWED_BACK, paid) for paid in repayment.paid]
    earned = Earned(
        asked.index,
        taken.content,
        issue.amount,
        fee,
        lot,
        issue.member,
        par_accrue,
        returned=0,
        taken=0,
        undone=(),
    )
    changes += repayment.changes
    changes += get_arrivals(block, account, account_key, repayment.lots)
    changes.append((EARNED, taken.key, earned))
    outcome = Outcome(
        balance=account.points + repayment.points,
        code=OK,
        debt=repayment.debt,
        events=alerts,
        legs=legs or UNSET,
        lots=repayment.lots or UNSET,
        points=issue.points,
        repaid=repayment.repaid,
    )
    return Decision(outcome, postings, changes)
