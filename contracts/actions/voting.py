"""Voting rules: what it takes to decide, for proposals that are made from then on.

Nothing but a pause is ever decided by half of all weight or less.
"""

from __future__ import annotations

from msgspec.structs import replace

from contracts.mechanics.enactment import Effects
from contracts.mechanics.governance_records import GOVERNMENT
from contracts.mechanics.government import get_government, get_least_approval
from contracts.messages.actions import SetVotingRule
from ledger.errors import Rejected
from ledger.rule import BlockContext
from ledger.state import StateView


def do_set_voting_rule(state: StateView, block: BlockContext, action: SetVotingRule) -> Effects:
    """A kind of decision takes this much agreement and notice."""
    least = get_least_approval(action.kind)
    if action.approve_basis_points < least:
        raise Rejected("THRESHOLD_TOO_LOW", approve_basis_points=action.approve_basis_points, least=least)
    government = get_government(state, block)
    rules = {kind: (basis_points, heights) for kind, basis_points, heights in government.rules}
    rules[action.kind] = (action.approve_basis_points, action.notice_heights)
    rows = tuple((kind, *rule) for kind, rule in sorted(rules.items()))
    return Effects([(GOVERNMENT, GOVERNMENT, replace(government, rules=rows))])
