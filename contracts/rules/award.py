"""Award: points that somebody else computed, inside a budget.

A sign-in, a review, a birthday, a campaign: what it is worth is worked out outside consensus and arrives
signed. The issuer's own awards come out of the bonus budget its govern key has set, and there is none until
it has; a partner's out of the issuer's `earn` grant, and the partner pays for them as for any earning. An
award given for an order names its amount, and is due back when the order is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import UnsetType

from contracts.mechanics.grants import check_grant, use_grant
from contracts.mechanics.issuing import Issue, issue_points
from contracts.mechanics.lots import reads_account
from contracts.mechanics.members import check_member
from contracts.mechanics.policies import get_policy, use_bonus_budget
from contracts.mechanics.records import EARNED
from contracts.mechanics.references import check_reference, reads_reference
from contracts.mechanics.terms import get_terms
from contracts.messages.earning import Award
from ledger.errors import Rejected
from ledger.posting import get_account_key
from ledger.rule import Asked, BlockContext, Decision, Rule
from ledger.state import Key, StateView


def award(state: StateView, asked: Asked, message: Award) -> Decision:
    """Issue the points that were awarded."""
    # CHECK: what was done before, then terms and member, then permission and budget, then the limits.
    taken = check_reference(state, asked, message)
    terms = get_terms(state, asked.block, message.program)
    series = terms.open_series
    if series is None:
        raise Rejected("NO_OPEN_SERIES", program=message.program)
    account_key = get_account_key(message.member, message.program)
    check_member(state, message.member, account_key)
    policy = get_policy(state, message.program)
    changes: list[Any] = []
    if asked.sender != terms.issuer:
        grant = check_grant(state, asked, program=message.program, grantee=asked.sender, kind="earn")
        changes.append(use_grant(*grant, asked, message.points))
    else:
        changes.append(use_bonus_budget(policy, asked, program=message.program, points=message.points))

    # POST
    amount = 0 if isinstance(message.amount, UnsetType) else message.amount
    return issue_points(
        state,
        asked,
        Issue(message.member, message.program, account_key, message.points, amount),
        taken=taken,
        terms=terms,
        series=series,
        policy=policy,
        changes=changes,
    )


def reads(block: BlockContext, sender: str, message: Award) -> Sequence[Key]:
    """The records `award` reads."""
    return (
        *reads_reference(block, sender, message, table=EARNED),
        # The member's own record is asked for only where there is no account yet.
        reads_account(message.member, message.program),
    )


RULE: Final = Rule(Award, frozenset({"transact", "till"}), award, reads)
