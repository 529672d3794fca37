"""Hold, capture, release, lapse: points set aside for an order whose end is not yet known.

A hold names exact lots at today's rate and reserves the issuer's room for them. Captured once, in all or in
its first part, it settles at that rate whatever has changed meanwhile: caps, grants, policies. The rest goes
back; so does all of it when the acceptor releases it, or when its time is over, by block time and without
anybody's asking. A final hold stays final.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import UNSET

from contracts.mechanics.clearing import compute_commission, make_redemption_legs
from contracts.mechanics.due_work import Due, get_hold_due_key
from contracts.mechanics.exposure import Alerts, reserve
from contracts.mechanics.holds import end_hold, give_back
from contracts.mechanics.lots import get_departures, reads_account, split_lots
from contracts.mechanics.originals import is_remembered
from contracts.mechanics.records import HOLD, SPENT, HoldRecord, Spent
from contracts.mechanics.references import check_occurred, compute_content, format_reference_key
from contracts.mechanics.spending import (
    announce_spending,
    check_limits,
    check_spending,
    compute_gross,
    reads_spending,
)
from contracts.mechanics.terms import get_terms
from contracts.mechanics.trials import get_parameter_for
from contracts.messages.holds import Capture, Hold, Lapse, Release
from contracts.messages.reject_codes import OK
from ledger.errors import Rejected
from ledger.outcome import Outcome
from ledger.posting import REDEEMED_ELSEWHERE, REDEEMED_HOME, Posting, held_by
from ledger.rule import Asked, BlockContext, Decision, DueWork, Rule
from ledger.state import DUE_TABLE, Key, StateView

_LAPSED: Final = "lapse"


def hold(state: StateView, asked: Asked, message: Hold) -> Decision:
    """Set the member's points aside for the acceptor, and the issuer's room for what it will owe."""
    # CHECK: as a redemption up to the points, then the hold's own time, then the limits.
    spending = check_spending(state, asked, message)
    block = asked.block
    if message.expires <= block.time:
        raise Rejected("HOLD_EXPIRED", expires=message.expires, time=block.time)
    longest = block.time + get_parameter_for(state, asked, "hold_seconds_max", message.member) * 1000
    if message.expires > longest:
        raise Rejected("HOLD_TOO_LONG", expires=message.expires, allowed=longest)
    changes = spending.changes
    pars: tuple[int, ...] = ()
    alerts: Alerts = UNSET
    if not spending.is_home:
        pars = tuple(spending.pars)
        change, alerts = reserve(state, block, spending.issuer, spending.gross)
        changes.append(change)
    changes += check_limits(state, asked, message, spending)

    # POST
    taken, lots = spending.taken, spending.lots
    record = HoldRecord(asked.index, taken.content, message.expires, tuple(lots), message.member, pars, "", 0)
    changes += [
        (HOLD, taken.key, record),
        (DUE_TABLE, get_hold_due_key(message.expires, taken.key), 1),
        *get_departures(block, spending.account, spending.account_key, lots),
    ]
    postings = [Posting(message.program, message.member, held_by(message.member), lot) for lot in lots]
    outcome = Outcome(balance=spending.account.points, code=OK, events=alerts, lots=lots)
    return Decision(outcome, postings, changes)


def capture(state: StateView, asked: Asked, message: Capture) -> Decision:
    """Take the first of the held points, once, at the rate of the hold; the rest goes back."""
    # CHECK: the hold and that it is open, then the points. Nothing else: a valid hold can be captured.
    block = asked.block
    key, found, content = _find_open_hold(state, asked, message)
    if found.expires <= block.time:
        raise Rejected("HOLD_FINAL", expires=found.expires, time=block.time)
    lots, rest = split_lots(found.lots, message.points)
    if sum(lot.points for lot in lots) < message.points:
        raise Rejected("CAPTURE_ABOVE_HOLD", points=message.points)

    # POST
    issuer = get_terms(state, block, message.program).issuer
    is_home = asked.sender == issuer
    legs = []
    commission = 0
    pars = found.pars[: len(lots)]
    if not is_home:
        gross = compute_gross(lots, pars)
        commission = compute_commission(state, asked, member=message.member, gross=gross)
        legs = make_redemption_legs(asked, issuer=issuer, gross=gross, commission=commission)
    back = give_back(state, block, member=message.member, program=message.program, lots=rest)
    destination = REDEEMED_HOME if is_home else REDEEMED_ELSEWHERE
    postings = [Posting(message.program, held_by(message.member), destination, lot) for lot in lots]
    due_key = get_hold_due_key(found.expires, key)
    spent = Spent(asked.index, content, commission, tuple(lots), message.member, pars, 0, ())
    changes = [
        *end_hold(state, found, key=key, due_key=due_key, issuer=issuer, content=content, index=asked.index),
        (SPENT, key, spent),
        *back.changes,
    ]
    outcome = Outcome(
        balance=back.balance - message.points,
        code=OK,
        debt=back.repayment.debt,
        expired=back.expired or UNSET,
        legs=legs or UNSET,
        lots=lots,
        original=found.index,
        released=rest or UNSET,
        repaid=back.repayment.repaid,
    )
    return Decision(outcome, postings + back.postings, changes)


def release(state: StateView, asked: Asked, message: Release) -> Decision:
    """Give all that is held back: also when its time has come, as long as it has not lapsed."""
    key, found, content = _find_open_hold(state, asked, message)
    return _undo(state, asked.block, message, found, key=key, content=content, index=asked.index)


def lapse(state: StateView, block: BlockContext, due: Due) -> DueWork:
    """A hold whose time is over goes back."""
    key = due.about
    day, sender, _, program, reference = key.split("|")
    found: HoldRecord = state.get(HOLD, key)
    message = Lapse(hold=reference, hold_day=int(day), member=found.member, program=program, sender=sender)
    decision = _undo(state, block, message, found, key=key, content=_LAPSED, index=0)
    return DueWork(message, decision)


def _undo(
    state: StateView,
    block: BlockContext,
    message: Release | Lapse,
    found: HoldRecord,
    *,
    key: str,
    content: str,
    index: int,
) -> Decision:
    """All of a hold goes back."""
    issuer = get_terms(state, block, message.program).issuer
    back = give_back(state, block, member=message.member, program=message.program, lots=found.lots)
    due_key = get_hold_due_key(found.expires, key)
    changes: list[Any] = [
        *end_hold(state, found, key=key, due_key=due_key, issuer=issuer, content=content, index=index),
        *back.changes,
    ]
    outcome = Outcome(
        balance=back.balance,
        code=OK,
        debt=back.repayment.debt,
        expired=back.expired or UNSET,
        original=found.index,
        points=sum(lot.points for lot in found.lots),
        released=list(found.lots),
        repaid=back.repayment.repaid,
    )
    return Decision(outcome, back.postings, changes)


def _find_open_hold(
    state: StateView, asked: Asked, message: Capture | Release
) -> tuple[str, HoldRecord, str]:
    """The sender's open hold with its key, and the content of this message.

    Raises `Rejected`, in this order: as `check_occurred`, ``HOLD_UNKNOWN``, ``ALREADY_DONE``, ``HOLD_FINAL``.
    """
    check_occurred(state, asked, message.occurred_at)
    key = _get_hold_key(asked.sender, message)
    found: HoldRecord | None = state.get(HOLD, key) if is_remembered(asked.block, message.hold_day) else None
    if found is None or found.member != message.member:
        raise Rejected("HOLD_UNKNOWN", hold=message.hold)
    content = compute_content(asked, message)
    if found.final_content == content:
        raise Rejected("ALREADY_DONE", first=found.final_index)
    if found.final_content:
        raise Rejected("HOLD_FINAL", hold=message.hold)
    return key, found, content


def _get_hold_key(sender: str, message: Capture | Release) -> str:
    return format_reference_key(
        day=message.hold_day, sender=sender, kind="hold", program=message.program, reference=message.hold
    )


def reads(block: BlockContext, sender: str, message: Hold) -> Sequence[Key]:
    """The records `hold` reads."""
    return reads_spending(block, sender, message, table=HOLD)


def reads_end(block: BlockContext, sender: str, message: Capture | Release) -> Sequence[Key]:
    """The records `capture` and `release` read."""
    return (HOLD, _get_hold_key(sender, message)), reads_account(message.member, message.program)


_PURPOSES: Final = frozenset({"transact", "till"})
RULES: Final = (
    Rule(Hold, _PURPOSES, hold, reads, announce_spending),
    Rule(Capture, _PURPOSES, capture, reads_end),
    Rule(Release, _PURPOSES, release, reads_end),
)
