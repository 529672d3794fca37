"""The rulebook: which rules are in force together, by version.

A version, once used by a ledger, is never edited: its superseded files move to `contracts/frozen/vN/` and
every block leaf names the version it was executed under, so that old blocks replay to old roots for ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from contracts.mechanics.parameters import PARAMETERS, get_parameter, with_change
from contracts.mechanics.records import PARAMETER, PARTICIPANT, RESIDENT, TABLES, Participant
from contracts.messages import Message, SystemMessage
from contracts.rules import earning, enrolment, exchange, expiry, programs, redemption, registry
from ledger.codec import from_base64url
from ledger.errors import InvalidBlock, Refused
from ledger.genesis import GenesisParticipant, Origin
from ledger.keys import check_public_key, key_id
from ledger.rule import BlockContext, DueWork, Rulebook
from ledger.state import StateView
from ledger.transaction import KEY_TABLE, RegisteredKey
from ledger.values import FOREVER

_RULES: Final = (
    earning.RULE,
    redemption.RULE,
    exchange.RULE,
    *enrolment.RULES,
    *registry.RULES,
    *programs.RULES,
)


def make_genesis_records(origin: Origin) -> Iterator[tuple[str, str, Any]]:
    """The records a ledger begins with. Raises `InvalidBlock` where the genesis breaks a rule of the
    registry.
    """
    for number, participant in enumerate(origin.participants, start=1):
        ids = []
        for identifier, key in _read_keys(participant, leaf=number):
            ids.append(identifier)
            yield KEY_TABLE, identifier, key
        yield PARTICIPANT, participant.participant, Participant(participant.name, 0, tuple(ids))
    for parameter in origin.settings.parameters:
        bounds = PARAMETERS.get(parameter.name)
        if bounds is None or not bounds.least <= parameter.value <= bounds.greatest:
            raise InvalidBlock("GENESIS_PARAMETER", expected=bounds, found=parameter, index=0)
        yield PARAMETER, parameter.name, with_change(None, height=0, value=parameter.value)


def _read_keys(participant: GenesisParticipant, *, leaf: int) -> Iterable[tuple[str, RegisteredKey]]:
    """A genesis participant's keys, checked as at any other registration."""
    found: dict[str, RegisteredKey] = {}
    for key in participant.keys:
        try:
            raw = from_base64url(key.public, size=32)
            check_public_key(raw)
        except Refused as refusal:
            raise InvalidBlock("GENESIS_KEY", expected="a fit key", found=str(refusal), index=leaf) from None
        found[key_id(raw)] = RegisteredKey(participant.participant, key.public, key.purpose, 0, FOREVER)
    if not any(key.purpose == "govern" for key in found.values()):
        raise InvalidBlock("GENESIS_KEY", expected="a govern key", found=participant.participant, index=leaf)
    return found.items()


def get_not_after_seconds_max(state: StateView, block: BlockContext) -> int:
    """How far ahead a transaction's `not_after` may lie, in seconds."""
    return get_parameter(state, block, "not_after_seconds_max")


def find_due_work(state: StateView, block: BlockContext) -> Iterable[DueWork]:
    """All the work a block does by itself."""
    return expiry.expire_lots(state, block)


RULEBOOKS: Final[dict[int, Rulebook]] = {
    1: Rulebook(
        version=1,
        rules={rule.message: rule for rule in _RULES},
        message_type=Message,
        system_message_type=SystemMessage,
        tables=TABLES,
        resident=RESIDENT,
        due=find_due_work,
        not_after_seconds_max=get_not_after_seconds_max,
        genesis=make_genesis_records,
    ),
}
"""Version → rulebook."""

CURRENT_VERSION: Final = max(RULEBOOKS)
