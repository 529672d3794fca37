"""What a merchant says in plain Python, as messages of the ledger. An order without a moment gets one later.

Every message is held to the bounds of docs/spec/messages.md here, before it is signed: one that a node would
not even read must not spoil the transaction it is grouped into. What the ledger's state decides is left to
the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from contracts.messages import (
    MESSAGE_DECODER,
    AddKey,
    AddMemberKey,
    Adjust,
    Admit,
    AnnouncePar,
    AttestCover,
    AttestFund,
    AttestPayment,
    Award,
    CancelProposal,
    Capture,
    Countersign,
    CutWindow,
    Earn,
    Enrol,
    Exchange,
    Gift,
    Grant,
    Hold,
    ImportBalance,
    OpenProgram,
    OpenSeries,
    Propose,
    Redeem,
    Refund,
    Release,
    ReplaceMemberKey,
    ReturnOrder,
    RevokeGrant,
    RevokeKey,
    SetBrandShares,
    SetDebitCap,
    SetMemberChoice,
    SetParameter,
    SetPolicy,
    SetTillLimits,
    Vote,
)
from contracts.messages.consent_text import ChoiceText, ConsentText, PossessionText, Purpose
from contracts.messages.enrolment import MemberKey
from ledger.calendar import Date, get_day_number
from ledger.codec import encode
from ledger.values import Reference
from merchant_sdk.amounts import Amount, get_micros
from merchant_sdk.errors import ConfigurationError, InvalidRequest
from merchant_sdk.points_code import PointsCode
from merchant_sdk.results import Quote

_GOVERN: Final = ("govern",)
_CUSTODY: Final = ("custody",)
_TILL: Final = ("transact", "till")
PURPOSES: Final[dict[type, tuple[str, ...]]] = {
    Earn: _TILL,
    Award: _TILL,
    ReturnOrder: _TILL,
    ImportBalance: _GOVERN,
    Adjust: _GOVERN,
    Redeem: _TILL,
    Hold: _TILL,
    Capture: _TILL,
    Release: _TILL,
    Refund: _TILL,
    Gift: ("transact",),
    Exchange: ("transact",),
    SetPolicy: _GOVERN,
    SetTillLimits: _GOVERN,
    SetDebitCap: _GOVERN,
    Enrol: _CUSTODY,
    AddMemberKey: _CUSTODY,
    ReplaceMemberKey: _CUSTODY,
    SetMemberChoice: ("transact", "custody"),
    Admit: _GOVERN,
    SetParameter: _GOVERN,
    AddKey: _GOVERN,
    RevokeKey: _GOVERN,
    OpenProgram: _GOVERN,
    OpenSeries: _GOVERN,
    AnnouncePar: _GOVERN,
    Grant: _GOVERN,
    RevokeGrant: _GOVERN,
    Propose: _GOVERN,
    Vote: _GOVERN,
    CancelProposal: _GOVERN,
    CutWindow: _GOVERN,
    Countersign: _GOVERN,
    AttestPayment: _GOVERN,
    AttestCover: _GOVERN,
    AttestFund: _GOVERN,
    SetBrandShares: _GOVERN,
}
"""Message → purposes of the keys that may sign it, the preferred one first (docs/spec/messages.md)."""

_TEXT_DECODER: Final = msgspec.json.Decoder(ConsentText | ChoiceText | PossessionText)
Text = TypeVar("Text", ConsentText, ChoiceText, PossessionText)


def check_message(message: Any) -> bytes:
    """The message's canonical bytes. Raises `InvalidRequest` where it breaks a bound or is none of ours."""
    if type(message) not in PURPOSES:
        raise InvalidRequest("not a message that a participant may submit", type=type(message).__name__)
    try:
        data: bytes = encode(message)
        MESSAGE_DECODER.decode(data)
    except (msgspec.MsgspecError, TypeError, UnicodeError, OverflowError) as error:
        raise _refuse(message, error) from None
    return data


def check_text(text: Text) -> Text:
    """The text a member is about to sign, held to its bounds. Raises `InvalidRequest`."""
    try:
        _TEXT_DECODER.decode(encode(text))
    except (msgspec.MsgspecError, TypeError, UnicodeError, OverflowError) as error:
        raise _refuse(text, error) from None
    return text


