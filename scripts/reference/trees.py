"""Merkle trees by the very recursion of RFC 6962 section 2.1: slow, and plain enough to be read beside it.

Leaves go in, not hashes of leaves; nothing is shared with `ledger.log.merkle`.
"""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

Leaves = tuple[bytes, ...]


def split(size: int) -> int:
    """The largest power of two smaller than the size."""
    return 1 << ((size - 1).bit_length() - 1)


@cache
def root(leaves: Leaves) -> bytes:
    """MTH of RFC 6962."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = split(len(leaves))
    return hashlib.sha256(b"\x01" + root(leaves[:k]) + root(leaves[k:])).digest()


def path(index: int, leaves: Leaves) -> list[bytes]:
    """PATH of RFC 6962: the inclusion proof."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if index < k:
        return [*path(index, leaves[:k]), root(leaves[k:])]
    return [*path(index - k, leaves[k:]), root(leaves[:k])]


def subproof(old: int, leaves: Leaves, *, whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962; with ``whole``, PROOF: the consistency proof."""
    if old == len(leaves):
        return [] if whole else [root(leaves)]
    k = split(len(leaves))
    if old <= k:
        return [*subproof(old, leaves[:k], whole=whole), root(leaves[k:])]
    return [*subproof(old - k, leaves[k:], whole=False), root(leaves[:k])]


def outside(first: int, end: int, leaves: Leaves, at: int = 0) -> list[bytes]:
    """The range proof: roots of the largest subtrees outside [first, end), from left to right."""
    if at + len(leaves) <= first or end <= at:
        return [root(leaves)]
    if first <= at and at + len(leaves) <= end:
        return []
    k = split(len(leaves))
    return outside(first, end, leaves[:k], at) + outside(first, end, leaves[k:], at + k)


def show(hashes: list[bytes]) -> list[str]:
    """The hashes in hex."""
    return [each.hex() for each in hashes]


def make_merkle() -> dict[str, Any]:
    """Roots and proofs of small trees whose leaf i is the ASCII decimal of i."""
    leaves = tuple(b"%d" % number for number in range(260))
    sizes = (1, 2, 3, 4, 5, 7, 8, 13, 64, 257)
    inclusion = [(size, index) for size in sizes for index in sorted({0, size // 2, size - 1})]
    consistency = [(new, old) for new in sizes for old in sorted({1, new // 2, new - 1, new}) if old]
    ranges = [(13, first, end) for first in (0, 1, 4, 7, 12) for end in (first + 1, 9, 13) if first < end]
    ranges += [(257, 250, 257), (257, 0, 256), (257, 256, 257), (64, 16, 32)]
    return {
        "roots": [{"size": size, "root": root(leaves[:size]).hex()} for size in (0, *sizes)],
        "inclusion": [
            {"size": size, "index": index, "proof": show(path(index, leaves[:size]))}
            for size, index in inclusion
        ],
        "consistency": [
            {"old": old, "new": new, "proof": show(subproof(old, leaves[:new]))} for new, old in consistency
        ],
        "range": [
            {"size": size, "first": first, "end": end, "proof": show(outside(first, end, leaves[:size]))}
            for size, first, end in ranges
        ],
    }
