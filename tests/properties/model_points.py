"""Points in the model: earning, spending, exchange, expiry. Each in the order of docs/spec/messages.md."""

from __future__ import annotations

from typing import Any

from tests.properties.model_consent import Wanted, check_consent, check_grants, spend_nonce, use_grants
from tests.properties.model_state import Block, LotKey, State, reject
from tests.properties.model_values import (
    BALANCE_MAX,
    LOTS_FROM_OTHERS_MAX,
    LOTS_MAX,
    NEVER,
    POINTS_MAX,
    ceiling_of,
    floor_of,
    last_day,
)


def make_legs(*legs: tuple[str, str, str, int]) -> list[dict[str, Any]]:
    """Who owes whom; nobody owes himself, and nobody owes nothing."""
    return [
        {"from": source, "micros": micros, "reason": reason, "to": destination}
        for reason, source, destination, micros in legs
        if micros and source != destination
    ]


def make_row(like: LotKey, points: int) -> list[Any]:
    expires, opened, series, spendable_from = like
    return [expires, opened, points, series, spendable_from]


def check_room(
    state: State, account: tuple[str, str], gains: list[tuple[LotKey, int]], *, is_own: bool = True
) -> None:
    """There is room for these. What somebody else delivers opens no lot beyond the 32nd."""
    lots = state.lots_after(*account, gains)
    opens = len(lots) - len(state.accounts.get(account, ()))
    if len(lots) > LOTS_MAX or (opens > 0 and len(lots) > LOTS_FROM_OTHERS_MAX and not is_own):
        reject("LOT_LIMIT")
    if sum(points for _, points in lots) > BALANCE_MAX:
        reject("BALANCE_LIMIT")


def move(state: State, member: str, program: str, changes: list[tuple[LotKey, int]]) -> None:
    state.accounts[member, program] = state.lots_after(member, program, changes)
    for (expires, _, _, _), points in changes:
        if points > 0 and expires < NEVER:
            state.due[expires, member, program] = True


def earn(state: State, block: Block, sender: str, message: dict[str, Any]) -> dict[str, Any]:
    program, member = message["program"], message["member"]
    if program not in state.programs:
        reject("PROGRAM_UNKNOWN")
    issuer, spend_per_point = state.programs[program]
    name = state.open_series(program, block.height)
    if name is None:
        reject("NO_OPEN_SERIES")
    if member not in state.members:
        reject("MEMBER_UNKNOWN")
    points = floor_of(message["amount"], spend_per_point)
    grants = [] if sender == issuer else [((program, "earn", sender), points)]
    check_grants(state, block, grants)
    if points > POINTS_MAX:
        reject("AMOUNT_TOO_LARGE")
    series = state.series[program, name]
    like = (last_day(block.day, series.expiry_months), series.opened, name, 0)
    gains = [(like, points)] if points else []
    check_room(state, (member, program), gains)
    owed = points * series.par_at(block.height)[1]
    fee = floor_of(owed * state.parameter("accrual_fee_basis_points", block.height), 10_000)
    legs = make_legs(("earn", sender, issuer, owed), ("accrual_fee", sender, block.operator, fee))
    if sender == issuer:
        legs = []
    move(state, member, program, gains)
    state.tally(program, "issued.home" if sender == issuer else "issued.partner", points)
    state.owe(legs)
    use_grants(state, block, grants)
    outcome: dict[str, Any] = {"balance": state.balance(member, program), "code": "OK", "points": points}
    if legs:
        outcome["legs"] = legs
    if points:
        outcome["lots"] = [make_row(like, points)]
    return outcome


def take_lots(
    state: State, block: Block, account: tuple[str, str], points: int, series: str | None = None
) -> list[tuple[LotKey, int]]:
    """The lots that give these points, soonest expiry first, then by the series' opening height."""
    taken = []
    missing = points
    for like, there in state.accounts.get(account, ()):
        expires, _, name, spendable_from = like
        if spendable_from <= block.day <= expires and series in (None, name) and missing:
            taken.append((like, min(there, missing)))
            missing -= taken[-1][1]
    if missing:
        reject("INSUFFICIENT_POINTS")
    return taken


def redeem(state: State, block: Block, sender: str, message: dict[str, Any]) -> dict[str, Any]:
    program, member, points = message["program"], message["member"], message["points"]
    if program not in state.programs:
        reject("PROGRAM_UNKNOWN")
    if member not in state.members:
        reject("MEMBER_UNKNOWN")
    issuer = state.programs[program].issuer
    grants = [] if sender == issuer else [((program, "redeem", sender), points)]
    check_grants(state, block, grants)
    custody = check_consent(state, block, sender, message, Wanted("redeem", sender, points, {}))
    taken = take_lots(state, block, (member, program), points)
    legs = []
    if sender != issuer:
        gross = sum(n * state.series[program, like[2]].par_at(block.height)[2] for like, n in taken)
        share = floor_of(gross * state.parameter("commission_basis_points", block.height), 10_000)
        commission = max(share, state.parameter("commission_floor_micros", block.height))
        commission = min(commission, state.parameter("commission_cap_micros", block.height), gross)
        legs = make_legs(
            ("redeem", issuer, sender, gross - commission), ("commission", issuer, block.operator, commission)
        )
    move(state, member, program, [(like, -n) for like, n in taken])
    state.tally(program, "redeemed.home" if sender == issuer else "redeemed.elsewhere", points)
    state.owe(legs)
    use_grants(state, block, grants + custody)
    spend_nonce(state, message)
    lots = [make_row(like, n) for like, n in taken]
    outcome = {"balance": state.balance(member, program), "code": "OK", "lots": lots}
    return {**outcome, "legs": legs} if legs else outcome