def choose_purposes(messages: Sequence[Any]) -> tuple[str, ...]:
    """The purposes of which one key may sign all of these messages, preferred first."""
    kinds = {type(message) for message in messages}
    shared = [set(PURPOSES[kind]) for kind in kinds]
    found = set.intersection(*shared) if shared else set()
    if not found:
        names = sorted(kind.__name__ for kind in kinds)
        raise ConfigurationError("no one key may sign all of these; submit them separately", messages=names)
    preferred = ("transact", "till", "custody", "govern")
    return tuple(purpose for purpose in preferred if purpose in found)


def make_earn(*, member: str, amount: Amount, reference: str, program: str, occurred_at: int | None) -> Earn:
    """A purchase that earns points."""
    return Earn(
        amount=get_micros(amount),
        member=member,
        occurred_at=occurred_at or 0,
        program=program,
        reference=reference,
    )


def make_redeem(
    *,
    code: PointsCode | str,
    points: int,
    reference: str,
    program: str,
    amount: Amount | None,
    occurred_at: int | None,
) -> Redeem:
    """Points spent: with a member's points code, or at the custodian's own till with the member's id."""
    return Redeem(
        amount=read_amount(amount),
        consent=code.consent if isinstance(code, PointsCode) else UNSET,
        member=code.member if isinstance(code, PointsCode) else code,
        occurred_at=occurred_at or 0,
        points=points,
        program=program,
        reference=reference,
    )


def make_exchange(
    *,
    code: PointsCode,
    quote: Quote,
    reference: str,
    occurred_at: int | None,
    recipient_code: PointsCode | None = None,
) -> Exchange:
    """The exchange a member agreed to, at the rates of the quote; to another member, that one agrees too."""
    text = code.text
    if text.purpose != "exchange" or (text.program, text.target) != (quote.program, quote.target):
        raise InvalidRequest(
            "the member agreed to something else than this quote",
            purpose=text.purpose,
            program=text.program,
            target=text.target or None,
        )
    return Exchange(
        consent=code.consent,
        least=text.least,  # type: ignore[arg-type]  # a consent without it is refused by `check_message`
        member=text.member,
        occurred_at=occurred_at or 0,
        points=quote.points,
        program=text.program,
        rate_height=quote.rate_height,
        recipient=text.counterparty,
        recipient_consent=UNSET if recipient_code is None else recipient_code.consent,
        reference=reference,
        series=quote.series,
        target=quote.target,
    )


def make_enrol(*, member: str, key: MemberKey | None) -> Enrol:
    """A new member of this custodian."""
    return Enrol(key=UNSET if key is None else key, member=member)


def get_reference(message: Any) -> str:
    """The reference by which it is asked for again: its own, or that of the hold it completes."""
    found: str = message.hold if isinstance(message, Capture | Release) else message.reference
    return found


def read_consent(code: PointsCode | str, *, purpose: Purpose) -> PointsCode:
    """The member's own consent to this purpose: a points code, or the text that a scanner read.

    Raises `InvalidRequest` where it is none, or to something else.
    """
    if isinstance(code, str) and code.strip().startswith("m_"):
        raise InvalidRequest(f"to {purpose} needs the member's own consent, and this is an id", member=code)
    found = PointsCode.decode(code) if isinstance(code, str) else code
    if found.text.purpose != purpose:
        raise InvalidRequest(
            f"the member agreed to something else: this code is to {found.text.purpose}, not to {purpose}",
            purpose=purpose,
            consent_to=found.text.purpose,
        )
    return found


def check_reference(reference: str) -> str:
    """The reference, where it is one. Raises `InvalidRequest`."""
    try:
        msgspec.convert(reference, Reference)
    except msgspec.ValidationError as error:
        raise InvalidRequest("this is no reference", reference=reference, reason=str(error)) from None
    return reference


def read_amount(amount: Amount | None) -> int | UnsetType:
    """Micros of an amount that may be left out."""
    return UNSET if amount is None else get_micros(amount)


def read_day(day: date | int) -> int:
    """A calendar day as the ledger counts it."""
    if isinstance(day, date):
        return get_day_number(Date(day.year, day.month, day.day))
    return day


def _refuse(wanted: Struct, error: Exception) -> InvalidRequest:
    return InvalidRequest(
        f"this {type(wanted).__name__} breaks a bound of the specification", reason=str(error)
    )
