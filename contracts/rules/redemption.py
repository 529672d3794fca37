"""Redemption: a member spends points in one step.

At the issuer it is between the two of them: no one owes anyone. Elsewhere the issuer owes the acceptor the
points' par_redeem, less the operator's commission, and must have granted the acceptor to take its points.
Either way the member has agreed (`contracts.mechanics.consent`). The soonest expiring lots go first, each at
its own series' par.

Holds, captures and refunds are other rules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET

from contracts.mechanics.clearing import compute_commission, make_redemption_legs
from contracts.mechanics.exposure import Alerts, check_debit
from contracts.mechanics.lots import get_departures
from contracts.mechanics.records import SPENT, Spent
from contracts.mechanics.spending import announce_spending, check_limits, check_spending, reads_spending
from contracts.messages.redemption import Redeem
from contracts.messages.reject_codes import OK
from ledger.outcome import Leg, Outcome
from ledger.posting import REDEEMED_ELSEWHERE, REDEEMED_HOME, Posting
from ledger.rule import Asked, BlockContext, Decision, Rule
from ledger.state import Key, StateView


def redeem(state: StateView, asked: Asked, message: Redeem) -> Decision:
    """Take the points a member spends, and record what the issuer owes the acceptor for them."""
    # CHECK: what was done before, then program and member, then the issuer's permission, then the member's,
    # then the points, then the limits.
    spending = check_spending(state, asked, message)
    legs: list[Leg] = []
    alerts: Alerts = UNSET
    commission = 0
    pars: tuple[int, ...] = ()
    if not spending.is_home:
        commission = compute_commission(state, asked, member=message.member, gross=spending.gross)
        legs = make_redemption_legs(
            asked, issuer=spending.issuer, gross=spending.gross, commission=commission
        )
        # An operator that issues pays the commission to itself: no debt, though room is asked for it too.
        to_itself = commission if spending.issuer == asked.block.operator else 0
        alerts = check_debit(state, asked.block, spending.issuer, spending.gross, to_itself=to_itself)
        pars = tuple(spending.pars)
    changes = spending.changes + check_limits(state, asked, message, spending)

    # POST
    taken, lots = spending.taken, spending.lots
    spent = Spent(asked.index, taken.content, commission, tuple(lots), message.member, pars, 0, ())
    changes.append((SPENT, taken.key, spent))
    changes += get_departures(asked.block, spending.account, spending.account_key, lots)
    balance = spending.account.points - message.points
    destination = REDEEMED_HOME if spending.is_home else REDEEMED_ELSEWHERE
    postings = [Posting(message.program, message.member, destination, lot) for lot in lots]
    outcome = Outcome(balance=balance, code=OK, events=alerts, legs=legs or UNSET, lots=lots)
    return Decision(outcome, postings, changes)


def reads(block: BlockContext, sender: str, message: Redeem) -> Sequence[Key]:
    """The records `redeem` reads."""
    return reads_spending(block, sender, message, table=SPENT)


RULE: Final = Rule(Redeem, frozenset({"transact", "till"}), redeem, reads, announce_spending)
