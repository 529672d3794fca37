"""The log as files anybody can mirror: C2SP tlog-tiles, and the tree as it grows at its right edge.

A tile holds 256 neighbouring hashes of one level of the tree (every eighth level has tiles), an entry bundle
the 256 leaves under one level-0 tile. Full tiles and bundles never change. Paths and bytes are those of the
specification, so any tool that reads tiled logs reads ours.

`HashTree` keeps only the right edge in memory and asks for full tiles when an older proof needs them. What it
is given is checked against the tile above before any proof is made of it. It stores nothing, and it never
shrinks: a caller that fails to make leaves durable starts again from what is.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

from ledger.errors import InvariantBroken, Refused, Unverified
from ledger.log.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    SIZE_MAX,
    compute_parents,
    compute_subtree_root,
    node_hash,
)

TILE_WIDTH: Final = 256
TILE_BYTES: Final = TILE_WIDTH * HASH_BYTES
TILE_LEVELS: Final = 8
"""Levels of the tree from one tile level to the next: 256 is 2**8."""
TILE_LEVEL_MAX: Final = 63
LEAF_BYTES_MAX: Final = 65_535
"""What the two length bytes of a bundle can say."""

ReadTile = Callable[[int, int], bytes]
"""``read_tile(level, index)``: the 8,192 bytes of a full tile."""

_TILE_PATH: Final = re.compile(
    r"tile/(?P<level>entries|[0-9]{1,2})/(?P<index>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[0-9]{1,3}))?"
)


class FullTile(NamedTuple):
    """A tile that has become full and will never change again."""

    level: int
    index: int  # type: ignore[assignment]  # the specification's word; nobody searches in a tile's tuple
    data: bytes


class TilePath(NamedTuple):
    """What a tile's path says: a hash tile's level or ``"entries"``, the index, and how many it holds."""

    level: int | Literal["entries"]
    index: int  # type: ignore[assignment]  # as above
    width: int


def tile_path(level: int, index: int, width: int = TILE_WIDTH) -> str:
    """The path of a hash tile under the log's prefix, as in ``tile/0/x001/067.p/5``."""
    if not 0 <= level <= TILE_LEVEL_MAX:
        raise Refused("OUT_OF_RANGE", level=level)
    return f"tile/{level}/{_format_index(index, width)}"


def entries_path(index: int, width: int = TILE_WIDTH) -> str:
    """The path of an entry bundle under the log's prefix."""
    return f"tile/entries/{_format_index(index, width)}"


def _format_index(index: int, width: int) -> str:
    if not (0 <= index <= SIZE_MAX and 1 <= width <= TILE_WIDTH):
        raise Refused("OUT_OF_RANGE", index=index, width=width)
    text = f"{index % 1000:03d}"
    while index := index // 1000:
        text = f"x{index % 1000:03d}/{text}"
    return text if width == TILE_WIDTH else f"{text}.p/{width}"


def parse_tile_path(text: str) -> TilePath:
    """What the path names. Only the one spelling of the specification is read.

    Raises `Refused` ``TILE_PATH``.
    """
    found = _TILE_PATH.fullmatch(text)
    if found is None:
        raise Refused("TILE_PATH", path=text[:100])
    index = int(found["index"].replace("x", "").replace("/", ""))
    width = TILE_WIDTH if found["width"] is None else int(found["width"])
    level: int | Literal["entries"] = "entries" if found["level"] == "entries" else int(found["level"])
    if not 1 <= width <= TILE_WIDTH or index > SIZE_MAX or (level != "entries" and level > TILE_LEVEL_MAX):
        raise Refused("TILE_PATH", path=text[:100])
    spelled = entries_path(index, width) if level == "entries" else tile_path(level, index, width)
    if spelled != text:
        raise Refused("TILE_PATH", path=text[:100], expected=spelled)
    return TilePath(level, index, width)


def encode_bundle(leaves: Sequence[bytes]) -> bytes:
    """The leaves one after the other, each after its length in two bytes, the high one first."""
    longest = max(map(len, leaves), default=0)
    if longest > LEAF_BYTES_MAX:
        raise Refused("LEAF_TOO_LARGE", bytes=longest, bytes_max=LEAF_BYTES_MAX)
    return b"".join([part for leaf in leaves for part in (len(leaf).to_bytes(2, "big"), leaf)])


