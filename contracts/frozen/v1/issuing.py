"""Issuing by hand: opening balances and visible corrections, by the issuer's govern key alone.

An opening balance keeps the dates it had in the earlier system, as far as the series' own policy could have
given them, and only for some time after the program was opened. A correction is an entry like any other: what
is given is issued, and what is taken needs the member's consent, since nobody moves a member's points on
somebody else's word.

Frozen: version 1 of the rulebook, superseded by version 2, in which what an issuer gives repays a debt first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import UnsetType

from contracts.mechanics.consent import check_consent, get_nonce_key
from contracts.mechanics.lots import (
    check_room,
    get_account,
    get_arrivals,
    get_departures,
    reads_account,
    take_lots,
)
from contracts.mechanics.members import get_member
from contracts.mechanics.parameters import get_parameter
from contracts.mechanics.records import MEMBER, NONCE, PROGRAM, SERIES, Program, Series
from contracts.mechanics.references import check_reference, reads_reference, take_reference
from contracts.mechanics.terms import Terms, get_series_terms, get_terms
from contracts.messages.issuing import Adjust, ImportBalance
from contracts.messages.reject_codes import OK
from ledger.calendar import compute_month_end
from ledger.errors import Rejected
from ledger.outcome import Lot, Outcome
from ledger.posting import ADJUSTED_IN, ADJUSTED_OUT, IMPORTED, Posting, get_account_key
from ledger.rule import Asked, BlockContext, Decision, Rule
from ledger.state import Key, StateView
from ledger.values import NEVER


def import_balance(state: StateView, asked: Asked, message: ImportBalance) -> Decision:
    """An opening balance is on the account, with its own dates."""
    block = asked.block
    changes: list[Any] = [take_reference(asked, check_reference(state, asked, message))]
    _check_issuer(get_terms(state, block, message.program), asked)
    series = get_series_terms(state, block, message.program, message.series)
    get_member(state, message.member)
    program: Program = state.get(PROGRAM, message.program)
    last_day = program.opened_day + get_parameter(state, block, "import_days")
    if block.day > last_day:
        raise Rejected("IMPORT_CLOSED", last_day=last_day)
    policy: Series = state.get(SERIES, f"{message.program}|{message.series}")
    latest = NEVER
    if policy.expiry_months:
        latest = compute_month_end(message.earned_day, months_later=policy.expiry_months)
    if message.earned_day > block.day or not block.day <= message.expires_day <= latest:
        raise Rejected("IMPORT_DATES", earned_day=message.earned_day, latest=latest)
    lot = Lot(message.expires_day, series.opened, 0, message.points, message.series, 0)
    return _give(state, asked, message, lot, source=IMPORTED, changes=changes)


def adjust(state: StateView, asked: Asked, message: Adjust) -> Decision:
    """A balance is corrected, for everybody to see."""
    block = asked.block
    changes: list[Any] = [take_reference(asked, check_reference(state, asked, message))]
    terms = get_terms(state, block, message.program)
    _check_issuer(terms, asked)
    member = get_member(state, message.member)
    if message.direction == "give":
        series = terms.open_series
        if series is None:
            raise Rejected("NO_OPEN_SERIES", program=message.program)
        lot = Lot(series.expires, series.opened, 0, message.points, series.series, 0)
        return _give(state, asked, message, lot, source=ADJUSTED_IN, changes=changes)
    changes += check_consent(
        state,
        asked,
        consent=message.consent,
        purpose="adjust",
        member_id=message.member,
        member=member,
        program=message.program,
        issuer=terms.issuer,
        points=message.points,
        counterparty=asked.sender,
    )
    account_key = get_account_key(message.member, message.program)
    account = get_account(state, block, account_key)
    lots = take_lots(account, message.points, day=block.day)
    changes += get_departures(block, account, account_key, lots)
    postings = [Posting(message.program, message.member, ADJUSTED_OUT, lot) for lot in lots]
    return Decision(Outcome(balance=account.points - message.points, code=OK, lots=lots), postings, changes)


def _check_issuer(terms: Terms, asked: Asked) -> None:
    if asked.sender != terms.issuer:
        raise Rejected("NOT_ISSUER", program=terms.program)


def _give(
    state: StateView,
    asked: Asked,
    message: ImportBalance | Adjust,
    lot: Lot,
    *,
    source: str,
    changes: list[Any],
) -> Decision:
    """One lot is issued to the member. Raises `Rejected` ``LOT_LIMIT`` or ``BALANCE_LIMIT``."""
    account_key = get_account_key(message.member, message.program)
    account = get_account(state, asked.block, account_key)
    check_room(account, [lot])
    changes += get_arrivals(asked.block, account, account_key, [lot])
    outcome = Outcome(balance=account.points + message.points, code=OK, lots=[lot])
    return Decision(outcome, (Posting(message.program, source, message.member, lot),), changes)


def reads(block: BlockContext, sender: str, message: ImportBalance | Adjust) -> Sequence[Key]:
    """The records that both read."""
    keys = [
        *reads_reference(block, sender, message),
        (MEMBER, message.member),
        reads_account(message.member, message.program),
    ]
    if isinstance(message, Adjust) and not isinstance(message.consent, UnsetType):
        keys.append((NONCE, get_nonce_key(block, message.consent)))
    return keys


_GOVERN: Final = frozenset({"govern"})
RULES: Final = (
    Rule(ImportBalance, _GOVERN, import_balance, reads),
    Rule(Adjust, _GOVERN, adjust, reads),
)
