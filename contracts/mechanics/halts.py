"""Halts: who is suspended or has left, and what is paused; easy to begin, and asked before anything else.

A suspended participant finishes what it began and serves its own members; its points go on nowhere else. Of
who has left nothing goes on: nobody may come to owe it anything, or be owed. What a block does by itself
never rests. Where nothing rests there is no record, and nobody pays for asking.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec.structs import replace

from contracts.mechanics.governance_records import HALT, Halt
from contracts.mechanics.records import PARTICIPANT, PROGRAM, Program
from contracts.messages import (
    AddKey,
    AttestPayment,
    Award,
    Capture,
    Countersign,
    Earn,
    Exchange,
    Hold,
    Redeem,
    Refund,
    Release,
    ReturnOrder,
    RevokeKey,
    Vote,
)
from ledger.errors import Rejected
from ledger.rule import BlockContext, Guard
from ledger.state import StateView

Change = tuple[str, str, Halt | None]

NOTHING_RESTS: Final = Halt((), (), (), ())
_FINISHING: Final = frozenset(
    {Capture, Release, Refund, ReturnOrder, AddKey, RevokeKey, Vote, Countersign, AttestPayment}
)
"""What a suspended participant may still send."""
_AT_HOME: Final = frozenset({Redeem, Hold})
"""And for its own program."""
_ELSEWHERE: Final = frozenset({Earn, Award, Redeem, Hold, Exchange})
"""What nobody else does with a suspended issuer's points."""
_ENDS_A_HOLD: Final = frozenset({Capture, Release})


def get_halt(state: StateView) -> Halt:
    """What rests."""
    halt: Halt | None = state.get(HALT, HALT)
    return NOTHING_RESTS if halt is None else halt


def change_halt(halt: Halt) -> Change:
    """The change after which this rests: no record where nothing does."""
    return HALT, HALT, None if halt == NOTHING_RESTS else halt


def suspend(state: StateView, participant: str) -> Change:
    """The change that suspends a participant, whether or not it was."""
    halt = get_halt(state)
    return change_halt(replace(halt, suspended=_with(halt.suspended, participant)))


def reinstate(state: StateView, participant: str) -> Change:
    """The change that ends a suspension."""
    halt = get_halt(state)
    return change_halt(replace(halt, suspended=_without(halt.suspended, participant)))


def remove(state: StateView, participant: str) -> Change:
    """The change with which a participant has left, suspended or not."""
    halt = get_halt(state)
    return change_halt(
        replace(
            halt,
            removed=_with(halt.removed, participant),
            suspended=_without(halt.suspended, participant),
        )
    )


def check_present(state: StateView, participant: str) -> None:
    """It takes part and has not left. Raises `Rejected` ``PARTICIPANT_UNKNOWN``."""
    if state.get(PARTICIPANT, participant) is None or participant in get_halt(state).removed:
        raise Rejected("PARTICIPANT_UNKNOWN", participant=participant)


def pause(state: StateView, *, message: str | None, program: str | None) -> Change:
    """The change that pauses a kind of message or a program. Raises `Rejected` ``ALREADY_PAUSED``."""
    halt = get_halt(state)
    if message in halt.messages or program in halt.programs:
        raise Rejected("ALREADY_PAUSED", message=message, program=program)
    return change_halt(
        replace(halt, messages=_with(halt.messages, message), programs=_with(halt.programs, program))
    )


def resume(state: StateView, *, message: str | None, program: str | None) -> Change:
    """The change that ends a pause. Raises `Rejected` ``NOT_PAUSED``."""
    halt = get_halt(state)
    if message not in halt.messages and program not in halt.programs:
        raise Rejected("NOT_PAUSED", message=message, program=program)
    return change_halt(
        replace(halt, messages=_without(halt.messages, message), programs=_without(halt.programs, program))
    )


def _with(names: tuple[str, ...], name: str | None) -> tuple[str, ...]:
    return names if name is None else tuple(sorted({*names, name}))


def _without(names: tuple[str, ...], name: str | None) -> tuple[str, ...]:
    return tuple(each for each in names if each != name)


def find_guard(state: StateView, block: BlockContext, sender: str) -> Guard | None:
    """What stands in the way of a sender's messages in this block; None where nothing rests.

    Only an enactment changes what rests, at the block's beginning, so it is the same for all of a block.
    """
    halt: Halt | None = state.get(HALT, HALT)
    if halt is None:
        return None
    known = block.memo[HALT]
    guard: Guard | None = known.get(sender)
    if guard is None:
        guard = known[sender] = _make_guard(state, halt, sender)
    return guard


def _make_guard(state: StateView, halt: Halt, sender: str) -> Guard:
    """The checks of docs/spec/governance.md, "What rests", in their order."""

    def guard(message: Any) -> None:
        if sender in halt.removed:
            raise Rejected("PARTICIPANT_REMOVED", participant=sender)
        kind = type(message)
        programs = [name for name in _list_programs(message) if name is not None]
        for name in programs if halt.removed else ():
            record: Program | None = state.get(PROGRAM, name)
            if record is not None and record.issuer in halt.removed:
                raise Rejected("PARTICIPANT_REMOVED", participant=record.issuer)
        if halt.suspended:
            _check_suspended(state, halt, sender, kind, programs)
        if kind.__struct_config__.tag in halt.messages:
            raise Rejected("RULE_PAUSED", message=kind.__struct_config__.tag)
        if kind not in _ENDS_A_HOLD and any(name in halt.programs for name in programs):
            raise Rejected("PROGRAM_PAUSED", programs=programs)

    return guard


def _list_programs(message: Any) -> tuple[str | None, str | None]:
    return getattr(message, "program", None), getattr(message, "target", None)


def _check_suspended(state: StateView, halt: Halt, sender: str, kind: type, programs: list[str]) -> None:
    """Neither the sender nor the points' issuer is suspended, or it does not matter here."""
    records: list[Program | None] = [state.get(PROGRAM, name) for name in programs]
    issuers = {record.issuer for record in records if record is not None}
    if sender in halt.suspended and kind not in _FINISHING and not (kind in _AT_HOME and issuers == {sender}):
        raise Rejected("PARTICIPANT_SUSPENDED", participant=sender)
    if kind in _ELSEWHERE:
        for issuer in sorted(issuers - {sender}):
            if issuer in halt.suspended:
                raise Rejected("PARTICIPANT_SUSPENDED", participant=issuer)
