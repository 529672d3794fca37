"""The registry in the model: each function is its section of docs/spec/messages.md, checks in that order."""

from __future__ import annotations

from typing import Any

from tests.properties.model_state import Block, Grant, Key, Program, Series, State, reject
from tests.properties.model_values import FOREVER, PARAMETERS, is_fit_key, key_id_of

OK = {"code": "OK"}


def check_announced(ahead: set[int]) -> None:
    """There is room for one more change ahead."""
    if len(ahead) >= 32:
        reject("TOO_MANY_ANNOUNCED")


def check_operator(state: State, block: Block, sender: str) -> None:
    """Where there is a constitution this takes a vote; else it is the operator's."""
    alone = state.weights == {block.operator: 1} and set(state.voting.values()) == {(10_000, 0)}
    if not alone or (state.standing["minimum_voters"], state.standing["trustee"]) != (1, block.operator):
        reject("VOTE_REQUIRED")
    if sender != block.operator:
        reject("NOT_OPERATOR")


def check_new_keys(state: State, keys: list[dict[str, Any]]) -> None:
    publics = [key["public"] for key in keys]
    if not all(is_fit_key(public) for public in publics):
        reject("KEY_REFUSED")
    ids = [key_id_of(public) for public in publics]
    if any(key in state.keys for key in ids) or len(set(ids)) < len(ids):
        reject("KEY_EXISTS")


def check_new_participant(state: State, message: dict[str, Any]) -> None:
    if message["participant"] in (*state.participants, "any"):  # what open points codes are made out to
        reject("PARTICIPANT_EXISTS")
    check_new_keys(state, message["keys"])
    if all(key["purpose"] != "govern" for key in message["keys"]):
        reject("GOVERN_KEY_MISSING")
    state.participants[message["participant"]] = message["name"]


def register(state: State, block: Block, message: dict[str, Any]) -> None:
    """These keys hold from the next height."""
    for key in message["keys"]:
        state.keys[key_id_of(key["public"])] = Key(
            message["participant"], key["public"], key["purpose"], block.height + 1, FOREVER
        )


def admit(state: State, block: Block, sender: str, message: dict[str, Any]) -> dict[str, Any]:
    check_operator(state, block, sender)
    check_new_participant(state, message)
    register(state, block, message)
    return OK


def set_parameter(state: State, block: Block, sender: str, message: dict[str, Any]) -> dict[str, Any]:
    name, value, height = message["parameter"], message["value"], message["effective_height"]
    check_operator(state, block, sender)
    if name not in PARAMETERS:
        reject("PARAMETER_UNKNOWN")
    _, least, greatest = PARAMETERS[name]
    if value < least or value > greatest:
        reject("PARAMETER_OUT_OF_BOUNDS")
    if height <= block.height:
        reject("HEIGHT_NOT_AHEAD")
    check_announced({other for other, _ in state.parameters.get(name, ()) if other > block.height} - {height})
    state.parameters[name] = (*state.parameters.get(name, ()), (height, value))
    return OK


def add_key(state: State, block: Block, sender: str, message: dict[str, Any]) -> dict[str, Any]:
    if not is_fit_key(message["public"]):
        reject("KEY_REFUSED")
    identifier = key_id_of(message["public"])
    if identifier in state.keys or message["public"] in state.keys_named():
        reject("KEY_EXISTS")
    state.keys[identifier] = Key(sender, message["public"], message["purpose"], block.height + 1, FOREVER)
    return OK


def revoke_key(state: State, block: Block, sender: str, message: dict[str, Any]) -> dict[str, Any]:
    key = state.keys.get(message["key"])
    if key is None or key.participant != sender:
        reject("KEY_UNKNOWN")
    if key.valid_to != FOREVER:
        reject("KEY_ALREADY_REVOKED")
    standing = [
        other
        for other in state.keys.values()
        if other.participant == sender and other.purpose == "govern" and other.valid_to == FOREVER
    ]
    if standing == [key]:
        reject("LAST_GOVERN_KEY")
    state.keys[message["key"]] = key._replace(valid_to=block.height + 1)
    return OK


