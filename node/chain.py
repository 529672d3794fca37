"""The chain as one node keeps it: executed, on disk, hashed, signed, folded, in that order.

    execute (pending only)
      → append: the leaves are durable              a crash before: nothing happened; after: the block stands
      → commit: state, tree and head move on        a crash here: the start re-executes the block from the log
      → read back, sign the checkpoint              a crash here: the start signs it
      → the engine answers
      → now and then: checkpoint stored, fold       a crash here: the start re-executes from the last fold

A checkpoint is signed over what is durable, was executed and was read back, and over nothing else; so a start
signs only for as far as it has re-executed the log. What is folded lies below a stored checkpoint.

One thread makes blocks. Readers on other threads take the lock for what a commit moves as one: tree, head,
checkpoint.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

from contracts.mechanics.log_keys import find_log_keys, list_log_keys, list_policies
from ledger.admission import check_authority
from ledger.errors import InvariantBroken, Refused
from ledger.executor import Answer, ExecutedBlock, Executor, Head
from ledger.genesis import Origin
from ledger.keys import Signer
from ledger.leaves import ENTRY_DECODER, TRANSACTION_LEAF_DECODER
from ledger.log import merkle
from ledger.log.note import sign_checkpoint, split_note
from ledger.log.tiles import FullTile, HashTree
from ledger.rule import BlockContext
from ledger.state import Changes
from ledger.transaction import KEY_TABLE, RegisteredKey, Transaction
from node.answers import Proofs, Taken
from node.engine.standing import find_engine
from node.folding import Folder, FoldHere, FoldWriter
from node.state_reader import StateReader
from node.storage.store import Store

Step = Callable[[str], None]


class ChainKeeper:
    """State, log, tree and checkpoint of one ledger, moved on block by block."""

    is_vouched_elsewhere = False
    """Whether what this node may not sign is vouched for by others, and may be folded all the same."""

    def __init__(
        self,
        *,
        store: Store,
        origin: Origin,
        executor: Executor,
        tree: HashTree,
        signer: Signer,
        note: tuple[int, str] | None,
        on_step: Step = lambda _step: None,
        writer: FoldWriter | None = None,
    ) -> None:
        self.origin = origin
        self.store = store
        self.executor = executor
        self.reader = StateReader(executor, store)
        self._tree = tree
        self._signer = signer
        self._on_step = on_step
        """Called between every two steps of a commit: where tests kill the process."""
        self._lock = threading.Lock()
        self._moved = threading.Condition(self._lock)
        self._head: Head = executor.head
        self._rulebook = executor.rulebook
        """By which what comes in is judged: that of the next block, or the last that this program knows."""
        self._folder = Folder(
            store=store, state=executor.state, writer=writer or FoldHere(store), on_step=on_step
        )
        self._signed_size, self.checkpoint = note or (-1, "")
        self._stored_note_size = self._signed_size

    @property
    def head(self) -> Head:
        """Where the committed chain stands."""
        return self._head

    def make_block(self, transactions: Sequence[Transaction], *, time: int) -> ExecutedBlock:
        """The next block, durable and signed over; or an empty one, which leaves no trace."""
        block = self.executor.execute_block(transactions, time=time)
        if not block.is_empty:
            self.commit(block, transactions, self.hash_block(block))
        return block

    def hash_block(self, block: ExecutedBlock) -> list[FullTile]:
        """The tree is that after the executed block; nothing is durable. There is no way back but a start."""
        self._on_step("executed")
        with self._lock:
            tiles = self._tree.extend(block.leaf_hashes)
            # A reader may ask for a tile that has just become full before it is stored.
            self.store.log.hold(tiles)
        return tiles

    def compute_root(self, size: int | None = None) -> bytes:
        """Of the tree, with the block in hand where there is one; or of its first ``size`` leaves."""
        with self._lock:
            end = self._tree.size if size is None else size
            return merkle.compute_subtree_root(first=0, end=end, node=self._tree.node)

    def commit(
        self, block: ExecutedBlock, transactions: Sequence[Transaction], tiles: Sequence[FullTile]
    ) -> None:
        """The executed and hashed block is durable, current and signed over."""
        self.store.log.append(block, tiles)
        self._on_step("appended")
        self.take_up(block, transactions, self.executor.state.commit())
        self._on_step("committed")
        self.store.log.check_read_back(block.first, block.leaves)
        self.show_head()

    def take_up(self, block: ExecutedBlock, transactions: Sequence[Transaction], changes: Changes) -> None:
        """What a durable block changed waits to be folded."""
        self._folder.gather(changes)
        self.store.lookups.unfolded.add_block(block, transactions)

    def show_head(self) -> None:
        """Readers see the head of what was executed, under a checkpoint over all of it."""
        head = self.executor.head
        checkpoint = self._sign(head.size)
        self._on_step("signed")
        with self._lock:
            self.checkpoint = checkpoint
            self._signed_size = head.size
            self._head = head
            # Nobody hears of a block before its successor's rules count for what comes in.
            self._rulebook = self.executor.rulebooks.get(self.executor.version, self._rulebook)
            self._moved.notify_all()

    def add_cosignatures(self, note: str) -> None:
        """The newest checkpoint is shown as this note, where it is the same one with more lines under it."""
        with self._lock:
            if split_note(self.checkpoint)[0] == split_note(note)[0]:
                self.checkpoint = note

    def check_rulebook(self) -> None:
        """The rules of the next block are here. Raises `InvariantBroken` ``RULEBOOK_UNKNOWN`` where this
        program does not know them: it can go no further.
        """
        self._rulebook = self.executor.rulebook

    def fold_if_due(self) -> None:
        """Start a fold when enough has gathered. Raises what an earlier one failed with."""
        self._folder.take_finished()
        if self._folder.is_due:
            if self._signed_size < self.executor.head.size:
                # A start on its way: nothing is folded that no checkpoint vouches for, ours or an older one.
                if not (self.is_vouched_elsewhere or self._is_listed(height=self.executor.head.height)):
                    return
                self.show_head()
            self.begin_fold()

    def fold_when_idle(self) -> None:
        """Fold whatever has gathered, unless a fold is under way."""
        self._folder.take_finished()
        if not self._folder.is_busy:
            self.begin_fold()

    def begin_fold(self) -> None:
        """The checkpoint is stored; state and look-ups follow it in the background."""
        if self._stored_note_size != self._signed_size:
            self.store.log.write_note(self._signed_size, self.checkpoint)
            self._stored_note_size = self._signed_size
            self._on_step("noted")
        self._folder.start(size=self.executor.head.size)

    def fold_all(self) -> None:
        """State and look-ups on disk stand for the head, and the checkpoint over it is stored."""
        self.begin_fold()
        self._folder.finish()

    def close(self) -> None:
        """No fold is under way and none will be; nobody asks about signatures any more."""
        self._folder.close()
        self.executor.judge.close()

    def check_intake(self, transaction: Transaction, *, time: int) -> None:
        """Keys and clock allow the transaction as things stand. Raises `Refused`. Any thread."""
        head = self._head
        settings = self.origin.settings
        block = BlockContext(
            chain=self.origin.chain,
            height=head.height + 1,
            time=max(time, head.time),
            operator=settings.operator,
            utc_offset_minutes=settings.utc_offset_minutes,
        )
        check_authority(self.reader, self._rulebook, transaction, block)

    def is_signed_by_sender(self, transaction: Transaction) -> bool:
        """Whether a key of the sender, valid now or not, signed it."""
        header = transaction.header
        key: RegisteredKey | None = self.reader.get(KEY_TABLE, header.key)
        if key is not None and key.participant == header.sender:
            with suppress(Refused):
                transaction.verify_signature(key.public)
                return True
        return False

    def find_transaction(self, sender: str, transaction_id: str) -> tuple[str, Taken] | None:
        """The digest of a transaction in the log and what came of it."""
        found = self.store.lookups.find_transaction(sender, transaction_id)
        # Of a block that is executed and durable, but not signed yet, nothing can be proven.
        if found is None or found[1] >= self._head.size:
            return None
        digest, index = found
        leaf = TRANSACTION_LEAF_DECODER.decode(self.store.log.read_leaf(index))
        leaves = self.store.log.read_leaves(index + 1, index + 1 + leaf.header.count)
        outcomes = tuple(bytes(ENTRY_DECODER.decode(entry).outcome) for entry in leaves)
        return digest, Taken(leaf.height, index, leaf.time, outcomes)

    @staticmethod
    def make_taken(block: ExecutedBlock, answer: Answer) -> Taken:
        """What to tell the sender of a transaction of this block."""
        return Taken(block.head.height, answer.index, block.time, answer.outcomes)

    def prove(self, *, first: int, end: int, trusted_size: int | None) -> Proofs:
        """A range proof against the newest checkpoint. Raises `Refused` ``BAD_SIZES``."""
        with self._lock:
            size = self._head.size
            if not 0 <= first < end <= size:
                raise Refused("BAD_SIZES", first=first, end=end, size=size)
            consistency = None
            if trusted_size is not None:
                consistency = self._prove_consistency(trusted_size, size)
            proof = merkle.compute_range_proof(first=first, end=end, size=size, node=self._tree.node)
            return Proofs(self.checkpoint, proof, consistency)

    def prove_entry(self, index: int) -> tuple[str, list[bytes]]:
        """The newest checkpoint and an inclusion proof to it. Raises `Refused` ``BAD_SIZES``."""
        with self._lock:
            size, node = self._head.size, self._tree.node
            if not 0 <= index < size:
                raise Refused("BAD_SIZES", index=index, size=size)
            return self.checkpoint, merkle.compute_inclusion_proof(index=index, size=size, node=node)

    def prove_consistency(self, old: int, new: int) -> list[bytes]:
        """A consistency proof between two sizes. Raises `Refused` ``BAD_SIZES``."""
        with self._lock:
            return self._prove_consistency(old, new)

    def _prove_consistency(self, old: int, new: int) -> list[bytes]:
        if not 0 < old <= new <= self._head.size:
            raise Refused("BAD_SIZES", old=old, new=new, size=self._head.size)
        return merkle.compute_consistency_proof(old=old, new=new, node=self._tree.node)

    def read_tile(self, level: int, index: int, width: int) -> bytes | None:
        """A hash tile, full or partial, or None beyond the checkpoint."""
        with self._lock:
            if (index * 256 + width) << (8 * level) <= self._head.size:
                with suppress(Refused):
                    return self._tree.tile(level, index, width)
            return None

    def wait_for_height(self, height: int, *, timeout_seconds: float) -> bool:
        """Whether the head reached ``height`` in time."""
        with self._moved:
            return self._moved.wait_for(lambda: self._head.height >= height, timeout_seconds)

    def check_signer(self) -> None:
        """The next block's checkpoint may be signed with this node's key.

        Raises `InvariantBroken` ``LOG_KEY_DIFFERS``, or ``LOG_KEY_RETIRED``; no other key may make the head's
        checkpoint, so that is stored first.
        """
        head = self._head
        if self._is_listed(height=head.height + 1):
            return
        if self._signer.public not in list_log_keys(list_policies(self.reader), self.origin):
            raise InvariantBroken("LOG_KEY_DIFFERS", chain=self.origin.chain)
        engine = find_engine(self.reader)
        if engine is not None and engine.height == head.height:
            return  # A sequencer that has handed over: its last block was its last to sign.
        self.store.log.write_note(self._signed_size, self.checkpoint)
        raise InvariantBroken("LOG_KEY_RETIRED", height=head.height, key=self._signer.key_id)

    def _is_listed(self, *, height: int) -> bool:
        """Whether this key may sign the checkpoint after the block of this height."""
        return self._signer.public in find_log_keys(list_policies(self.reader), self.origin, height=height)

    def _sign(self, executed: int) -> str:
        """A checkpoint over what was executed, all of which is durable."""
        if self._signed_size == executed:
            # The one there is may carry cosignatures, or be of a key that is retired by now.
            return self.checkpoint
        if not self._is_listed(height=self.executor.head.height):
            raise InvariantBroken("LOG_KEY_DIFFERS", chain=self.origin.chain, size=executed)
        log, tree = self.store.log.size, self._tree.size
        if not executed <= log == tree:
            raise InvariantBroken("CHECKPOINT_BEYOND_LOG", tree=tree, executed=executed, log=log)
        root = self.compute_root(executed)
        return sign_checkpoint(origin=self.origin.chain, size=executed, root=root, signer=self._signer)
