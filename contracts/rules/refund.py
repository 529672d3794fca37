"""Refund: points that were spent come back, in all or in parts, as the very lots they were.

In reverse order of consumption, so that what was taken first, and lapses first, comes back last. A lot whose
day has passed meanwhile may be used once more, until its original day and the grace period: one grace, never
two, and past that it lapses at once. What the account owes is repaid first. Elsewhere acceptor and operator
pay the issuer back what they had of it, at the rate of then; all parts together make up exactly the whole.
Closed windows never reopen: these are new debts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from msgspec import UNSET
from msgspec.structs import replace

from contracts.mechanics.clearing import compute_share, make_refund_legs
from contracts.mechanics.debts import repay_first
from contracts.mechanics.lots import check_room, get_account, get_arrivals, reads_account, split_lots
from contracts.mechanics.originals import check_parts, find_original, get_original_key
from contracts.mechanics.records import Spent
from contracts.mechanics.spending import compute_gross
from contracts.mechanics.terms import get_terms
from contracts.mechanics.trials import get_parameter_for
from contracts.messages.reject_codes import OK
from contracts.messages.returns import Refund
from ledger.errors import Rejected
from ledger.outcome import Leg, Lot, Outcome
from ledger.posting import CLAWED_BACK, EXPIRED, REFUNDED_ELSEWHERE, REFUNDED_HOME, Posting, get_account_key
from ledger.rule import Asked, BlockContext, Decision, Rule
from ledger.state import Key, StateView


def refund(state: StateView, asked: Asked, message: Refund) -> Decision:
    """Give spent points back, and undo what was owed for them."""
    # CHECK: the original, what came back of it before, then the room.
    block = asked.block
    table, key, spent, part = find_original(state, asked, message)
    refunded = spent.refunded + message.points
    whole = sum([lot.points for lot in spent.lots])
    if refunded > whole:
        raise Rejected("REFUND_ABOVE_ORIGINAL", refunded=refunded, points=whole)
    check_parts(spent)
    # What is still out is a first part of the lots as they were taken, so what comes back is its end.
    out, _ = split_lots(spent.lots, whole - spent.refunded)
    still_out, _ = split_lots(spent.lots, whole - refunded)
    _, back = split_lots(out, whole - refunded)
    grace_days = get_parameter_for(state, asked, "refund_grace_days", message.member)
    restored, expired = restore_lots(reversed(back), day=block.day, grace_days=grace_days)
    account_key = get_account_key(message.member, message.program)
    account = get_account(state, block, account_key)
    repayment = repay_first(state, account_key, restored)
    check_room(account, repayment.lots)

    # POST
    legs: list[Leg] = []
    issuer = get_terms(state, block, message.program).issuer
    is_home = asked.sender == issuer
    if not is_home:
        legs = _compute_legs(asked, spent, issuer=issuer, out=out, still_out=still_out)
    source = REFUNDED_HOME if is_home else REFUNDED_ELSEWHERE
    postings = [Posting(message.program, source, message.member, lot) for lot in repayment.lots]
    postings += [Posting(message.program, source, CLAWED_BACK, lot) for lot in repayment.paid]
    postings += [Posting(message.program, source, EXPIRED, lot) for lot in expired]
    changes: list[Any] = [
        (table, key, replace(spent, refunded=refunded, undone=(*spent.undone, part))),
        *repayment.changes,
        *get_arrivals(block, account, account_key, repayment.lots),
    ]
    outcome = Outcome(
        balance=account.points + repayment.points,
        code=OK,
        debt=repayment.debt,
        expired=expired or UNSET,
        legs=legs or UNSET,
        lots=repayment.lots or UNSET,
        original=spent.index,
        repaid=repayment.repaid,
    )
    return Decision(outcome, postings, changes)


def restore_lots(lots: Iterable[Lot], *, day: int, grace_days: int) -> tuple[list[Lot], list[Lot]]:
    """The lots as they come back today, and those whose time is over for good."""
    restored: list[Lot] = []
    expired: list[Lot] = []
    for lot in lots:
        if lot.expires >= day:
            restored.append(lot)
        elif not lot.original and lot.expires + grace_days >= day:
            restored.append(replace(lot, expires=lot.expires + grace_days, original=lot.expires))
        else:
            expired.append(lot)
    return restored, expired


def _compute_legs(
    asked: Asked, spent: Spent, *, issuer: str, out: list[Lot], still_out: list[Lot]
) -> list[Leg]:
    """What acceptor and operator pay back for the step from ``out`` to ``still_out``."""
    gross = compute_gross(spent.lots, spent.pars)
    before = gross - compute_gross(out, spent.pars[: len(out)])
    after = gross - compute_gross(still_out, spent.pars[: len(still_out)])
    commission = compute_share(spent.commission, part=gross, before=before, after=after)
    return make_refund_legs(asked, issuer=issuer, gross=after - before, commission=commission)


def reads(block: BlockContext, sender: str, message: Refund) -> Sequence[Key]:
    """The records `refund` reads."""
    return get_original_key(sender, message), reads_account(message.member, message.program)


RULE: Final = Rule(Refund, frozenset({"transact", "till"}), refund, reads)
