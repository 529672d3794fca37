"""An audit by several processes: workers prepare leaves and check signatures, this one executes.

It only ever finds that everything is as in a good ledger. Each check of the step-by-step audit is made here
too, most of them by the same code; where one of them fails, `Irregular` is all that is said, and
`node.audit.verify` goes through the ledger again step by step, so that what is found, and where, does not
depend on how many processes there were.

Signatures count as valid while a block is executed, and are checked afterwards. A block that does not come
out the same is therefore executed once more with every signature checked on the spot: a log may well say that
a consent was turned down because nobody had signed it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ledger.codec import from_base64url
from ledger.errors import InvalidBlock, Refused
from ledger.executor import ExecutedBlock
from ledger.keys import SignedText, signed_text
from ledger.log.merkle import compute_root
from ledger.log.tiles import TILE_LEVELS, TILE_WIDTH, HashTree
from ledger.transaction import Transaction
from ledger.values import MESSAGES_MAX, TRANSACTION_BYTES_MAX
from node.audit.preparing import (
    BLOCK,
    ENTRY,
    GENESIS,
    SYSTEM,
    TRANSACTION,
    Irregular,
    Prepared,
    slice_messages,
)
from node.audit.recorded import RecordedBlock
from node.audit.replay import Replay
from node.audit.sources import LeafSource
from node.audit.tasks import check_signatures


class LaterJudge:
    """A `SignatureJudge` that takes signatures for valid and notes them, unless it `is_strict`."""

    wants_notice = False

    def __init__(self) -> None:
        self.is_strict = False
        self.questions: list[SignedText] = []

    def expect(self, signed: Sequence[SignedText]) -> None:
        """Nothing is done ahead."""

    def is_valid(self, signed: SignedText) -> bool:
        """Whether it is, or an assumption that somebody is still to confirm."""
        if self.is_strict:
            return check_signatures([signed])
        self.questions.append(signed)
        return True

    def close(self) -> None:
        """There is nothing of its own to let go of."""


class JudgedTransaction(Transaction):
    """A transaction whose own signature is left to the judge, too."""

    __slots__ = ("judge",)
    judge: LaterJudge

    def verify_signature(self, public: str) -> None:
        """As `Transaction`, where the judge is strict."""
        header = self.header
        signed = SignedText(
            public=from_base64url(public, size=32),
            text=signed_text(purpose="transaction", chain=header.chain, body=self.header_bytes),
            signature=from_base64url(self.signature, size=64),
        )
        if not self.judge.is_valid(signed):
            raise Refused("SIGNATURE_INVALID", key=header.key)


class OptimisticReplay(Replay):
    """A replay that takes signatures for valid, and hands each of them to whoever checks them."""

    judge: LaterJudge
    ask: Callable[[list[SignedText]], None]

    def _execute(self, recorded: RecordedBlock) -> ExecutedBlock:
        judge = self.judge
        judge.questions = []
        try:
            executed = super()._execute(recorded)
        except InvalidBlock:
            self.state.roll_back()
            judge.is_strict = True
            executed = super()._execute(recorded)
            judge.is_strict = False
        else:
            self.ask(judge.questions)
        return executed


class BundleTree:
    """The hash tree over bundles: its tiles are those stored, and it has the root that was signed."""

    def __init__(self, source: LeafSource, *, size: int, signed_size: int) -> None:
        self._source = source
        self._size = size
        self._signed_bundles, self._signed_rest = divmod(signed_size, TILE_WIDTH)
        # A full bundle's root is what a leaf hash is eight levels further down, so the tree's levels are
        # those of the tiles above the lowest.
        self._tree = HashTree()
        self.signed_root: bytes | None = None
        """The root over the checkpoint's leaves, once they were all seen."""
        self.tiles = 0
        """Full tiles, all of them as stored."""
        self.leaves = 0
        """How many leaves were seen."""

    def extend(self, prepared: Prepared) -> None:
        """The tree has these bundles too. Raises `Irregular`."""
        for root in prepared.roots:
            self._note_signed(prepared.edge)
            for tile in self._tree.extend([root]):
                self._compare(tile.level + 1, tile.index, TILE_WIDTH, tile.data)
                self.tiles += 1
            self.tiles += 1  # the lowest, which a worker compared
        self._note_signed(prepared.edge)
        self.leaves += len(prepared.leaves)

    def finish(self, *, has_partial_tiles: bool) -> None:
        """The tiles at the right edge are as stored, too. Raises `Irregular`."""
        level = 1
        while has_partial_tiles and (known := self._size >> (TILE_LEVELS * level)):
            index, width = divmod(known, TILE_WIDTH)
            if width:
                self._compare(level, index, width, self._tree.tile(level - 1, index, width))
            level += 1

    def _note_signed(self, edge: list[bytes]) -> None:
        if self._tree.size != self._signed_bundles or self.signed_root is not None:
            return
        if not self._signed_rest:
            self.signed_root = self._tree.root()
        elif edge:
            # A last bundle that is not full stands for one node all the same.
            tree = copy.deepcopy(self._tree)
            tree.extend([compute_root(edge)])
            self.signed_root = tree.root()

    def _compare(self, level: int, index: int, width: int, data: bytes) -> None:
        if self._source.read_tile(level, index, width) != data:
            raise Irregular("tile", level, index)


