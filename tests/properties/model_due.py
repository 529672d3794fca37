"""A block's own work in the model: lots whose day has passed, holds past their time."""

from __future__ import annotations

from typing import Any

from tests.properties.model_lots import make_outcome, make_rows, take
from tests.properties.model_spending import give_all_back
from tests.properties.model_state import Block, State
from tests.properties.model_values import NEVER, ceiling_of, floor_of

Entry = tuple[dict[str, Any], dict[str, Any]]
MINUTE, MINUTES_A_DAY = 60_000, 1_440


def find_due(state: State, block: Block) -> list[tuple[int, str, str, Any]]:
    """(minute due, kind, account or hold, what it is), in order, of all that has come due."""
    due: list[tuple[int, str, str, Any]] = []
    for (member, program), lots in state.accounts.items():
        for day in {like[0] for like, _ in lots if like[0] < NEVER}:
            minute = (day + 1) * MINUTES_A_DAY - block.offset
            due.append((minute, "e", f"{member}|{program}", (day, member, program)))
    for slot, hold in state.open_holds.items():
        sender, kind, program, day, reference = slot
        text = f"{day:07}|{sender}|{kind}|{program}|{reference}"
        due.append((ceiling_of(hold.expires, MINUTE), "h", text, slot))
    now = floor_of(block.time, MINUTE)
    return sorted((row for row in due if row[0] <= now), key=lambda row: row[:3])


def do_what_is_due(state: State, block: Block) -> list[Entry]:
    bound = state.parameter("due_entries_max", block.height)
    return [
        expire(state, block, *what) if kind == "e" else lapse(state, block, what)
        for _, kind, _, what in find_due(state, block)[:bound]
    ]


def expire(state: State, block: Block, day: int, member: str, program: str) -> Entry:
    gone = [lot for lot in state.free(member, program, block.day) if lot[0][0] == day]
    points = sum(there for _, there in gone)
    take(state, block, (member, program), gone)
    state.tally(program, "expired", points)
    message = {"@type": "expire", "day": day, "member": member, "program": program}
    return message, make_outcome(state, (member, program), lots=make_rows(gone), points=points)


def lapse(state: State, block: Block, slot: Any) -> Entry:
    sender, _, program, day, reference = slot
    message = {
        "@type": "lapse",
        "hold": reference,
        "hold_day": day,
        "member": state.open_holds[slot].member,
        "program": program,
        "sender": sender,
    }
    return message, give_all_back(state, block, slot, None, -1)
