"""Exchange in the model, in the order of docs/spec/messages.md."""

from __future__ import annotations

from typing import Any

from tests.properties.model_consent import (
    Wanted,
    check_consent,
    check_grants,
    check_receiver,
    spend_nonces,
    use_grants,
)
from tests.properties.model_exposure import check_cap
from tests.properties.model_lots import (
    Changes,
    check_balance,
    check_room,
    find_spendable,
    give,
    make_legs,
    make_outcome,
    make_rows,
    take,
)
from tests.properties.model_state import Block, LotKey, State, reject
from tests.properties.model_values import POINTS_MAX, ceiling_of, floor_of, last_day


def apportion(taken: Changes, y: int, policy: int, opened: int, name: str) -> Changes:
    """Each source lot's cumulative share of y, by the earlier of its day and the policy's; a second life
    stays one.
    """
    x = sum(n for _, n in taken)
    lots: dict[LotKey, int] = {}
    given = cumulative = 0
    for (expires, _, _, original, _), n in taken:
        cumulative += n
        share = floor_of(y * cumulative, x) - given
        given += share
        like = (min(expires, policy), opened, name, original, 0)
        if share:
            lots[like] = lots.get(like, 0) + share
    return sorted(lots.items())


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
    wanted = Wanted("exchange", recipient, x, {"least": message["least"], "target": target})
    custody = check_consent(state, block, sender, message, wanted)
    if recipient != member:
        check_receiver(state, block, message, y)
    taken = find_spendable(state, block, (member, program), x, message["series"])
    policy = last_day(block.day, opened.expiry_months)
    gains = apportion(taken, y, policy, opened.opened, name)
    check_room(state, block, (recipient, target), gains)
    check_balance(state, (recipient, target), gains)
    legs = make_legs(
        ("exchange", giver, taker, y * par_accrue),
        ("rounding", giver, f"rounding:{giver}", x * par_redeem - y * par_accrue),
    )
    check_cap(state, block, giver, sum(leg["micros"] for leg in legs), "ISSUER_CAP")
    take(state, block, (member, program), taken)
    give(state, block, (recipient, target), gains)
    state.tally(program, "exchanged.out", x)
    state.tally(target, "exchanged.in", y)
    state.owe(legs)
    use_grants(state, block, grants + custody)
    received = message.get("recipient_consent") if recipient != member else None
    spend_nonces(state, block, message["consent"], received)
    return make_outcome(
        state,
        (member, program),
        legs=legs,
        lots=make_rows(taken),
        points=x,
        received=make_rows(gains),
    )