class PreparedBlocks:
    """The blocks of a log after its genesis, put together from prepared leaves."""

    def __init__(
        self,
        groups: Iterator[Prepared],
        *,
        genesis_size: int,
        judge: LaterJudge,
        take: Callable[[Prepared], None],
    ) -> None:
        self._groups = groups
        self._judge = judge
        self._take = take
        self._size = genesis_size
        self._height = 0
        self._next_group()
        group = self._group
        if group.kinds[:genesis_size] != bytes([GENESIS]) * genesis_size:
            raise Irregular("genesis")
        self._at = genesis_size

    def __iter__(self) -> Iterator[RecordedBlock]:
        """Every block. Raises `Irregular` where leaves do not stand as in a good ledger."""
        while self._find_kind() is not None:
            block = self._read_block()
            self._size += len(block.leaves)
            self._height += 1
            yield block

    def _next_group(self) -> bool:
        group = next(self._groups, None)
        if group is None:
            return False
        self._take(group)
        self._group = group
        self._at = self._entry = 0
        self._transactions = iter(group.transactions)
        self._blocks = iter(group.blocks)
        return True

    def _find_kind(self) -> int | None:
        """What the next leaf is."""
        if self._at == len(self._group.kinds) and not self._next_group():
            return None
        return self._group.kinds[self._at]

    def _take_leaf(self) -> bytes:
        self._at += 1
        return self._group.leaves[self._at - 1]

    def _read_block(self) -> RecordedBlock:
        leaves: list[bytes] = []
        transactions: list[Transaction] = []
        places: list[int] = []
        while self._find_kind() == SYSTEM:
            leaves.append(self._take_leaf())
        while self._find_kind() == TRANSACTION:
            places.append(self._size + len(leaves))
            leaves.append(self._take_leaf())
            transactions.append(self._read_transaction(leaves))
        if self._find_kind() != BLOCK:
            raise Irregular("block")
        leaves.append(self._take_leaf())
        return RecordedBlock(self._size, leaves, transactions, places, next(self._blocks))

    def _read_transaction(self, leaves: list[bytes]) -> Transaction:
        shape = next(self._transactions)
        count = shape.header.count
        if shape.height != self._height + 1 or not 1 <= count <= MESSAGES_MAX:
            raise Irregular("transaction")
        messages: list[Any] = []
        message_bytes: list[bytes] = []
        hashes: list[bytes] = []
        while count:
            if self._find_kind() != ENTRY:
                raise Irregular("entries")
            group, at, entry = self._group, self._at, self._entry
            part = min(count, len(group.kinds) - at)
            if group.kinds.count(ENTRY, at, at + part) != part:
                raise Irregular("entries")
            entries = group.leaves[at : at + part]
            leaves += entries
            messages += group.messages[entry : entry + part]
            message_bytes += slice_messages(entries, group.lengths[entry : entry + part])
            hashes += group.hashes[entry : entry + part]
            self._at += part
            self._entry += part
            count -= part
        transaction = JudgedTransaction(
            header=shape.header, messages=messages, message_bytes=message_bytes, signature=shape.signature
        )
        transaction.judge = self._judge
        transaction.take_vetting(hashes, verified_by=None)
        if len(transaction.encode()) > TRANSACTION_BYTES_MAX:
            raise Irregular("transaction")
        return transaction
