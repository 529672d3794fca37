"""The texts people sign: a member's consent that points may move, a choice about their account, proof of
holding a key.

Each is the canonical JSON of a small struct under its own domain line (`ledger.keys.signed_text`), so a
consent can never be taken for a choice, nor one chain's for another's. The message carries only what it does
not already say; the full text is rebuilt from both, byte for byte.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from ledger.codec import Signature, encode
from ledger.keys import signed_text
from ledger.values import (
    KeyId,
    MemberId,
    Millis,
    Nonce,
    ParticipantId,
    Points,
    PointsOrNone,
    ProgramId,
    PublicKey,
)

Purpose = Literal["redeem", "hold", "exchange", "gift", "adjust", "receive"]
Counterparty = Annotated[
    str, Meta(pattern=r"\A([a-z0-9][a-z0-9.-]{1,62}|m_[0-9a-hjkmnp-tv-z]{26})\Z", max_length=63)
]
"""An acceptor (or ``any``), or a member for gifts and exchanges."""
ANY: ParticipantId = "any"
"""The counterparty of an open points code: whoever scans it first, for a short time and a small sum."""
Choice = Literal["stop_replacement", "custodian_on", "custodian_off", "till_on", "till_off"]


class ConsentText(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True, tag="consent", tag_field="@type"
):
    """What a member reads and signs before points may move."""

    counterparty: Counterparty
    expires: Millis
    key: KeyId
    least: PointsOrNone | UnsetType = UNSET
    """For an exchange: the least points out."""
    member: MemberId
    nonce: Nonce
    points: Points
    """The most that may be taken."""
    program: ProgramId
    purpose: Purpose
    target: ProgramId | UnsetType = UNSET
    """For an exchange: the program received."""


class Consent(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A consent as a message carries it: what the message does not already say, and the signature."""

    counterparty: Counterparty
    expires: Millis
    key: KeyId
    nonce: Nonce
    points: Points
    signature: Signature


class ChoiceText(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="choice", tag_field="@type"):
    """What a member signs to change who may speak for them."""

    choice: Choice
    expires: Millis
    member: MemberId
    nonce: Nonce


class PossessionText(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="possession", tag_field="@type"
):
    """What a new member key signs, so that nobody registers a key they do not hold."""

    member: MemberId
    public: PublicKey


def encode_consent(chain: str, text: ConsentText) -> bytes:
    """The bytes a consent's signature covers."""
    return signed_text(purpose="consent", chain=chain, body=encode(text))


def encode_choice(chain: str, text: ChoiceText) -> bytes:
    """The bytes a choice's signature covers."""
    return signed_text(purpose="choice", chain=chain, body=encode(text))


def encode_possession(chain: str, text: PossessionText) -> bytes:
    """The bytes a new key's proof of possession covers."""
    return signed_text(purpose="possession", chain=chain, body=encode(text))
