"""Expiry: points whose last day has passed lapse.

A block does this by itself, account by account, and at most `due_entries_max` pieces of work at a time. A lot
past its day cannot be spent even before its entry is written, so how far the work has come never decides what
somebody owns. Nobody owes anybody for it: what lapses is the issuer's breakage. A lot that is held does not
lapse while it is held.
"""

from __future__ import annotations

from contracts.mechanics.due_work import Due, get_expired_day
from contracts.mechanics.lots import get_account
from contracts.messages.expiry import Expire
from contracts.messages.reject_codes import OK
from ledger.outcome import Outcome
from ledger.posting import EXPIRED, Posting
from ledger.rule import BlockContext, Decision, DueWork
from ledger.state import DUE_TABLE, StateView


def expire(state: StateView, block: BlockContext, due: Due) -> DueWork:
    """Every lot of one account and last day lapses."""
    member, program = due.about.split("|")
    day = get_expired_day(block, due)
    account = get_account(state, block, due.about)
    lots = [lot for lot in account.lots if lot.expires == day]
    points = sum(lot.points for lot in lots)
    outcome = Outcome(balance=account.points - points, code=OK, lots=lots, points=points)
    postings = [Posting(program, member, EXPIRED, lot) for lot in lots]
    return DueWork(
        Expire(day=day, member=member, program=program),
        Decision(outcome, postings, ((DUE_TABLE, due.key, None),)),
    )
