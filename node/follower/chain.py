"""The chain as a follower keeps it: that of any node, but that it shows no more than the log's own key has
signed, and puts a cosignature under what it has executed itself.

    verified leaves → execute (compare byte for byte) → append → read back
                    → where a checkpoint ends: its root is ours → cosign → show

Blocks between two checkpoints are stored and folded and shown to nobody. They were held against a signed root
before they were executed; that checkpoint, the target, is on the disk before the first of them is, so a start
knows what vouches for them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from contracts.mechanics.log_keys import list_policies
from ledger.errors import InvariantBroken, Unverified
from ledger.executor import ExecutedBlock
from ledger.keys import Signer
from ledger.log import merkle
from ledger.log.note import (
    COSIGNATURE_V1,
    Checkpoint,
    VerifierKey,
    add_signature_lines,
    cosign,
    parse_checkpoint,
    split_note,
)
from ledger.log.tiles import TILE_LEVELS, FullTile
from ledger.policy_chain import PolicyChain
from ledger.state import Changes
from ledger.transaction import Transaction
from node.chain import ChainKeeper
from node.folding import FOLD_ROWS_MAX
from node.startup import learn_own_policies
from node.storage.atomic import read_file, replace_file

TARGET_FILE: Final = "target.note"
WHOLE_LEAVES_MAX: Final = 8_000_000
"""What so many leaves write is all in memory while they are executed, as in an audit."""


class Target(NamedTuple):
    """A checkpoint that the log's key has signed, and the note as it came."""

    checkpoint: Checkpoint
    note: str


class Cosigner(NamedTuple):
    """Who states that this node executed the log: a name, a key, and the seconds of its clock."""

    name: str
    signer: Signer
    clock: Callable[[], int]

    @property
    def key(self) -> VerifierKey:
        """As policies list it."""
        return VerifierKey(self.name, COSIGNATURE_V1, self.signer.public)

    def sign(self, note: str) -> str:
        """The note with the line of this moment; an older line of ours gives way to it."""
        body, lines = split_note(note)
        key = self.key
        own = any(name == key.name and raw[:4] == key.note_id for name, raw in lines)
        if own:
            rest = note[len(body) + 1 :].splitlines(keepends=True)
            kept = [line for line, (name, _) in zip(rest, lines, strict=True) if name != key.name]
            note = body + "\n" + "".join(kept)
        line = cosign(body=body, name=self.name, time_seconds=self.clock(), signer=self.signer)
        return add_signature_lines(note, line)


class Taken(NamedTuple):
    """A block that came out the same, and what is to be stored of it."""

    block: ExecutedBlock
    transactions: Sequence[Transaction]
    changes: Changes


def read_target(folder: Path) -> Target | None:
    """The checkpoint that the follower was on its way to; it was believed then, and is judged again by the
    log's own policies before anything is cosigned. Raises `Unverified` for what is no checkpoint.
    """
    data = read_file(folder / TARGET_FILE)
    if data is None:
        return None
    note = data.decode()
    return Target(parse_checkpoint(split_note(note)[0]), note)


def _find_end(tile: FullTile) -> int:
    """The size of the tree that has this tile full."""
    return (tile.index + 1) << (TILE_LEVELS * (tile.level + 1))


