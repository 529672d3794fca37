"""Where a bundle's evidence is read from: a data directory, or a node over HTTP.

Both give entries by index and hash tiles; both know which entries an order's reference names and which
concern a member. Proofs are worked out from the tiles for one checkpoint, so all of a bundle stands under
it. Nothing read here is believed: what is gathered is verified as a stranger would, before it is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, Protocol

from ledger.errors import CommonpointError
from ledger.leaves import BLOCK_START, TRANSACTION_START
from ledger.log.merkle import HASH_BYTES, compute_inclusion_proof
from ledger.log.note import Checkpoint
from ledger.log.tiles import HashTree
from ledger.log.tlog_proof import format_tlog_proof
from ledger.policy_chain import PolicyChain
from node.bundle.file import StatedKey

_ADVICE: Final = {
    "CHECKPOINT_BEHIND": "The folder's newest checkpoint is older than this entry: ask the node, --url.",
    "ENTRY_NOT_SHOWN": "The token does not show all of this order: use its sender's, or an auditor's.",
    "KEY_NOT_SHOWN": "No entry registers this key: is it the sender's own ledger?",
    "LEAF_MISSING": "The log is not whole: commonpoint verify says where.",
    "LEAF_OUT_OF_PLACE": "The log is not as it should be: commonpoint verify says where.",
    "ORDER_UNKNOWN": "Check the reference, the sender, and that the token may see the order.",
    "TILE_MISSING": "The log is not whole: commonpoint verify says where.",
}


class Unbundled(CommonpointError):
    """No bundle was made: what it needs is not there, or not to be seen by whoever asks."""

    @property
    def advice(self) -> str | None:
        """What can be done about it."""
        return _ADVICE.get(self.code)


class Leaf(NamedTuple):
    """An entry's leaf, with its transaction's where it has one."""

    place: int
    data: bytes
    transaction: bytes | None


class OrderSource(Protocol):
    """A ledger in which an order can be looked up, as of one checkpoint."""

    @property
    def genesis(self) -> Sequence[bytes]:
        """The genesis leaves."""
        ...

    @property
    def note(self) -> str:
        """The signed checkpoint under which everything will stand."""
        ...

    @property
    def policies(self) -> PolicyChain:
        """The trust policies that are known, with their steps; one of them judges the checkpoint."""
        ...

    def read_full_tile(self, level: int, index: int) -> bytes:
        """A full hash tile."""
        ...

    def read_edge(self, size: int) -> list[bytes]:
        """The leaf hashes after the last full tile of a tree of this size."""
        ...

    def read_entry(self, place: int) -> Leaf:
        """An entry with its transaction leaf."""
        ...

    def list_siblings(self, entry: Leaf) -> list[bytes]:
        """The leaves of all entries of an entry's transaction, in order."""
        ...

    def find_order(self, sender: str, reference: str) -> Iterable[int]:
        """Indexes of the entries of this sender that name this reference."""
        ...

    def list_history(self, member: str) -> Iterable[int]:
        """Indexes of all entries that concern this member, as far as they may be seen."""
        ...

    def find_registration(self, key: str, participant: str) -> int | None:
        """The index of the entry that registered this key, if it can be found."""
        ...

    def state_key(self, key: str, participant: str) -> StatedKey | None:
        """The key as the ledger's registry tells it, without a proof."""
        ...


class LeafReader(Protocol):
    """Leaves by index."""

    def get(self, place: int) -> bytes:
        """The leaf."""
        ...


class Prover:
    """Proofs for one checkpoint, from tiles."""

    def __init__(self, source: OrderSource, checkpoint: Checkpoint) -> None:
        self._note = source.note
        self._size = checkpoint.size
        self._tree = HashTree.restore(
            size=checkpoint.size,
            read_tile=source.read_full_tile,
            partial=source.read_edge(checkpoint.size),
        )

    def prove(self, place: int) -> str:
        """The tlog-proof of the leaf at this index. Raises `Unbundled` where the checkpoint is older."""
        if place >= self._size:
            raise Unbundled("CHECKPOINT_BEHIND", size=self._size, index=place)
        hashes = compute_inclusion_proof(index=place, size=self._size, node=self._tree.node)
        return format_tlog_proof(index=place, hashes=hashes, checkpoint=self._note)


def split_hashes(tile: bytes) -> list[bytes]:
    """The hashes in a tile, full or partial."""
    return [tile[begin : begin + HASH_BYTES] for begin in range(0, len(tile), HASH_BYTES)]


def find_transaction(leaves: LeafReader, place: int) -> int:
    """The index of the transaction leaf that an entry follows."""
    at = place - 1
    while at >= 0:
        leaf = leaves.get(at)
        if leaf.startswith(TRANSACTION_START):
            return at
        if leaf.startswith(BLOCK_START):
            break
        at -= 1
    raise Unbundled("LEAF_OUT_OF_PLACE", index=place)
