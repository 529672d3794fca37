"""Every leaf against the hash tree: what is stored in bundles, tiles and the checkpoint must be one and the
same tree.

Leaves are read bundle by bundle and handed on in order, each only after its hash was found equal to the one
in the stored level-0 tile. Higher tiles are compared as they become full. At the size of the checkpoint the
root is worked out from the leaves alone; that it is the signed one is for the caller to compare.

What the leaves say is not looked at. Where leaf and tile differ it is not known which of the two was changed;
the index is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from ledger.errors import InvalidBlock, Unverified
from ledger.log.merkle import HASH_BYTES, compute_leaf_hashes
from ledger.log.tiles import TILE_LEVELS, TILE_WIDTH, FullTile, HashTree, decode_bundle
from node.audit.sources import LeafSource

_LENGTH_BYTES: Final = 2


class HashedLeaves:
    """The leaves of a log in order, and the tree over those handed on so far.

    ``size`` leaves are read; ``signed_size`` of them are the checkpoint's. ``has_partial_tiles`` says whether
    the source has tiles that are not full: a data directory works those out, so there is nothing stored to
    compare.
    """

    def __init__(
        self,
        source: LeafSource,
        *,
        size: int,
        signed_size: int,
        has_partial_tiles: bool,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        self._source = source
        self._size = size
        self._signed_size = signed_size
        self._has_partial_tiles = has_partial_tiles
        self._progress = progress
        self._tree = HashTree()
        self.signed_root: bytes | None = None
        """The root over the checkpoint's leaves, once they were all read."""
        self.tiles = 0
        """Full tiles that were compared and the same."""

    def __iter__(self) -> Iterator[bytes]:
        """The leaves. Raises `InvalidBlock` at the first that is missing or is not the one in the tree."""
        for first in range(0, self._size, TILE_WIDTH):
            width = min(TILE_WIDTH, self._size - first)
            leaves, hashes, fault = self._read_bundle(first, width)
            yield from leaves
            if fault is not None:
                raise fault
            self._extend(first, hashes)
            if self._progress is not None:
                self._progress(first + width)
        if self._has_partial_tiles:
            self._compare_partial_tiles()

    def _read_bundle(self, first: int, width: int) -> tuple[list[bytes], list[bytes], InvalidBlock | None]:
        """The bundle's leaves up to the first fault, their hashes, and the fault."""
        index = first // TILE_WIDTH
        data = self._source.read_bundle(index, width) or b""
        leaves, is_whole = _decode_leniently(data, width)
        hashes = compute_leaf_hashes(leaves)
        if self._has_partial_tiles or width == TILE_WIDTH:
            tile = self._source.read_tile(0, index, width)
            if tile is None:
                missing = f"tile 0/{index} of {width}"
                return [], [], InvalidBlock("TILE_MISSING", expected=missing, found=None, index=first)
            if tile != b"".join(hashes):
                return _cut(first, leaves, hashes, tile)
        if not is_whole or len(leaves) != width:
            fault = InvalidBlock(
                "LEAVES_MISSING" if len(leaves) < width else "BUNDLE_MALFORMED",
                expected=f"{width} leaves in bundle {index}",
                found=len(leaves),
                index=first + min(len(leaves), width),
            )
            return leaves[:width], hashes[:width], fault
        return leaves, hashes, None

    def _extend(self, first: int, hashes: list[bytes]) -> None:
        """The tree has these leaves; tiles above them that became full are those stored."""
        signed = self._signed_size - first
        if 0 < signed <= len(hashes):
            full = self._tree.extend(hashes[:signed])
            self.signed_root = self._tree.root()
            full += self._tree.extend(hashes[signed:])
        else:
            full = self._tree.extend(hashes)
        for tile in full:
            if tile.level:  # level 0 was compared leaf by leaf
                self._compare(tile, TILE_WIDTH)
            self.tiles += 1

    def _compare_partial_tiles(self) -> None:
        """The tiles at the tree's right edge are those served; the lowest was compared with its bundle."""
        level = 1
        while known := self._size >> (TILE_LEVELS * level):
            index, width = divmod(known, TILE_WIDTH)
            if width:
                self._compare(FullTile(level, index, self._tree.tile(level, index, width)), width)
            level += 1

    def _compare(self, tile: FullTile, width: int) -> None:
        stored = self._source.read_tile(tile.level, tile.index, width)
        if stored == tile.data:
            return
        place = 0 if stored is None else _find_difference(stored, tile.data)
        raise InvalidBlock(
            "TILE_MISSING" if stored is None else "TILE_DIFFERS",
            expected=f"hash {place} of tile {tile.level}/{tile.index}: {_get_hash(tile.data, place)}",
            found=None if stored is None else _get_hash(stored, place),
            index=(tile.index * TILE_WIDTH + place) << (TILE_LEVELS * tile.level),
        )


def _cut(
    first: int, leaves: list[bytes], hashes: list[bytes], tile: bytes
) -> tuple[list[bytes], list[bytes], InvalidBlock]:
    """The leaves before the first whose hash is not that of the tile."""
    place = _find_difference(b"".join(hashes), tile)
    is_missing = place >= len(hashes)
    fault = InvalidBlock(
        "LEAVES_MISSING" if is_missing else "LEAF_HASH_DIFFERS",
        expected=f"the leaf of hash {_get_hash(tile, place)} as in the tile",
        found=f"{len(hashes)} leaves in the bundle" if is_missing else f"one of hash {hashes[place].hex()}",
        index=first + place,
    )
    return leaves[:place], hashes[:place], fault


def _find_difference(one: bytes, other: bytes) -> int:
    """The number of the first hash in which two tiles differ."""
    count = max(len(one), len(other)) // HASH_BYTES + 1
    places = (place * HASH_BYTES for place in range(count))
    return next(
        (
            place // HASH_BYTES
            for place in places
            if one[place : place + HASH_BYTES] != other[place : place + HASH_BYTES]
        ),
        count,
    )


def _get_hash(tile: bytes, place: int) -> str:
    return tile[place * HASH_BYTES : (place + 1) * HASH_BYTES].hex() or "nothing"


def _decode_leniently(data: bytes, width: int) -> tuple[list[bytes], bool]:
    """The leaves of a bundle, and whether it is well formed; of a broken one as many as can be told apart.

    One flipped bit in a length moves every border after it. The leaves before it are still themselves, so the
    first bad one can be named.
    """
    try:
        return decode_bundle(data), True
    except Unverified:
        leaves: list[bytes] = []
        position = 0
        while position < len(data) and len(leaves) < width:
            begin = position + _LENGTH_BYTES
            position = begin + int.from_bytes(data[position:begin], "big")
            leaves.append(data[begin:position])
        if position > len(data):
            # The last one's length reaches past the end: it is not a leaf.
            leaves.pop()
        return leaves, False
