"""Points that are spent or given, in the model: redeemed, held and what becomes of that, refunded, gifts."""

from __future__ import annotations

from typing import Any

from tests.properties.model_consent import (
    GrantKey,
    Wanted,
    check_consent,
    check_grants,
    spend_nonces,
    use_grants,
)
from tests.properties.model_exposure import check_cap
from tests.properties.model_limits import check_order, check_till, use_till
from tests.properties.model_lots import (
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
    split,
    take,
)
from tests.properties.model_references import (
    content_of,
    find_again,
    find_original,
    is_forgotten,
    slot_of,
)
from tests.properties.model_state import Block, Hold, LotKey, Lots, Slot, Spent, State, reject
from tests.properties.model_values import REFUNDS_MAX, floor_of

Message = dict[str, Any]
Pars = tuple[int, ...]


def gross_of(lots: Lots, pars: Pars) -> int:
    return sum(points * par for (_, points), par in zip(lots, pars, strict=False))


def find_commission(state: State, block: Block, gross: int) -> int:
    share = floor_of(gross * state.parameter("commission_basis_points", block.height), 10_000)
    commission = max(share, state.parameter("commission_floor_micros", block.height))
    return min(commission, state.parameter("commission_cap_micros", block.height), gross)


def check_spender(
    state: State, block: Block, sender: str, message: Message
) -> tuple[Lots, Pars, list[tuple[GrantKey, int]]]:
    """All that redeeming and holding check first: the lots, what each is paid with, the grants used."""
    program, member, points = message["program"], message["member"], message["points"]
    if program not in state.programs:
        reject("PROGRAM_UNKNOWN")
    if member not in state.members:
        reject("MEMBER_UNKNOWN")
    is_home = sender == state.programs[program].issuer
    grants = [] if is_home else [((program, "redeem", sender), points)]
    check_grants(state, block, grants)
    wanted = Wanted(message["@type"], sender, points, {})
    grants = grants + check_consent(state, block, sender, message, wanted)
    lots = find_spendable(state, block, (member, program), points)
    pars = [state.series[program, like[2]].par_at(block.height)[2] for like, _ in lots]
    return tuple(lots), tuple(pars), grants


def check_limits(state: State, block: Block, sender: str, message: Message, gross: int) -> None:
    issuer = state.programs[message["program"]].issuer
    if sender != issuer:
        check_cap(state, block, issuer, gross, "ISSUER_CAP")
    check_order(state, message, gross)
    check_till(state, block, message)


def settle(state: State, block: Block, slot: Slot, spent: Spent) -> list[dict[str, Any]]:
    """What this spending makes the issuer owe, and the record that a refund goes by."""
    acceptor, _, program, _, _ = slot
    issuer = state.programs[program].issuer
    legs: list[dict[str, Any]] = []
    if acceptor != issuer:
        gross = gross_of(spent.lots, spent.pars)
        spent = spent._replace(commission=find_commission(state, block, gross))
        legs = make_legs(
            ("redeem", issuer, acceptor, gross - spent.commission),
            ("commission", issuer, block.operator, spent.commission),
        )
    points = sum(points for _, points in spent.lots)
    state.tally(program, "redeemed.home" if acceptor == issuer else "redeemed.elsewhere", points)
    state.owe(legs)
    state.spent[slot] = spent
    return legs


def redeem(state: State, block: Block, sender: str, message: Message) -> dict[str, Any]:
    account = message["member"], message["program"]
    lots, pars, grants = check_spender(state, block, sender, message)
    check_limits(state, block, sender, message, gross_of(lots, pars))
    take(state, block, account, lots)
    spent = Spent(block.index, message["member"], lots, pars, 0, 0, ())
    legs = settle(state, block, slot_of(block, sender, message), spent)
    use_grants(state, block, grants)
    use_till(state, block, message)
    spend_nonces(state, block, message.get("consent"))
    return make_outcome(state, account, legs=legs, lots=make_rows(lots))


def hold(state: State, block: Block, sender: str, message: Message) -> dict[str, Any]:
    account = message["member"], message["program"]
    lots, pars, grants = check_spender(state, block, sender, message)
    if message["expires"] <= block.time:
        reject("HOLD_EXPIRED")
    if message["expires"] > block.time + 1000 * state.parameter("hold_seconds_max", block.height):
        reject("HOLD_TOO_LONG")
    check_limits(state, block, sender, message, gross_of(lots, pars))
    take(state, block, account, lots)
    state.open_holds[slot_of(block, sender, message)] = Hold(
        block.index, message["member"], message["expires"], lots, pars, None, None
    )
    use_grants(state, block, grants)
    use_till(state, block, message)
    spend_nonces(state, block, message.get("consent"))
    return make_outcome(state, account, lots=make_rows(lots))


def find_hold(state: State, block: Block, sender: str, message: Message) -> tuple[Slot, Hold]:
    """The sender's own open hold for this member that the message is about."""
    slot = (sender, "hold", message["program"], message["hold_day"], message["hold"])
    found = state.open_holds.get(slot) or state.final_holds.get(slot)
    if found is None or found.member != message["member"] or is_forgotten(block, slot[3]):
        reject("HOLD_UNKNOWN")
    if found.content == content_of(message):
        reject("ALREADY_DONE", first=found.final)
    if found.final is not None:
        reject("HOLD_FINAL")
    return slot, found


