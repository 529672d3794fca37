"""Limits: an issuer's policy for its program, a merchant's limits for its tills, the alliance's caps on debt.

Each holds from the next message on and replaces the one before; what was used of a budget or a day starts
anew with it. None of them touches what was done before, and none stops a capture or a refund.
"""

from __future__ import annotations

from typing import Any, Final

from contracts.mechanics.caps import set_cap
from contracts.mechanics.government import check_no_vote_needed
from contracts.mechanics.records import POLICY, TILL, Policy, TillLimits
from contracts.mechanics.terms import get_terms
from contracts.messages.limits import SetDebitCap, SetPolicy, SetTillLimits
from contracts.messages.reject_codes import OK
from ledger.errors import Rejected
from ledger.outcome import Outcome
from ledger.rule import NO_READS, Asked, BlockContext, Decision, Rule
from ledger.state import Key, StateView
from ledger.transaction import KEY_TABLE, RegisteredKey

_DONE: Final = Outcome(code=OK)


def set_policy(state: StateView, asked: Asked, message: SetPolicy) -> Decision:
    """The program's policy is this from now on."""
    terms = get_terms(state, asked.block, message.program)
    if asked.sender != terms.issuer:
        raise Rejected("NOT_ISSUER", program=message.program)
    policy = Policy(
        bonus_day=message.bonus_day,
        bonus_total=message.bonus_total,
        cooling_days=message.cooling_days,
        gifts=message.gifts,
        order_share_basis_points=message.order_share_basis_points,
        points_order=message.points_order,
        shortfall=message.shortfall,
        day=asked.block.day,
        used_day=0,
        used_total=0,
    )
    return Decision(_DONE, (), [(POLICY, message.program, policy)])


def set_till_limits(state: StateView, asked: Asked, message: SetTillLimits) -> Decision:
    """The till's own word goes this far from now on."""
    key: RegisteredKey | None = state.get(KEY_TABLE, message.key)
    if key is None or key.participant != asked.sender:
        raise Rejected("KEY_UNKNOWN", key=message.key)
    if key.purpose != "till":
        raise Rejected("NOT_A_TILL", key=message.key)
    limits = TillLimits(message.points_day, message.points_order, message.step_up, asked.block.day, 0)
    return Decision(_DONE, (), [(TILL, message.key, limits)])


def set_debit_cap(state: StateView, asked: Asked, message: SetDebitCap) -> Decision:
    """The participant may owe this much from now on."""
    check_no_vote_needed(state, asked.block)
    if asked.sender != asked.block.operator:
        raise Rejected("NOT_OPERATOR", operator=asked.block.operator)
    return Decision(_DONE, (), [set_cap(state, asked.block, message.participant, cap=message.cap)])


def reads(block: BlockContext, sender: str, message: Any) -> tuple[Key, ...]:
    """Nothing that is not in memory already."""
    return NO_READS


_GOVERN: Final = frozenset({"govern"})
RULES: Final = (
    Rule(SetPolicy, _GOVERN, set_policy, reads),
    Rule(SetTillLimits, _GOVERN, set_till_limits, reads),
    Rule(SetDebitCap, _GOVERN, set_debit_cap, reads),
)
