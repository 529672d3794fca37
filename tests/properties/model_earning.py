"""Points that come without any being spent, in the model: earned, awarded, imported, corrected; and what is
due back when the goods are returned. Each in the order of docs/spec/messages.md.
"""

from __future__ import annotations

from typing import Any

from tests.properties.model_consent import Wanted, check_consent, check_grants, spend_nonces, use_grants
from tests.properties.model_exposure import check_budget, check_cap, use_budget
from tests.properties.model_limits import check_bonus, use_bonus
from tests.properties.model_lots import (
    Account,
    Changes,
    check_balance,
    check_room,
    find_arriving,
    find_spendable,
    give,
    make_legs,
    make_outcome,
    make_rows,
    repay,
    take,
)
from tests.properties.model_references import content_of, find_again, find_original, slot_of
from tests.properties.model_state import Block, Earned, LotKey, Series, State, reject
from tests.properties.model_values import POINTS_MAX, REFUNDS_MAX, floor_of, last_day

Message = dict[str, Any]


def find_open_series(state: State, block: Block, program: str) -> tuple[str, Series]:
    name = state.open_series(program, block.height)
    if name is None:
        reject("NO_OPEN_SERIES")
    return name, state.series[program, name]


def make_new_lot(state: State, block: Block, program: str, *, cools: bool) -> LotKey:
    """The lot that points issued now go to."""
    name, series = find_open_series(state, block, program)
    expires = last_day(block.day, series.expiry_months)
    waits = state.policy(program).cooling_days if cools else 0
    usable = min(block.day + waits, expires)
    return expires, series.opened, name, 0, usable if usable > block.day else 0


def earn(state: State, block: Block, sender: str, message: Message) -> dict[str, Any]:
    program = message["program"]
    if program not in state.programs:
        reject("PROGRAM_UNKNOWN")
    points = floor_of(message["amount"], state.programs[program].spend_per_point)
    return issue(state, block, sender, message, points)


def award(state: State, block: Block, sender: str, message: Message) -> dict[str, Any]:
    if message["program"] not in state.programs:
        reject("PROGRAM_UNKNOWN")
    return issue(state, block, sender, message, message["points"])


def issue(state: State, block: Block, sender: str, message: Message, points: int) -> dict[str, Any]:
    """What earning and awarding have in common: the lot, the debt, the legs."""
    program, member = message["program"], message["member"]
    account = member, program
    issuer = state.programs[program].issuer
    is_home = sender == issuer
    _, series = find_open_series(state, block, program)
    if member not in state.members:
        reject("MEMBER_UNKNOWN")
    grants = [] if is_home else [((program, "earn", sender), points)]
    check_grants(state, block, grants)
    if is_home and message["@type"] == "award":
        check_bonus(state, block, program, points)
    if points > POINTS_MAX:
        reject("AMOUNT_TOO_LARGE")
    check_budget(state, block, program, points)
    like = make_new_lot(state, block, program, cools=True)
    gains, repaid = find_arriving(state, account, [(like, points)] if points else [])
    check_room(state, block, account, gains)
    check_balance(state, account, gains)
    par_accrue = series.par_at(block.height)[1]
    fee = floor_of(points * par_accrue * state.parameter("accrual_fee_basis_points", block.height), 10_000)
    legs = make_legs(
        ("earn", sender, issuer, points * par_accrue), ("accrual_fee", sender, block.operator, fee)
    )
    if is_home:
        legs, fee = [], 0
    check_cap(state, block, sender, sum(leg["micros"] for leg in legs), "DEBIT_CAP")
    give(state, block, account, gains)
    changed = repay(state, account, repaid)
    state.tally(program, "issued.home" if is_home else "issued.partner", points)
    state.owe(legs)
    use_grants(state, block, grants)
    use_budget(state, block, program, points)
    if is_home and message["@type"] == "award":
        use_bonus(state, block, program, points)
    state.earned[slot_of(block, sender, message)] = Earned(
        block.index, member, message.get("amount", 0), points, like, par_accrue, fee, 0, 0, ()
    )
    return make_outcome(state, account, legs=legs, lots=make_rows(gains), points=points, **changed)


def find_clawed_back(state: State, block: Block, earned: Earned, program: str, due: int) -> Changes:
    """Lots that give up to so many points: the earning lot first, then soonest expiry."""
    here = [lot for lot in state.free(earned.member, program, block.day) if lot[0][0] >= block.day]
    first = earned.like if earned.like[4] > block.day else (*earned.like[:4], 0)
    found = []
    for like, there in sorted(here, key=lambda lot: (lot[0] != first, lot[0])):
        part = min(there, due)
        due -= part
        found += [(like, part)] if part else []
    return found


