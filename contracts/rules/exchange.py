"""Exchange: points of one program become points of another.

Exact in the points that come out: y = ⌊x·par_redeem(A) / par_accrue(B)⌋, and only x1 = ⌈y·par_accrue(B) /
par_redeem(A)⌉ are taken; the rest stays with the member. Since par_accrue is never below par_redeem, no cycle
of exchanges gains. The old issuer pays the new one y·par_accrue(B); what rounding leaves is the old issuer's
own. Each source lot's share of y keeps the earlier of its own day and the target's, so exchange never makes
points young.

A quote lives until the next rate height: `rate_height` says for which rates the member was asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from msgspec import UNSET, UnsetType

from contracts.mechanics.clearing import compute_exchange_legs
from contracts.mechanics.consent import announce_consent, check_consent, get_nonce_key
from contracts.mechanics.exposure import check_legs
from contracts.mechanics.grants import check_grants, use_grant
from contracts.mechanics.lots import (
    check_room,
    get_account,
    get_arrivals,
    get_departures,
    reads_account,
    take_lots,
)
from contracts.mechanics.members import get_member
from contracts.mechanics.records import MEMBER, NONCE, Member
from contracts.mechanics.references import check_reference, reads_reference, take_reference
from contracts.mechanics.terms import SeriesTerms, Terms, get_series_terms, get_terms
from contracts.messages.exchange import Exchange
from contracts.messages.reject_codes import OK
from ledger.errors import Rejected
from ledger.keys import SignedText
from ledger.outcome import Lot, Outcome
from ledger.posting import EXCHANGED_IN, EXCHANGED_OUT, Posting, get_account_key
from ledger.rule import Asked, BlockContext, Decision, Rule
from ledger.state import Key, StateView
from ledger.values import POINTS_MAX


def compute_exchange(*, points: int, par_redeem: int, par_accrue: int) -> tuple[int, int]:
    """Points taken (x1) and received (y) for at most ``points`` offered; (0, 0) where they buy none."""
    received = points * par_redeem // par_accrue
    # Rounded up, against the member and in the old issuer's favour, by less than one point's par.
    taken = -(-received * par_accrue // par_redeem)
    return taken, received


def apportion(lots: list[Lot], received: int, target: SeriesTerms) -> list[Lot]:
    """``received`` points as lots of the target: cumulative shares, none younger than its source lot."""
    total = sum(lot.points for lot in lots)
    by_day: dict[tuple[int, int], int] = {}
    seen = given = 0
    for lot in lots:
        seen += lot.points
        share = received * seen // total - given
        given += share
        if share:
            # A lot in its second life stays in it: no refund gives it a third.
            life = min(lot.expires, target.expires), lot.original
            by_day[life] = by_day.get(life, 0) + share
    return [
        Lot(day, target.opened, original, share, target.series, 0)
        for (day, original), share in sorted(by_day.items())
    ]


def exchange(state: StateView, asked: Asked, message: Exchange) -> Decision:
    """Take points of one series and give points of the target's open series."""
    # CHECK: what was done before, then terms and members, then the issuers' permissions, the quote, the
    # member's consent, the points.
    block = asked.block
    changes: list[Any] = [take_reference(asked, check_reference(state, asked, message))]
    source = get_terms(state, block, message.program)
    target = get_terms(state, block, message.target)
    if message.program == message.target:
        raise Rejected("PROGRAMS_MUST_DIFFER", program=message.program)
    old = get_series_terms(state, block, message.program, message.series)
    new = target.open_series
    if new is None:
        raise Rejected("NO_OPEN_SERIES", program=message.target)
    member = get_member(state, message.member)
    recipient_member = get_member(state, message.recipient)
    taken, received = compute_exchange(
        points=message.points, par_redeem=old.par_redeem, par_accrue=new.par_accrue
    )
    changes += _use_grants(state, asked, source=source, target=target, taken=taken, received=received)
    _check_quote(message, old=old, new=new, received=received)
    changes += check_consent(
        state,
        asked,
        consent=message.consent,
        purpose="exchange",
        member_id=message.member,
        member=member,
        program=message.program,
        issuer=source.issuer,
        points=taken,
        counterparty=message.recipient,
        least=message.least,
        target=message.target,
    )
    if message.recipient != message.member:
        changes += _check_recipient(state, asked, message, recipient=recipient_member, received=received)
    account_key = get_account_key(message.member, message.program)
    account = get_account(state, block, account_key)
    lots = take_lots(account, taken, day=block.day, series=message.series)
    recipient_key = get_account_key(message.recipient, message.target)
    recipient = get_account(state, block, recipient_key)
    given = apportion(lots, received, new)
    check_room(recipient, given)
    legs = compute_exchange_legs(
        source_issuer=source.issuer,
        gross=taken * old.par_redeem,
        target_issuer=target.issuer,
        paid=received * new.par_accrue,
    )
    alerts = check_legs(state, block, source.issuer, legs)

    # POST
    changes += get_departures(block, account, account_key, lots)
    changes += get_arrivals(block, recipient, recipient_key, given)
    postings = [Posting(message.program, message.member, EXCHANGED_OUT, lot) for lot in lots]
    postings += [Posting(message.target, EXCHANGED_IN, message.recipient, lot) for lot in given]
    outcome = Outcome(
        balance=account.points - taken,
        code=OK,
        events=alerts,
        legs=legs or UNSET,
        lots=lots,
        points=taken,
        received=given,
    )
    return Decision(outcome, postings, changes)


