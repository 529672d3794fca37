"""Halting: a kind of message or a program rests, and goes on; what ends a hold never rests."""

from __future__ import annotations

from msgspec import UnsetType

from contracts.mechanics import halts
from contracts.mechanics.enactment import Effects
from contracts.mechanics.records import PROGRAM
from contracts.messages.actions import Pause, Resume
from ledger.errors import Rejected
from ledger.rule import BlockContext
from ledger.state import StateView


def do_pause(state: StateView, block: BlockContext, action: Pause) -> Effects:
    """From this block on it rests."""
    message, program = _read_subject(state, action)
    return Effects([halts.pause(state, message=message, program=program)])


def do_resume(state: StateView, block: BlockContext, action: Resume) -> Effects:
    """From this block on it goes on."""
    message, program = _read_subject(state, action)
    return Effects([halts.resume(state, message=message, program=program)])


def _read_subject(state: StateView, action: Pause | Resume) -> tuple[str | None, str | None]:
    """Which kind of message or which program: one of the two."""
    message = None if isinstance(action.message, UnsetType) else action.message
    program = None if isinstance(action.program, UnsetType) else action.program
    if (message is None) == (program is None):
        raise Rejected("PAUSE_MALFORMED", message=message, program=program)
    if program is not None and state.get(PROGRAM, program) is None:
        raise Rejected("PROGRAM_UNKNOWN", program=program)
    return message, program
