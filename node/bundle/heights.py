"""Which leaves are of a given height, found in the log itself: block leaves say it, and heights only rise."""

from __future__ import annotations

from ledger.leaves import BLOCK_LEAF_DECODER, BLOCK_START, BlockLeaf
from node.bundle.sources import LeafReader


def find_block(leaves: LeafReader, *, first: int, size: int, height: int) -> BlockLeaf | None:
    """The block leaf of this height among the leaves from ``first`` to ``size``, or None."""
    low, high = first, size
    while low < high:
        middle = (low + high) // 2
        block = _find_next(leaves, middle, high)
        if block is None or block.height > height:
            # From the middle on there is none or a later one, so ours stands before it.
            high = middle
        elif block.height < height:
            low = block.last + 1
        else:
            return block
    return None


def _find_next(leaves: LeafReader, place: int, end: int) -> BlockLeaf | None:
    """The first block leaf from ``place`` to ``end``."""
    for at in range(place, end):
        leaf = leaves.get(at)
        if leaf.startswith(BLOCK_START):
            return BLOCK_LEAF_DECODER.decode(leaf)
    return None
