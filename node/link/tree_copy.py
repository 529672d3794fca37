"""A worker's copy of the tree: proofs are made here, from leaf hashes told with each block, and cost the core
nothing.

The copy begins with the tiles on disk and is held to the checkpoint that came with it; after that every block
brings the hashes of its leaves.
"""

from __future__ import annotations

import threading
from typing import Final

from ledger.errors import InvariantBroken, Refused
from ledger.executor import Head
from ledger.log import merkle
from ledger.log.note import parse_checkpoint
from ledger.log.tiles import TILE_WIDTH, HashTree
from node.answers import Proofs, Taken
from node.api.transactions import encode_hashes
from node.link.spelling import Spelling
from node.link.wire import Block
from node.storage.log import LogStore

_HASH_BYTES: Final = 32


class TreeCopy:
    """Head, checkpoint and tree, as the newest block that was told of left them. Any thread."""

    def __init__(self, log: LogStore, head: Head, checkpoint: str) -> None:
        self.head = head
        self.checkpoint = checkpoint
        self._log = log
        self._lock = threading.Lock()
        edge = head.size - head.size % TILE_WIDTH
        partial = log.read_leaves(edge, head.size) if edge < head.size else []
        self._tree = HashTree.restore(
            size=head.size,
            read_tile=log.read_full_tile,
            partial=merkle.compute_leaf_hashes(partial),
            cached_tiles=512,
        )
        stated = parse_checkpoint(checkpoint[: checkpoint.index("\n\n") + 1])
        if (stated.size, stated.root) != (head.size, self._tree.root()):
            raise InvariantBroken("CHECKPOINT_DIFFERS", size=head.size, root=self._tree.root().hex())
        self._spelling = Spelling(self._tree, checkpoint)
        self._ahead = ""
        """A cosigned checkpoint of a block that was not told of yet."""

    def extend(self, block: Block) -> None:
        """The tree has this block's leaves too; one that it has already is passed over."""
        hashes = block.leaf_hashes
        with self._lock:
            first = block.head.size - len(hashes) // _HASH_BYTES
            if block.head.size <= self._tree.size:
                return
            if first != self._tree.size:
                raise InvariantBroken("BLOCK_MISSED", expected=self._tree.size, found=first)
            self._tree.extend(
                [hashes[place : place + _HASH_BYTES] for place in range(0, len(hashes), _HASH_BYTES)]
            )
            self._log.size = block.head.size
            is_cosigned = _get_body(self._ahead) == _get_body(block.checkpoint)
            self.checkpoint = self._ahead if is_cosigned else block.checkpoint
            self.head = block.head
            self._spelling = Spelling(self._tree, self.checkpoint)

    def add_cosignatures(self, note: str) -> None:
        """The checkpoint is shown as this note, which has more lines under the same; of one that comes, then.

        A checkpoint that a block has left behind stays behind.
        """
        with self._lock:
            if _get_body(note) != _get_body(self.checkpoint):
                self._ahead = note
                return
            self.checkpoint = note
            self._spelling = Spelling(self._tree, note)

    def encode_answer(self, taken: Taken, trusted_size: int | None) -> bytes:
        """The bytes that answer a transaction, as `node.api.transactions.encode_taken` makes them."""
        with self._lock:
            size = self.head.size
            consistency = b""
            if trusted_size is not None:
                hashes = self._prove_consistency(trusted_size, size)
                consistency = b'"consistency":%b,' % encode_hashes(hashes)
            proof = self._spelling.spell_range(taken.index, taken.index + 1 + len(taken.outcomes))
            checkpoint = self._spelling.checkpoint
        return b'{"checkpoint":%b,%b"height":%d,"index":%d,"outcomes":[%b],"proof":[%b],"time":%d}' % (
            checkpoint,
            consistency,
            taken.height,
            taken.index,
            b",".join(taken.outcomes),
            proof,
            taken.time,
        )

    def prove(self, *, first: int, end: int, trusted_size: int | None) -> Proofs:
        """As `node.core.NodeCore.prove`."""
        with self._lock:
            consistency = None
            if trusted_size is not None:
                consistency = self._prove_consistency(trusted_size, self.head.size)
            return Proofs(self.checkpoint, self._prove_range(first, end), consistency)

    def prove_entry(self, index: int) -> tuple[str, list[bytes]]:
        """As `node.core.NodeCore.prove_entry`."""
        with self._lock:
            size = self.head.size
            if not 0 <= index < size:
                raise Refused("BAD_SIZES", index=index, size=size)
            proof = merkle.compute_inclusion_proof(index=index, size=size, node=self._tree.node)
            return self.checkpoint, proof

    def prove_consistency(self, old: int, new: int) -> list[bytes]:
        """As `node.core.NodeCore.prove_consistency`."""
        with self._lock:
            return self._prove_consistency(old, new)

    def read_tile(self, level: int, index: int, width: int) -> bytes | None:
        """As `node.core.NodeCore.read_tile`."""
        with self._lock:
            if (index * TILE_WIDTH + width) << (8 * level) > self.head.size:
                return None
            try:
                return self._tree.tile(level, index, width)
            except Refused:
                return None

    def _prove_range(self, first: int, end: int) -> list[bytes]:
        size = self.head.size
        if not 0 <= first < end <= size:
            raise Refused("BAD_SIZES", first=first, end=end, size=size)
        return merkle.compute_range_proof(first=first, end=end, size=size, node=self._tree.node)

    def _prove_consistency(self, old: int, new: int) -> list[bytes]:
        if not 0 < old <= new <= self.head.size:
            raise Refused("BAD_SIZES", old=old, new=new, size=self.head.size)
        return merkle.compute_consistency_proof(old=old, new=new, node=self._tree.node)


def _get_body(note: str) -> str:
    """What is signed: all before the empty line."""
    return note.partition("\n\n")[0]
