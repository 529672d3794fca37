"""Registry: who takes part, and with which keys; the alliance's parameters.

A participant adds and revokes its own keys without asking anyone, effective at the next height and also for
what was signed before. Admission and parameters are the operator's until voting exists. Nothing here moves a
point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec.structs import replace

from contracts.mechanics.members import check_key
from contracts.mechanics.parameters import PARAMETERS, with_change
from contracts.mechanics.records import PARAMETER, PARTICIPANT, Participant
from contracts.messages.consent_text import ANY
from contracts.messages.registry import AddKey, Admit, RevokeKey, SetParameter
from contracts.messages.reject_codes import OK
from ledger.errors import Rejected
from ledger.keys import key_id
from ledger.outcome import Outcome
from ledger.rule import NO_READS, Asked, BlockContext, Decision, Rule
from ledger.state import Key, StateView
from ledger.transaction import KEY_TABLE, RegisteredKey
from ledger.values import FOREVER

_GOVERN: Final = frozenset({"govern"})


def admit(state: StateView, asked: Asked, message: Admit) -> Decision:
    """An organisation joins; its keys count from the next height."""
    if asked.sender != asked.block.operator:
        raise Rejected("NOT_OPERATOR", sender=asked.sender)
    # "any" is what an open points code is made out to, so nobody may be called that.
    if message.participant == ANY or state.get(PARTICIPANT, message.participant) is not None:
        raise Rejected("PARTICIPANT_EXISTS", participant=message.participant)
    ids = [key_id(check_key(key.public)) for key in message.keys]
    for number, identifier in enumerate(ids):
        if identifier in ids[:number] or state.get(KEY_TABLE, identifier) is not None:
            raise Rejected("KEY_EXISTS", key=identifier)
    changes: list[tuple[str, str, Any]] = [
        _register(message.participant, identifier, key.public, key.purpose, asked.block)
        for identifier, key in zip(ids, message.keys, strict=True)
    ]
    govern_keys = sum(key.purpose == "govern" for key in message.keys)
    if not govern_keys:
        raise Rejected("GOVERN_KEY_MISSING", participant=message.participant)
    record = Participant(message.name, asked.block.height, govern_keys)
    changes.append((PARTICIPANT, message.participant, record))
    return Decision(Outcome(code=OK), (), changes)


def set_parameter(state: StateView, asked: Asked, message: SetParameter) -> Decision:
    """A parameter takes another value from a height ahead."""
    if asked.sender != asked.block.operator:
        raise Rejected("NOT_OPERATOR", sender=asked.sender)
    bounds = PARAMETERS.get(message.parameter)
    if bounds is None:
        raise Rejected("PARAMETER_UNKNOWN", parameter=message.parameter)
    if not bounds.least <= message.value <= bounds.greatest:
        raise Rejected("PARAMETER_OUT_OF_BOUNDS", value=message.value, bounds=bounds)
    if message.effective_height <= asked.block.height:
        raise Rejected("HEIGHT_NOT_AHEAD", height=message.effective_height)
    before = state.get(PARAMETER, message.parameter)
    record = with_change(before, height=message.effective_height, value=message.value, now=asked.block.height)
    return Decision(Outcome(code=OK), (), [(PARAMETER, message.parameter, record)])


def add_key(state: StateView, asked: Asked, message: AddKey) -> Decision:
    """The sender has one more key from the next height."""
    identifier = key_id(check_key(message.public))
    if state.get(KEY_TABLE, identifier) is not None:
        raise Rejected("KEY_EXISTS", key=identifier)
    changes: list[tuple[str, str, Any]] = [
        _register(asked.sender, identifier, message.public, message.purpose, asked.block)
    ]
    if message.purpose == "govern":
        changes.append(_count_govern_keys(state, asked.sender, 1))
    return Decision(Outcome(code=OK), (), changes)


def revoke_key(state: StateView, asked: Asked, message: RevokeKey) -> Decision:
    """From the next height nothing this key signed is taken, whenever it was signed."""
    key: RegisteredKey | None = state.get(KEY_TABLE, message.key)
    if key is None or key.participant != asked.sender:
        raise Rejected("KEY_UNKNOWN", key=message.key)
    if key.valid_to != FOREVER:
        raise Rejected("KEY_ALREADY_REVOKED", key=message.key, height=key.valid_to)
    record = RegisteredKey(key.participant, key.public, key.purpose, key.valid_from, asked.block.height + 1)
    changes: list[tuple[str, str, Any]] = [(KEY_TABLE, message.key, record)]
    if key.purpose == "govern":
        changes.append(_count_govern_keys(state, asked.sender, -1))
    return Decision(Outcome(code=OK), (), changes)


def _count_govern_keys(state: StateView, participant: str, more: int) -> tuple[str, str, Participant]:
    """The change that counts a govern key in or out. Raises `Rejected` ``LAST_GOVERN_KEY``."""
    record: Participant = state.get(PARTICIPANT, participant)
    if record.govern_keys + more < 1:
        raise Rejected("LAST_GOVERN_KEY", participant=participant)
    return PARTICIPANT, participant, replace(record, govern_keys=record.govern_keys + more)


def _register(
    participant: str, identifier: str, public: str, purpose: str, block: BlockContext
) -> tuple[str, str, RegisteredKey]:
    """The change that makes a key count from the next height."""
    return KEY_TABLE, identifier, RegisteredKey(participant, public, purpose, block.height + 1, FOREVER)


def reads(block: BlockContext, sender: str, message: Any) -> Sequence[Key]:
    """Registry messages are rare: what they read is read as it is needed."""
    return NO_READS


RULES: Final = (
    Rule(Admit, _GOVERN, admit, reads),
    Rule(SetParameter, _GOVERN, set_parameter, reads),
    Rule(AddKey, _GOVERN, add_key, reads),
    Rule(RevokeKey, _GOVERN, revoke_key, reads),
)
