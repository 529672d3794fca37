"""Windows: a closed one is confirmed, paid and settled, or what of it was not paid is brought over.

Each step is a pure function from a window's record to what it becomes, with the records to write and what
others want to hear; the rules and actions that lead to it say who may. Nothing here changes who owes whom:
settling relieves (`contracts.mechanics.exposure`), and what is brought over is owed again from the open
window.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from msgspec.structs import replace

from contracts.mechanics.due_work import CLOCK, WINDOW_DUE, get_due_key
from contracts.mechanics.exposure import relieve
from contracts.mechanics.parameters import get_parameter
from contracts.mechanics.settlement_records import (
    BROUGHT,
    OPEN_WINDOW,
    STATEMENT,
    WINDOW,
    OpenWindow,
    Transfer,
    WindowRecord,
)
from contracts.messages.statement import STATEMENT_DECODER, Statement
from ledger.codec import decode
from ledger.errors import Rejected
from ledger.outcome import Event
from ledger.rule import BlockContext
from ledger.state import StateView

CLOSED: Final = "closed"
CONFIRMED: Final = "confirmed"
SETTLED: Final = "settled"
ABORTED: Final = "aborted"
WAITING_MAX: Final = 128
"""Closed and confirmed windows with which nobody cuts one more by hand: there are only so many numbers, and
every window stays in memory.
"""

Change = tuple[str, str, Any]
Debt = tuple[str, str]
"""Debtor and creditor."""


class Step(NamedTuple):
    """What a window becomes."""

    changes: Sequence[Change]
    events: Sequence[Event] = ()


def get_window_key(number: int) -> str:
    """The state key of a window."""
    return f"{number:06d}"


def get_open_window(state: StateView, block: BlockContext) -> OpenWindow:
    """The window that this block's entries belong to, unless the block cuts it first."""
    found: OpenWindow | None = state.get(OPEN_WINDOW, OPEN_WINDOW)
    return OpenWindow(1, 1, block.founded_at, 0) if found is None else found


def get_window(state: StateView, number: int) -> WindowRecord:
    """The window that was cut. Raises `Rejected` ``WINDOW_UNKNOWN``."""
    found: WindowRecord | None = state.get(WINDOW, get_window_key(number))
    if found is None:
        raise Rejected("WINDOW_UNKNOWN", window=number)
    return found


def get_confirmed_window(state: StateView, number: int) -> WindowRecord:
    """The window, which waits to be paid.

    Raises `Rejected` ``WINDOW_UNKNOWN`` or ``WINDOW_NOT_CONFIRMED``.
    """
    window = get_window(state, number)
    if window.state != CONFIRMED:
        raise Rejected("WINDOW_NOT_CONFIRMED", window=number, state=window.state)
    return window


def get_statement(state: StateView, block: BlockContext, number: int) -> Statement:
    """The statement of a window that was cut, read once a block: it never changes, whatever is undone."""
    known = block.lasting[STATEMENT]
    statement: Statement | None = known.get(number)
    if statement is None:
        text: str = state.get(STATEMENT, get_window_key(number))
        statement = known[number] = decode(text.encode(), STATEMENT_DECODER)
    return statement


def is_waiting(window: WindowRecord) -> bool:
    """Whether it is neither settled nor aborted."""
    return window.state in (CLOSED, CONFIRMED)


def is_clock_over(block: BlockContext, window: WindowRecord) -> bool:
    """Whether the time to dispute is over: who was silent has agreed."""
    return block.time >= window.due_at


def is_attested(transfer: Transfer) -> bool:
    """Whether both sides have said that it was paid."""
    return bool(transfer.payer_reference and transfer.payee_reference)


def confirm_if_agreed(state: StateView, block: BlockContext, number: int, window: WindowRecord) -> Step:
    """The window as it stands, and confirmed where nobody disputes it and all have agreed, or their time to
    speak is over.
    """
    have_agreed = len(window.agreed) == len(window.parties) or is_clock_over(block, window)
    if window.disputed or not have_agreed:
        return Step([(WINDOW, get_window_key(number), window)])
    key = get_window_key(number)
    changes = end_clock(state, number, window)
    due_at = block.time + get_parameter(state, block, "payment_seconds") * 1000
    events = [Event(about=str(number), name="WINDOW_CONFIRMED")]
    window = replace(window, state=CONFIRMED, due_at=due_at)
    if not window.transfers:
        settled = settle_if_paid(state, number, window)
        return Step([*changes, *settled.changes], [*events, *settled.events])
    changes += [(WINDOW, key, window), (CLOCK, get_due_key(due_at, WINDOW_DUE, key), 1)]
    return Step(changes, events)


def settle_if_paid(
    state: StateView, number: int, window: WindowRecord, *, relieved: Mapping[str, int] | None = None
) -> Step:
    """The confirmed window as it stands, and settled where every transfer of it is attested: nobody owes
    what it came to owe in it any longer.

    ``relieved`` is what else each participant owes less; below zero, more.
    """
    amounts = dict(relieved or {})
    key = get_window_key(number)
    if not all(map(is_attested, window.transfers)):
        return Step([(WINDOW, key, window), *relieve(state, amounts)])
    _add_all(amounts, dict(window.debits))
    changes: list[Change] = [
        *end_clock(state, number, window),
        (WINDOW, key, replace(window, state=SETTLED)),
        *relieve(state, amounts),
    ]
    return Step(changes, [Event(about=str(number), name="WINDOW_SETTLED")])


def abort(state: StateView, number: int, window: WindowRecord) -> Step:
    """The confirmed window is over: what of it was not paid is owed in the open window.

    Carries stay where they went: they are of what could not be a whole unit, not of what was not paid.
    """
    unpaid = {
        (transfer.payer, transfer.payee): transfer.units * window.unit_micros
        for transfer in window.transfers
        if not is_attested(transfer)
    }
    amounts = dict(window.debits)
    _add_all(amounts, sum_debts(unpaid, sign=-1))
    changes: list[Change] = [
        *end_clock(state, number, window),
        (WINDOW, get_window_key(number), replace(window, state=ABORTED)),
        *bring_over(state, number, unpaid),
        *relieve(state, amounts),
    ]
    return Step(changes, [Event(about=str(number), name="WINDOW_ABORTED")])


def bring_over(state: StateView, number: int, debts: Mapping[Debt, int]) -> list[Change]:
    """The changes with which these debts of a window are owed in the open one."""
    changes: list[Change] = []
    for (debtor, creditor), micros in sorted(debts.items()):
        key = f"{debtor}|{creditor}|{get_window_key(number)}"
        changes.append((BROUGHT, key, (state.get(BROUGHT, key) or 0) + micros))
    return changes


def sum_debts(debts: Mapping[Debt, int], *, sign: int) -> dict[str, int]:
    """By debtor, what these come to."""
    sums: dict[str, int] = {}
    for (debtor, _), micros in debts.items():
        sums[debtor] = sums.get(debtor, 0) + sign * micros
    return sums


def end_clock(state: StateView, number: int, window: WindowRecord) -> list[Change]:
    """The changes after which nothing is due for the window, neither to be confirmed nor to be aborted."""
    key = get_due_key(window.due_at, WINDOW_DUE, get_window_key(number))
    # A clock that ran out on an open dispute has been taken down already.
    return [(CLOCK, key, None)] if state.get(CLOCK, key) is not None else []


def _add_all(amounts: dict[str, int], more: Mapping[str, int]) -> None:
    for name, micros in more.items():
        amounts[name] = amounts.get(name, 0) + micros
