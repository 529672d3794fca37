"""What a log's operator signs about a transaction before it is in the log, and about one that is not.

A *promise*: by this time a block holds it. An *absence*: in the tree of this size, whose newest block has
this time, there is no transaction of this sender with this id. Each alone says little; a promise, and an
absence or an inclusion later than it allows, show that the promise was broken.

A Merkle log proves what it holds and not what it lacks; so an absence is a statement that somebody signs.
That it is true is found by whoever reads the log.
"""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec import Struct

from ledger.codec import Digest, Signature, decode, encode, from_base64url, to_base64url
from ledger.errors import Unverified
from ledger.keys import Signer, is_valid_signature, signed_text
from ledger.transaction import Header
from ledger.values import Chain, Count, Index, Millis, ParticipantId, PublicKey, TransactionId

PROMISE_PURPOSE: Final = "promise"
ABSENCE_PURPOSE: Final = "absence"
PROMISE_MILLIS_MAX: Final = 60_000
"""So long after it is signed a promise is kept at the latest."""


class Promise(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True, tag="promise", tag_field="@type"
):
    """A block of a time not after ``by`` will hold this transaction."""

    by: Millis
    chain: Chain
    digest: Digest
    id: TransactionId
    key: PublicKey
    """The public key that signs: a log key of the chain."""
    sender: ParticipantId
    signature: Signature


class Absence(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True, tag="absence", tag_field="@type"
):
    """The first ``size`` leaves hold no transaction of this sender with this id."""

    chain: Chain
    height: Count
    id: TransactionId
    key: PublicKey
    sender: ParticipantId
    signature: Signature
    size: Index
    time: Millis
    """That of the newest of these blocks."""


PROMISE_DECODER: Final[msgspec.json.Decoder[Promise]] = msgspec.json.Decoder(Promise)
ABSENCE_DECODER: Final[msgspec.json.Decoder[Absence]] = msgspec.json.Decoder(Absence)


def sign_promise(header: Header, *, by: int, signer: Signer) -> Promise:
    """The promise about the transaction of this header."""
    key = to_base64url(signer.public)
    told = Promise(
        by=by,
        chain=header.chain,
        digest=header.digest,
        id=header.id,
        key=key,
        sender=header.sender,
        signature="",
    )
    return msgspec.structs.replace(told, signature=_sign(told, PROMISE_PURPOSE, signer))


def sign_absence(
    *, chain: str, sender: str, transaction_id: str, height: int, size: int, time: int, signer: Signer
) -> Absence:
    """The statement that there is none."""
    told = Absence(
        chain=chain,
        height=height,
        id=transaction_id,
        key=to_base64url(signer.public),
        sender=sender,
        signature="",
        size=size,
        time=time,
    )
    return msgspec.structs.replace(told, signature=_sign(told, ABSENCE_PURPOSE, signer))


def read_promise(data: bytes) -> Promise:
    """A promise from its canonical bytes. Raises `Refused`."""
    return decode(data, PROMISE_DECODER)


def read_absence(data: bytes) -> Absence:
    """An absence from its canonical bytes. Raises `Refused`."""
    return decode(data, ABSENCE_DECODER)


def verify_promise(promise: Promise) -> bytes:
    """The public key that signed it; whose that is, the caller asks. Raises `Unverified`."""
    return _verify(promise, PROMISE_PURPOSE)


def verify_absence(absence: Absence) -> bytes:
    """The public key that signed it; whose that is, the caller asks. Raises `Unverified`."""
    return _verify(absence, ABSENCE_PURPOSE)


def _make_text(told: Promise | Absence, purpose: str) -> bytes:
    body = {name: value for name, value in msgspec.structs.asdict(told).items() if name != "signature"}
    return signed_text(purpose=purpose, chain=told.chain, body=encode(body))


def _sign(told: Promise | Absence, purpose: str, signer: Signer) -> str:
    return to_base64url(signer.sign(_make_text(told, purpose)))


def _verify(told: Promise | Absence, purpose: str) -> bytes:
    public = from_base64url(told.key, size=32)
    signature = from_base64url(told.signature, size=64)
    if not is_valid_signature(public=public, text=_make_text(told, purpose), signature=signature):
        raise Unverified("SIGNATURE_INVALID", key=told.key)
    return public