def open_program(state: State, block: Block, sender: str, message: dict[str, Any]) -> dict[str, Any]:
    if message["program"] in state.programs:
        reject("PROGRAM_EXISTS")
    state.programs[message["program"]] = Program(sender, message["spend_per_point"], block.day)
    return OK


def check_issuer(state: State, sender: str, program: str) -> None:
    if program not in state.programs:
        reject("PROGRAM_UNKNOWN")
    if state.programs[program].issuer != sender:
        reject("NOT_ISSUER")


def open_series(state: State, block: Block, sender: str, message: dict[str, Any]) -> dict[str, Any]:
    program, name, height = message["program"], message["series"], message["effective_height"]
    accrue, redeem = message["par_accrue"], message["par_redeem"]
    check_issuer(state, sender, program)
    if (program, name) in state.series:
        reject("SERIES_EXISTS")
    openings = [series.opened for (owner, _), series in state.series.items() if owner == program]
    if height <= max([block.height, *openings]):  # series open one after the other
        reject("HEIGHT_NOT_AHEAD")
    check_announced({opening for opening in openings if opening > block.height})
    if openings and height - block.height < state.parameter("rate_notice_heights", block.height):
        reject("NOTICE_TOO_SHORT")
    if redeem < state.parameter("par_floor_micros", block.height):
        reject("PAR_BELOW_FLOOR")
    if accrue < redeem:
        reject("PAR_ACCRUE_BELOW_REDEEM")
    state.series[program, name] = Series(
        height, message["expiry_months"], ((height, accrue, redeem),), redeem
    )
    return OK


def announce_par(state: State, block: Block, sender: str, message: dict[str, Any]) -> dict[str, Any]:
    program, name, height = message["program"], message["series"], message["effective_height"]
    accrue, redeem = message["par_accrue"], message["par_redeem"]
    check_issuer(state, sender, program)
    series = state.series.get((program, name))
    if series is None:
        reject("SERIES_UNKNOWN")
    if height - block.height < state.parameter("rate_notice_heights", block.height):
        reject("NOTICE_TOO_SHORT")
    if any(height <= announced for announced, _, _ in series.pars):
        reject("PAR_NOT_IN_ORDER")
    if redeem < state.parameter("par_floor_micros", block.height):
        reject("PAR_BELOW_FLOOR")
    opening = series.opening
    if (opening - redeem) * 10_000 > opening * state.parameter("par_band_basis_points", block.height):
        reject("PAR_OUTSIDE_BAND")
    pars = (*series.pars, (height, accrue, redeem))
    past = [par for par in pars if par[0] <= block.height]
    ahead = [*past[-1:], *pars[len(past) :]]
    for number, (_, accrued, _) in enumerate(ahead):
        if any(accrued < redeemed for _, _, redeemed in ahead[number:]):
            reject("PAR_ACCRUE_BELOW_REDEEM")
    check_announced({other for other, _, _ in series.pars[1:] if other > block.height})
    state.series[program, name] = series._replace(pars=pars)
    return OK


def grant(state: State, block: Block, sender: str, message: dict[str, Any]) -> dict[str, Any]:
    check_issuer(state, sender, message["program"])
    if message["to"] not in state.participants:
        reject("PARTICIPANT_UNKNOWN")
    if message["to"] == sender:
        reject("GRANT_TO_SELF")
    if message["expires"] < block.time:
        reject("GRANT_EXPIRED")
    state.grants[message["program"], message["kind"], message["to"]] = Grant(
        message["budget_day"], message["budget_total"], message["expires"], 0, 0, 0
    )
    return OK


def revoke_grant(state: State, _block: Block, sender: str, message: dict[str, Any]) -> dict[str, Any]:
    check_issuer(state, sender, message["program"])
    slot = (message["program"], message["kind"], message["to"])
    if slot not in state.grants:
        reject("GRANT_UNKNOWN")
    del state.grants[slot]
    return OK
