"""Random holds and what is to become of them, refunds and gifts, each honest or wrong in one chosen way."""

from __future__ import annotations

from typing import Any

from tests.properties.draw_accounts import find_account
from tests.properties.draw_consent import CONSENT_TWISTS, sign_consent
from tests.properties.draw_issuing import point_at, return_reference
from tests.properties.draw_points import NOWHERE, REDEEM_TWISTS, TWISTS, redeem, repeat, when
from tests.properties.draws import DAY, Draws
from tests.properties.model_state import Hold, Slot

HOLD_TWISTS = (*REDEEM_TWISTS, "over", "over", "instant", "hold_long", "hold_long", "hold_edge", "last_day")
FINAL_TWISTS = (
    *("again", "conflict", "future", "edge_future", "old", "above", "above", "unknown", "other_member"),
    *("wrong_day", "other_program", "foreign", "final", "final"),
)
REFUND_TWISTS = (
    *("again", "conflict", "future", "old", "above", "above", "unknown", "other_member", "wrong_day"),
    *("other_type", "other_program", "foreign", "sixty", "same_reference", "sleeper", "sleeper", "sleeper"),
)
GIFT_TWISTS = (
    *TWISTS,
    *CONSENT_TWISTS,
    *("no_program", "same", "no_member", "no_recipient", "too_many", "all", "collector", "collector"),
    *("expired_lot", "last_day", "second_life", "second_life"),
)
Found = tuple[Slot, Hold]