class FollowedChain(ChainKeeper):
    """State, log, tree and checkpoint of a ledger that others make."""

    is_vouched_elsewhere = True

    def __init__(self, *, folder: Path, cosigner: Cosigner, target: Target | None, **how: Any) -> None:
        super().__init__(**how)
        self.folder = folder
        self._cosigner = cosigner
        self.target = target
        self._policies: PolicyChain | None = None
        self._unstored: list[Taken] = []
        self._tiles: list[FullTile] = []
        self._whole_until = 0
        """Up to this size every record is kept in memory; 0 where that is not so."""

    @property
    def size(self) -> int:
        """Leaves that were executed, shown or not."""
        return self._tree.size

    @property
    def is_fold_due(self) -> bool:
        """Whether a long stretch has to pause for a fold: later than a busy node, since folds of many blocks
        at once write each record once.
        """
        return self.store.lookups.unfolded.count >= FOLD_ROWS_MAX

    @property
    def is_clean(self) -> bool:
        """Whether everything that was executed is stored."""
        return not self._unstored

    def has_arrived(self) -> bool:
        """Whether readers see a head that a signed checkpoint stands for, and none is on its way."""
        return self.target is not None and self._signed_size == self.target.checkpoint.size == self.size

    def get_shown(self) -> Target | None:
        """The checkpoint that readers see; None before the first."""
        note = self.checkpoint
        return Target(parse_checkpoint(split_note(note)[0]), note) if note else None

    def aim(self, target: Target) -> None:
        """The target is on the disk: from here on leaves of its tree may be executed."""
        replace_file(self.folder / TARGET_FILE, target.note.encode())
        self.target = target
        self._on_step("aimed")

    def get_root(self, size: int) -> bytes:
        """The root over the first leaves of this chain."""
        with self._lock:
            if size == 0:
                return merkle.EMPTY_ROOT
            return merkle.compute_subtree_root(first=0, end=size, node=self._tree.node)

    def get_node(self, level: int, index: int) -> bytes:
        """The root of a complete subtree of this chain."""
        with self._lock:
            return self._tree.node(level, index)

    def hold_whole(self, *, stretch: int) -> None:
        """Where more is to come than was folded before, every record is in memory while it comes: what is not
        there need not be looked for.
        """
        if not self._whole_until and stretch > (self.store.fold.read_mark() or 0):
            self._folder.finish()
            self.executor.state.hold_whole()
            self.store.fold.is_noting = False
            self._whole_until = self.size + WHOLE_LEAVES_MAX

    def fold_when_idle(self) -> None:
        """As any node; once a long stretch is folded, no more is kept in memory than by any node."""
        self._folder.take_finished()
        if self._whole_until and not self._folder.is_busy:
            self._let_go()
        super().fold_when_idle()

    def _let_go(self) -> None:
        """What is not in memory is looked for from here on. Nothing is on its way to the disk."""
        self._whole_until = 0
        self.store.fold.learn_last_days()
        self.store.fold.is_noting = True
        self.executor.state.let_go()

    def take(self, taken: Taken) -> None:
        """The block is executed and part of the tree. It will be stored with those that follow it."""
        with self._lock:
            self._tiles += self._tree.extend(taken.block.leaf_hashes)
            self.store.log.hold(self._tiles)
        self._unstored.append(taken)

    def store_taken(self, *, but: int = 0) -> None:
        """What was taken is durable and read back, but for the last so many blocks."""
        count = len(self._unstored) - but
        blocks = [taken.block for taken in self._unstored[:count]]
        if not blocks:
            return
        end = blocks[-1].head.size
        # A tile is stored with the block that fills it; one that a later block fills waits for that block.
        tiles = [tile for tile in self._tiles if _find_end(tile) <= end]
        self.store.log.append_blocks(blocks, tiles)
        self._on_step("appended")
        leaves = [leaf for block in blocks for leaf in block.leaves]
        self.store.log.check_read_back(blocks[0].first, leaves)
        for taken in self._unstored[:count]:
            self.take_up(taken.block, taken.transactions, taken.changes)
        del self._unstored[:count]
        self._tiles = [tile for tile in self._tiles if _find_end(tile) > end]
        if 0 < self._whole_until < end:
            self._folder.finish()
            self._let_go()
        self._on_step("committed")

    def begin_fold(self) -> None:
        """As any node; but never of what is not stored yet."""
        if not self._unstored:
            super().begin_fold()

    def show_head(self) -> None:
        """Readers see what was executed where a signed checkpoint ends there; elsewhere what they saw before.

        Raises `Unverified` ``CHECKPOINT_ROOT`` where the checkpoint signs another tree.
        """
        target = self.target
        if target is None or target.checkpoint.size != self.executor.head.size or self._unstored:
            return
        super().show_head()

    def _sign(self, executed: int) -> str:
        """The log's own checkpoint, with our line under it."""
        target = self.target
        if target is None or not executed == target.checkpoint.size == self.store.log.size:
            raise InvariantBroken("CHECKPOINT_BEYOND_LOG", executed=executed, log=self.store.log.size)
        root = self.get_root(executed)
        if root != target.checkpoint.root:
            raise Unverified(
                "CHECKPOINT_ROOT", size=executed, expected=target.checkpoint.root.hex(), found=root.hex()
            )
        # All of its tree is executed, so the log itself says who may sign for it.
        if self._policies is None or self._policies.newest.epoch != len(list_policies(self.reader)):
            self._policies = learn_own_policies(self)
        self._policies.verify_signed(target.note)
        return self._cosigner.sign(target.note)
