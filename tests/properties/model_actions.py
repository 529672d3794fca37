"""What a vote can do, in the model: each action in the order of the table of docs/spec/governance.md."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.properties.model_exposure import find_owed, set_budget, set_cap
from tests.properties.model_registry import check_new_keys, check_new_participant, register
from tests.properties.model_settlement import stands_somewhere
from tests.properties.model_settling import abort_window, declare_default, resolve_dispute
from tests.properties.model_state import Block, State, Trial, reject
from tests.properties.model_trust import set_trust_policy, set_validators, switch_engine
from tests.properties.model_values import FOREVER, PARAMETERS

Action = dict[str, Any]
Facts = dict[str, Any]
TRIED = {
    *("accrual_fee_basis_points", "commission_basis_points", "commission_cap_micros"),
    *("commission_floor_micros", "consent_seconds_max", "debt_points_max", "hold_seconds_max"),
    *("open_consent_points_max", "refund_grace_days", "refund_horizon_days"),
}
FLOORS = {
    "constitution": 5_001,
    "emergency": 1,
    "keys": 5_001,
    "membership": 5_001,
    "parameters": 5_001,
    "rates": 5_001,
    "resume": 5_001,
    "rulebook": 5_001,
    "settlement": 5_001,
    "trust": 5_001,
}
"""Kind → the least that it may take."""
KINDS = {
    **dict.fromkeys(("admit", "suspend", "reinstate", "remove", "set_weight"), "membership"),
    **dict.fromkeys(("set_parameter", "end_trial", "set_debit_cap", "set_issuance_budget"), "parameters"),
    **dict.fromkeys(("resolve_dispute", "abort_window", "declare_default"), "settlement"),
    "pause": "emergency",
    "recover_keys": "keys",
    "resume": "resume",
    "set_par": "rates",
    "set_rulebook": "rulebook",
    "set_trust_policy": "trust",
    "set_validators": "trust",
    "set_voting_rule": "constitution",
    "switch_engine": "trust",
}


def kind_of(action: Action) -> str:
    kind = KINDS[action["@type"]]
    is_rate = kind == "parameters" and action["@type"] == "set_parameter"
    return "rates" if is_rate and action["parameter"].startswith(("par_", "rate_")) else kind


def check_participant(state: State, who: str) -> None:
    if who not in state.participants:
        reject("PARTICIPANT_UNKNOWN")


def check_belongs(state: State, who: str) -> None:
    """It is there, and was not removed."""
    check_participant(state, who)
    if who in state.removed:
        reject("PARTICIPANT_UNKNOWN")


def check_voters(state: State, less: int) -> None:
    """Without so many there are as many voters as there have to be."""
    if len(state.weights) - less < state.standing["minimum_voters"]:
        reject("BELOW_MINIMUM_VOTERS")


def admit(state: State, block: Block, action: Action) -> None:
    check_new_participant(state, action)
    register(state, block, action)
    if action["weight"]:
        state.weights[action["participant"]] = action["weight"]


def suspend(state: State, block: Block, action: Action) -> None:
    who = action["participant"]
    check_belongs(state, who)
    if who == block.operator:
        reject("OPERATOR_STAYS")
    if who in state.suspended:
        reject("PARTICIPANT_SUSPENDED")
    state.suspended[who] = True


def reinstate(state: State, _block: Block, action: Action) -> None:
    check_belongs(state, action["participant"])
    if action["participant"] not in state.suspended:
        reject("NOT_SUSPENDED")
    del state.suspended[action["participant"]]


def remove(state: State, block: Block, action: Action) -> dict[str, Any]:
    who = action["participant"]
    check_belongs(state, who)
    if who in (block.operator, state.standing["trustee"]):
        reject("OPERATOR_STAYS")
    check_voters(state, who in state.weights)
    issued = [program for program, row in state.programs.items() if row.issuer == who]
    owes = find_owed(state, who) or any(state.supply(program) for program in issued)
    if owes or stands_somewhere(state, who):
        reject("PARTICIPANT_OWES")
    state.weights.pop(who, None)
    state.removed[who] = True
    carry = state.carries.get(who, 0)
    source, destination = (who, block.operator) if carry > 0 else (block.operator, who)
    leg = {"from": source, "micros": abs(carry), "reason": "carry", "to": destination}
    state.owe([leg] if carry else [])
    return {"legs": [leg] if carry else []}


def recover_keys(state: State, block: Block, action: Action) -> None:
    who = action["participant"]
    check_belongs(state, who)
    check_new_keys(state, action["add"])
    own = {name: key for name, key in state.keys.items() if key.participant == who}
    if any(name not in own for name in action["revoke"]):
        reject("KEY_UNKNOWN")
    living = [name for name, key in own.items() if key.valid_to == FOREVER]
    revoked = set(action["revoke"] or living) & set(living)
    kept = [key.purpose for name, key in own.items() if key.valid_to == FOREVER and name not in revoked]
    if "govern" not in (*kept, *(key["purpose"] for key in action["add"])):
        reject("LAST_GOVERN_KEY")
    for name in revoked:
        state.keys[name] = own[name]._replace(valid_to=block.height)
    register(state, block, {"keys": action["add"], "participant": who})


def set_weight(state: State, _block: Block, action: Action) -> None:
    who = action["participant"]
    check_belongs(state, who)
    if not action["weight"] and who in state.weights:
        check_voters(state, 1)
    state.weights.pop(who, None)
    if action["weight"]:
        state.weights[who] = action["weight"]


def set_voting_rule(state: State, _block: Block, action: Action) -> None:
    if action["approve_basis_points"] < FLOORS[action["kind"]]:
        reject("THRESHOLD_TOO_LOW")
    state.voting[action["kind"]] = (action["approve_basis_points"], action["notice_heights"])


def set_parameter(state: State, block: Block, action: Action) -> None:
    name, value, trial = action["parameter"], action["value"], action.get("trial")
    if name not in PARAMETERS:
        reject("PARAMETER_UNKNOWN")
    _, least, greatest = PARAMETERS[name]
    if value < least or value > greatest:
        reject("PARAMETER_OUT_OF_BOUNDS")
    if trial is None:
        past = tuple(change for change in state.parameters.get(name, ()) if change[0] <= block.height)
        state.parameters[name] = (*past, (block.height, value))
        state.trials.pop(name, None)
        return
    if name not in TRIED:
        reject("PARAMETER_HAS_NO_TRIAL")
    if len(trial) != 1:
        reject("TRIAL_MALFORMED")
    for who in trial.get("merchants", ()):
        check_participant(state, who)
    merchants, members = trial.get("merchants", ()), trial.get("members_basis_points", 0)
    state.trials[name] = Trial(value, tuple(merchants), members, block.previous)


def end_trial(state: State, _block: Block, action: Action) -> None:
    if state.trials.pop(action["parameter"], None) is None:
        reject("TRIAL_UNKNOWN")


def set_par(state: State, block: Block, action: Action) -> None:
    place = action["program"], action["series"]
    accrue, redeem = action["par_accrue"], action["par_redeem"]
    if action["program"] not in state.programs:
        reject("PROGRAM_UNKNOWN")
    if place not in state.series:
        reject("SERIES_UNKNOWN")
    series = state.series[place]
    if redeem < state.parameter("par_floor_micros", block.height):
        reject("PAR_BELOW_FLOOR")
    if redeem >= series.par_at(block.height)[2]:
        reject("PAR_RISE_NEEDS_NO_VOTE")
    if accrue < redeem:
        reject("PAR_ACCRUE_BELOW_REDEEM")
    kept = tuple(par for par in series.pars if par[0] <= block.height)
    state.series[place] = series._replace(pars=(*kept, (block.height, accrue, redeem)))


def set_debit_cap(state: State, block: Block, action: Action) -> None:
    set_cap(state, block, action)


def set_issuance_budget(state: State, _block: Block, action: Action) -> None:
    set_budget(state, action)


def set_rulebook(state: State, _block: Block, action: Action) -> None:
    if action["version"] != state.standing["rulebook"] + 1:
        reject("RULEBOOK_NOT_AHEAD")
    state.standing["rulebook"] = action["version"]


def find_rest(state: State, action: Action) -> tuple[str, str]:
    said = [(field, action[field]) for field in ("message", "program") if field in action]
    if len(said) != 1:
        reject("PAUSE_MALFORMED")
    if said[0][0] == "program" and said[0][1] not in state.programs:
        reject("PROGRAM_UNKNOWN")
    return said[0]


def pause(state: State, _block: Block, action: Action) -> None:
    rest = find_rest(state, action)
    if rest in state.paused:
        reject("ALREADY_PAUSED")
    state.paused[rest] = True


def resume(state: State, _block: Block, action: Action) -> None:
    if state.paused.pop(find_rest(state, action), None) is None:
        reject("NOT_PAUSED")


DO: dict[str, Callable[[State, Block, Action], Facts | None]] = {
    "abort_window": abort_window,
    "admit": admit,
    "declare_default": declare_default,
    "end_trial": end_trial,
    "pause": pause,
    "recover_keys": recover_keys,
    "reinstate": reinstate,
    "remove": remove,
    "resolve_dispute": resolve_dispute,
    "resume": resume,
    "set_debit_cap": set_debit_cap,
    "set_issuance_budget": set_issuance_budget,
    "set_par": set_par,
    "set_parameter": set_parameter,
    "set_rulebook": set_rulebook,
    "set_trust_policy": set_trust_policy,
    "set_validators": set_validators,
    "set_voting_rule": set_voting_rule,
    "set_weight": set_weight,
    "suspend": suspend,
    "switch_engine": switch_engine,
}
