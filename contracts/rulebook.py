"""The rulebook: which rules are in force together, by version.

A version, once used by a ledger, is never edited: its superseded files move to `contracts/frozen/vN/` and
every block leaf names the version it was executed under, so that old blocks replay to old roots for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, get_args

from contracts.mechanics.due_work import EXPIRY, find_due
from contracts.mechanics.parameters import PARAMETERS, get_parameter, with_change
from contracts.mechanics.records import (
    FLEETING,
    PARAMETER,
    PARTICIPANT,
    RESIDENT,
    RETENTION,
    TABLES,
    Participant,
)
from contracts.messages import Message, SystemMessage
from contracts.messages.consent_text import ANY
from contracts.messages.registry import KeyPurpose
from contracts.rules import (
    award,
    earning,
    enrolment,
    exchange,
    expiry,
    gift,
    hold,
    issuing,
    limits,
    programs,
    redemption,
    refund,
    registry,
    return_order,
)
from ledger.codec import from_base64url
from ledger.errors import InvalidBlock, Refused
from ledger.genesis import GenesisKey, Origin
from ledger.keys import check_public_key, key_id
from ledger.rule import BlockContext, DueWork, Rulebook
from ledger.state import StateView
from ledger.transaction import KEY_TABLE, RegisteredKey
from ledger.values import FOREVER

_RULES: Final = (
    earning.RULE,
    award.RULE,
    return_order.RULE,
    *issuing.RULES,
    redemption.RULE,
    *hold.RULES,
    refund.RULE,
    gift.RULE,
    exchange.RULE,
    *limits.RULES,
    *enrolment.RULES,
    *registry.RULES,
    *programs.RULES,
)


def make_genesis_records(origin: Origin) -> Iterator[tuple[str, str, Any]]:
    """The records a ledger begins with.

    Raises `InvalidBlock` where the genesis breaks a rule of the registry.
    """
    known: set[str] = set()
    for leaf, participant in enumerate(origin.participants, start=1):
        if participant.participant == ANY:
            raise InvalidBlock("GENESIS_PARTICIPANTS", expected=f"nobody called {ANY}", found=ANY, index=leaf)
        for key in participant.keys:
            identifier, record = _read_key(participant.participant, key, leaf=leaf)
            if identifier in known:
                raise InvalidBlock("GENESIS_KEY", expected="a key of its own", found=key.public, index=leaf)
            known.add(identifier)
            yield KEY_TABLE, identifier, record
        govern_keys = sum(key.purpose == "govern" for key in participant.keys)
        if not govern_keys:
            raise InvalidBlock(
                "GENESIS_KEY", expected="a govern key", found=participant.participant, index=leaf
            )
        yield PARTICIPANT, participant.participant, Participant(participant.name, 0, govern_keys)
    names = [parameter.name for parameter in origin.settings.parameters]
    if names != sorted(set(names)):
        raise InvalidBlock("GENESIS_PARAMETER", expected="each once, in order of names", found=names, index=0)
    for parameter in origin.settings.parameters:
        bounds = PARAMETERS.get(parameter.name)
        if bounds is None or not bounds.least <= parameter.value <= bounds.greatest:
            raise InvalidBlock("GENESIS_PARAMETER", expected=bounds, found=parameter, index=0)
        yield PARAMETER, parameter.name, with_change(None, height=0, value=parameter.value, now=0)


def _read_key(participant: str, key: GenesisKey, *, leaf: int) -> tuple[str, RegisteredKey]:
    """A genesis key's id and record, checked as at any other registration."""
    try:
        raw = from_base64url(key.public, size=32)
        check_public_key(raw)
    except Refused as refusal:
        raise InvalidBlock("GENESIS_KEY", expected="a fit key", found=str(refusal), index=leaf) from None
    if key.purpose not in get_args(KeyPurpose):
        raise InvalidBlock("GENESIS_KEY", expected=get_args(KeyPurpose), found=key.purpose, index=leaf)
    return key_id(raw), RegisteredKey(participant, key.public, key.purpose, 0, FOREVER)


def get_not_after_seconds_max(state: StateView, block: BlockContext) -> int:
    """How far ahead a transaction's `not_after` may lie, in seconds."""
    return get_parameter(state, block, "not_after_seconds_max")


def find_due_work(state: StateView, block: BlockContext) -> Iterable[DueWork]:
    """All the work a block does by itself, at most `due_entries_max` pieces."""
    for due in find_due(state, block, limit=get_parameter(state, block, "due_entries_max")):
        do = expiry.expire if due.kind == EXPIRY else hold.lapse
        yield do(state, block, due)


RULEBOOKS: Final[dict[int, Rulebook]] = {
    1: Rulebook(
        version=1,
        rules={rule.message: rule for rule in _RULES},
        message_type=Message,
        system_message_type=SystemMessage,
        tables=TABLES,
        resident=RESIDENT,
        fleeting=FLEETING,
        retention=RETENTION,
        due=find_due_work,
        not_after_seconds_max=get_not_after_seconds_max,
        genesis=make_genesis_records,
    ),
}
"""Version → rulebook."""

CURRENT_VERSION: Final = max(RULEBOOKS)
