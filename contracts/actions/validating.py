"""Validating: whose engines decide together what the next block is, and that they do where one sequencer did.

History, rules and state are the same under either engine; only who orders what comes in is another. Whose
signatures under the log are enough is a matter of the trust policy and decided by itself
(`contracts.actions.trusting`): a validator's engine votes with one key, its node signs with another.
"""

from __future__ import annotations

from collections.abc import Sequence

from contracts.mechanics.enactment import Effects
from contracts.mechanics.governance_records import ENGINE, VALIDATORS, EngineRecord, ValidatorSet
from contracts.mechanics.halts import check_present
from contracts.mechanics.members import check_key
from contracts.messages.actions import ChainValidator, SetValidators, SwitchEngine
from ledger.errors import Rejected
from ledger.rule import BlockContext
from ledger.state import StateView


def do_set_validators(state: StateView, block: BlockContext, action: SetValidators) -> Effects:
    """These decide, and who was a validator and is not named no longer does."""
    if state.get(ENGINE, ENGINE) is None:
        raise Rejected("ENGINE_IS_SOLO", height=block.height)
    rows = _read_validators(state, action.validators)
    return Effects([(VALIDATORS, VALIDATORS, ValidatorSet(block.height, rows))])


def do_switch_engine(state: StateView, block: BlockContext, action: SwitchEngine) -> Effects:
    """This block is the last of the sequencer, and the next is the validators'."""
    present: EngineRecord | None = state.get(ENGINE, ENGINE)
    if present is not None:
        raise Rejected("ENGINE_SWITCHED", engine=present.engine, height=present.height)
    rows = _read_validators(state, action.validators)
    return Effects(
        [
            (ENGINE, ENGINE, EngineRecord(action.engine, block.height, block.time, rows)),
            (VALIDATORS, VALIDATORS, ValidatorSet(block.height, rows)),
        ]
    )


def _read_validators(
    state: StateView, validators: Sequence[ChainValidator]
) -> tuple[tuple[str, int, str], ...]:
    """A set that an engine can take: nobody twice, no key twice, everybody there."""
    names = [each.participant for each in validators]
    if names != sorted(set(names)) or len({each.public for each in validators}) < len(names):
        raise Rejected("VALIDATORS_MALFORMED", validators=names)
    for name in names:
        check_present(state, name)
    for each in validators:
        check_key(each.public)
    return tuple((each.participant, each.power, each.public) for each in validators)