def apportion(
    taken: list[tuple[LotKey, int]], y: int, policy: int, opened: int, name: str
) -> list[tuple[LotKey, int]]:
    """Each source lot's cumulative share of y, by the earlier of its day and the policy's."""
    x = sum(n for _, n in taken)
    days: dict[int, int] = {}
    given = cumulative = 0
    for like, n in taken:
        cumulative += n
        share = floor_of(y * cumulative, x) - given
        given += share
        if share:
            days[min(like[0], policy)] = days.get(min(like[0], policy), 0) + share
    return [((day, opened, name, 0), share) for day, share in sorted(days.items())]


def exchange(state: State, block: Block, sender: str, message: dict[str, Any]) -> dict[str, Any]:
    program, target, member = message["program"], message["target"], message["member"]
    recipient = message["recipient"]
    if program not in state.programs or target not in state.programs:
        reject("PROGRAM_UNKNOWN")
    if program == target:
        reject("PROGRAMS_MUST_DIFFER")
    source = state.series.get((program, message["series"]))
    if source is None:
        reject("SERIES_UNKNOWN")
    name = state.open_series(target, block.height)
    if name is None:
        reject("NO_OPEN_SERIES")
    if member not in state.members or recipient not in state.members:
        reject("MEMBER_UNKNOWN")
    giver, taker = state.programs[program].issuer, state.programs[target].issuer
    opened = state.series[target, name]
    since_out, _, par_redeem = source.par_at(block.height)
    since_in, par_accrue, _ = opened.par_at(block.height)
    y = floor_of(message["points"] * par_redeem, par_accrue)
    x = ceiling_of(y * par_accrue, par_redeem)
    grants = [((program, "exchange_out", taker), x), ((target, "exchange_in", giver), y)]
    grants = [] if giver == taker else grants
    check_grants(state, block, grants)
    if message["rate_height"] != max(since_out, since_in):
        reject("QUOTE_EXPIRED")
    if y == 0:
        reject("EXCHANGE_TOO_SMALL")
    if y < message["least"]:
        reject("BELOW_LEAST")
    if y > POINTS_MAX:
        reject("AMOUNT_TOO_LARGE")
    text = {"least": message["least"], "target": target}
    wanted = Wanted("exchange", recipient, x, text)
    custody = check_consent(state, block, sender, message, wanted)
    taken = take_lots(state, block, (member, program), x, message["series"])
    policy = last_day(block.day, opened.expiry_months)
    gains = apportion(taken, y, policy, opened.opened, name)
    check_room(state, (recipient, target), gains, is_own=recipient == member)
    legs = make_legs(
        ("exchange", giver, taker, y * par_accrue),
        ("rounding", giver, f"rounding:{giver}", x * par_redeem - y * par_accrue),
    )
    move(state, member, program, [(like, -n) for like, n in taken])
    move(state, recipient, target, gains)
    state.tally(program, "exchanged.out", x)
    state.tally(target, "exchanged.in", y)
    state.owe(legs)
    use_grants(state, block, grants + custody)
    spend_nonce(state, message)
    outcome = {
        "balance": state.balance(member, program),
        "code": "OK",
        "lots": [make_row(like, n) for like, n in taken],
        "points": x,
        "received": [make_row(like, n) for like, n in gains],
    }
    return {**outcome, "legs": legs} if legs else outcome


def expire_what_is_due(state: State, block: Block) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The block's own work: the lots of each day and account whose day has passed, within the bound.

    Lots that were all spent before their day still leave their entry, with nothing in it.
    """
    done = []
    bound = state.parameter("due_entries_max", block.height)
    for day, member, program in sorted(slot for slot in state.due if slot[0] < block.day)[:bound]:
        del state.due[day, member, program]
        gone = [(like, n) for like, n in state.accounts.get((member, program), ()) if like[0] == day]
        points = sum(n for _, n in gone)
        move(state, member, program, [(like, -n) for like, n in gone])
        state.tally(program, "expired", points)
        message = {"@type": "expire", "day": day, "member": member, "program": program}
        outcome = {
            "balance": state.balance(member, program),
            "code": "OK",
            "lots": [make_row(like, n) for like, n in gone],
            "points": points,
        }
        done.append((message, outcome))
    return done
