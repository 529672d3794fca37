"""Expiry: points whose last day has passed lapse.

A block does this by itself, in order of (day, account) and at most `due_entries_max` accounts at a time. A
lot past its day cannot be spent even before its entry is written, so how far the work has come never decides
what somebody owns. Nobody owes anybody for it: what lapses is the issuer's breakage. A lot that is held does
not lapse while it is held.
"""

from __future__ import annotations

from collections.abc import Iterator

from contracts.mechanics.due_work import find_due
from contracts.mechanics.lots import get_account
from contracts.mechanics.parameters import get_parameter
from contracts.messages.expiry import Expire
from contracts.messages.reject_codes import OK
from ledger.outcome import Outcome
from ledger.posting import EXPIRED, Posting
from ledger.rule import BlockContext, Decision, DueWork
from ledger.state import DUE_TABLE, StateView


def expire_lots(state: StateView, block: BlockContext) -> Iterator[DueWork]:
    """The expiry entries of this block."""
    limit = get_parameter(state, block, "due_entries_max")
    for due in find_due(state, day=block.day, limit=limit):
        account = get_account(state, due.member, due.program)
        lots = [lot for lot in account.lots if lot.expires == due.day]
        points = sum(lot.points for lot in lots)
        changes = ((DUE_TABLE, due.key, None),)
        message = Expire(day=due.day, member=due.member, program=due.program)
        outcome = Outcome(balance=account.points - points, code=OK, lots=lots, points=points)
        postings = [Posting(due.program, due.member, EXPIRED, lot) for lot in lots]
        yield DueWork(message, Decision(outcome, postings, changes))
