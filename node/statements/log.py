"""A log's leaves in order, under the newest checkpoint: each one is in the tree that the log has signed.

 (1) the genesis hashes to the chain string, to the pinned one where one is given; (2) the checkpoint is
 signed by a log key that may sign for a tree of its size, which a chain of policies shows, and by whom a
 given policy asks for; (3) every leaf hashes to what the stored
 tiles say; (4) all of them together have the checkpoint's root.

(4) is known when the last leaf was read: who takes leaves gives nothing out before. Leaves after the
checkpoint are not read. Nothing is executed again here, so rules that were broken are not found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain as joined

from ledger.errors import InvalidBlock, Unverified
from ledger.genesis import read_genesis
from ledger.log.note import parse_checkpoint, split_note
from ledger.log.policy import format_policy, verify_checkpoint
from ledger.policy_chain import derive_policy
from node.audit.hashes import HashedLeaves
from node.audit.recorded import read_genesis_leaves
from node.statements.sources import OpenLog

Progress = Callable[[int, int], None]
"""Called with how many leaves were read, and of how many."""


class SignedLeaves:
    """The leaves after the genesis. Raises `InvalidBlock` or `Unverified` for what does not hold."""

    def __init__(self, log: OpenLog, *, progress: Progress | None = None) -> None:
        note = log.source.read_checkpoint()
        if not note:
            raise Unverified("CHECKPOINT_MISSING")
        self._claimed = parse_checkpoint(split_note(note)[0])
        size = self._claimed.size
        self._hashed = HashedLeaves(
            log.source,
            size=size,
            signed_size=size,
            has_partial_tiles=log.source.has_partial_tiles,
            progress=None if progress is None else lambda done: progress(done, size),
        )
        self._leaves = iter(self._hashed)
        genesis, self._ahead = read_genesis_leaves(self._leaves)
        self.origin = read_genesis(genesis)
        self.first = len(genesis)
        """Index of the first leaf after the genesis."""
        expected = log.expected
        for chain in (expected.chain, self._claimed.origin):
            if chain is not None and chain != self.origin.chain:
                raise InvalidBlock("WRONG_CHAIN", expected=chain, found=self.origin.chain, index=0)
        if expected.genesis is not None and expected.genesis != self.origin.leaves:
            raise InvalidBlock("GENESIS_COPY_DIFFERS", expected="the log's genesis", found="another", index=0)
        own = derive_policy(self.origin)
        if expected.policy_copy is not None and expected.policy_copy != format_policy(own):
            raise Unverified("POLICY_COPY_DIFFERS", expected=format_policy(own).decode())
        log.read_policies(self.origin).verify_signed(note)
        if expected.policy is not None:
            verify_checkpoint(expected.policy, note)

    def __iter__(self) -> Iterator[bytes]:
        """Every leaf; after the last one, all of them are the signed ones."""
        yield from joined(() if self._ahead is None else (self._ahead,), self._leaves)
        if self._hashed.signed_root != self._claimed.root:
            raise Unverified("CHECKPOINT_ROOT", size=self._claimed.size, expected=self._claimed.root.hex())
