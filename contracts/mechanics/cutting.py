"""Cutting: what the open window comes to when a block ends it, before anything of the block itself.

At the start of a block the core's sums by pair and reason stand for exactly the blocks before it; less what
the last cut found there, they are the window's. So a window over a million entries costs no more to cut than
one over a thousand, and no other block does anything for it.
"""

from __future__ import annotations

from typing import Any

from contracts.mechanics.due_work import CLOCK, WINDOW_DUE, get_due_key
from contracts.mechanics.parameters import get_parameter
from contracts.mechanics.settlement_records import (
    BRANDS,
    BROUGHT,
    CARRY,
    OPEN_WINDOW,
    STATED,
    STATEMENT,
    WINDOW,
    OpenWindow,
    Transfer,
    WindowRecord,
)
from contracts.mechanics.statement import WindowSums, compute_statement, hash_statement
from contracts.mechanics.windows import CLOSED, get_window_key
from contracts.messages.statement import Statement
from ledger.codec import encode
from ledger.rule import BlockContext
from ledger.state import StateView
from ledger.totals import OWED_TABLE

WINDOWS_MAX = 999_999
"""The last number that a window can have: that one is never cut."""

CARRY_REASON = "carry"
"""Of the leg with which the operator takes over what whole units left over of somebody who left."""

Change = tuple[str, str, Any]


def is_due(state: StateView, block: BlockContext, window: OpenWindow) -> bool:
    """Whether this block ends the open window: somebody said so, or its days are over.

    Where somebody left with this very block the next one does, so that a carry meets the leg that clears it.
    """
    if any(reason == CARRY_REASON for _, _, reason in block.owed):
        return False
    if 0 < window.cut_height <= block.height:
        return window.number < WINDOWS_MAX
    days = get_parameter(state, block, "window_days")
    return 0 < days <= block.day - block.day_of(window.opened_at) and window.number < WINDOWS_MAX


def cut(state: StateView, block: BlockContext, window: OpenWindow) -> tuple[list[Change], str]:
    """The changes with which the window is closed and stated and the next one open; its statement's hash."""
    sums = collect_sums(state, block, window)
    statement = compute_statement(sums)
    data: bytes = encode(statement)
    key = get_window_key(window.number)
    record = _make_record(state, block, window, sums=sums, statement=statement, data=data)
    changes: list[Change] = [
        (
            STATED,
            f"{source}|{destination}|{reason}",
            state.get(OWED_TABLE, f"{source}|{destination}|{reason}"),
        )
        for source, destination, reason in sums.lines
    ]
    changes += [(BROUGHT, brought, None) for brought, _ in state.list_records(BROUGHT)]
    for position in statement.positions:
        carry = int(position.carry_after)
        if carry != sums.carries.get(position.participant, 0):
            changes.append((CARRY, position.participant, carry or None))
    changes += [
        (STATEMENT, key, data.decode()),
        (WINDOW, key, record),
        (OPEN_WINDOW, OPEN_WINDOW, OpenWindow(window.number + 1, block.height, block.time, 0)),
        (CLOCK, get_due_key(record.due_at, WINDOW_DUE, key), 1),
    ]
    return changes, record.statement


def collect_sums(state: StateView, block: BlockContext, window: OpenWindow) -> WindowSums:
    """What the entries since the last cut, and what was brought over since, come to."""
    lines: dict[tuple[str, str, str], int] = {}
    for key, owed in state.list_records(OWED_TABLE):
        micros = owed - (state.get(STATED, key) or 0)
        if micros:
            source, destination, reason = key.split("|")
            lines[source, destination, reason] = micros
    brought: dict[tuple[str, str, int], int] = {}
    for key, micros in state.list_records(BROUGHT):
        source, destination, number = key.split("|")
        brought[source, destination, int(number)] = micros
    before = state.get(WINDOW, get_window_key(window.number - 1))
    return WindowSums(
        chain=block.chain,
        currency=block.currency,
        window=window.number,
        first_height=window.first_height,
        last_height=block.height - 1,
        closed_at=block.time,
        payment_unit_micros=get_parameter(state, block, "payment_unit_micros"),
        lines=lines,
        brought=brought,
        carries=dict(state.list_records(CARRY)),
        brands={name: brands.shares for name, brands in state.list_records(BRANDS)},
        previous=None if before is None else before.statement,
    )


def _make_record(
    state: StateView,
    block: BlockContext,
    window: OpenWindow,
    *,
    sums: WindowSums,
    statement: Statement,
    data: bytes,
) -> WindowRecord:
    debits: dict[str, int] = {}
    for owed in (sums.lines, sums.brought):
        for key, micros in owed.items():
            debits[key[0]] = debits.get(key[0], 0) + micros
    return WindowRecord(
        first_height=window.first_height,
        last_height=sums.last_height,
        opened_at=window.opened_at,
        closed_at=block.time,
        statement=hash_statement(data),
        state=CLOSED,
        parties=tuple(position.participant for position in statement.positions),
        agreed=(),
        disputed=(),
        due_at=block.time + get_parameter(state, block, "confirmation_seconds") * 1000,
        unit_micros=statement.payment_unit_micros,
        transfers=tuple(
            Transfer(one.source, one.destination, one.units, "", "") for one in statement.transfers
        ),
        debits=tuple(sorted(debits.items())),
    )
