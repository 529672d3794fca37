"""The rulebook: which rules are in force together, by version.

What a version decided is never edited: its superseded files move to `contracts/frozen/vN/` and every block
leaf names the version it was executed under, so that old blocks replay to old roots for ever. A ledger's
version may change at a height (`ledger.versions`), so everything but the rules is every version's: tables,
what is kept of them and for how long, and the messages that can be read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, get_args

from contracts.frozen.v1 import issuing as issuing_v1
from contracts.mechanics.due_work import EXPIRY, HOLD, PROPOSAL_DUE, WINDOW_DUE, Due, find_due
from contracts.mechanics.governance_records import ENGINE, GOVERNMENT, VALIDATORS, EngineRecord, ValidatorSet
from contracts.mechanics.government import read_constitution
from contracts.mechanics.halts import find_guard
from contracts.mechanics.parameters import PARAMETERS, get_parameter, with_change
from contracts.mechanics.records import PARAMETER, PARTICIPANT, Participant
from contracts.mechanics.tables import FLEETING, RESIDENT, RETENTION, TABLES
from contracts.messages import Message, SystemMessage
from contracts.messages.consent_text import ANY
from contracts.messages.registry import KeyPurpose
from contracts.rules import (
    award,
    cover,
    earning,
    enrolment,
    exchange,
    expiry,
    gift,
    governance,
    hold,
    issuing,
    limits,
    programs,
    redemption,
    refund,
    registry,
    return_order,
    settlement,
)
from ledger.codec import from_base64url
from ledger.errors import InvalidBlock, Refused
from ledger.genesis import GenesisKey, Origin
from ledger.keys import check_public_key, key_id
from ledger.rule import BlockContext, DueWork, Rule, Rulebook
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
    *governance.RULES,
    *settlement.RULES,
    *cover.RULES,
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
    names = frozenset(participant.participant for participant in origin.participants)
    government = read_constitution(origin.settings.constitution, names)
    if government is not None:
        yield GOVERNMENT, GOVERNMENT, government
    if origin.validators:
        engine = make_first_engine(origin)
        yield ENGINE, ENGINE, engine
        yield VALIDATORS, VALIDATORS, ValidatorSet(0, engine.validators)
    yield from _read_parameters(origin)


def make_first_engine(origin: Origin) -> EngineRecord:
    """The engine of a ledger that begins with validators."""
    rows = tuple((each.participant, each.power, each.consensus_key) for each in origin.validators)
    return EngineRecord(origin.settings.engine, 0, origin.settings.time, rows)


def _read_parameters(origin: Origin) -> Iterator[tuple[str, str, Any]]:
    """The parameters that do not begin at their defaults."""
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
    """All the work a block does by itself: what was decided is enacted, a window is cut, then at most
    `due_entries_max` pieces of what has come due are done.
    """
    for work in governance.enact_due(state, block):
        yield work
        block.memo.clear()  # it was written meanwhile, and may have changed whatever was worked out
    yield from settlement.cut_due(state, block)
    for due in find_due(state, block, limit=get_parameter(state, block, "due_entries_max")):
        yield _DO_DUE[due.kind](state, block, due)


_DO_DUE: Final[dict[str, Callable[[StateView, BlockContext, Due], DueWork]]] = {
    EXPIRY: expiry.expire,
    HOLD: hold.lapse,
    PROPOSAL_DUE: governance.close_proposal,
    WINDOW_DUE: settlement.tend_window,
}


def _make_rulebook(version: int, *, superseded: Iterable[Rule] = ()) -> Rulebook:
    """The rulebook of this version: today's rules, but for those that have been superseded since."""
    return Rulebook(
        version=version,
        rules={rule.message: rule for rule in (*_RULES, *superseded)},
        message_type=Message,
        system_message_type=SystemMessage,
        tables=TABLES,
        resident=RESIDENT,
        fleeting=FLEETING,
        retention=RETENTION,
        due=find_due_work,
        not_after_seconds_max=get_not_after_seconds_max,
        find_guard=find_guard,
        genesis=make_genesis_records,
    )


RULEBOOKS: Final[dict[int, Rulebook]] = {
    1: _make_rulebook(1, superseded=issuing_v1.RULES),
    2: _make_rulebook(2),
}
"""Version → rulebook."""

CURRENT_VERSION: Final = max(RULEBOOKS)
"""What a new ledger begins with."""
CURRENT: Final = RULEBOOKS[CURRENT_VERSION]
"""Whoever only reads needs no other: whatever but the rules is every version's."""


def get_purposes(message: type) -> frozenset[str]:
    """With keys of which purposes some version lets this message be signed."""
    return frozenset(
        purpose
        for rulebook in RULEBOOKS.values()
        if message in rulebook.rules
        for purpose in rulebook.rules[message].purposes
    )
