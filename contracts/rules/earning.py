"""Earning: a purchase brings points.

Points = ⌊amount / spend_per_point⌋ of the program's open series; what is left over earns nothing, and an
order too small for one point still counts as done. At a partner the issuer's `earn` grant must cover it: the
partner then pays the issuer par_accrue for each point it makes the issuer owe, and the operator its fee.

Awards, tiers and campaigns are other rules; this one multiplies by nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from contracts.mechanics.grants import check_grant, use_grant
from contracts.mechanics.issuing import Issue, issue_points
from contracts.mechanics.lots import reads_account
from contracts.mechanics.members import check_member
from contracts.mechanics.policies import get_policy
from contracts.mechanics.records import EARNED
from contracts.mechanics.references import check_reference, reads_reference
from contracts.mechanics.terms import get_terms
from contracts.messages.earning import Earn
from ledger.errors import Rejected
from ledger.posting import get_account_key
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
    account_key = get_account_key(message.member, message.program)
    check_member(state, message.member, account_key)
    points = message.amount // terms.spend_per_point
    changes: list[Any] = []
    if asked.sender != terms.issuer:
        grant = check_grant(state, asked, program=message.program, grantee=asked.sender, kind="earn")
        changes.append(use_grant(*grant, asked, points))
    if points > POINTS_MAX:
        raise Rejected("AMOUNT_TOO_LARGE", points=points, allowed=POINTS_MAX)

    # POST
    return issue_points(
        state,
        asked,
        Issue(message.member, message.program, account_key, points, message.amount),
        taken=taken,
        terms=terms,
        series=series,
        policy=get_policy(state, message.program),
        changes=changes,
    )


def reads(block: BlockContext, sender: str, message: Earn) -> Sequence[Key]:
    """The records `earn` reads."""
    return (
        *reads_reference(block, sender, message, table=EARNED),
        # The member's own record is asked for only where there is no account yet.
        reads_account(message.member, message.program),
    )


RULE: Final = Rule(Earn, frozenset({"transact", "till"}), earn, reads)
