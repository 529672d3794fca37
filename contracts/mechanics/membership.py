"""Membership: how an organisation and its keys get into the registry, and how a key leaves it.

The operator's message, a vote and an organisation's own word change the same records in the same way; who may
do which is said where they are asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from contracts.mechanics.members import check_key
from contracts.mechanics.records import PARTICIPANT, Participant
from contracts.messages.consent_text import ANY
from contracts.messages.registry import ParticipantKey
from ledger.errors import Rejected
from ledger.keys import key_id
from ledger.rule import BlockContext
from ledger.state import StateView
from ledger.transaction import KEY_TABLE, RegisteredKey
from ledger.values import FOREVER

Change = tuple[str, str, Any]


def admit(
    state: StateView, block: BlockContext, participant: str, *, name: str, keys: Sequence[ParticipantKey]
) -> list[Change]:
    """The changes with which an organisation joins; its keys count from the next height.

    Raises `Rejected`, in this order: ``PARTICIPANT_EXISTS``, as `register_keys`, ``GOVERN_KEY_MISSING``.
    """
    # "any" is what an open points code is made out to, so nobody may be called that.
    if participant == ANY or state.get(PARTICIPANT, participant) is not None:
        raise Rejected("PARTICIPANT_EXISTS", participant=participant)
    changes = register_keys(state, block, participant, keys)
    govern_keys = count_govern(keys)
    if not govern_keys:
        raise Rejected("GOVERN_KEY_MISSING", participant=participant)
    return [*changes, (PARTICIPANT, participant, Participant(name, block.height, govern_keys))]


def register_keys(
    state: StateView, block: BlockContext, participant: str, keys: Sequence[ParticipantKey]
) -> list[Change]:
    """The changes that make these keys count from the next height. Raises `Rejected` ``KEY_REFUSED`` or
    ``KEY_EXISTS``.
    """
    ids = [key_id(check_key(key.public)) for key in keys]
    for number, identifier in enumerate(ids):
        if identifier in ids[:number] or state.get(KEY_TABLE, identifier) is not None:
            raise Rejected("KEY_EXISTS", key=identifier)
    return [
        (
            KEY_TABLE,
            identifier,
            RegisteredKey(participant, key.public, key.purpose, block.height + 1, FOREVER),
        )
        for identifier, key in zip(ids, keys, strict=True)
    ]


def count_govern(keys: Sequence[ParticipantKey]) -> int:
    """How many of these are `govern` keys."""
    return sum(key.purpose == "govern" for key in keys)


def get_own_key(state: StateView, participant: str, identifier: str) -> RegisteredKey:
    """A key of this participant, revoked or not. Raises `Rejected` ``KEY_UNKNOWN``."""
    key: RegisteredKey | None = state.get(KEY_TABLE, identifier)
    if key is None or key.participant != participant:
        raise Rejected("KEY_UNKNOWN", key=identifier)
    return key


def list_own_keys(state: StateView, participant: str) -> list[str]:
    """The ids of all its keys that are not revoked."""
    return [
        identifier
        for identifier, key in state.list_records(KEY_TABLE)
        if key.participant == participant and key.valid_to == FOREVER
    ]


def end_key(identifier: str, key: RegisteredKey, *, height: int) -> Change:
    """The change after which nothing this key signed is taken from a height on.

    Raises `Rejected` ``KEY_ALREADY_REVOKED``.
    """
    if key.valid_to != FOREVER:
        raise Rejected("KEY_ALREADY_REVOKED", key=identifier, height=key.valid_to)
    return (
        KEY_TABLE,
        identifier,
        RegisteredKey(key.participant, key.public, key.purpose, key.valid_from, height),
    )


def count_govern_keys(state: StateView, participant: str, more: int) -> Change:
    """The change that counts govern keys in or out. Raises `Rejected` ``LAST_GOVERN_KEY``."""
    record: Participant = state.get(PARTICIPANT, participant)
    if record.govern_keys + more < 1:
        raise Rejected("LAST_GOVERN_KEY", participant=participant)
    return PARTICIPANT, participant, replace(record, govern_keys=record.govern_keys + more)
