"""Random messages that make points, or take them back with the goods, each honest or wrong in one way."""

from __future__ import annotations

from typing import Any

from tests.properties.draw_accounts import find_account
from tests.properties.draw_consent import CONSENT_TWISTS, sign_consent
from tests.properties.draw_points import NOWHERE, TWISTS, repeat, when
from tests.properties.draw_registry import PROGRAM_TWISTS, some_program
from tests.properties.draws import DAY, Draws
from tests.properties.model_values import NEVER, last_day

AWARD_TWISTS = (
    *TWISTS,
    *("no_program", "bare", "no_member", "ungranted", "budget_edge", "budget_edge", "collector"),
)
RETURN_TWISTS = (
    *("again", "conflict", "future", "old", "above", "above", "unknown", "other_member", "wrong_day"),
    *("other_type", "other_program", "foreign", "sixty", "same_reference", "poor", "poor", "poor"),
)
IMPORT_TWISTS = (
    *TWISTS,
    *PROGRAM_TWISTS,
    *("no_series", "no_member", "tomorrow", "gone", "last_day", "late", "longest", "collector"),
    *("soon", "soon", "soon"),
)
ADJUST_TWISTS = (*TWISTS, *PROGRAM_TWISTS, "no_member", "bare", "collector", "all", "too_many", "second_life")
REASONS = ("sign_in", "review", "referral", "task", "campaign", "birthday", "bonus", "goodwill")


def award(draws: Draws, sender: str) -> dict[str, Any]:
    rng = draws.rng
    twist = draws.twist(AWARD_TWISTS)
    if (message := repeat(draws, sender, "award", twist)) is not None:
        return message
    program, member = draws.program_for(sender, "earn"), draws.member()
    points = rng.choice((1, rng.randrange(1, 30), rng.randrange(1, 600)))
    if twist == "ungranted":
        program = rng.choice(sorted(draws.state.programs))
    elif twist == "budget_edge":
        program = rng.choice(draws.own.get(sender) or [program])
        policy = draws.state.policy(program)
        today = policy.used_that_day if policy.day == draws.today else 0
        left = min(policy.bonus_day - today, policy.bonus_total - policy.used)
        points = min(10**9, max(1, left + rng.randrange(2))) if left < 10_000 else points
    elif twist == "collector" and draws.collector[0] == sender:
        program, member = draws.collector[1:]
    message = {
        "@type": "award",
        "member": draws.stranger if twist == "no_member" else member,
        "occurred_at": when(draws, twist),
        "points": points,
        "program": {"no_program": NOWHERE, "bare": draws.bare}.get(twist or "", program),
        "reason": rng.choice(REASONS),
        "reference": draws.reference(),
    }
    if rng.random() < 0.6:
        message["amount"] = rng.choice((0, 1, rng.randrange(1, 10**8), rng.randrange(1, 10**15)))
    return message


def point_at(draws: Draws, message: dict[str, Any], twist: str | None) -> dict[str, Any]:
    """A message about an original, changed so that it is about another, or none, as the twist says."""
    kinds = ("earn", "award") if message["@type"] == "return_order" else ("redeem", "hold")
    other = kinds[message["original_type"] == kinds[0]]
    changes: dict[str, dict[str, Any]] = {
        "unknown": {"original": "r:none"},
        "other_member": {"member": draws.rng.choice((draws.member(), draws.stranger))},
        "wrong_day": {"original_day": message["original_day"] + draws.rng.choice((-1, 1))},
        "other_type": {"original_type": other},
        "other_program": {"program": draws.rng.choice((NOWHERE, *sorted(draws.state.programs)))},
    }
    return {**message, **changes.get(twist or "", {})}


def return_reference(draws: Draws, done: tuple[Any, ...], twist: str | None) -> str:
    """A reference of its own; now and then one that this very original knows, or that others bear."""
    if done and twist == "same_reference":
        return str(draws.rng.choice(done)[0])
    return draws.rng.choice(("ret-1", "ret-2", "ret-3")) if draws.rng.random() < 0.2 else draws.reference()


def return_order(draws: Draws, sender: str) -> dict[str, Any]:
    rng = draws.rng
    twist = draws.twist(RETURN_TWISTS)
    if (message := repeat(draws, sender, "return_order", twist)) is not None:
        return message
    who = rng.choice(sorted(draws.state.participants)) if twist == "foreign" else sender
    original = find_poor(draws, sender) if twist == "poor" else None
    original = original or draws.find_done(who, "earn", "earn", "award")
    return earn(draws, sender) if original is None else return_of(draws, who, original, twist)


