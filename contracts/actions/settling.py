"""Settling: what a vote decides about a window: a dispute, a window that is not paid, who does not pay.

No statement is rewritten: what a dispute was right about is owed in the open window, and what was not paid is
owed again there, by whoever then has to.
"""

from __future__ import annotations

from msgspec.structs import replace

from contracts.mechanics.clearing import make_legs
from contracts.mechanics.enactment import Effects
from contracts.mechanics.halts import check_present, suspend
from contracts.mechanics.waterfall import share_default
from contracts.mechanics.windows import (
    abort,
    confirm_if_agreed,
    get_confirmed_window,
    get_statement,
    get_window,
)
from contracts.messages.actions import AbortWindow, DeclareDefault, ResolveDispute
from ledger.errors import Rejected
from ledger.rule import BlockContext
from ledger.state import StateView


def do_resolve_dispute(state: StateView, block: BlockContext, action: ResolveDispute) -> Effects:
    """The dispute is over and its party has agreed; what it was right about is owed in the open window."""
    window = get_window(state, action.window)
    if action.participant not in window.disputed:
        raise Rejected("NO_DISPUTE", participant=action.participant, window=action.window)
    for correction in action.corrections:
        for name in (correction.source, correction.destination):
            check_present(state, name)
    window = replace(
        window,
        agreed=tuple(sorted((*window.agreed, action.participant))),
        disputed=tuple(name for name in window.disputed if name != action.participant),
    )
    step = confirm_if_agreed(state, block, action.window, window)
    legs = make_legs(*((one.source, one.micros, "correction", one.destination) for one in action.corrections))
    return Effects(step.changes, legs, step.events)


def do_abort_window(state: StateView, block: BlockContext, action: AbortWindow) -> Effects:
    """What of the window was not paid is owed in the open one."""
    step = abort(state, action.window, get_confirmed_window(state, action.window))
    return Effects(step.changes, (), step.events)


def do_declare_default(state: StateView, block: BlockContext, action: DeclareDefault) -> Effects:
    """What the participant has not paid of the window is paid by others, and it is suspended."""
    window = get_confirmed_window(state, action.window)
    if action.participant == block.operator:
        raise Rejected("OPERATOR_STAYS", participant=action.participant)
    default = share_default(
        state,
        block,
        number=action.window,
        window=window,
        statement=get_statement(state, block, action.window),
        defaulter=action.participant,
    )
    return Effects([*default.changes, suspend(state, action.participant)], (), default.events, default.draws)
