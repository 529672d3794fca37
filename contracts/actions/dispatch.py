"""Dispatch: which action is done by whom, and several done one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from contracts.actions import (
    halting,
    joining,
    pricing,
    recovering,
    settling,
    trusting,
    tuning,
    validating,
    voting,
)
from contracts.mechanics.enactment import Effects
from contracts.mechanics.overlay import Overlay, begin_trial_run
from contracts.messages import actions
from contracts.messages.actions import Action
from ledger.rule import BlockContext
from ledger.state import StateView

_DO: Final[dict[type, Callable[..., Effects]]] = {
    actions.AbortWindow: settling.do_abort_window,
    actions.AdmitParticipant: joining.do_admit,
    actions.CapDebit: tuning.do_set_debit_cap,
    actions.ChangeParameter: tuning.do_set_parameter,
    actions.DeclareDefault: settling.do_declare_default,
    actions.EndTrial: tuning.do_end_trial,
    actions.Pause: halting.do_pause,
    actions.RecoverKeys: recovering.do_recover_keys,
    actions.ReinstateParticipant: joining.do_reinstate,
    actions.RemoveParticipant: joining.do_remove,
    actions.ResolveDispute: settling.do_resolve_dispute,
    actions.Resume: halting.do_resume,
    actions.SetIssuanceBudget: tuning.do_set_issuance_budget,
    actions.SetPar: pricing.do_set_par,
    actions.SetRulebook: trusting.do_set_rulebook,
    actions.SetTrustPolicy: trusting.do_set_trust_policy,
    actions.SetValidators: validating.do_set_validators,
    actions.SetVotingRule: voting.do_set_voting_rule,
    actions.SetWeight: joining.do_set_weight,
    actions.SuspendParticipant: joining.do_suspend,
    actions.SwitchEngine: validating.do_switch_engine,
}


def do_all(state: StateView, block: BlockContext, wanted: Sequence[Action]) -> Effects:
    """What these actions lead to, each seeing what those before it did. Raises `Rejected` with the code of
    the first that cannot be done; then none of it has happened.

    Nothing is written: whoever asks may only have wanted to know.
    """
    overlay = Overlay(state)
    legs: list[Any] = []
    events: list[Any] = []
    draws: list[Any] = []
    for action in wanted:
        # What one action changed (a floor, a par) the next must not find worked out from before.
        effects = _DO[type(action)](overlay, begin_trial_run(block), action)
        overlay.write(effects)
        legs += effects.legs
        events += effects.events
        draws += effects.draws
    return Effects(overlay.changes, legs, events, draws)
