"""What a merchant asks for: the messages of a visit, of a hold's end, of goods that come back.

Every message names when it happened at the till and the order it belongs to, so that asking twice never
counts twice. Households sign for what moves their points; who asks is settled by `scripts.year.desk`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from msgspec import UNSET

from contracts.messages import Capture, Earn, Gift, Hold, Redeem, Refund, Release, ReturnOrder
from ledger.calendar import get_day
from merchant_sdk import Quote, Wallet
from merchant_sdk.requests import make_enrol, make_exchange
from scripts.year.alliance import UTC_OFFSET_MINUTES
from scripts.year.desk import Wallets
from scripts.year.later import HOLD_MILLIS, Later, is_over
from scripts.year.story import MICROS_PER_CENT, Household, Present, Spending, Visit

_CODE_SECONDS: Final = 600


def make_enrolments(households: Iterable[Household], wallets: Wallets) -> list[Any]:
    """What a custodian asks for its new members."""
    return [
        make_enrol(member=household.member, key=wallets.get(household).possession())
        for household in households
    ]


def make_messages(visit: Visit, *, quote: Quote | None, wallets: Wallets, time: int) -> list[Any]:
    """What the merchant asks for one visit.

    Points spent or held first, then points earned, then an exchange, then a gift.
    """
    wallet = wallets.get(visit.household)
    messages: list[Any] = []
    if visit.spending is not None:
        messages.append(_make_spending(visit, visit.spending, wallet=wallet, time=time))
    if not visit.is_held:
        messages += _make_earnings(visit, amount=visit.net_micros)
    if quote is not None and quote.points_received:
        code = wallet.consent_for_exchange(quote, seconds=_CODE_SECONDS, now=time)
        messages.append(
            make_exchange(code=code, quote=quote, reference=visit.reference, occurred_at=visit.purchase.time)
        )
    if visit.present is not None:
        messages.append(_make_gift(visit, visit.present, wallet=wallet, time=time))
    return messages


def make_end(later: Later, *, time: int) -> list[Any]:
    """How a hold ends, and what the purchase earns then.

    A merchant that forgot it or comes too late asks for nothing: time has given the points back.
    """
    visit = later.visit
    spending = visit.spending
    if spending is None:
        return []
    captured = 0
    messages: list[Any] = []
    if later.kind != "forget" and not is_over(visit, time=time):
        captured = spending.points * later.share // 100
        named: dict[str, Any] = {
            "hold": visit.reference,
            "hold_day": _get_day(visit.purchase.time),
            "member": visit.household.member,
            "occurred_at": time,
            "program": spending.program,
        }
        messages.append(Capture(points=captured, **named) if captured else Release(**named))
    unspent = spending.micros - spending.micros // spending.points * captured
    return messages + _make_earnings(visit, amount=visit.net_micros + unspent)


def make_payment(later: Later) -> list[Any]:
    """What a purchase earns that was paid in money after all: all of it, or what the points were to pay."""
    visit = later.visit
    spending = visit.spending
    if spending is None:
        return []
    if visit.is_held:
        return _make_earnings(visit, amount=visit.net_micros + spending.micros)
    return _make_earnings(visit._replace(reference=f"{visit.reference}-m"), amount=spending.micros)


def make_return(later: Later, *, time: int) -> list[Any]:
    """A share of the order comes back: points spent on it first, then those it had earned."""
    visit = later.visit
    named: dict[str, Any] = {
        "member": visit.household.member,
        "occurred_at": time,
        "original": visit.reference,
        "original_day": _get_day(visit.purchase.time),
        "reference": f"{visit.reference}-r{later.number + 1}",
    }
    messages: list[Any] = []
    if visit.spending is not None and (points := visit.spending.points * later.share // 100):
        messages.append(
            Refund(original_type="redeem", points=points, program=visit.spending.program, **named)
        )
    if amount := visit.net_micros * later.share // 100:
        messages += [
            ReturnOrder(amount=amount, original_type="earn", program=program, **named)
            for program in visit.programs
        ]
    return messages


def _make_spending(visit: Visit, spending: Spending, *, wallet: Wallet, time: int) -> Redeem | Hold:
    purchase = visit.purchase
    consent: Any = UNSET
    if spending.needs_code:
        consent = wallet.points_code(
            spending.program,
            spending.points,
            purchase.merchant,
            purpose="hold" if spending.is_held else "redeem",
            seconds=_CODE_SECONDS,
            now=time,
        ).consent
    asked: dict[str, Any] = {
        "amount": purchase.cents * MICROS_PER_CENT,
        "consent": consent,
        "member": visit.household.member,
        "occurred_at": purchase.time,
        "points": spending.points,
        "program": spending.program,
        "reference": visit.reference,
    }
    return Hold(expires=time + HOLD_MILLIS, **asked) if spending.is_held else Redeem(**asked)


def _make_earnings(visit: Visit, *, amount: int) -> list[Any]:
    return [
        Earn(
            amount=amount,
            member=visit.household.member,
            occurred_at=visit.purchase.time,
            program=program,
            reference=visit.reference,
        )
        for program in visit.programs
    ]


def _make_gift(visit: Visit, present: Present, *, wallet: Wallet, time: int) -> Gift:
    recipient = present.recipient.member
    code = wallet.consent_for_gift(
        present.program, present.points, recipient, seconds=_CODE_SECONDS, now=time
    )
    return Gift(
        consent=code.consent,
        member=visit.household.member,
        occurred_at=visit.purchase.time,
        points=present.points,
        program=present.program,
        recipient=recipient,
        reference=visit.reference,
    )


def _get_day(time: int) -> int:
    return get_day(time, utc_offset_minutes=UTC_OFFSET_MINUTES)
