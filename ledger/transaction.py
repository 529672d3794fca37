"""Transactions: one signature around one to 8,192 messages, and all that can be refused before the state is
asked.

    {"header": {"atomic"?, "chain", "count", "digest", "id", "key", "not_after", "sender"}, "messages": […],
    "signature"}

The bytes that arrive must be the canonical ones (`ledger.codec`). `digest` covers each message's hash, so one
message can later be shown with its neighbours as hashes only. The checks stand in the order of
docs/spec/messages.md, "Transaction".
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ledger.codec import Digest, Signature, decode_shape, encode, from_base64url, to_base64url
from ledger.errors import Refused
from ledger.keys import Signer, is_valid_signature, signed_text
from ledger.values import (
    MESSAGES_MAX,
    TRANSACTION_BYTES_MAX,
    Chain,
    KeyId,
    Millis,
    ParticipantId,
    TransactionId,
)

KEY_TABLE: Final = "key"
TRANSACTION_TABLE: Final = "transaction"


class Header(Struct, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True):
    """What the signature covers."""

    atomic: Literal[True] | UnsetType = UNSET
    """All messages or none."""
    chain: Chain
    count: Annotated[int, Meta(ge=0, le=2**53 - 1)]
    digest: Digest
    id: TransactionId
    """Chosen by the client and stored before the first send."""
    key: KeyId
    not_after: Millis
    """After this block time it is refused."""
    sender: ParticipantId


class RegisteredKey(Struct, frozen=True, array_like=True, gc=False):
    """A participant's key as the state knows it: a state record."""

    participant: str
    public: str
    purpose: str
    valid_from: int
    """The first height at which it counts."""
    valid_to: int
    """The first height at which it no longer does."""


class RememberedTransaction(Struct, frozen=True, array_like=True, gc=False):
    """A transaction that was taken, remembered until its `not_after`: a state record."""

    digest: str
    not_after: int


class Vetting(NamedTuple):
    """What was found when a transaction's bytes were checked, for another process that believes it."""

    lengths: Sequence[int]
    """Of each message's canonical bytes."""
    hashes: bytes
    """The messages' SHA-256, one after the other."""
    verified_by: str
    """The public key under which the signature was found valid, base64url; empty where nobody looked."""


class Transaction:
    """A decoded transaction beside the bytes it came as."""

    __slots__ = (
        "_message_hashes",
        "header",
        "header_bytes",
        "message_bytes",
        "messages",
        "signature",
        "verified_by",
    )

    def __init__(
        self, *, header: Header, messages: Sequence[Any], message_bytes: Sequence[bytes], signature: str
    ) -> None:
        self.header = header
        self.header_bytes: bytes = encode(header)
        self.messages = messages
        self.message_bytes = message_bytes
        self.signature = signature
        self._message_hashes: list[bytes] | None = None
        self.verified_by: str | None = None
        """The public key under which the signature was found valid, so that it is checked once a node."""

    @property
    def message_hashes(self) -> list[bytes]:
        """SHA-256 of each message's canonical bytes.

        The digest is made of them, and so is what makes two the same.
        """
        if self._message_hashes is None:
            self._message_hashes = [sha256(message).digest() for message in self.message_bytes]
        return self._message_hashes

    @property
    def vetting(self) -> Vetting:
        """What is known of it already."""
        lengths = [len(message) for message in self.message_bytes]
        return Vetting(lengths, b"".join(self.message_hashes), self.verified_by or "")

    def encode(self) -> bytes:
        """The canonical bytes."""
        return b'{"header":%b,"messages":[%b],"signature":"%b"}' % (
            self.header_bytes,
            b",".join(self.message_bytes),
            self.signature.encode("ascii"),
        )

    def take_vetting(self, message_hashes: list[bytes], *, verified_by: str | None) -> None:
        """Hashes and signature are as somebody who is believed has found them."""
        self._message_hashes = message_hashes
        self.verified_by = verified_by

    def verify_signature(self, public: str) -> None:
        """The header was signed by ``public`` (base64url). Raises `Refused` ``SIGNATURE_INVALID``."""
        if self.verified_by == public:
            return
        text = signed_text(purpose="transaction", chain=self.header.chain, body=self.header_bytes)
        signature = from_base64url(self.signature, size=64)
        if not is_valid_signature(public=from_base64url(public, size=32), text=text, signature=signature):
            raise Refused("SIGNATURE_INVALID", key=self.header.key)
        self.verified_by = public