def go_back(state: State, block: Block, slot: Slot, rest: Lots) -> dict[str, Any]:
    """What was held is the account's again, but for what it owes, and what is past its day: that lapses."""
    account = state.final_holds[slot].member, slot[2]
    over = [lot for lot in rest if lot[0][0] < block.day]
    gains, repaid = find_arriving(state, account, [lot for lot in rest if lot[0][0] >= block.day])
    give(state, block, account, gains)
    state.tally(slot[2], "expired", sum(points for _, points in over))
    return {"expired": make_rows(over), "released": make_rows(rest), **repay(state, account, repaid)}


def make_final(state: State, slot: Slot, content: bytes | None, index: int) -> Hold:
    held = state.open_holds.pop(slot)._replace(content=content, final=index)
    state.final_holds[slot] = held
    return held


def capture(state: State, block: Block, sender: str, message: Message) -> dict[str, Any]:
    slot, held = find_hold(state, block, sender, message)
    if held.expires <= block.time:
        reject("HOLD_FINAL")
    if message["points"] > sum(points for _, points in held.lots):
        reject("CAPTURE_ABOVE_HOLD")
    make_final(state, slot, content_of(message), block.index)
    lots, rest = split(held.lots, message["points"])
    back = go_back(state, block, slot, rest)
    spent = Spent(block.index, held.member, lots, held.pars[: len(lots)], 0, 0, ())
    legs = settle(state, block, slot, spent)
    return make_outcome(
        state,
        (held.member, slot[2]),
        legs=legs,
        lots=make_rows(lots),
        original=held.index,
        **back,
    )


def release(state: State, block: Block, sender: str, message: Message) -> dict[str, Any]:
    slot, _ = find_hold(state, block, sender, message)
    return give_all_back(state, block, slot, content_of(message), block.index)


def give_all_back(
    state: State, block: Block, slot: Slot, content: bytes | None, index: int
) -> dict[str, Any]:
    """A release, or with no content a lapse."""
    held = make_final(state, slot, content, index)
    back = go_back(state, block, slot, held.lots)
    points = sum(points for _, points in held.lots)
    return make_outcome(state, (held.member, slot[2]), original=held.index, points=points, **back)


def revive(state: State, block: Block, like: LotKey) -> LotKey | None:
    """How a lot comes back: as it was, once more within its grace, or not at all."""
    expires, opened, series, original, _ = like
    if block.day <= expires:
        return like
    until = expires + state.parameter("refund_grace_days", block.height)
    return (until, opened, series, expires, 0) if not original and block.day <= until else None


def refund(state: State, block: Block, sender: str, message: Message) -> dict[str, Any]:
    program, member, points = message["program"], message["member"], message["points"]
    slot, spent = find_original(state.spent, block, sender, message)
    find_again(spent.refunds, message)
    if block.day - message["original_day"] > state.parameter("refund_horizon_days", block.height):
        reject("REFUND_TOO_LATE")
    if spent.refunded + points > sum(there for _, there in spent.lots):
        reject("REFUND_ABOVE_ORIGINAL")
    if len(spent.refunds) >= REFUNDS_MAX:
        reject("TOO_MANY_REFUNDS")
    _, due = split(tuple(reversed(spent.lots)), spent.refunded)
    due, _ = split(due, points)
    back: Changes = []
    over: Changes = []
    for like, there in due:
        again = revive(state, block, like)
        (over if again is None else back).append((again or like, there))
    gains, repaid = find_arriving(state, (member, program), back)
    check_room(state, block, (member, program), gains)
    check_balance(state, (member, program), gains)
    issuer = state.programs[program].issuer
    legs = []
    if sender != issuer:
        gross = gross_of(spent.lots, spent.pars)
        before = spent.gross_of_last(spent.refunded)
        after = spent.gross_of_last(spent.refunded + points)
        fee = floor_of(spent.commission * after, gross) - floor_of(spent.commission * before, gross)
        legs = make_legs(
            ("redeem_return", sender, issuer, after - before - fee),
            ("commission_return", block.operator, issuer, fee),
        )
    give(state, block, (member, program), gains)
    state.tally(program, "refunded.home" if sender == issuer else "refunded.elsewhere", points)
    state.tally(program, "expired", sum(there for _, there in over))
    state.owe(legs)
    done = (message["reference"], content_of(message), block.index)
    state.spent[slot] = spent._replace(refunded=spent.refunded + points, refunds=(*spent.refunds, done))
    return make_outcome(
        state,
        (member, program),
        expired=make_rows(over),
        legs=legs,
        lots=make_rows(gains),
        original=spent.index,
        **repay(state, (member, program), repaid),
    )


def gift(state: State, block: Block, sender: str, message: Message) -> dict[str, Any]:
    program, member, recipient = message["program"], message["member"], message["recipient"]
    if program not in state.programs:
        reject("PROGRAM_UNKNOWN")
    if member == recipient:
        reject("ACCOUNTS_MUST_DIFFER")
    if member not in state.members or recipient not in state.members:
        reject("MEMBER_UNKNOWN")
    if state.policy(program).gifts == "forbidden":
        reject("PROGRAM_FORBIDS_GIFTS")
    wanted = Wanted("gift", recipient, message["points"], {})
    custody = check_consent(state, block, sender, message, wanted)
    lots = find_spendable(state, block, (member, program), message["points"])
    check_room(state, block, (recipient, program), lots, is_own=False)
    check_balance(state, (recipient, program), lots)
    take(state, block, (member, program), lots)
    give(state, block, (recipient, program), lots)
    use_grants(state, block, custody)
    spend_nonces(state, block, message["consent"])
    return make_outcome(state, (member, program), lots=make_rows(lots))
