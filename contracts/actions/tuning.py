"""Tuning: parameters, tried somewhere first or set for everybody; caps, and how much may be issued.

What is set by vote holds from the height of its enactment and replaces whatever was announced for later.
"""

from __future__ import annotations

from msgspec import UnsetType

from contracts.mechanics.caps import set_cap
from contracts.mechanics.enactment import Effects
from contracts.mechanics.governance_records import ISSUANCE, TRIAL, Issuance, TrialRecord
from contracts.mechanics.parameters import check_value
from contracts.mechanics.records import PARAMETER, PARTICIPANT, PROGRAM, Change, Parameter
from contracts.mechanics.trials import TRIABLE
from contracts.messages.actions import CapDebit, ChangeParameter, EndTrial, SetIssuanceBudget, Trial
from ledger.errors import Rejected
from ledger.rule import BlockContext
from ledger.state import StateView


def do_set_parameter(state: StateView, block: BlockContext, action: ChangeParameter) -> Effects:
    """A parameter takes another value, for everybody or where it is tried."""
    name = action.parameter
    check_value(name, action.value)
    if isinstance(action.trial, UnsetType):
        record = Parameter((Change(block.height, action.value),))
        ended = [(TRIAL, name, None)] if state.get(TRIAL, name) is not None else []
        return Effects([(PARAMETER, name, record), *ended])
    if name not in TRIABLE:
        raise Rejected("PARAMETER_HAS_NO_TRIAL", parameter=name)
    return Effects([(TRIAL, name, _make_trial(state, block, action.trial, value=action.value))])


def _make_trial(state: StateView, block: BlockContext, trial: Trial, *, value: int) -> TrialRecord:
    """Where the value is tried; who is drawn hangs on the block before."""
    merchants = () if isinstance(trial.merchants, UnsetType) else tuple(sorted(set(trial.merchants)))
    share = 0 if isinstance(trial.members_basis_points, UnsetType) else trial.members_basis_points
    if bool(merchants) == bool(share):
        raise Rejected("TRIAL_MALFORMED", merchants=merchants, members_basis_points=share)
    for merchant in merchants:
        if state.get(PARTICIPANT, merchant) is None:
            raise Rejected("PARTICIPANT_UNKNOWN", participant=merchant)
    return TrialRecord(share, merchants, block.previous, value)


def do_end_trial(state: StateView, block: BlockContext, action: EndTrial) -> Effects:
    """The value in force holds for everybody again."""
    if state.get(TRIAL, action.parameter) is None:
        raise Rejected("TRIAL_UNKNOWN", parameter=action.parameter)
    return Effects([(TRIAL, action.parameter, None)])


def do_set_debit_cap(state: StateView, block: BlockContext, action: CapDebit) -> Effects:
    """The participant may owe this much from now on."""
    return Effects([set_cap(state, block, action.participant, cap=action.cap)])


def do_set_issuance_budget(state: StateView, block: BlockContext, action: SetIssuanceBudget) -> Effects:
    """So many points of the program may be issued; what was used starts anew."""
    if state.get(PROGRAM, action.program) is None:
        raise Rejected("PROGRAM_UNKNOWN", program=action.program)
    record = Issuance(action.budget_day, action.budget_total, block.day, 0, 0)
    return Effects([(ISSUANCE, action.program, record)])
