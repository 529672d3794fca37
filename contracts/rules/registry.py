"""Registry: who takes part, and with which keys; the alliance's parameters.

A participant adds and revokes its own keys without asking anyone, effective at the next height and also for
what was signed before. Admission and parameters are the operator's where the alliance has no constitution;
where it has one they take a vote. Nothing here moves a point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from contracts.mechanics import membership
from contracts.mechanics.agenda import is_reserved
from contracts.mechanics.government import check_no_vote_needed
from contracts.mechanics.parameters import check_value, with_change
from contracts.mechanics.records import PARAMETER
from contracts.messages.registry import AddKey, Admit, ParticipantKey, RevokeKey, SetParameter
from contracts.messages.reject_codes import OK
from ledger.errors import Rejected
from ledger.outcome import Outcome
from ledger.rule import NO_READS, Asked, BlockContext, Decision, Rule
from ledger.state import Key, StateView

_GOVERN: Final = frozenset({"govern"})


def admit(state: StateView, asked: Asked, message: Admit) -> Decision:
    """An organisation joins; its keys count from the next height."""
    _check_operator(state, asked)
    changes = membership.admit(state, asked.block, message.participant, name=message.name, keys=message.keys)
    return Decision(Outcome(code=OK), (), changes)


def set_parameter(state: StateView, asked: Asked, message: SetParameter) -> Decision:
    """A parameter takes another value from a height ahead."""
    _check_operator(state, asked)
    check_value(message.parameter, message.value)
    if message.effective_height <= asked.block.height:
        raise Rejected("HEIGHT_NOT_AHEAD", height=message.effective_height)
    before = state.get(PARAMETER, message.parameter)
    record = with_change(before, height=message.effective_height, value=message.value, now=asked.block.height)
    return Decision(Outcome(code=OK), (), [(PARAMETER, message.parameter, record)])


def add_key(state: StateView, asked: Asked, message: AddKey) -> Decision:
    """The sender has one more key from the next height."""
    keys = [ParticipantKey(message.public, message.purpose)]
    changes = membership.register_keys(state, asked.block, asked.sender, keys)
    if any(is_reserved(state, identifier) for _, identifier, _ in changes):
        raise Rejected("KEY_EXISTS", key=message.public)
    if message.purpose == "govern":
        changes.append(membership.count_govern_keys(state, asked.sender, 1))
    return Decision(Outcome(code=OK), (), changes)


def revoke_key(state: StateView, asked: Asked, message: RevokeKey) -> Decision:
    """From the next height nothing this key signed is taken, whenever it was signed."""
    key = membership.get_own_key(state, asked.sender, message.key)
    changes = [membership.end_key(message.key, key, height=asked.block.height + 1)]
    if key.purpose == "govern":
        changes.append(membership.count_govern_keys(state, asked.sender, -1))
    return Decision(Outcome(code=OK), (), changes)


def _check_operator(state: StateView, asked: Asked) -> None:
    """Nobody but the operator has a say, and it is the operator who asks."""
    check_no_vote_needed(state, asked.block)
    if asked.sender != asked.block.operator:
        raise Rejected("NOT_OPERATOR", sender=asked.sender)


def reads(block: BlockContext, sender: str, message: Any) -> Sequence[Key]:
    """Registry messages are rare: what they read is read as it is needed."""
    return NO_READS


RULES: Final = (
    Rule(Admit, _GOVERN, admit, reads),
    Rule(SetParameter, _GOVERN, set_parameter, reads),
    Rule(AddKey, _GOVERN, add_key, reads),
    Rule(RevokeKey, _GOVERN, revoke_key, reads),
)