def decode_bundle(data: bytes) -> list[bytes]:
    """The leaves of a bundle, which must end where its last leaf ends and hold no more than a tile has.

    Raises `Unverified` ``BUNDLE_MALFORMED``.
    """
    leaves: list[bytes] = []
    position, end = 0, len(data)
    while position < end:
        begin = position + 2
        position = begin + int.from_bytes(data[position:begin], "big")
        # The bound comes first: sixteen million bytes may say that they are eight million empty leaves.
        if len(leaves) == TILE_WIDTH or begin > end or position > end:
            raise Unverified("BUNDLE_MALFORMED", leaves=len(leaves), bytes=end)
        leaves.append(data[begin:position])
    return leaves


class HashTree:
    """The growing tree: its right edge in memory, its full tiles wherever ``read_tile`` finds them.

    ``_edge[level]`` holds the complete nodes of that level inside the partial tile over it, so at most 256
    hashes on each eighth level and fewer between. The last ``cached_tiles`` tiles that became full or were
    read stay at hand. Reads move the cache too, so one tree is for one thread at a time.
    """

    __slots__ = ("_cache", "_cached_tiles", "_edge", "_read_tile", "_size")

    def __init__(self, read_tile: ReadTile | None = None, *, cached_tiles: int = 128) -> None:
        self._read_tile = read_tile
        self._cached_tiles = cached_tiles
        self._cache: OrderedDict[tuple[int, int], list[list[bytes]]] = OrderedDict()
        self._edge: list[list[bytes]] = [[] for _ in range(TILE_LEVELS)]
        self._size = 0

    @classmethod
    def restore(
        cls, *, size: int, read_tile: ReadTile | None, partial: Sequence[bytes], cached_tiles: int = 128
    ) -> HashTree:
        """The tree of ``size`` leaves, from full tiles and the leaf hashes after the last full level-0 tile.

        Partial tiles above level 0 are worked out from the full tiles below them. Nothing is believed or
        doubted here: the caller compares `root` with a checkpoint it trusts.
        """
        if not 0 <= size <= SIZE_MAX or len(partial) != size % TILE_WIDTH:
            raise InvariantBroken("TREE_SIZE", size=size, partial=len(partial))
        tree = cls(read_tile, cached_tiles=cached_tiles)
        top = 0
        while size >> (TILE_LEVELS * (top + 1)):
            top += 1
        tree._edge = [[] for _ in range(TILE_LEVELS * (top + 1))]
        tree._size = size
        for tile_level in range(top, 0, -1):
            width = (size >> (TILE_LEVELS * tile_level)) % TILE_WIDTH
            begin = (size >> (TILE_LEVELS * tile_level)) - width
            roots = [
                _compute_tile_root(_hash_tile(tree._read_full_tile(tile_level - 1, index)))
                for index in range(begin, begin + width)
            ]
            tree._append(tile_level, roots, [])
        tree._append(0, partial, [])
        return tree

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._size

    def extend(self, leaf_hashes: Sequence[bytes]) -> list[FullTile]:
        """The tree has these leaves too. Answers the tiles that became full, each after those below it.

        The caller stores them before it asks for proofs: only the last few are kept here.
        """
        full: list[FullTile] = []
        position, count = 0, len(leaf_hashes)
        while position < count:
            room = TILE_WIDTH - len(self._edge[0])
            run = leaf_hashes[position : position + room]
            self._size += len(run)
            self._append(0, run, full)
            position += room
        return full

    def _append(self, tile_level: int, hashes: Sequence[bytes], full: list[FullTile]) -> None:
        """Add hashes, no more than the tile has room for, and work out the complete nodes above them."""
        bottom = tile_level * TILE_LEVELS
        edge = self._edge
        edge[bottom].extend(hashes)
        for level in range(bottom, bottom + TILE_LEVELS - 1):
            below, above = edge[level], edge[level + 1]
            fresh = below[2 * len(above) :]
            if len(fresh) < 2:
                break
            above.extend(compute_parents(fresh))
        if len(edge[bottom]) < TILE_WIDTH:
            return
        tile = edge[bottom : bottom + TILE_LEVELS]
        # The size counts the leaves under this tile already: the tile that just became full is the last.
        index = (self._size >> (bottom + TILE_LEVELS)) - 1
        full.append(FullTile(tile_level, index, b"".join(tile[0])))
        edge[bottom : bottom + TILE_LEVELS] = [[] for _ in range(TILE_LEVELS)]
        self._remember(tile_level, index, tile)
        if len(edge) == bottom + TILE_LEVELS:
            edge.extend([] for _ in range(TILE_LEVELS))
        self._append(tile_level + 1, (_compute_tile_root(tile),), full)

    def root(self) -> bytes:
        """The root over all leaves. Only the right edge is needed for it."""
        if self._size == 0:
            return EMPTY_ROOT
        return compute_subtree_root(first=0, end=self._size, node=self.node)

    def node(self, level: int, index: int) -> bytes:
        """The root of the complete subtree of 2**level leaves at ``index``: what provers ask for."""
        if not (level >= 0 <= index and (index + 1) << level <= self._size):
            raise InvariantBroken("NODE_NOT_COMPLETE", level=level, index=index, size=self._size)
        tile_level, step = divmod(level, TILE_LEVELS)
        shift = TILE_LEVELS - step
        tile_index = index >> shift
        within = index - (tile_index << shift)
        if tile_index == self._size >> (level + shift):
            return self._edge[level][within]
        return self._get_tile(tile_level, tile_index)[step][within]

    def tile(self, level: int, index: int, width: int = TILE_WIDTH) -> bytes:
        """The bytes of a tile, full or partial, as they are served. Raises `Refused` ``OUT_OF_RANGE``."""
        known = self._size >> (TILE_LEVELS * level) if 0 <= level <= TILE_LEVEL_MAX else 0
        if not (1 <= width <= TILE_WIDTH and index >= 0 and index * TILE_WIDTH + width <= known):
            raise Refused("OUT_OF_RANGE", level=level, index=index, width=width, size=self._size)
        if index == known // TILE_WIDTH:
            return b"".join(self._edge[TILE_LEVELS * level][:width])
        return b"".join(self._get_tile(level, index)[0][:width])

    def _get_tile(self, level: int, index: int) -> list[list[bytes]]:
        tile = self._cache.get((level, index))
        if tile is not None:
            self._cache.move_to_end((level, index))
            return tile
        tile = _hash_tile(self._read_full_tile(level, index))
        # Storage may have lost a bit. A proof from such a tile would be refused by whoever asked for it, and
        # the fault would look like theirs; so it is found here. The tile above is in the edge or was held up
        # likewise.
        expected = self.node((level + 1) * TILE_LEVELS, index)
        found = _compute_tile_root(tile)
        if found != expected:
            raise InvariantBroken(
                "TILE_CORRUPT", level=level, index=index, expected=expected.hex(), found=found.hex()
            )
        self._remember(level, index, tile)
        return tile

    def _read_full_tile(self, level: int, index: int) -> bytes:
        data = None if self._read_tile is None else self._read_tile(level, index)
        if data is None or len(data) != TILE_BYTES:
            raise InvariantBroken("TILE_MISSING", level=level, index=index, found=data and len(data))
        return data

    def _remember(self, level: int, index: int, tile: list[list[bytes]]) -> None:
        self._cache[level, index] = tile
        if len(self._cache) > self._cached_tiles:
            self._cache.popitem(last=False)


def _hash_tile(data: bytes) -> list[list[bytes]]:
    """The tile's hashes and the seven levels above them, without its root."""
    rows = [[data[begin : begin + HASH_BYTES] for begin in range(0, len(data), HASH_BYTES)]]
    for _ in range(TILE_LEVELS - 1):
        rows.append(compute_parents(rows[-1]))
    return rows


def _compute_tile_root(tile: list[list[bytes]]) -> bytes:
    left, right = tile[TILE_LEVELS - 1]
    return node_hash(left, right)