def _check_recipient(
    state: StateView, asked: Asked, message: Exchange, *, recipient: Member, received: int
) -> list[Any]:
    """Another member agrees to receive: nobody fills somebody else's account.

    To receive is no danger to them, so neither a waiting key nor another issuer's points stand in the way.
    """
    return check_consent(
        state,
        asked,
        consent=message.recipient_consent,
        purpose="receive",
        member_id=message.recipient,
        member=recipient,
        program=message.target,
        issuer=recipient.custodian,
        points=received,
        counterparty=message.member,
    )


def _use_grants(
    state: StateView, asked: Asked, *, source: Terms, target: Terms, taken: int, received: int
) -> list[Any]:
    """Both issuers allow it, and it counts against both budgets; one issuer's two programs need no grant."""
    if source.issuer == target.issuer:
        return []
    outward, inward = check_grants(
        state,
        asked,
        (source.program, target.issuer, "exchange_out"),
        (target.program, source.issuer, "exchange_in"),
    )
    return [use_grant(*outward, asked, taken), use_grant(*inward, asked, received)]


def _check_quote(message: Exchange, *, old: SeriesTerms, new: SeriesTerms, received: int) -> None:
    """The member was asked for these very rates, and gets what they accepted."""
    rate_height = max(old.since, new.since)
    if message.rate_height != rate_height:
        raise Rejected("QUOTE_EXPIRED", rate_height=message.rate_height, now=rate_height)
    if not received:
        raise Rejected("EXCHANGE_TOO_SMALL", points=message.points)
    if received < message.least:
        raise Rejected("BELOW_LEAST", received=received, least=message.least)
    if received > POINTS_MAX:
        raise Rejected("AMOUNT_TOO_LARGE", points=received, allowed=POINTS_MAX)


def reads(block: BlockContext, sender: str, message: Exchange) -> Sequence[Key]:
    """The records `exchange` reads, but for the grants, which hang on the issuers."""
    keys = [
        *reads_reference(block, sender, message),
        (MEMBER, message.member),
        (MEMBER, message.recipient),
        (NONCE, get_nonce_key(block, message.consent)),
        reads_account(message.member, message.program),
        reads_account(message.recipient, message.target),
    ]
    if not isinstance(message.recipient_consent, UnsetType):
        keys.append((NONCE, get_nonce_key(block, message.recipient_consent)))
    return keys


def announce(state: StateView, block: BlockContext, message: Exchange) -> Sequence[SignedText]:
    """The signature of the member who exchanges, that `exchange` may ask about."""
    return announce_consent(
        state,
        block,
        message.consent,
        purpose="exchange",
        member=message.member,
        program=message.program,
        least=message.least,
        target=message.target,
    )


RULE: Final = Rule(Exchange, frozenset({"transact"}), exchange, reads, announce)
