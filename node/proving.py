"""Proofs for a tree of any size that the log has had, worked out from its hash tiles.

The newest tree is proven from memory (`prove_entry`). An older one is asked for where another checkpoint
matters: one that witnesses have cosigned, or one by which a policy hands over to the next.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from ledger.errors import InvariantBroken
from ledger.log.merkle import HASH_BYTES, compute_inclusion_proof
from ledger.log.tiles import TILE_WIDTH, HashTree


class Tiles(Protocol):
    """Where hash tiles are read."""

    def read_tile(self, level: int, index: int, width: int) -> bytes | None:
        """A hash tile, full or partial, or None beyond the checkpoint."""
        ...


def prove_leaves(tiles: Tiles, indexes: Iterable[int], *, size: int) -> list[list[bytes]]:
    """The inclusion proof of each leaf in the tree of ``size`` leaves, which the log has reached."""

    def read(level: int, index: int, width: int = TILE_WIDTH) -> bytes:
        tile = tiles.read_tile(level, index, width)
        if tile is None:
            raise InvariantBroken("TILE_MISSING", level=level, index=index, width=width)
        return tile

    number, width = divmod(size, TILE_WIDTH)
    edge = read(0, number, width) if width else b""
    tree = HashTree.restore(
        size=size,
        read_tile=read,
        partial=[edge[begin : begin + HASH_BYTES] for begin in range(0, len(edge), HASH_BYTES)],
    )
    return [compute_inclusion_proof(index=index, size=size, node=tree.node) for index in indexes]