def hold(draws: Draws, sender: str) -> dict[str, Any]:
    """As a redemption, but the points are only set aside."""
    rng = draws.rng
    twist = draws.twist(HOLD_TWISTS)
    message = repeat(draws, sender, "hold", twist)
    if message is None:
        longest = 1000 * draws.parameter("hold_seconds_max")
        ahead = min(longest, rng.choice((60_000, 3_600_000, DAY, 3 * DAY, longest)))
        expires = {
            "over": draws.time - rng.randrange(2),
            "instant": draws.time + 1,
            "hold_long": draws.time + longest + 1,
            "hold_edge": draws.time + longest,
        }
        at = draws.time + rng.randrange(1, ahead + 1)
        if rng.random() < 0.2:
            at = max(draws.time + 1, at // 60_000 * 60_000)
        message = redeem(draws, sender, "hold", twist)
        message["expires"] = expires.get(twist or "", at)
        return message
    message.pop("consent", None)
    if twist != "missing":
        message["consent"] = sign_consent(draws, message, sender, twist)
    return message


def spend(draws: Draws, sender: str, kind: str, twist: str) -> dict[str, Any]:
    """A redemption or a hold of this very twist."""
    message = redeem(draws, sender, kind, twist)
    return {**message, "expires": draws.time + 60_000} if kind == "hold" else message


def find_hold(draws: Draws, sender: str, twist: str | None) -> Found | None:
    """An open hold of the sender, or one that is final."""
    rng = draws.rng
    who = rng.choice(sorted(draws.state.participants)) if twist == "foreign" else sender
    table = draws.state.open_holds
    if twist == "final" or (who == sender and rng.random() < 0.05):
        table = draws.state.final_holds
    own = [(slot, held) for slot, held in table.items() if slot[0] == who]
    return rng.choice(own[-12:] if rng.random() < 0.8 else own) if own else None


def find_late_hold(draws: Draws) -> tuple[str, Found] | None:
    """An open hold with a lot whose day has passed, and whose it is."""
    late = [
        (slot[0], (slot, held))
        for slot, held in draws.state.open_holds.items()
        if held.expires > draws.time and any(like[0] < draws.today for like, _ in held.lots)
    ]
    return draws.rng.choice(late) if late else None


def find_due_hold(draws: Draws) -> tuple[str, Found] | None:
    """An open hold whose time has come, and whose it is."""
    due = [
        (slot[0], (slot, held)) for slot, held in draws.state.open_holds.items() if held.expires <= draws.time
    ]
    return draws.rng.choice(due) if due else None


def finish(draws: Draws, sender: str, kind: str) -> dict[str, Any]:
    """`capture` or `release`."""
    twist = draws.twist(FINAL_TWISTS)
    if (message := repeat(draws, sender, kind, twist)) is not None:
        return message
    found = find_hold(draws, sender, twist)
    return hold(draws, sender) if found is None else finish_hold(draws, kind, found, twist)


def finish_hold(draws: Draws, kind: str, found: Found, twist: str | None) -> dict[str, Any]:
    """This hold is captured or released."""
    rng = draws.rng
    (_, _, program, day, reference), held = found
    message = {
        "@type": kind,
        "hold": "r:none" if twist == "unknown" else reference,
        "hold_day": day + rng.choice((-1, 1)) if twist == "wrong_day" else day,
        "member": rng.choice((draws.member(), draws.stranger)) if twist == "other_member" else held.member,
        "occurred_at": when(draws, twist),
        "program": rng.choice((NOWHERE, *sorted(draws.state.programs)))
        if twist == "other_program"
        else program,
    }
    if kind == "capture":
        points = sum(there for _, there in held.lots)
        part = rng.choice((points, points, rng.randrange(points) + 1))
        message["points"] = min(10**9, points + 1 if twist == "above" else part)
    return message


def capture(draws: Draws, sender: str) -> dict[str, Any]:
    return finish(draws, sender, "capture")


def release(draws: Draws, sender: str) -> dict[str, Any]:
    return finish(draws, sender, "release")


def find_sleeper(draws: Draws, sender: str | None) -> tuple[str, dict[str, Any]] | None:
    """A late spending of lots whose day has passed since, not all of which came back, and whose it was."""
    horizon = draws.parameter("refund_horizon_days")
    fitting = []
    for slot, spent in list(draws.state.spent.items())[-400:]:
        days = [like[0] for like, _ in spent.lots]
        whole = sum(points for _, points in spent.lots)
        if (
            sender in (None, slot[0])
            and draws.today - slot[3] <= horizon
            and draws.today - 91 <= min(days) < draws.today
            and spent.refunded < whole
        ):
            fitting.append((slot, spent.member, whole))
    if not fitting:
        return None
    slot, member, whole = draws.rng.choice(fitting)
    day = slot[3] * DAY - draws.model.offset * 60_000
    message = {"@type": slot[1], "member": member, "occurred_at": day, "points": whole}
    return slot[0], {**message, "program": slot[2], "reference": slot[4]}


def refund(draws: Draws, sender: str) -> dict[str, Any]:
    twist = draws.twist(REFUND_TWISTS)
    if (message := repeat(draws, sender, "refund", twist)) is not None:
        return message
    who = draws.rng.choice(sorted(draws.state.participants)) if twist == "foreign" else sender
    sleeper = find_sleeper(draws, who) if twist == "sleeper" else None
    original = sleeper[1] if sleeper else draws.find_done(who, "redeem", "redeem", "hold")
    if original is not None and draws.slot_of(who, original) not in draws.state.spent:
        original = draws.find_done(who, "redeem") or original
    return redeem(draws, sender) if original is None else refund_of(draws, who, original, twist)


def refund_of(draws: Draws, who: str, original: dict[str, Any], twist: str | None) -> dict[str, Any]:
    """Some or all of what was spent comes back."""
    rng = draws.rng
    slot = draws.slot_of(who, original)
    spent = draws.state.spent.get(slot)
    whole = sum(points for _, points in spent.lots) if spent else original["points"]
    left = whole - spent.refunded if spent else whole
    points = rng.choice((left, left, -(-whole * 6 // 10), 1, rng.randrange(max(1, left)) + 1))
    if twist in ("above", "sixty"):
        points = left + 1 if twist == "above" else -(-whole * 6 // 10)
    message = {
        "@type": "refund",
        "member": original["member"],
        "occurred_at": when(draws, twist),
        "original": original["reference"],
        "original_day": slot[3],
        "original_type": original["@type"],
        "points": min(10**9, max(1, points)),
        "program": original["program"],
        "reference": return_reference(draws, spent.refunds if spent else (), twist),
    }
    return point_at(draws, message, twist)


def gift(draws: Draws, sender: str) -> dict[str, Any]:
    rng = draws.rng
    twist = draws.twist(GIFT_TWISTS)
    message = repeat(draws, sender, "gift", twist)
    if message is None:
        programs = sorted(draws.state.programs)
        if twist == "collector":
            programs = [draws.collector[1]]
        account = find_account(draws, sender, twist, programs)
        member, program = account or (draws.member(), rng.choice(programs))
        there = draws.spendable(member, program)
        points = rng.choice((rng.randrange(there) + 1, there)) if there else 1
        points = {"too_many": there + 1, "all": max(1, there)}.get(twist or "", points)
        recipient = draws.collector[2] if twist == "collector" else draws.member()
        message = {
            "@type": "gift",
            "member": draws.stranger if twist == "no_member" else member,
            "occurred_at": when(draws, twist),
            "points": min(10**9, points),
            "program": NOWHERE if twist == "no_program" else program,
            "recipient": {"same": member, "no_recipient": draws.stranger}.get(twist or "", recipient),
            "reference": draws.reference(),
        }
    message["consent"] = sign_consent(draws, message, message["recipient"], twist)
    return message
