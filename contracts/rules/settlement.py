"""Settlement: a window is cut, agreed or disputed by those who stand in it, and paid.

A block cuts at its beginning, before its own entries: where the operator has named its height, or where the
alliance's days for a window are over. What the window comes to is one statement, whose hash is the entry's.
Who stands in it agrees or disputes; silence agrees when its time is over. Payments happen at banks: here both
sides say that they did. What nobody says in time is owed again in the open window.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from contracts.mechanics import cutting
from contracts.mechanics.due_work import Due
from contracts.mechanics.settlement_records import OPEN_WINDOW, STATEMENT, WINDOW, Transfer
from contracts.mechanics.statement import ROUNDING_PREFIX
from contracts.mechanics.windows import (
    CLOSED,
    WAITING_MAX,
    Step,
    abort,
    confirm_if_agreed,
    end_clock,
    get_confirmed_window,
    get_open_window,
    get_statement,
    get_window,
    get_window_key,
    is_clock_over,
    is_waiting,
    settle_if_paid,
)
from contracts.messages.reject_codes import OK
from contracts.messages.settlement import Abort, AttestPayment, Confirm, Countersign, Cut, CutWindow
from ledger.errors import Rejected
from ledger.outcome import Event, Outcome
from ledger.rule import NO_READS, Asked, BlockContext, Decision, DueWork, Rule
from ledger.state import Key, StateView


def cut_window(state: StateView, asked: Asked, message: CutWindow) -> Decision:
    """The open window ends before the height that is named."""
    if asked.sender != asked.block.operator:
        raise Rejected("NOT_OPERATOR", sender=asked.sender)
    if message.effective_height <= asked.block.height:
        raise Rejected("HEIGHT_NOT_AHEAD", height=message.effective_height)
    waiting = sum(is_waiting(record) for _, record in state.list_records(WINDOW))
    if waiting >= WAITING_MAX:
        raise Rejected("TOO_MANY_WINDOWS", waiting=waiting, allowed=WAITING_MAX)
    window = replace(get_open_window(state, asked.block), cut_height=message.effective_height)
    return Decision(Outcome(code=OK), (), [(OPEN_WINDOW, OPEN_WINDOW, window)])


def cut_due(state: StateView, block: BlockContext) -> Iterable[DueWork]:
    """The open window is closed and stated, where this block ends it."""
    window = get_open_window(state, block)
    if cutting.is_due(state, block, window):
        changes, digest = cutting.cut(state, block, window)
        closed = Event(about=str(window.number), name="WINDOW_CLOSED")
        outcome = Outcome(code=OK, events=[closed], statement=digest)
        yield DueWork(Cut(window.number), Decision(outcome, (), changes))


def countersign(state: StateView, asked: Asked, message: Countersign) -> Decision:
    """The sender agrees with a statement in which it stands, or disputes lines of it."""
    # CHECK: the window and that it waits, the sender, the statement, the lines, what it said before.
    block, sender = asked.block, asked.sender
    window = get_window(state, message.window)
    if window.state != CLOSED:
        raise Rejected("WINDOW_NOT_CLOSED", window=message.window, state=window.state)
    if sender not in window.parties:
        raise Rejected("NOT_IN_WINDOW", sender=sender)
    if message.statement != window.statement:
        raise Rejected("STATEMENT_DIFFERS", statement=window.statement)
    _check_lines(state, asked, message)
    agrees = message.verdict == "agree"
    has_agreed = sender in window.agreed or (is_clock_over(block, window) and sender not in window.disputed)
    if has_agreed or (sender in window.disputed and not agrees):
        raise Rejected("ALREADY_SIGNED", sender=sender)

    # POST
    if agrees:
        window = replace(
            window,
            agreed=tuple(sorted((*window.agreed, sender))),
            disputed=tuple(name for name in window.disputed if name != sender),
        )
    else:
        window = replace(window, disputed=tuple(sorted((*window.disputed, sender))))
    return _decide(confirm_if_agreed(state, block, message.window, window))


def _check_lines(state: StateView, asked: Asked, message: Countersign) -> None:
    """Lines of the statement in which the sender stands, each once; none where it agrees.

    Raises `Rejected` ``LINE_UNKNOWN``.
    """
    told = None if isinstance(message.lines, UnsetType) else message.lines
    if (told is None) != (message.verdict == "agree"):
        raise Rejected("LINE_UNKNOWN", lines=told)
    if told is None:
        return
    if told != sorted(set(told)):
        raise Rejected("LINE_UNKNOWN", lines=told)
    lines = get_statement(state, asked.block, message.window).lines
    for place in told:
        if place >= len(lines):
            raise Rejected("LINE_UNKNOWN", line=place)
        line = lines[place]
        if asked.sender not in (line.source, line.destination.removeprefix(ROUNDING_PREFIX)):
            raise Rejected("LINE_UNKNOWN", line=place)


def attest_payment(state: StateView, asked: Asked, message: AttestPayment) -> Decision:
    """The payer has paid, or the payee has been paid, as the bank's reference shows."""
    window = get_confirmed_window(state, message.window)
    if message.transfer >= len(window.transfers):
        raise Rejected("TRANSFER_UNKNOWN", transfer=message.transfer)
    transfer = window.transfers[message.transfer]
    attested = _attest(transfer, asked.sender, message.bank_reference)
    transfers = list(window.transfers)
    transfers[message.transfer] = attested
    return _decide(settle_if_paid(state, message.window, replace(window, transfers=tuple(transfers))))


def _attest(transfer: Transfer, sender: str, reference: str) -> Transfer:
    """The transfer with the word of one side. Raises `Rejected` ``NOT_IN_TRANSFER`` or
    ``ALREADY_ATTESTED``.
    """
    if sender not in (transfer.payer, transfer.payee):
        raise Rejected("NOT_IN_TRANSFER", sender=sender)
    is_payer = sender == transfer.payer
    if transfer.payer_reference if is_payer else transfer.payee_reference:
        raise Rejected("ALREADY_ATTESTED", sender=sender)
    if is_payer:
        return replace(transfer, payer_reference=reference)
    return replace(transfer, payee_reference=reference)


def tend_window(state: StateView, block: BlockContext, due: Due) -> DueWork:
    """A window's time is over: to dispute it, and it is confirmed; or to pay, and it is aborted."""
    number = int(due.about)
    window = get_window(state, number)
    if window.state != CLOSED:
        return DueWork(Abort(number), _decide(abort(state, number, window)))
    if window.disputed:
        # It waits for the end of the last dispute now, and for nothing else.
        outcome = Outcome(code="WINDOW_NOT_CONFIRMED")
        return DueWork(Confirm(number), Decision(outcome, (), end_clock(state, number, window)))
    return DueWork(Confirm(number), _decide(confirm_if_agreed(state, block, number, window)))


def _decide(step: Step) -> Decision:
    return Decision(Outcome(code=OK, events=list(step.events) or UNSET), (), step.changes)


def reads(block: BlockContext, sender: str, message: Any) -> Sequence[Key]:
    """Windows are in memory; a statement is not, and only a dispute looks into it."""
    if isinstance(message, Countersign) and not isinstance(message.lines, UnsetType):
        return ((STATEMENT, get_window_key(message.window)),)
    return NO_READS


_GOVERN: Final = frozenset({"govern"})
RULES: Final = (
    Rule(CutWindow, _GOVERN, cut_window, reads),
    Rule(Countersign, _GOVERN, countersign, reads),
    Rule(AttestPayment, _GOVERN, attest_payment, reads),
)