def return_order(state: State, block: Block, sender: str, message: Message) -> dict[str, Any]:
    program, member, amount = message["program"], message["member"], message["amount"]
    slot, earned = find_original(state.earned, block, sender, message)
    find_again(earned.returns, message)
    if block.day - message["original_day"] > state.parameter("refund_horizon_days", block.height):
        reject("REFUND_TOO_LATE")
    if earned.returned + amount > earned.amount:
        reject("REFUND_ABOVE_ORIGINAL")
    if len(earned.returns) >= REFUNDS_MAX:
        reject("TOO_MANY_REFUNDS")
    before = floor_of(earned.points * earned.returned, earned.amount)
    after = floor_of(earned.points * (earned.returned + amount), earned.amount)
    due = after - before
    taken = find_clawed_back(state, block, earned, program, due)
    gone = sum(points for _, points in taken)
    missing = due - gone
    shortfall = state.policy(program).shortfall
    if missing and shortfall == "block":
        reject("CLAWBACK_BLOCKED")
    debt = state.debts.get((member, program), 0)
    if missing and shortfall == "debt":
        debt += missing
        if debt > state.parameter("debt_points_max", block.height):
            reject("DEBT_LIMIT")
    fee = 0
    if earned.points:
        fee = floor_of(earned.fee * (earned.taken + gone), earned.points)
        fee -= floor_of(earned.fee * earned.taken, earned.points)
    issuer = state.programs[program].issuer
    legs = make_legs(
        ("earn_return", issuer, sender, gone * earned.par_accrue),
        ("accrual_fee_return", block.operator, sender, fee),
    )
    take(state, block, (member, program), taken)
    state.tally(program, "clawed_back", gone)
    state.owe(legs)
    changed = debt != state.debts.get((member, program), 0)
    state.debts[member, program] = debt
    done = (message["reference"], content_of(message), block.index)
    state.earned[slot] = earned._replace(
        returned=earned.returned + amount, taken=earned.taken + gone, returns=(*earned.returns, done)
    )
    return make_outcome(
        state,
        (member, program),
        debt=debt if changed else None,
        legs=legs,
        lots=make_rows(taken),
        original=earned.index,
        points=due,
    )


def check_own_program(state: State, sender: str, program: str) -> None:
    if program not in state.programs:
        reject("PROGRAM_UNKNOWN")
    if state.programs[program].issuer != sender:
        reject("NOT_ISSUER")


def import_balance(state: State, block: Block, sender: str, message: Message) -> dict[str, Any]:
    program, member = message["program"], message["member"]
    check_own_program(state, sender, program)
    series = state.series.get((program, message["series"]))
    if series is None:
        reject("SERIES_UNKNOWN")
    if member not in state.members:
        reject("MEMBER_UNKNOWN")
    age = block.day - state.programs[program].opened_day
    if age > state.parameter("import_days", block.height):
        reject("IMPORT_CLOSED")
    earned, expires = message["earned_day"], message["expires_day"]
    if earned > block.day or expires < block.day or expires > last_day(earned, series.expiry_months):
        reject("IMPORT_DATES")
    gains = [((expires, series.opened, message["series"], 0, 0), message["points"])]
    return put_in(state, block, (member, program), gains, "imported")


def put_in(
    state: State, block: Block, account: Account, lots: Changes, word: str, *, repays: bool = False
) -> dict[str, Any]:
    gains, repaid = find_arriving(state, account, lots) if repays else (lots, 0)
    check_room(state, block, account, gains)
    check_balance(state, account, gains)
    give(state, block, account, gains)
    state.tally(account[1], word, sum(points for _, points in lots))
    return make_outcome(state, account, lots=make_rows(gains), **repay(state, account, repaid))


def adjust(state: State, block: Block, sender: str, message: Message) -> dict[str, Any]:
    program, member, points = message["program"], message["member"], message["points"]
    account = member, program
    check_own_program(state, sender, program)
    if member not in state.members:
        reject("MEMBER_UNKNOWN")
    if message["direction"] == "give":
        like = make_new_lot(state, block, program, cools=False)
        return put_in(state, block, account, [(like, points)], "adjusted.in", repays=block.rulebook >= 2)
    custody = check_consent(state, block, sender, message, Wanted("adjust", sender, points, {}))
    taken = find_spendable(state, block, account, points)
    take(state, block, account, taken)
    state.tally(program, "adjusted.out", points)
    use_grants(state, block, custody)
    spend_nonces(state, block, message["consent"])
    return make_outcome(state, account, lots=make_rows(taken))
