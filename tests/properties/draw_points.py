"""Random messages that move points, each honest or wrong in one chosen way."""

from __future__ import annotations

from typing import Any

from tests.properties.draw_accounts import find_account, find_tight_grant, find_till_edge
from tests.properties.draw_consent import CONSENT_TWISTS, sign_consent, sign_receipt
from tests.properties.draws import DAY, Draws
from tests.properties.model_values import ceiling_of, floor_of

NOWHERE = "nowhere"
TWISTS = ("again", "conflict", "next_day", "day_before", "future", "edge_future", "old", "edge_old")
EARN_TWISTS = (
    *TWISTS,
    *("no_program", "bare", "no_member", "ungranted", "huge", "crumb", "collector", "whale", "budget_edge"),
)
REDEEM_TWISTS = (
    *TWISTS,
    *CONSENT_TWISTS,
    *(
        "no_program",
        "no_member",
        "ungranted",
        "too_many",
        "all",
        "till",
        "expired_lot",
        "last_day",
        "budget_edge",
        "own_till",
        "own_till",
        "own_till",
        "second_life",
        "second_life",
    ),
)
EXCHANGE_TWISTS = (
    *TWISTS,
    *CONSENT_TWISTS,
    *("no_program", "no_target", "same", "no_series", "future_series", "bare", "no_member", "no_recipient"),
    *("early_rate", "late_rate", "greedy", "greedy", "tiny", "too_many", "all", "gift", "gift", "collector"),
    *("second_life", "second_life"),
    *("whale", "whale", "wrong_least", "several", "several"),
)


