"""Spending: what a redemption and a hold have in common.

Who may take the issuer's points, whether the member agreed, which lots those are and what they are worth to
whoever takes them. Nothing here moves a point.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from msgspec import Struct, UnsetType

from contracts.mechanics.consent import announce_consent, check_consent, get_nonce_key
from contracts.mechanics.grants import check_grant, use_grant
from contracts.mechanics.lots import get_account, reads_account, take_lots
from contracts.mechanics.members import get_member
from contracts.mechanics.policies import check_ceilings, get_policy
from contracts.mechanics.records import MEMBER, NONCE
from contracts.mechanics.references import Taken, check_reference, reads_reference
from contracts.mechanics.terms import get_series_terms, get_terms
from contracts.mechanics.tills import use_till
from contracts.messages.consent_text import Purpose
from contracts.messages.holds import Hold
from contracts.messages.redemption import Redeem
from ledger.keys import SignedText
from ledger.outcome import Lot
from ledger.posting import Account, get_account_key
from ledger.rule import Asked, BlockContext
from ledger.state import Key, StateView


class Spending(Struct, frozen=True, gc=False):
    """Points that somebody may spend here and now. Never on the wire."""

    taken: Taken
    issuer: str
    is_home: bool
    account: Account
    account_key: str
    lots: list[Lot]
    pars: list[int]
    """What each lot's points are worth today, micros a point."""
    gross: int
    """What the lots are worth, micros."""
    changes: list[Any]


def compute_gross(lots: Iterable[Lot], pars: Iterable[int]) -> int:
    """What these lots are worth at these pars, micros."""
    return sum([lot.points * par for lot, par in zip(lots, pars, strict=True)])


def check_spending(state: StateView, asked: Asked, message: Redeem | Hold) -> Spending:
    """The points can be spent: the reference is free, issuer and member agree, and they are there.

    Raises `Rejected`, in this order: reference codes, ``PROGRAM_UNKNOWN``, ``MEMBER_UNKNOWN``, grant codes,
    consent codes, ``INSUFFICIENT_POINTS``.
    """
    taken = check_reference(state, asked, message)
    block = asked.block
    terms = get_terms(state, block, message.program)
    member = get_member(state, message.member)
    is_home = asked.sender == terms.issuer
    changes: list[Any] = []
    if not is_home:
        grant = check_grant(state, asked, program=message.program, grantee=asked.sender, kind="redeem")
        changes.append(use_grant(*grant, asked, message.points))
    changes += check_consent(
        state,
        asked,
        consent=message.consent,
        purpose=_get_purpose(message),
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
    pars = [get_series_terms(state, block, message.program, lot.series).par_redeem for lot in lots]
    gross = compute_gross(lots, pars)
    return Spending(taken, terms.issuer, is_home, account, account_key, lots, pars, gross, changes)


def check_limits(
    state: StateView, asked: Asked, message: Redeem | Hold, spending: Spending
) -> list[tuple[str, str, Any]]:
    """The order's ceiling and the till's limits allow it; the changes that count it.

    Raises `Rejected`, in this order: ``ORDER_CEILING``, ``TILL_LIMIT``, ``STEP_UP_REQUIRED``.
    """
    policy = get_policy(state, message.program)
    check_ceilings(policy, points=message.points, value=spending.gross, amount=message.amount)
    return use_till(state, asked, consent=message.consent, points=message.points)


def announce_spending(state: StateView, block: BlockContext, message: Redeem | Hold) -> Sequence[SignedText]:
    """The signature that `check_spending` may ask about."""
    return announce_consent(
        state,
        block,
        message.consent,
        purpose=_get_purpose(message),
        member=message.member,
        program=message.program,
    )


def _get_purpose(message: Redeem | Hold) -> Purpose:
    return "hold" if isinstance(message, Hold) else "redeem"


def reads_spending(block: BlockContext, sender: str, message: Redeem | Hold, *, table: str) -> Sequence[Key]:
    """The records that `check_spending` reads."""
    keys = [
        *reads_reference(block, sender, message, table=table),
        (MEMBER, message.member),
        reads_account(message.member, message.program),
    ]
    if not isinstance(message.consent, UnsetType):
        keys.append((NONCE, get_nonce_key(block, message.consent)))
    return keys
