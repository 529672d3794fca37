"""Spelling: range proofs of neighbouring transactions under one checkpoint, as the JSON they are sent as.

Proofs of one block have most of their hashes in common: all that lie above a run of 64 leaves are worked out
and spelled once for the run. What a proof is says `ledger.log.merkle.compute_range_proof`; tests hold the two
against each other.
"""

from __future__ import annotations

from binascii import b2a_base64
from typing import Final

from ledger.codec import encode
from ledger.log.merkle import compute_subtree_root
from ledger.log.tiles import HashTree

_RUN_LEVELS: Final = 6
_URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


class Spelling:
    """What is spelled out already, under one checkpoint. One thread at a time."""

    def __init__(self, tree: HashTree, checkpoint: str) -> None:
        self.checkpoint: bytes = encode(checkpoint)
        self._tree = tree
        self._size = tree.size
        self._texts: dict[tuple[int, int], bytes] = {}
        self._left: dict[int, list[bytes]] = {}
        self._right: dict[int, list[bytes]] = {}

    def spell_range(self, first: int, end: int) -> bytes:
        """The proof of [first, end), which lies within the tree: strings with commas between them."""
        run, last_run = first >> _RUN_LEVELS, (end - 1) >> _RUN_LEVELS
        above_left = self._left.get(run)
        if above_left is None:
            above_left = self._left[run] = self._spell_left(first, first.bit_length(), _RUN_LEVELS)
        above_right = self._right.get(last_run)
        if above_right is None:
            above_right = self._right[last_run] = self._spell_right(last_run, _RUN_LEVELS, 64)
        return b",".join(
            [
                *above_left,
                *self._spell_left(first, _RUN_LEVELS, 0),
                *self._spell_right(end - 1, 0, _RUN_LEVELS),
                *above_right,
            ]
        )

    def _spell_left(self, first: int, top: int, bottom: int) -> list[bytes]:
        """Subtrees before ``first``, of the levels below ``top`` down to ``bottom``."""
        return [
            self._spell(level, (first >> level) - 1)
            for level in range(top - 1, bottom - 1, -1)
            if first >> level & 1
        ]

    def _spell_right(self, index: int, level: int, top: int) -> list[bytes]:
        """Siblings to the right of the way up from the node (level, index), of the levels below ``top``."""
        texts: list[bytes] = []
        last = (self._size - 1) >> level
        while last and level < top:
            if not index & 1 and index < last:
                texts.append(self._spell(level, index + 1))
            index >>= 1
            last >>= 1
            level += 1
        return texts

    def _spell(self, level: int, index: int) -> bytes:
        """The root of the 2**level leaves at ``index``, or of as many of them as there are."""
        text = self._texts.get((level, index))
        if text is None:
            begin, end = index << level, (index + 1) << level
            if end <= self._size:
                root = self._tree.node(level, index)
            else:
                root = compute_subtree_root(first=begin, end=self._size, node=self._tree.node)
            text = b'"%b"' % b2a_base64(root, newline=False).translate(_URL_SAFE).rstrip(b"=")
            self._texts[level, index] = text
        return text
