"""Trusting: which rules hold from here on, and whose signatures under the log are enough.

Neither asks what this program knows: a node that does not know the next rulebook votes, counts and writes
like all others, and stops before the first block it cannot execute.
"""

from __future__ import annotations

from contracts.mechanics.enactment import Effects
from contracts.mechanics.governance_records import TRUST, TrustPolicy
from contracts.messages.actions import SetRulebook, SetTrustPolicy
from ledger.errors import Refused, Rejected
from ledger.log.policy import parse_policy
from ledger.rule import BlockContext
from ledger.state import StateView
from ledger.versions import RULEBOOK_KEY, RULEBOOK_TABLE

EPOCH_DIGITS = 8


def do_set_rulebook(state: StateView, block: BlockContext, action: SetRulebook) -> Effects:
    """The block after this one is executed under the next version."""
    # What was written in this block already is not in force yet, and counts all the same: versions are taken
    # one at a time, in one proposal or in several.
    written: int | None = state.get(RULEBOOK_TABLE, RULEBOOK_KEY)
    present = block.rulebook if written is None else written
    if action.version != present + 1:
        raise Rejected("RULEBOOK_NOT_AHEAD", version=action.version, present=present)
    return Effects([(RULEBOOK_TABLE, RULEBOOK_KEY, action.version)])


def do_set_trust_policy(state: StateView, block: BlockContext, action: SetTrustPolicy) -> Effects:
    """A checkpoint of the next epoch needs the signatures that this policy asks for."""
    try:
        policy = parse_policy(action.policy.encode("utf-8"))
    except Refused as refusal:
        raise Rejected("POLICY_MALFORMED", reason=str(refusal)) from None
    if not any(log.key.name == block.chain for log in policy.logs):
        raise Rejected("POLICY_MALFORMED", reason="another log's", chain=block.chain)
    epoch = max((int(key) for key, _ in state.list_records(TRUST)), default=0) + 1
    record = TrustPolicy(block.height, action.policy)
    return Effects([(TRUST, f"{epoch:0{EPOCH_DIGITS}d}", record)])
