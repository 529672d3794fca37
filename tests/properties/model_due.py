"""A block's own work in the model: what was decided, the cut, and what day and minute ask for."""

from __future__ import annotations

from typing import Any

from tests.properties.model_governance import close_proposal, enact, find_closings, find_enactments
from tests.properties.model_lots import make_outcome, make_rows, take
from tests.properties.model_settlement import cut, find_clocks, is_cut_due, tend
from tests.properties.model_spending import give_all_back
from tests.properties.model_state import Block, State
from tests.properties.model_values import NEVER, ceiling_of, floor_of

Entry = tuple[dict[str, Any], dict[str, Any]]
MINUTE, MINUTES_A_DAY = 60_000, 1_440


def find_due(state: State, block: Block) -> list[tuple[int, str, str, Any]]:
    """(minute due, kind, account or hold, what it is) of all that has come due: what waits by a clock first,
    and each in order.
    """
    due: list[tuple[int, str, str, Any]] = []
    for (member, program), lots in state.accounts.items():
        for day in {like[0] for like, _ in lots if like[0] < NEVER}:
            minute = (day + 1) * MINUTES_A_DAY - block.offset
            due.append((minute, "e", f"{member}|{program}", (day, member, program)))
    for slot, hold in state.open_holds.items():
        sender, kind, program, day, reference = slot
        text = f"{day:07}|{sender}|{kind}|{program}|{reference}"
        due.append((ceiling_of(hold.expires, MINUTE), "h", text, slot))
    due += find_closings(state)
    due += find_clocks(state)
    now = floor_of(block.time, MINUTE)
    return sorted((row for row in due if row[0] <= now), key=lambda row: (row[1] not in "pw", row[:3]))


def do_what_is_due(state: State, block: Block) -> list[Entry]:
    """What was decided, then the cut, then what has come due."""
    entries = [enact(state, block, name) for name in find_enactments(state, block)]
    if is_cut_due(state, block):
        entries.append(cut(state, block))
    bound = state.parameter("due_entries_max", block.height)
    return entries + [DO[kind](state, block, what) for _, kind, _, what in find_due(state, block)[:bound]]


def expire(state: State, block: Block, what: tuple[int, str, str]) -> Entry:
    day, member, program = what
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


DO = {
    "e": expire,
    "h": lapse,
    "p": lambda state, _block, name: close_proposal(state, name),
    "w": tend,
}
"""In the order in which what is due in one minute is done."""
