"""Joining and leaving: who takes part, who has a vote, who is suspended.

An organisation leaves when it owes nobody anything and nobody owes it: neither points nor money. The operator
and the trustee do not leave, since others rely on what they alone can do; and never do fewer organisations
vote than the constitution asks for.
"""

from __future__ import annotations

from contracts.mechanics import membership
from contracts.mechanics.clearing import make_legs
from contracts.mechanics.cutting import CARRY_REASON
from contracts.mechanics.enactment import Effects
from contracts.mechanics.governance_records import GOVERNMENT, Government
from contracts.mechanics.government import get_government, get_weight, with_weight
from contracts.mechanics.halts import check_present, get_halt, reinstate, remove, suspend
from contracts.mechanics.settlement_records import CARRY
from contracts.mechanics.standing import owes_nothing
from contracts.messages.actions import (
    AdmitParticipant,
    ReinstateParticipant,
    RemoveParticipant,
    SetWeight,
    SuspendParticipant,
)
from ledger.errors import Rejected
from ledger.outcome import Leg
from ledger.rule import BlockContext
from ledger.state import StateView


def do_admit(state: StateView, block: BlockContext, action: AdmitParticipant) -> Effects:
    """An organisation joins, with a vote where its weight is not 0."""
    name = action.participant
    changes = membership.admit(state, block, name, name=action.name, keys=action.keys)
    if action.weight:
        changes.append(_write(with_weight(get_government(state, block), name, action.weight)))
    return Effects(changes)


def do_suspend(state: StateView, block: BlockContext, action: SuspendParticipant) -> Effects:
    """An organisation finishes what it began, and keeps its vote."""
    check_present(state, action.participant)
    if action.participant == block.operator:
        raise Rejected("OPERATOR_STAYS", participant=action.participant)
    if action.participant in get_halt(state).suspended:
        raise Rejected("PARTICIPANT_SUSPENDED", participant=action.participant)
    return Effects([suspend(state, action.participant)])


def do_reinstate(state: StateView, block: BlockContext, action: ReinstateParticipant) -> Effects:
    """A suspension ends."""
    check_present(state, action.participant)
    if action.participant not in get_halt(state).suspended:
        raise Rejected("NOT_SUSPENDED", participant=action.participant)
    return Effects([reinstate(state, action.participant)])


def do_remove(state: StateView, block: BlockContext, action: RemoveParticipant) -> Effects:
    """An organisation leaves for good, and its vote with it."""
    name = action.participant
    check_present(state, name)
    government = get_government(state, block)
    if name in (block.operator, government.trustee):
        raise Rejected("OPERATOR_STAYS", participant=name)
    changes = []
    if get_weight(government, name):
        changes.append(_write(with_weight(government, name, 0)))
    if not owes_nothing(state, block, name):
        raise Rejected("PARTICIPANT_OWES", participant=name)
    return Effects([*changes, remove(state, name)], _hand_over_carry(state, block, name))


def _hand_over_carry(state: StateView, block: BlockContext, participant: str) -> list[Leg]:
    """What whole units left over of somebody who leaves is the operator's from now on, to have or to owe:
    else it would be a unit one day, and nobody there to pay it or to say that it was paid.
    """
    carry: int = state.get(CARRY, participant) or 0
    return make_legs(
        (participant, carry, CARRY_REASON, block.operator),
        (block.operator, -carry, CARRY_REASON, participant),
    )


def do_set_weight(state: StateView, block: BlockContext, action: SetWeight) -> Effects:
    """An organisation's vote weighs this much."""
    check_present(state, action.participant)
    return Effects([_write(with_weight(get_government(state, block), action.participant, action.weight))])


def _write(government: Government) -> tuple[str, str, Government]:
    return GOVERNMENT, GOVERNMENT, government
