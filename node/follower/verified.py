"""The tree that one checkpoint states, read from sources that are not believed: every hash and every leaf is
held against the checkpoint's root before anybody sees it.

The right edge of the tree (its partial tiles) comes first, and must have the root. From there downwards each
full tile must have the hash that the tile above gives it, and each entry bundle the hashes of its tile. So a
byte that was changed is noticed in the very file it stands in; that file is then asked of the next source.

Signatures under the checkpoint, and what the leaves say, are looked at elsewhere.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

from ledger.errors import Unverified
from ledger.log.merkle import (
    EMPTY_ROOT,
    HASH_BYTES,
    compute_leaf_hashes,
    compute_root,
    compute_subtree_root,
)
from ledger.log.note import Checkpoint
from ledger.log.tiles import (
    TILE_BYTES,
    TILE_LEVELS,
    TILE_WIDTH,
    decode_bundle,
    entries_path,
    tile_path,
)
from node.audit.sources import BUNDLE_BYTES_MAX, SourceUnavailable
from node.audit.tasks import Opening
from node.follower.sources import Source, Sources, read_bundle

_AHEAD: Final = 12
"""Bundles on their way while one is looked at."""
_THREADS: Final = 3
_CACHED_TILES: Final = 64
_T = TypeVar("_T")


class VerifiedLog:
    """Tiles and bundles of one checkpoint's tree. A `node.audit.sources.LeafSource`; for one thread."""

    has_partial_tiles: Final = True

    def __init__(self, sources: Sources, checkpoint: Checkpoint) -> None:
        """Raises `SourceUnavailable` where no source has the right edge."""
        self.size = checkpoint.size
        self._sources = sources
        self._cache: OrderedDict[tuple[int, int], list[bytes]] = OrderedDict()
        self._newest: tuple[int, list[bytes]] = (-1, [])
        """The bundle that was read last, and the hashes of its leaves."""
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="follow")
        self._ahead: dict[int, tuple[Source, Future[bytes | None]]] = {}
        self._edge = self._ask_each("the partial tiles", lambda source: self._read_edge(source, checkpoint))

    def close(self) -> None:
        """Nothing more is asked for."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    @property
    def opening(self) -> Opening | None:
        """Opens the first source in another process, for bundles alone, none of which is believed there."""
        return self._sources.row[0].make_opening(self.size)

    @property
    def edge(self) -> list[bytes]:
        """The hashes of the leaves after the last full bundle."""
        return self._edge[0]

    def get_bundle_root(self, index: int) -> bytes:
        """The root over a full bundle's leaves."""
        return self.node(TILE_LEVELS, index)

    def node(self, level: int, index: int) -> bytes:
        """The root of a complete subtree, as provers ask for it."""
        tile_level, step = divmod(level, TILE_LEVELS)
        first = index << step
        row = self._get_tile(tile_level, first // TILE_WIDTH)
        begin = first % TILE_WIDTH
        return compute_root(row[begin : begin + (1 << step)])

    def read_from(self, first: int) -> list[bytes]:
        """The leaves from this one to the end of its bundle. Raises `SourceUnavailable`."""
        return decode_bundle(self.read_bundle(first // TILE_WIDTH))[first % TILE_WIDTH :]

    def read_bundle(self, index: int, width: int = TILE_WIDTH) -> bytes:
        """The bundle as it was given, whose leaves are those of the tree."""
        width = min(TILE_WIDTH, self.size - index * TILE_WIDTH)
        expected = self._get_bundle_hashes(index, width)
        path = entries_path(index, width)
        self._ask_ahead(index)
        asked = self._ahead.pop(index, None)
        if asked is not None:
            source, answer = asked
            try:
                return self._keep(index, _check_bundle(answer.result(), width, expected))
            except (SourceUnavailable, Unverified) as error:
                self._sources.put_last(source, path=path, reason=str(error))

        def read(source: Source) -> tuple[bytes, list[bytes]]:
            return _check_bundle(read_bundle(source, index, width), width, expected)

        return self._keep(index, self._ask_each(path, read))

    def _keep(self, index: int, checked: tuple[bytes, list[bytes]]) -> bytes:
        self._newest = (index, checked[1])
        return checked[0]

    def read_tile(self, level: int, index: int, width: int) -> bytes:
        """The tile, as the tree has it; that of the newest bundle follows from its leaves."""
        if level == 0 and self._newest[0] == index:
            return b"".join(self._newest[1][:width])
        return b"".join(self._get_tile(level, index)[:width])

    def read_checkpoint(self) -> str:
        """Whoever reads through here has it."""
        raise SourceUnavailable("NOT_ASKED_HERE")

    def read_size(self) -> int | None:
        """That of the checkpoint."""
        return self.size

    def _read_edge(self, source: Source, checkpoint: Checkpoint) -> list[list[bytes]]:
        """For each level the hashes of its partial tile, which together have the root."""
        edge: list[list[bytes]] = []
        level = 0
        while known := checkpoint.size >> (TILE_LEVELS * level):
            index, width = divmod(known, TILE_WIDTH)
            edge.append(_read_hashes(source, level, index, width) if width else [])
            level += 1

        def node(level: int, index: int) -> bytes:
            tile_level, step = divmod(level, TILE_LEVELS)
            begin = (index << step) % TILE_WIDTH
            return compute_root(edge[tile_level][begin : begin + (1 << step)])

        root = EMPTY_ROOT
        if checkpoint.size:
            root = compute_subtree_root(first=0, end=checkpoint.size, node=node)
        if root != checkpoint.root:
            raise Unverified("EDGE_DIFFERS", expected=checkpoint.root.hex(), found=root.hex())
        return edge

    def _get_tile(self, level: int, index: int) -> list[bytes]:
        known = self.size >> (TILE_LEVELS * level)
        if index == known // TILE_WIDTH:
            return self._edge[level]
        found = self._cache.get((level, index))
        if found is not None:
            self._cache.move_to_end((level, index))
            return found
        expected = self.node(TILE_LEVELS * (level + 1), index)

        def read(source: Source) -> list[bytes]:
            hashes = _read_hashes(source, level, index, TILE_WIDTH)
            root = compute_root(hashes)
            if root != expected:
                raise Unverified("TILE_DIFFERS", expected=expected.hex(), found=root.hex())
            return hashes

        found = self._cache[level, index] = self._ask_each(tile_path(level, index), read)
        if len(self._cache) > _CACHED_TILES:
            self._cache.popitem(last=False)
        return found

    def _get_bundle_hashes(self, index: int, width: int) -> list[bytes] | bytes:
        """What a bundle's leaves have to hash to: the partial tile, or for a full bundle the one root, which
        the tile above holds; so a full tile of the lowest level need not be fetched.
        """
        if width < TILE_WIDTH:
            return self.edge
        return self.get_bundle_root(index)

    def _ask_ahead(self, index: int) -> None:
        source = self._sources.row[0]
        last = self.size // TILE_WIDTH
        for ahead in range(index, min(index + _AHEAD, last)):
            if ahead not in self._ahead:
                asked = self._pool.submit(source.read, entries_path(ahead), BUNDLE_BYTES_MAX)
                self._ahead[ahead] = (source, asked)

    def _ask_each(self, path: str, read: Callable[[Source], _T]) -> _T:
        """What the first source gives that has it right. Raises `SourceUnavailable` where none has."""
        reasons: list[str] = []
        for source in self._sources.row:
            try:
                return read(source)
            except (SourceUnavailable, Unverified) as error:
                self._sources.put_last(source, path=path, reason=str(error))
                reasons.append(f"{source.name}: {error}")
        raise SourceUnavailable("NO_SOURCE_HAS_IT", path=path, reasons=reasons)


def _read_hashes(source: Source, level: int, index: int, width: int) -> list[bytes]:
    """A tile's first hashes. A log may drop a partial tile once it has the full one: that is asked next."""
    data = source.read(tile_path(level, index, width), TILE_BYTES)
    if data is None and width < TILE_WIDTH:
        data = source.read(tile_path(level, index), TILE_BYTES)
    if data is None:
        raise Unverified("TILE_MISSING", level=level, index=index, width=width)
    data = data[: width * HASH_BYTES]
    if len(data) != width * HASH_BYTES:
        raise Unverified("TILE_MALFORMED", level=level, index=index, bytes=len(data))
    return [data[begin : begin + HASH_BYTES] for begin in range(0, len(data), HASH_BYTES)]


def _check_bundle(data: bytes | None, width: int, expected: list[bytes] | bytes) -> tuple[bytes, list[bytes]]:
    """The bundle's bytes up to its ``width``-th leaf, and the hashes of the leaves. Raises `Unverified`."""
    if data is None:
        raise Unverified("BUNDLE_MISSING")
    leaves = decode_bundle(data)
    hashes = compute_leaf_hashes(leaves)
    if len(hashes) != width:
        raise Unverified("LEAVES_MISSING", expected=width, found=len(hashes))
    if isinstance(expected, bytes):
        if compute_root(hashes) != expected:
            raise Unverified("BUNDLE_DIFFERS", expected=expected.hex())
    elif hashes != expected:
        pairs = enumerate(zip(hashes, expected, strict=True))
        place = next(at for at, (one, other) in pairs if one != other)
        raise Unverified("LEAF_HASH_DIFFERS", leaf=place, expected=expected[place].hex())
    return data, hashes
