"""Limits in the model: an issuer's policy, a till's word, what a participant may owe."""

from __future__ import annotations

from typing import Any

from tests.properties.model_exposure import set_cap
from tests.properties.model_registry import check_operator
from tests.properties.model_state import Block, Policy, State, Till, reject
from tests.properties.model_values import floor_of

OK = {"code": "OK"}
Message = dict[str, Any]


def set_policy(state: State, _block: Block, sender: str, message: Message) -> dict[str, Any]:
    if message["program"] not in state.programs:
        reject("PROGRAM_UNKNOWN")
    if state.programs[message["program"]].issuer != sender:
        reject("NOT_ISSUER")
    said = {name: value for name, value in message.items() if name not in ("@type", "program")}
    state.policies[message["program"]] = Policy(**said)
    return OK


def set_till_limits(state: State, _block: Block, sender: str, message: Message) -> dict[str, Any]:
    key = state.keys.get(message["key"])
    if key is None or key.participant != sender:
        reject("KEY_UNKNOWN")
    if key.purpose != "till":
        reject("NOT_A_TILL")
    state.tills[message["key"]] = Till(
        message["points_day"], message["points_order"], message["step_up"], 0, 0
    )
    return OK


def set_debit_cap(state: State, block: Block, sender: str, message: Message) -> dict[str, Any]:
    check_operator(state, block, sender)
    set_cap(state, block, message)
    return OK


def check_bonus(state: State, block: Block, program: str, points: int) -> None:
    policy = state.policy(program)
    today = policy.used_that_day if policy.day == block.day else 0
    if today + points > policy.bonus_day or policy.used + points > policy.bonus_total:
        reject("BONUS_BUDGET_EXHAUSTED")


def use_bonus(state: State, block: Block, program: str, points: int) -> None:
    policy = state.policy(program)
    today = policy.used_that_day if policy.day == block.day else 0
    state.policies[program] = policy._replace(
        used=policy.used + points, day=block.day, used_that_day=today + points
    )


def check_order(state: State, message: Message, gross: int) -> None:
    """The program's policy lets so much of an order be paid with points."""
    policy = state.policy(message["program"])
    if message["points"] > policy.points_order:
        reject("ORDER_CEILING")
    share = policy.order_share_basis_points
    if share < 10_000 and ("amount" not in message or gross > floor_of(message["amount"] * share, 10_000)):
        reject("ORDER_CEILING")


def find_till(state: State, block: Block, message: Message) -> Till | None:
    """The limits that this message's key spends under, today's use with them."""
    till = state.tills.get(block.key)
    if till is None or "consent" in message:
        return None
    return till if till.day == block.day else till._replace(day=block.day, used_that_day=0)


def check_till(state: State, block: Block, message: Message) -> None:
    till, points = find_till(state, block, message), message["points"]
    if till is None:
        return
    if points > till.points_order or till.used_that_day + points > till.points_day:
        reject("TILL_LIMIT")
    if points > till.step_up:
        reject("STEP_UP_REQUIRED")


def use_till(state: State, block: Block, message: Message) -> None:
    till = find_till(state, block, message)
    if till is not None:
        state.tills[block.key] = till._replace(used_that_day=till.used_that_day + message["points"])
