"""Actions in words, for who is asked to decide: one sentence each, with every value that it carries.

The sentence is for reading; what is signed is the message, which is shown beside it.
"""

from __future__ import annotations

from typing import Final

from msgspec import UNSET

from contracts.messages import actions as all_actions
from contracts.messages.actions import Action, ChangeParameter, Pause, RecoverKeys, Resume, Trial

_MICROS_DIGITS: Final = 6


def tell_action(action: Action) -> str:
    """What the action does."""
    match action:
        case ChangeParameter():
            return _tell_parameter(action)
        case all_actions.SetPar():
            return (
                f"{action.program}, series {action.series}: a point is worth {tell_money(action.par_redeem)} "
                f"to whoever takes it, and costs {tell_money(action.par_accrue)} to whoever gives it out"
            )
        case all_actions.CapDebit():
            return f"{action.participant} may owe {tell_money(action.cap)} that is not settled"
        case all_actions.SetIssuanceBudget():
            return (
                f"{action.program} may be issued {action.budget_day:,} points a day and "
                f"{action.budget_total:,} in all, counted anew"
            )
        case all_actions.AdmitParticipant():
            vote = f"with a vote of weight {action.weight}" if action.weight else "without a vote"
            return f"{action.participant} ({action.name}) joins {vote}, with {len(action.keys)} keys"
        case RecoverKeys():
            return (
                f"{action.participant} gets {len(action.add)} new keys and loses "
                f"{', '.join(action.revoke) or 'all it has'}"
            )
        case all_actions.SetWeight():
            return f"{action.participant} votes with weight {action.weight}"
        case all_actions.SetVotingRule():
            return (
                f"{action.kind} takes {tell_share(action.approve_basis_points)} of all weight and "
                f"{action.notice_heights} heights of notice"
            )
        case Pause() | Resume():
            return _tell_pause(action)
        case all_actions.ResolveDispute():
            paid = "; ".join(
                f"{each.source} owes {each.destination} {tell_money(each.micros)}"
                for each in action.corrections
            )
            dispute = f"{action.participant}'s dispute of window {action.window}"
            return f"{dispute} is decided: {paid or 'nobody owes more'}"
        case _:
            return _tell_short(action)


def _tell_short(action: Action) -> str:
    """The actions of one or two values."""
    match action:
        case all_actions.SuspendParticipant():
            return f"{action.participant} is suspended"
        case all_actions.ReinstateParticipant():
            return f"{action.participant} is no longer suspended"
        case all_actions.RemoveParticipant():
            return f"{action.participant} leaves for good"
        case all_actions.EndTrial():
            return f"the trial of {action.parameter} ends: the value in force holds for everybody"
        case all_actions.SetRulebook():
            return f"version {action.version} of the rules is in force from the block after"
        case all_actions.SetTrustPolicy():
            return f"checkpoints need the signatures of another policy:\n{action.policy}"
        case all_actions.SetValidators():
            return f"blocks are decided by {_tell_validators(action.validators)}"
        case all_actions.SwitchEngine():
            return (
                f"one sequencer makes no more blocks, {action.engine} does: "
                f"{_tell_validators(action.validators)}"
            )
        case all_actions.AbortWindow():
            return f"what of window {action.window} was not paid goes into the open one"
        case all_actions.DeclareDefault():
            return f"{action.participant} is in default for window {action.window}, and is suspended"
        case _:
            return str(action)


def _tell_validators(validators: list[all_actions.ChainValidator]) -> str:
    return ", ".join(f"{each.participant} ({each.power:,}, key {each.public})" for each in validators)


def _tell_parameter(action: ChangeParameter) -> str:
    told = f"{action.parameter} becomes {action.value:,}"
    if isinstance(action.trial, Trial):
        if action.trial.merchants is not UNSET:
            return f"{told}, on trial at {', '.join(action.trial.merchants)}"
        if action.trial.members_basis_points is not UNSET:
            return f"{told}, on trial for {tell_share(action.trial.members_basis_points)} of members"
    return told


def _tell_pause(action: Pause | Resume) -> str:
    what = " and ".join(
        told
        for told in (
            f"every {action.message}" if action.message is not UNSET else "",
            f"program {action.program}" if action.program is not UNSET else "",
        )
        if told
    )
    return f"{what or 'nothing'} {'rests' if isinstance(action, Pause) else 'goes on'}"


def tell_share(basis_points: int) -> str:
    """Basis points as a percentage."""
    whole, rest = divmod(basis_points, 100)
    return f"{whole}.{rest:02d} %" if rest else f"{whole} %"


def tell_money(micros: int) -> str:
    """Micro-units as a decimal number of whole units, exact and without needless zeros."""
    digits = str(abs(micros)).rjust(_MICROS_DIGITS + 1, "0")
    whole, rest = digits[:-_MICROS_DIGITS], digits[-_MICROS_DIGITS:].rstrip("0")
    return f"{'-' if micros < 0 else ''}{int(whole):,}.{rest.ljust(2, '0')}"