def compute_digest(message_hashes: Sequence[bytes]) -> str:
    """SHA-256 over the concatenated SHA-256 of each message's canonical bytes, base64url."""
    return to_base64url(sha256(b"".join(message_hashes)).digest())


class TransactionDecoder:
    """Reads transactions whose messages are of one closed union (a rulebook's)."""

    def __init__(self, message_type: Any) -> None:
        envelope = msgspec.defstruct(
            "Envelope",
            [("header", Header), ("messages", list[message_type]), ("signature", Signature)],
            frozen=True,
            forbid_unknown_fields=True,
        )
        self._decoder = msgspec.json.Decoder(envelope)

    def decode(self, data: bytes) -> Transaction:
        """The transaction these bytes are. Raises `Refused`, in the order of docs/spec/messages.md, up to
        ``COUNT_MISMATCH``.
        """
        if len(data) > TRANSACTION_BYTES_MAX:
            raise Refused("TOO_LARGE", bytes=len(data), allowed=TRANSACTION_BYTES_MAX)
        envelope: Any = decode_shape(data, self._decoder)
        transaction = Transaction(
            header=envelope.header,
            messages=envelope.messages,
            message_bytes=[encode(message) for message in envelope.messages],
            signature=envelope.signature,
        )
        # Duplicate keys, spaces, other key orders and other spellings all end here.
        if transaction.encode() != data:
            raise Refused("NOT_CANONICAL", bytes=len(data))
        if len(transaction.messages) > MESSAGES_MAX:
            raise Refused("TOO_MANY_MESSAGES", count=len(transaction.messages), allowed=MESSAGES_MAX)
        if not transaction.messages:
            raise Refused("EMPTY")
        if transaction.header.count != len(transaction.messages):
            raise Refused("COUNT_MISMATCH", count=transaction.header.count, found=len(transaction.messages))
        return transaction

    def decode_vetted(self, data: bytes, vetting: Vetting) -> Transaction:
        """The transaction that `decode` made of these bytes before, in a process that is believed.

        Shapes and bounds are held to once more, since that is what reading is; spelling, count and hashes are
        taken as they were found. Raises `Refused` ``MALFORMED``.
        """
        envelope: Any = decode_shape(data, self._decoder)
        transaction = Transaction(
            header=envelope.header, messages=envelope.messages, message_bytes=(), signature=envelope.signature
        )
        position = len(b'{"header":,"messages":[') + len(transaction.header_bytes)
        message_bytes: list[bytes] = []
        for length in vetting.lengths:
            message_bytes.append(data[position : position + length])
            position += length + 1
        hashes = [vetting.hashes[place : place + 32] for place in range(0, len(vetting.hashes), 32)]
        if not len(message_bytes) == len(hashes) == len(transaction.messages):
            raise Refused("MALFORMED", reason="the vetting is of another transaction")
        transaction.message_bytes = message_bytes
        transaction.take_vetting(hashes, verified_by=vetting.verified_by or None)
        return transaction


def check_contents(transaction: Transaction, *, chain: str) -> None:
    """The transaction is of this chain and its digest is that of its messages. Raises `Refused`."""
    if transaction.header.chain != chain:
        raise Refused("WRONG_CHAIN", chain=transaction.header.chain, expected=chain)
    digest = compute_digest(transaction.message_hashes)
    if transaction.header.digest != digest:
        raise Refused("DIGEST_MISMATCH", digest=transaction.header.digest, expected=digest)


def sign_transaction(
    messages: Sequence[Any],
    *,
    chain: str,
    sender: str,
    transaction_id: str,
    not_after: int,
    signer: Signer,
    atomic: bool = False,
) -> Transaction:
    """A transaction ready to send, signed by ``signer`` for ``sender``."""
    message_bytes = [encode(message) for message in messages]
    header = Header(
        atomic=True if atomic else UNSET,
        chain=chain,
        count=len(messages),
        digest=compute_digest([sha256(message).digest() for message in message_bytes]),
        id=transaction_id,
        key=signer.key_id,
        not_after=not_after,
        sender=sender,
    )
    signature = signer.sign(signed_text(purpose="transaction", chain=chain, body=encode(header)))
    return Transaction(
        header=header, messages=messages, message_bytes=message_bytes, signature=to_base64url(signature)
    )
