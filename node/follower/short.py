"""A short stretch, as a follower that keeps up meets it twice a second: its bundles alone say whether they
are right, since with the tree the follower has they make the root that was signed.

So one file or two are asked for instead of a tile for each level. Where the root does not come out, nothing
is concluded: `node.follower.verified` looks tile by tile and tells who gave what.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ledger.errors import Unverified
from ledger.log.merkle import compute_leaf_hashes, compute_subtree_root, node_hash
from ledger.log.note import Checkpoint
from ledger.log.tiles import TILE_WIDTH, decode_bundle, entries_path
from node.audit.sources import BUNDLE_BYTES_MAX, SourceUnavailable
from node.follower.sources import Source

SHORT_LEAVES_MAX: Final = 16 * TILE_WIDTH
Node = Callable[[int, int], bytes]


class ShortStretch:
    """The leaves between two sizes, found right. As `VerifiedLog`, as far as catching up asks."""

    def __init__(self, size: int, first: int, leaves: list[bytes]) -> None:
        self.size = size
        self._first = first
        self._leaves = leaves

    def read_from(self, first: int) -> list[bytes]:
        """All from this one on."""
        return self._leaves[first - self._first :]


def read_short(source: Source, checkpoint: Checkpoint, *, first: int, node: Node) -> ShortStretch | None:
    """The leaves from ``first`` to the checkpoint, where this source gives them right; else None. ``node`` is
    that of the follower's own tree of ``first`` leaves.
    """
    size = checkpoint.size
    leaves: list[bytes] = []
    try:
        for index in range(first // TILE_WIDTH, -(-size // TILE_WIDTH)):
            width = min(TILE_WIDTH, size - index * TILE_WIDTH)
            data = source.read(entries_path(index, width), BUNDLE_BYTES_MAX)
            found = decode_bundle(data or b"")
            if len(found) != width:
                return None
            leaves += found[max(0, first - index * TILE_WIDTH) :]
    except (SourceUnavailable, Unverified):
        return None
    hashes = compute_leaf_hashes(leaves)

    def find(level: int, index: int) -> bytes:
        if (index + 1) << level <= first:
            return node(level, index)
        if level == 0:
            return hashes[index - first]
        return node_hash(find(level - 1, 2 * index), find(level - 1, 2 * index + 1))

    if compute_subtree_root(first=0, end=size, node=find) != checkpoint.root:
        return None
    return ShortStretch(size, first, leaves)
