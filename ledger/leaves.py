"""Leaves: the exact bytes the log remembers, and how they are read back.

A block of the log is: system entries, then for each transaction its leaf and one entry leaf a message, then
the block leaf, which names the block leaf before it. All are canonical JSON of at most 65,535 bytes. An
entry's `tag` is the first 16 bytes of the SHA-256 of its transaction leaf: it binds sender, id and time to
the entry, and since it hangs on a signature, a sibling hash in somebody's proof cannot be guessed open.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw, Struct

from ledger.codec import Bytes16, Digest, Signature, encode, to_base64url
from ledger.transaction import Header
from ledger.values import Count, Height, Index, Millis

Tag = Bytes16
RulebookVersion = Annotated[int, Meta(ge=1, le=1_000_000)]

ENTRY_START: Final = b'{"@type":"entry",'
TRANSACTION_START: Final = b'{"@type":"transaction",'
BLOCK_START: Final = b'{"@type":"block",'
SYSTEM_START: Final = b'{"@type":"system",'
GENESIS_START: Final = b'{"@type":"genesis'


class TransactionLeaf(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="transaction", tag_field="@type"
):
    """A transaction as it was taken: what was signed, where and when. Its entries follow it."""

    header: Header
    height: Height
    signature: Signature
    time: Millis


class Totals(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """How much there has been since genesis."""

    accepted: Count
    entries: Count
    transactions: Count


class BlockLeaf(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="block", tag_field="@type"):
    """Closes a block and names its predecessor."""

    engine_height: Height
    first: Index
    """Index of the block's first leaf."""
    height: Height
    last: Index
    """Index of this leaf."""
    previous: Digest
    """Leaf hash of the block leaf before; for the first block the root over the genesis leaves."""
    rulebook: RulebookVersion
    sums: Digest
    """SHA-256 of the canonical rows [program, supply] and [participant, micros] that changed, sorted."""
    time: Millis
    totals: Totals


def encode_entry(message: bytes, outcome: bytes, tag: bytes) -> bytes:
    """An entry leaf from the message's and the outcome's canonical bytes and the tag's text."""
    return b'{"@type":"entry","message":%b,"outcome":%b,"tag":"%b"}' % (message, outcome, tag)


def encode_system_entry(message: bytes, outcome: bytes) -> bytes:
    """The leaf of work a block did by itself."""
    return b'{"@type":"system","message":%b,"outcome":%b}' % (message, outcome)


def encode_transaction_leaf(header: bytes, *, height: int, signature: str, time: int) -> bytes:
    """A transaction leaf from the header's canonical bytes."""
    return b'{"@type":"transaction","header":%b,"height":%d,"signature":"%b","time":%d}' % (
        header,
        height,
        signature.encode("ascii"),
        time,
    )


def encode_block_leaf(leaf: BlockLeaf) -> bytes:
    """The canonical bytes of a block leaf."""
    data: bytes = encode(leaf)
    return data


def compute_tag(transaction_leaf: bytes) -> bytes:
    """The tag's text that each entry of this transaction carries."""
    return to_base64url(sha256(transaction_leaf).digest()[:16]).encode("ascii")


class EntryShape(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="entry", tag_field="@type"):
    """An entry leaf with its message and outcome still as bytes."""

    message: Raw
    outcome: Raw
    tag: Tag


class SystemShape(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="system", tag_field="@type"):
    """A system entry with its message and outcome still as bytes."""

    message: Raw
    outcome: Raw


ENTRY_DECODER: Final[msgspec.json.Decoder[EntryShape]] = msgspec.json.Decoder(EntryShape)
SYSTEM_DECODER: Final[msgspec.json.Decoder[SystemShape]] = msgspec.json.Decoder(SystemShape)
TRANSACTION_LEAF_DECODER: Final[msgspec.json.Decoder[TransactionLeaf]] = msgspec.json.Decoder(TransactionLeaf)
BLOCK_LEAF_DECODER: Final[msgspec.json.Decoder[BlockLeaf]] = msgspec.json.Decoder(BlockLeaf)