def when(draws: Draws, twist: str | None) -> int:
    """When it happened at the till: usually a moment ago, at times at the very edge of what is allowed."""
    lead = 1000 * draws.parameter("occurred_lead_seconds")
    horizon = DAY * draws.parameter("reference_horizon_days")
    edges = {
        "future": draws.time + lead + 1,
        "edge_future": draws.time + lead,
        "old": draws.time - horizon - 1,
        "edge_old": draws.time - horizon,
    }
    if twist in edges:
        return max(0, edges[twist])
    return draws.time - draws.rng.choice((0, 0, 1, 30_000, DAY // 2, 3 * DAY))


def repeat(draws: Draws, sender: str, kind: str, twist: str | None) -> dict[str, Any] | None:
    """An earlier success of this sender once more: the same, or only its reference is."""
    earlier = draws.done.get((sender, kind))
    if twist not in TWISTS[:4] or not earlier:
        return None
    message = dict(draws.rng.choice(earlier[-12:] if draws.rng.random() < 0.7 else earlier))
    if twist == "conflict":
        field = draws.rng.choice([name for name in ("amount", "points", "member") if name in message])
        message[field] = draws.member() if field == "member" else min(10**9, message[field] + 1)
    elif twist != "again":
        message["occurred_at"] += DAY if twist == "next_day" else -DAY
    return message


def earn(draws: Draws, sender: str) -> dict[str, Any]:
    rng = draws.rng
    twist = draws.twist(EARN_TWISTS)
    if (message := repeat(draws, sender, "earn", twist)) is not None:
        return message
    program = draws.program_for(sender, "earn")
    member = draws.member()
    amount = rng.choice((rng.randrange(400_000_000), rng.randrange(4_000_000), 10**6 * rng.randrange(500)))
    if twist == "no_program":
        program = NOWHERE
    elif twist == "bare":
        program = draws.bare
    elif twist == "no_member":
        member = draws.stranger
    elif twist == "ungranted":
        program = rng.choice(sorted(draws.state.programs))
    elif twist == "huge":
        amount = rng.choice((10**15, 10**9 * 333_334, 10**9 * 333_334 + 333_333, 10**9 * 333_335))
    elif twist == "crumb":
        amount = rng.choice((0, 1, 333_333, 999_999))
    if twist == "budget_edge" and (tight := find_tight_grant(draws, sender, "earn")) is not None:
        program, left = tight
        amount = (left + rng.randrange(2)) * draws.state.programs[program].spend_per_point
    owing = [account for account, points in draws.state.debts.items() if points]
    owing = [account for account in owing if account[1] in draws.programs_for(sender, "earn")]
    if owing and rng.random() < 0.2:
        member, program = rng.choice(owing)
    if draws.collector[0] == sender and (twist == "collector" or rng.random() < 0.25):
        program, member = draws.collector[1:]
    elif draws.whale[0] == sender and twist in ("whale", "huge"):
        program, member = draws.whale[1 + rng.randrange(2)], draws.whale[3]
        amount = rng.choice((10**9 * 333_334, amount))
    return {
        "@type": "earn",
        "amount": amount,
        "member": member,
        "occurred_at": when(draws, twist),
        "program": program,
        "reference": draws.reference(),
    }


def redeem(draws: Draws, sender: str, kind: str = "redeem", given: str | None = None) -> dict[str, Any]:
    """A redemption, or what a hold has in common with one."""
    rng = draws.rng
    is_new = kind != "redeem" or given is not None
    twist = given if is_new else draws.twist(REDEEM_TWISTS)
    message = None if is_new else repeat(draws, sender, kind, twist)
    if message is None:
        programs = (
            draws.programs_for(sender, "redeem") if twist != "ungranted" else sorted(draws.state.programs)
        )
        tight = find_tight_grant(draws, sender, "redeem") if twist == "budget_edge" else None
        account = find_account(draws, sender, twist, [tight[0]] if tight else programs)
        account = account or (draws.member(), draws.program_for(sender, "redeem"))
        spendable = draws.spendable(*account)
        points = rng.randrange(1, 1 + rng.choice((spendable, min(spendable, 20)))) if spendable else 1
        everything = max(1, spendable)
        points = {
            "too_many": spendable + 1,
            "all": everything,
            "foreign_custody": everything,
            "last_day": everything,
        }.get(twist or "", points)
        if twist == "own_till":
            points = find_till_edge(draws, sender, points)
        if tight:
            points = tight[1] + rng.randrange(2)
        if twist in ("open_above", "open_edge"):
            points = draws.parameter("open_consent_points_max") + (twist == "open_above")
        elif twist == "expired_lot":
            points = max(1, draws.state.balance(*account))
        message = {
            "@type": kind,
            "member": draws.stranger if twist == "no_member" else account[0],
            "occurred_at": when(draws, twist),
            "points": max(1, min(10**9, points)),
            "program": NOWHERE if twist == "no_program" else account[1],
            "reference": draws.reference(),
        }
        if rng.random() < 0.6:
            message["amount"] = rng.choice((10**15, rng.randrange(10**8), 40_000 * message["points"]))
    message.pop("consent", None)
    program = draws.state.programs.get(message["program"])
    is_home = program is not None and program.issuer == sender
    if twist not in ("missing", "till", "own_till") and (
        not is_home or twist in CONSENT_TWISTS or rng.random() < 0.5
    ):
        message["consent"] = sign_consent(draws, message, sender, twist)
    return message


def quote(draws: Draws, program: str, series: str, target: str) -> tuple[int, int, int] | None:
    """The rates of an exchange and the height from which both hold."""
    name = draws.state.open_series(target, draws.height)
    source = draws.state.series.get((program, series))
    if name is None or source is None or source.opened > draws.height:
        return None
    out = source.par_at(draws.height)
    into = draws.state.series[target, name].par_at(draws.height)
    return out[2], into[1], max(out[0], into[0])


def exchange(draws: Draws, sender: str) -> dict[str, Any]:
    rng = draws.rng
    twist = draws.twist(EXCHANGE_TWISTS)
    message = repeat(draws, sender, "exchange", twist)
    if message is None:
        message = new_exchange(draws, sender, twist)
    message["consent"] = sign_consent(draws, message, message["recipient"], twist)
    message.pop("recipient_consent", None)
    if message["recipient"] != message["member"] or rng.random() < 0.03:
        add_receipt(draws, message)
    if twist == "wrong_least":
        message["least"] = min(10**9, max(1, message["least"] + rng.choice((-1, 1))))
    return message


def add_receipt(draws: Draws, message: dict[str, Any]) -> None:
    """The recipient's consent: none, a wrong one, or one to what arrives or a little more."""
    rng = draws.rng
    twist = rng.choice(CONSENT_TWISTS) if rng.random() < 0.3 else None
    rates = quote(draws, message["program"], message["series"], message["target"])
    points = floor_of(message["points"] * rates[0], rates[1]) if rates else 1
    if twist != "missing":
        points = max(1, min(10**9, points))
        message["recipient_consent"] = sign_receipt(draws, message, points, twist)


def new_exchange(draws: Draws, sender: str, twist: str | None) -> dict[str, Any]:
    rng, state = draws.rng, draws.state
    programs = sorted(state.programs)
    member, program = find_account(draws, sender, twist, programs) or (draws.member(), rng.choice(programs))
    recipient, target = member, rng.choice([name for name in programs if name not in (program, draws.bare)])
    if twist == "collector":
        target, recipient = draws.collector[1:]
    elif twist == "whale":
        program, target, member = draws.whale[1:]
        recipient = member
    held = state.accounts.get((member, program), ())
    like = rng.choice(held)[0] if held else (0, 0, "s0", 0)
    if twist == "several" and held:
        names = [other[2] for other, _ in held]
        like = max((other for other, _ in held), key=lambda other: names.count(other[2]))
    there = draws.spendable(member, program, like[2])
    points = rng.choice((rng.randrange(1, there + 1), there)) if there else 5
    everything = max(1, there)
    points = {
        "too_many": there + 1,
        "all": everything,
        "foreign_custody": everything,
        "several": everything,
        "tiny": 1,
    }.get(twist or "", points)
    rates = quote(draws, program, like[2], target)
    least, rate_height, points = 1, draws.height, min(points, 10**9)
    if rates is not None:
        y = floor_of(points * rates[0], rates[1])
        least, rate_height = max(1, min(10**9, y)), rates[2]
        if twist == "too_many":  # one point more taken than there is
            points = min(10**9, max(points, ceiling_of((y + 1) * rates[1], rates[0])))
    twisted = {
        "no_program": {"program": NOWHERE},
        "no_target": {"target": NOWHERE},
        "same": {"target": program},
        "bare": {"target": draws.bare},
        "no_series": {"series": "s-none"},
        "future_series": {"series": draws.future_series(program) or "s-none"},
        "no_member": {"member": draws.stranger},
        "no_recipient": {"recipient": draws.stranger},
        "early_rate": {"rate_height": max(0, rate_height - 1)},
        "late_rate": {"rate_height": rng.choice((rate_height + 1, draws.height))},
        "greedy": {"least": min(10**9, least + 1)},
    }
    if twist == "gift" or rng.random() < 0.2:
        recipient = draws.member()
    message = {
        "@type": "exchange",
        "least": rng.choice((least, max(1, least // 2), 1)),
        "member": member,
        "occurred_at": when(draws, twist),
        "points": points,
        "program": program,
        "rate_height": rate_height,
        "recipient": recipient,
        "reference": draws.reference(),
        "series": like[2],
        "target": target,
    }
    return {**message, **twisted.get(twist or "", {})}
