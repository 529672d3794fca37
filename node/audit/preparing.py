"""What can be said of leaves without the state: hashes, spelling, shapes.

Bundles are held against the stored hash tile, every leaf is read, and every message must stand in its entry
in the one spelling that its values have. What comes out is plain: leaves, messages, hashes. It is made by a
worker process and used by the process that executes, so nothing in it is believed to follow from what stands
before: that is for `node.audit.replay`.

Only what is as in a good ledger is prepared. Of anything else it is said that something is irregular, and no
more: `node.audit.verify` then goes through the ledger step by step and names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

import msgspec

from ledger.codec import encode
from ledger.errors import Unverified
from ledger.leaves import (
    BLOCK_LEAF_DECODER,
    BLOCK_START,
    GENESIS_START,
    SYSTEM_START,
    TRANSACTION_LEAF_DECODER,
    TRANSACTION_START,
    BlockLeaf,
    TransactionLeaf,
)
from ledger.log.merkle import compute_leaf_hashes, compute_root
from ledger.log.tiles import TILE_WIDTH, decode_bundle
from node.audit.recorded import make_entry_decoder

ENTRY: Final = ord("e")
TRANSACTION: Final = ord("t")
BLOCK: Final = ord("b")
SYSTEM: Final = ord("s")
GENESIS: Final = ord("g")
_KIND_AT: Final = len(b'{"@type":"')
"""Leaves of different kinds differ in this byte."""
_MESSAGE_AT: Final = len(b'{"@type":"entry","message":')
_STARTS: Final = {SYSTEM: SYSTEM_START, GENESIS: GENESIS_START}


class Irregular(Exception):
    """Something is not as in a good ledger. Which check says so, and of which leaf, is found step by step."""


class Bundle(NamedTuple):
    """A bundle as stored, with its tile of leaf hashes."""

    index: int  # type: ignore[assignment]  # the specification's word; nobody searches in this tuple
    width: int
    data: bytes | None
    tile: bytes | None


class Prepared(NamedTuple):
    """The leaves of neighbouring bundles, ready to be put together as blocks. Never on the wire."""

    leaves: list[bytes]
    kinds: bytes
    """One letter a leaf."""
    messages: list[Any]
    """Of the entries, in order; so are their canonical bytes' lengths and hashes."""
    lengths: list[int]
    hashes: list[bytes]
    transactions: list[TransactionLeaf]
    blocks: list[BlockLeaf]
    roots: list[bytes]
    """Of each full bundle, the root over its leaves."""
    edge: list[bytes]
    """Leaf hashes of the bundle that the checkpoint's last leaf is in, as far as the checkpoint goes; empty
    where that is another bundle, or full.
    """


class Preparer:
    """Prepares bundles of one ledger, whose entries hold messages of this type."""

    def __init__(
        self, message_type: Any, *, signed_size: int, has_partial_tiles: bool, has_tiles: bool = True
    ) -> None:
        self._decode_entry = make_entry_decoder(message_type).decode
        self._signed_size = signed_size
        self._has_tiles = has_tiles
        """Without tiles, whoever asked compares roots instead."""
        self._has_partial_tiles = has_partial_tiles

    def prepare(self, bundles: Sequence[Bundle]) -> Prepared:
        """What these bundles hold. Raises `Irregular`."""
        leaves: list[bytes] = []
        roots: list[bytes] = []
        edge: list[bytes] = []
        for bundle in bundles:
            held, hashes = self._check(bundle)
            leaves += held
            if bundle.width == TILE_WIDTH:
                roots.append(compute_root(hashes))
            signed = self._signed_size - bundle.index * TILE_WIDTH
            if 0 < signed < TILE_WIDTH:
                edge = hashes[:signed]
        try:
            return self._read(leaves, roots, edge)
        except (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError) as error:
            raise Irregular(str(error)) from None

    def _check(self, bundle: Bundle) -> tuple[list[bytes], list[bytes]]:
        """The bundle's leaves and their hashes, which are those of the tile."""
        try:
            leaves = decode_bundle(bundle.data or b"")
        except Unverified as error:
            raise Irregular(str(error)) from None
        if len(leaves) != bundle.width:
            raise Irregular("leaves", bundle.index)
        hashes = compute_leaf_hashes(leaves)
        is_kept = self._has_tiles and (self._has_partial_tiles or bundle.width == TILE_WIDTH)
        if is_kept and bundle.tile != b"".join(hashes):
            raise Irregular("tile", bundle.index)
        return leaves, hashes

    def _read(self, leaves: list[bytes], roots: list[bytes], edge: list[bytes]) -> Prepared:
        kinds = bytes([leaf[_KIND_AT] if len(leaf) > _KIND_AT else 0 for leaf in leaves])
        decode = self._decode_entry
        entries = [leaf for leaf, kind in zip(leaves, kinds, strict=True) if kind == ENTRY]
        messages = [decode(leaf).message for leaf in entries]
        spelled = [encode(message) for message in messages]
        for leaf, message in zip(entries, spelled, strict=True):
            if not leaf.startswith(message, _MESSAGE_AT):
                raise Irregular("spelling")
        transactions: list[TransactionLeaf] = []
        blocks: list[BlockLeaf] = []
        for leaf, kind in zip(leaves, kinds, strict=True):
            if kind == ENTRY:
                continue
            if kind == TRANSACTION and leaf.startswith(TRANSACTION_START):
                transactions.append(TRANSACTION_LEAF_DECODER.decode(leaf))
            elif kind == BLOCK and leaf.startswith(BLOCK_START):
                blocks.append(BLOCK_LEAF_DECODER.decode(leaf))
            elif not leaf.startswith(_STARTS.get(kind, leaf + b" ")):
                raise Irregular("kind")
        return Prepared(
            leaves=leaves,
            kinds=kinds,
            messages=messages,
            lengths=[len(message) for message in spelled],
            hashes=[sha256(message).digest() for message in spelled],
            transactions=transactions,
            blocks=blocks,
            roots=roots,
            edge=edge,
        )


def slice_messages(leaves: Sequence[bytes], lengths: Sequence[int]) -> list[bytes]:
    """The messages' bytes in entries that were found to hold so many in their one spelling."""
    return [leaf[_MESSAGE_AT : _MESSAGE_AT + length] for leaf, length in zip(leaves, lengths, strict=True)]
