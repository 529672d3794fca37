"""Holds on their way back: what a release, a lapse and the rest of a capture have in common.

What goes back joins what is free, once the account's debt is repaid; what is past its day by then lapses at
once, since it had its time. The issuer's room that the hold had reserved is given back with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from contracts.mechanics.debts import Repayment, repay_first
from contracts.mechanics.exposure import unreserve
from contracts.mechanics.lots import get_account, get_arrivals
from contracts.mechanics.records import HOLD, HoldRecord
from contracts.mechanics.spending import compute_gross
from ledger.outcome import Lot
from ledger.posting import CLAWED_BACK, EXPIRED, Posting, get_account_key, held_by
from ledger.rule import BlockContext
from ledger.state import DUE_TABLE, StateView

Change = tuple[str, str, Any]


class Return(NamedTuple):
    """Held lots that leave a hold without being captured."""

    postings: list[Posting]
    changes: list[Change]
    expired: list[Lot]
    """Those that lapse at once."""
    balance: int
    """Points on the account after it, captures not yet counted."""
    repayment: Repayment


def give_back(
    state: StateView, block: BlockContext, *, member: str, program: str, lots: Sequence[Lot]
) -> Return:
    """Held lots become free, or lapse where their day is over."""
    account_key = get_account_key(member, program)
    account = get_account(state, block, account_key)
    expired = [lot for lot in lots if lot.expires < block.day]
    repayment = repay_first(state, account_key, [lot for lot in lots if lot.expires >= block.day])
    postings = [Posting(program, held_by(member), member, lot) for lot in repayment.lots]
    postings += [Posting(program, held_by(member), CLAWED_BACK, lot) for lot in repayment.paid]
    postings += [Posting(program, held_by(member), EXPIRED, lot) for lot in expired]
    changes = [*repayment.changes, *get_arrivals(block, account, account_key, repayment.lots)]
    gone = sum(lot.points for lot in (*expired, *repayment.paid))
    return Return(postings, changes, expired, account.points - gone, repayment)


def end_hold(
    state: StateView, hold: HoldRecord, *, key: str, due_key: str, issuer: str, content: str, index: int
) -> list[Change]:
    """The changes that make a hold final: it keeps who ended it, and nothing else is set aside for it."""
    final = HoldRecord(hold.index, hold.content, hold.expires, (), hold.member, (), content, index)
    changes: list[Change] = [(HOLD, key, final), (DUE_TABLE, due_key, None)]
    if hold.pars:
        changes.append(unreserve(state, issuer, compute_gross(hold.lots, hold.pars)))
    return changes
