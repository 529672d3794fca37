"""What comes after a success in a random history: it is completed or undone, once too often or too late."""

from __future__ import annotations

from typing import Any

from tests.properties import draw_holds, draw_issuing
from tests.properties.alliance import PARTICIPANTS
from tests.properties.clock import SECOND
from tests.properties.draws import DAY, Draws
from tests.properties.model_values import FOREVER

Transaction = dict[str, Any]


def wake(history: Any) -> list[Transaction]:
    """Something spent comes back whose day has passed."""
    sleeper = draw_holds.find_sleeper(history.draws, None)
    if sleeper is None:
        return []
    sender, original = sleeper
    parts = [draw_holds.refund_of(history.draws, sender, original, None) for _ in range(2)]
    return [history.send(sender, "transact", parts, not_after=history.draws.time + 10 * SECOND)]


def hold_on(history: Any) -> list[Transaction]:
    """Points are held that lapse within days, for longer than that."""
    draws = history.draws
    ending = [
        program
        for member, program in draws.accounts
        if any(0 <= like[0] - draws.today < 3 for like, _ in draws.state.accounts[member, program])
    ]
    if not ending:
        return []
    program = history.rng.choice(ending)
    sender = draws.state.programs[program].issuer
    message = draw_holds.spend(draws, sender, "hold", "last_day")
    longest = min(1000 * draws.parameter("hold_seconds_max"), 9 * DAY)
    message["expires"] = draws.time + longest
    return [history.send(sender, "transact", [message], not_after=draws.time + 10 * SECOND)]


def finish_late(history: Any) -> list[Transaction]:
    """A hold is captured or released after the day of its lots."""
    held = draw_holds.find_late_hold(history.draws)
    if held is None:
        return []
    kind = history.rng.choice(("capture", "release"))
    sender, found = held
    message = draw_holds.finish_hold(history.draws, kind, found, None)
    return [history.send(sender, "till", [message], not_after=history.draws.time + 10 * SECOND)]


def finish_due(history: Any) -> list[Transaction]:
    """Somebody asks for a hold whose time has come, at the latest moment or after it."""
    due = draw_holds.find_due_hold(history.draws)
    if due is None:
        return []
    sender, found = due
    kind = history.rng.choice(("release", "release", "capture"))
    message = draw_holds.finish_hold(history.draws, kind, found, None)
    return [history.send(sender, "till", [message], not_after=history.draws.time + 10 * SECOND)]


def owe(history: Any) -> list[Transaction]:
    """Goods come back whose points are held or spent; and mostly these come back as well, at once."""
    draws, rng = history.draws, history.rng
    state = draws.state
    held = {(hold.member, slot[2]): (slot, hold) for slot, hold in state.open_holds.items()}
    fitting = [
        (slot, earned)
        for slot, earned in state.earned.items()
        if (earned.member, slot[2]) in held
        and earned.returned < earned.amount
        and earned.points > sum(n for _, n in state.free(earned.member, slot[2], draws.today))
    ]
    if not fitting:
        return []
    (sender, kind, program, day, reference), earned = rng.choice(fitting)
    known = {"@type": kind, "amount": earned.amount, "program": program, "reference": reference}
    at = day * DAY - draws.model.offset * 60_000
    known |= {"member": earned.member, "occurred_at": at}
    back = draw_issuing.return_of(draws, sender, known, None) | {"amount": earned.amount - earned.returned}
    deadline = {"not_after": draws.time + 10 * SECOND}
    block = [history.send(sender, "transact", [back], **deadline)]
    if rng.random() < 0.7:
        found = held[earned.member, program]
        message = draw_holds.finish_hold(draws, rng.choice(("release", "capture", "capture")), found, None)
        if message["@type"] == "capture":
            message["points"] = rng.randrange(message["points"]) + 1
        block.append(history.send(found[0][0], "till", [message], **deadline))
    return block


def spend_at_till(history: Any) -> list[Transaction]:
    """A till that has limits spends without asking, just as much as it may or a little more."""
    keys = history.model.state.keys
    tills = [name for name in history.model.state.tills if keys[name].valid_to == FOREVER]
    if not tills:
        return []
    key = history.rng.choice(tills)
    sender = keys[key].participant
    kinds = [history.rng.choice(("redeem", "hold")) for _ in range(3)]
    messages = [draw_holds.spend(history.draws, sender, kind, "own_till") for kind in kinds]
    header = {"id": history.alliance.next_id("t-"), "not_after": history.draws.time + 10 * SECOND}
    return [history.alliance.sign_transaction(history.alliance.pairs[key], sender, messages, **header)]


def crumble(history: Any) -> list[Transaction]:
    """One spending or order that comes back in more parts than may be."""
    sender = history.rng.choice(PARTICIPANTS)
    kind = history.rng.choice(("redeem", "hold", "earn"))
    original = history.draws.find_done(sender, kind)
    known = history.model.state.spent, history.model.state.earned
    if original is None or not any(history.draws.slot_of(sender, original) in table for table in known):
        return []
    of = draw_issuing.return_of if kind == "earn" else draw_holds.refund_of
    part = of(history.draws, sender, original, None)
    part |= {"amount": 1} if kind == "earn" else {"points": 1}
    parts = [{**part, "reference": history.draws.reference()} for _ in range(18)]
    return [history.send(sender, "transact", parts, not_after=history.draws.time + 10 * SECOND)]


def follow(draws: Draws, sender: str, message: dict[str, Any]) -> dict[str, Any] | None:
    """What completes or undoes a message of this very transaction."""
    kind = message["@type"]
    if "reference" not in message or kind not in ("earn", "award", "redeem", "hold"):
        return None
    if kind in ("earn", "award"):
        return draw_issuing.return_of(draws, sender, message, None)
    if kind == "redeem" or draws.rng.random() < 0.3:
        return draw_holds.refund_of(draws, sender, message, None)
    slot = draws.slot_of(sender, message)
    final = {
        "hold": message["reference"],
        "hold_day": slot[3],
        "member": message["member"],
        "occurred_at": draws.time,
        "program": message["program"],
    }
    points = draws.rng.randrange(message["points"]) + 1
    if draws.rng.random() < 0.3:
        return {"@type": "release", **final}
    return {"@type": "capture", **final, "points": points}
