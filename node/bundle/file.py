"""The file: one line of canonical JSON and a line feed.

Every byte of it is covered: genesis leaves hash to the chain string, receipts to the checkpoint, message
digests to what was signed, and what is written out for readers (the consents) must come out the same when it
is made again. So the same ledger head always gives the same file, and a changed byte is found.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ledger.codec import Digest, decode, encode
from ledger.errors import Refused, Unverified
from ledger.leaves import Tag
from ledger.policy_steps import PolicyStep
from ledger.receipt import LeafText, Receipt
from ledger.values import MESSAGES_MAX, Chain, Index, KeyId, ParticipantId, PublicKey, Reference
from node.audit.sources import SourceUnavailable

BUNDLE_BYTES_MAX: Final = 64 * 1024 * 1024
_ENTRIES_MAX: Final = 4_096
ConsentWords = Annotated[str, Meta(max_length=4_096)]
PurposeName = Annotated[str, Meta(pattern=r"\A[a-z]{3,16}\Z", max_length=16)]


class SignedMessages(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The hashes of all messages of a transaction, so that its signature covers the one that is shown."""

    messages: Annotated[list[Digest], Meta(min_length=1, max_length=MESSAGES_MAX)]
    tag: Tag


class ConsentCopy(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The text that a member (or their custodian) signed, for reading and for anybody's Ed25519 program."""

    entry: Index
    text: ConsentWords


class StatedKey(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A key that whoever made the bundle could not prove: a signature holds under it, whose it is, is their
    word.
    """

    key: KeyId
    participant: ParticipantId
    public: PublicKey
    purpose: PurposeName


class Bundle(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="bundle", tag_field="@type"):
    """What answers a dispute about one order."""

    chain: Chain
    consents: Annotated[list[ConsentCopy], Meta(max_length=2 * _ENTRIES_MAX)]
    context: Annotated[list[Receipt], Meta(max_length=_ENTRIES_MAX)]
    """Entries that registered the keys behind the signatures, in the order of the log."""
    entries: Annotated[list[Receipt], Meta(min_length=1, max_length=_ENTRIES_MAX)]
    """Entries that name the order, in the order of the log."""
    genesis: Annotated[list[LeafText], Meta(min_length=1, max_length=_ENTRIES_MAX)]
    policies: Annotated[list[PolicyStep], Meta(min_length=1, max_length=_ENTRIES_MAX)] | UnsetType = UNSET
    """The steps to the trust policy that judges the checkpoint; absent where that is the genesis's."""
    reference: Reference
    sender: ParticipantId
    stated: Annotated[list[StatedKey], Meta(max_length=_ENTRIES_MAX)]
    transactions: Annotated[list[SignedMessages], Meta(max_length=2 * _ENTRIES_MAX)]
    version: Literal[1]


_DECODER: Final = msgspec.json.Decoder(Bundle)


def encode_bundle(bundle: Bundle) -> bytes:
    """The file's bytes."""
    line: bytes = encode(bundle)
    return line + b"\n"


def decode_bundle(data: bytes) -> Bundle:
    """The bundle in these bytes, in its one spelling; nothing of it is believed yet. Raises `Unverified`."""
    if not data.endswith(b"\n"):
        raise Unverified("BUNDLE_MALFORMED", reason="it does not end in a line feed: perhaps it was cut off")
    try:
        return decode(data[:-1], _DECODER)
    except Refused as refusal:
        code = "BUNDLE_NOT_CANONICAL" if refusal.code == "NOT_CANONICAL" else "BUNDLE_MALFORMED"
        raise Unverified(code, **refusal.facts) from None


def read_bundle_file(path: Path) -> bytes:
    """The bytes of a bundle file. Raises `SourceUnavailable` where it cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(BUNDLE_BYTES_MAX + 1)
    except OSError as error:
        raise SourceUnavailable("BUNDLE_UNREADABLE", path=str(path), reason=error.strerror) from None
    if len(data) > BUNDLE_BYTES_MAX:
        raise SourceUnavailable("BUNDLE_UNREADABLE", path=str(path), reason="larger than any bundle")
    return data