def find_poor(draws: Draws, sender: str) -> dict[str, Any] | None:
    """An earning more of which is due back than the member has left."""
    for slot, earned in reversed(draws.state.earned.items()):
        there = draws.state.free(earned.member, slot[2], draws.today)
        if slot[0] == sender and sum(points for _, points in there) < earned.points and earned.amount:
            known = {"@type": slot[1], "amount": earned.amount, "program": slot[2], "reference": slot[4]}
            day = slot[3] * DAY - draws.model.offset * 60_000
            return {**known, "member": earned.member, "occurred_at": day}
    return None


def return_of(draws: Draws, who: str, original: dict[str, Any], twist: str | None) -> dict[str, Any]:
    """The goods of this earning come back, some or all."""
    rng = draws.rng
    slot = draws.slot_of(who, original)
    earned = draws.state.earned.get(slot)
    bought = original.get("amount", 0)
    left = bought - earned.returned if earned else bought
    amount = rng.choice((left, left, bought * 6 // 10, 1, rng.randrange(max(1, left)) + 1))
    if twist in ("above", "sixty"):
        amount = left + 1 if twist == "above" else bought * 6 // 10 + 1
    message = {
        "@type": "return_order",
        "amount": min(10**15, max(1, amount)),
        "member": original["member"],
        "occurred_at": when(draws, twist),
        "original": original["reference"],
        "original_day": slot[3],
        "original_type": original["@type"],
        "program": original["program"],
        "reference": return_reference(draws, earned.returns if earned else (), twist),
    }
    return point_at(draws, message, twist)


def earn(draws: Draws, sender: str) -> dict[str, Any]:
    """A plain order, where there is none yet that could come back."""
    return {
        "@type": "earn",
        "amount": draws.rng.randrange(10**6, 10**8),
        "member": draws.member(),
        "occurred_at": draws.time,
        "program": draws.program_for(sender, "earn"),
        "reference": draws.reference(),
    }


def import_balance(draws: Draws, sender: str) -> dict[str, Any]:
    rng, today = draws.rng, draws.today
    twist = draws.twist(IMPORT_TWISTS)
    if (message := repeat(draws, sender, "import_balance", twist)) is not None:
        return message
    program, member = some_program(draws, sender, twist), draws.member()
    if twist == "collector" and draws.collector[0] == sender:
        program, member = draws.collector[1:]
    names = [name for owner, name in draws.state.series if owner == program]
    series = rng.choice(names) if names and twist != "no_series" else "s-none"
    months = (
        draws.state.series[program, series].expiry_months if (program, series) in draws.state.series else 1
    )
    earned = today - rng.choice((0, rng.randrange(60), rng.randrange(400)))
    policy = last_day(earned, months)
    days = {
        "tomorrow": (today + 1, policy),
        "gone": (earned, today - 1),
        "last_day": (earned, min(policy, today)),
        "soon": (earned, min(policy, today + rng.randrange(4))),
        "late": (earned, min(NEVER, policy + 1)),
        "longest": (today, last_day(today, months)),
        "collector": (today, today + rng.randrange(1_000)),
    }
    usual = earned, rng.choice((policy, max(today, policy - rng.randrange(40)), policy))
    earned_day, expires_day = days.get(twist or "", usual)
    return {
        "@type": "import_balance",
        "earned_day": earned_day,
        "expires_day": expires_day,
        "member": draws.stranger if twist == "no_member" else member,
        "occurred_at": when(draws, twist),
        "points": rng.randrange(1, 5_000),
        "program": program,
        "reference": draws.reference(),
        "series": series,
    }


def adjust(draws: Draws, sender: str) -> dict[str, Any]:
    rng = draws.rng
    twist = draws.twist((*ADJUST_TWISTS, *CONSENT_TWISTS))
    message = repeat(draws, sender, "adjust", twist)
    if message is None:
        account = find_account(draws, sender, twist, draws.own.get(sender, []))
        program, member = some_program(draws, sender, twist), draws.member()
        if account is not None and twist not in PROGRAM_TWISTS:
            member, program = account
        if twist == "collector" and draws.collector[0] == sender:
            program, member = draws.collector[1:]
        there = draws.spendable(member, program)
        points = rng.randrange(1, max(2, min(there, 10**9) + 1))
        points = {"all": max(1, there), "too_many": there + 1}.get(twist or "", points)
        message = {
            "@type": "adjust",
            "direction": "give" if twist in ("collector", "bare") else rng.choice(("give", "take", "take")),
            "member": draws.stranger if twist == "no_member" else member,
            "occurred_at": when(draws, twist),
            "points": min(10**9, points),
            "program": draws.bare if twist == "bare" else program,
            "reason": rng.choice(("correction", "goodwill", "migration")),
            "reference": draws.reference(),
        }
    message.pop("consent", None)
    if (message["direction"] == "take" or rng.random() < 0.05) and twist != "missing":
        message["consent"] = sign_consent(draws, message, sender, twist)
    return message
