"""Earning: a purchase brings points.

Points = ⌊amount / spend_per_point⌋ of the program's open series; what is left over earns nothing, and an
order too small for one point still counts as done. At a partner the issuer's `earn` grant must cover it: the
partner then pays the issuer par_accrue for each point it makes the issuer owe, and the operator its fee.

Tiers, campaigns and bonuses are other rules; this one multiplies by nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import UNSET

from contracts.mechanics.clearing import compute_accrual_legs
from contracts.mechanics.grants import check_grant, use_grant
from contracts.mechanics.lots import check_room, get_account, get_expiry_changes, reads_account
from contracts.mechanics.members import get_member
from contracts.mechanics.records import MEMBER
from contracts.mechanics.references import check_reference, reads_reference
from contracts.mechanics.terms import get_terms
from contracts.messages.earning import Earn
from contracts.messages.reject_codes import OK
from ledger.errors import Rejected
from ledger.outcome import Lot, Outcome
from ledger.posting import ISSUED_HOME, ISSUED_PARTNER, Posting
from ledger.rule import Asked, BlockContext, Decision, Rule
from ledger.state import Key, StateView
from ledger.values import POINTS_MAX


def earn(state: StateView, asked: Asked, message: Earn) -> Decision:
    """Issue the points that a purchase brings."""
    # CHECK: what was done before, then terms and member, then the issuer's permission, then the limits.
    taken = check_reference(state, asked, message)
    terms = get_terms(state, asked.block, message.program)
    series = terms.open_series
    if series is None:
        raise Rejected("NO_OPEN_SERIES", program=message.program)
    get_member(state, message.member)
    is_home = asked.sender == terms.issuer
    grant = None
    if not is_home:
        grant = check_grant(state, asked, program=message.program, grantee=asked.sender, kind="earn")
    points = message.amount // terms.spend_per_point
    changes = [taken]
    if grant is not None:
        changes.append(use_grant(*grant, asked, points))  # type: ignore[arg-type]
    if points > POINTS_MAX:
        raise Rejected("AMOUNT_TOO_LARGE", points=points, allowed=POINTS_MAX)
    account = get_account(state, message.member, message.program)
    if not points:
        return Decision(Outcome(balance=account.points, code=OK, points=0), (), changes)
    lot = Lot(series.expires, series.opened, points, series.series, 0)
    check_room(account, [lot])

    # POST
    changes += get_expiry_changes(account, message.member, message.program, [lot])  # type: ignore[arg-type]
    legs = []
    if not is_home:
        legs = compute_accrual_legs(
            state, asked, issuer=terms.issuer, points=points, par_accrue=series.par_accrue
        )
    outcome = Outcome(balance=account.points + points, code=OK, legs=legs or UNSET, lots=[lot], points=points)
    source = ISSUED_HOME if is_home else ISSUED_PARTNER
    return Decision(outcome, (Posting(message.program, source, message.member, lot),), changes)


def reads(block: BlockContext, sender: str, message: Earn) -> Iterable[Key]:
    """The records `earn` reads."""
    return (
        *reads_reference(block, sender, message),
        (MEMBER, message.member),
        reads_account(message.member, message.program),
    )


RULE: Final = Rule(Earn, frozenset({"transact", "till"}), earn, reads)
