"""What a participant owes that is not settled, in the model: its limit, what stands behind it, what is told
when it nears; and how many points a program may issue.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.properties.model_state import Block, Cover, Grant, State, reject

OK = {"code": "OK"}
ALERTS = (90, 75, 50)
ALERTING = {"redeem", "hold", "exchange", "earn", "award"}
"""What is checked against a limit tells when it nears; what always goes on does not."""
Message = dict[str, Any]


def find_owed(state: State, who: str) -> int:
    """Every leg it owes since genesis, without what is relieved, and what it would owe for open holds."""
    held = 0
    for (acceptor, _, program, _, _), hold in state.open_holds.items():
        if state.programs[program].issuer == who != acceptor:
            held += sum(points * par for (_, points), par in zip(hold.lots, hold.pars, strict=True))
    return state.debited.get(who, 0) - state.relieved.get(who, 0) + held


def find_cover(state: State, block: Block, who: str) -> Cover | None:
    """What is attested, nothing once its time is over; None where nothing ever was."""
    cover = state.covers.get(who)
    if cover is None or block.time < cover.expires:
        return cover
    return cover._replace(cover=0, reserve=0)


def find_limit(state: State, block: Block, who: str) -> int | None:
    """The smaller of cap and cover; None where there is neither."""
    cover = find_cover(state, block, who)
    limits = [state.caps[who]] if who in state.caps else []
    limits += [cover.cover] if cover is not None else []
    return min(limits, default=None)


def check_cap(state: State, block: Block, who: str, micros: int, code: str) -> None:
    """These debits too stay within the limit; who owes nothing more passes nothing."""
    limit = find_limit(state, block, who)
    if micros and limit is not None and find_owed(state, who) + micros > limit:
        reject(code)


def set_cap(state: State, block: Block, action: Message) -> None:
    """As a message and as an action."""
    who, cap = action["participant"], action["cap"]
    if who not in state.participants:
        reject("PARTICIPANT_UNKNOWN")
    cover = state.covers.get(who)
    if cover is not None and block.time < cover.expires and cap > cover.cover:
        reject("CAP_ABOVE_COVER")
    state.caps[who] = cap


def find_alerted(state: State, who: Iterable[str], block: Block) -> dict[str, tuple[int, int]]:
    """Who of these has a limit: it, and what they owe."""
    limits = {one: find_limit(state, block, one) for one in who}
    return {one: (limit, find_owed(state, one)) for one, limit in limits.items() if limit is not None}


def find_alerts(state: State, before: dict[str, tuple[int, int]]) -> list[dict[str, Any]]:
    """What is told of those whose debts reached a share of their limit that they had not reached before."""
    events = []
    for who, (limit, owed) in sorted(before.items()):
        reached = [share for share in ALERTS if find_owed(state, who) * 100 >= share * limit]
        if reached and owed * 100 < reached[0] * limit:
            events.append({"about": who, "name": f"EXPOSURE_{reached[0]}"})
    return events


def check_trustee(state: State, sender: str) -> None:
    if sender != state.standing["trustee"]:
        reject("NOT_TRUSTEE")


def attest_cover(state: State, _block: Block, sender: str, message: Message) -> dict[str, Any]:
    check_trustee(state, sender)
    if message["participant"] not in state.participants:
        reject("PARTICIPANT_UNKNOWN")
    state.covers[message["participant"]] = Cover(message["cover"], message["reserve"], message["expires"])
    return OK


def attest_fund(state: State, _block: Block, sender: str, message: Message) -> dict[str, Any]:
    check_trustee(state, sender)
    state.standing["fund"] = message["fund"]
    return OK


def set_budget(state: State, action: Message) -> None:
    if action["program"] not in state.programs:
        reject("PROGRAM_UNKNOWN")
    day, total = action["budget_day"], action["budget_total"]
    state.budgets[action["program"]] = Grant(day, total, 0, 0, 0, 0)


def check_budget(state: State, block: Block, program: str, points: int) -> None:
    if program in state.budgets and not state.budgets[program].allows(points, block.day):
        reject("ISSUANCE_EXHAUSTED")


def use_budget(state: State, block: Block, program: str, points: int) -> None:
    if program in state.budgets:
        state.budgets[program] = state.budgets[program].after(points, block.day)
