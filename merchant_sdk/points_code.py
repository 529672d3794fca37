"""A points code: a member's signed consent, small enough for a QR.

It is the canonical consent text of docs/spec/messages.md, "Consent", with its `signature` beside it, as
base45. Whoever scans it learns no more than who the member is here, which points, how many at the most, at
whose till and until when; and can do with it what it says, once.

Whether the signature holds, only the ledger can tell: a till does not know members' keys.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec
from msgspec import UNSET, Struct, UnsetType

from contracts.messages.consent_text import Consent, ConsentText, Counterparty, Purpose
from ledger.codec import Signature, decode, encode
from ledger.errors import Refused
from ledger.values import KeyId, MemberId, Millis, Nonce, Points, PointsOrNone, ProgramId
from merchant_sdk.base45 import decode_base45, encode_base45
from merchant_sdk.errors import InvalidRequest
from merchant_sdk.qr import QR


class SignedConsent(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True, tag="consent", tag_field="@type"
):
    """The fields of a `ConsentText` and the signature over it, in the order of the alphabet."""

    counterparty: Counterparty
    expires: Millis
    key: KeyId
    least: PointsOrNone | UnsetType = UNSET
    member: MemberId
    nonce: Nonce
    points: Points
    program: ProgramId
    purpose: Purpose
    signature: Signature
    target: ProgramId | UnsetType = UNSET


_DECODER: Final = msgspec.json.Decoder(SignedConsent)


class PointsCode(NamedTuple):
    """What a member agreed to, with their signature."""

    text: ConsentText
    signature: str

    @property
    def member(self) -> str:
        """The member who agreed."""
        return self.text.member

    @property
    def program(self) -> str:
        """Whose points may move."""
        return self.text.program

    @property
    def points(self) -> int:
        """The most points that may be taken."""
        return self.text.points

    @property
    def acceptor(self) -> str:
        """The shop that may take them, or ``any``; for an exchange or a gift the member who receives."""
        return self.text.counterparty

    @property
    def expires(self) -> int:
        """Until when, in milliseconds UTC of the ledger's time."""
        return self.text.expires

    @property
    def consent(self) -> Consent:
        """The consent as a message carries it."""
        text = self.text
        return Consent(
            counterparty=text.counterparty,
            expires=text.expires,
            key=text.key,
            nonce=text.nonce,
            points=text.points,
            signature=self.signature,
        )

    def encode(self) -> str:
        """The text to show as a QR code in alphanumeric mode."""
        fields = msgspec.structs.asdict(self.text)
        return encode_base45(encode(SignedConsent(signature=self.signature, **fields)))

    def qr(self) -> QR:
        """The QR code to show: about version 13 to 17, and readable with a seventh of it hidden."""
        return QR(self.encode(), level="M")

    @classmethod
    def decode(cls, text: str) -> PointsCode:
        """The code that a scanner read or a form held. Raises `InvalidRequest` where it is not one.

        Space around it does no harm; within it a space is one of its characters.
        """
        try:
            # None begins or ends with a space: it is the base45 of a JSON object.
            signed = decode(decode_base45(text.strip()), _DECODER)
        except Refused as refusal:
            raise InvalidRequest("this is not a points code", reason=str(refusal)) from None
        fields = msgspec.structs.asdict(signed)
        signature = fields.pop("signature")
        return cls(ConsentText(**fields), signature)

    def __str__(self) -> str:
        return self.encode()
