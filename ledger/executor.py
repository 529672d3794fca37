"""The executor: `state', leaves = f(state, block)`, the same on every node, in every engine and in the
auditor's verifier.

Per block: due work first, then each transaction in order. A transaction that keys, clock or its id turn down
changes nothing and leaves no leaf; every message of one that is taken gets an entry, applied or rejected.
Rules decide; here alone it is written. The clock is the block's. Nothing is durable yet when `execute_block`
returns: the caller makes the leaves durable and then commits the state, or rolls it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

from msgspec import Struct

from ledger.admission import check_authority, check_repeat
from ledger.codec import encode, to_base64url
from ledger.errors import InvalidBlock, InvariantBroken, Refused, Rejected
from ledger.genesis import Origin
from ledger.leaves import (
    BlockLeaf,
    Totals,
    compute_tag,
    encode_block_leaf,
    encode_entry,
    encode_system_entry,
    encode_transaction_leaf,
)
from ledger.outcome import Outcome, outcome_of
from ledger.rule import Asked, BlockContext, Decision, Rulebook
from ledger.state import State
from ledger.totals import (
    DEBIT_TABLE,
    OWED_TABLE,
    POSITION_TABLE,
    SUPPLY_TABLE,
    TALLY_TABLE,
    TOTALS_TABLES,
    apply_leg,
    apply_posting,
    close_block,
)
from ledger.transaction import (
    KEY_TABLE,
    TRANSACTION_TABLE,
    RegisteredKey,
    RememberedTransaction,
    Transaction,
    check_contents,
)
from ledger.values import LEAF_BYTES_MAX

HEAD_TABLE: Final = "head"
HEAD_KEY: Final = "head"
_ABORTED: Final = encode(Outcome(code="ATOMIC_ABORTED"))


class Head(Struct, frozen=True, array_like=True, gc=False):
    """Where the chain stands: a state record."""

    height: int
    time: int
    size: int
    """Leaves in the log."""
    previous: str
    """Leaf hash of the last block leaf."""
    accepted: int
    entries: int
    transactions: int


class Answer(Struct, frozen=True, gc=False):
    """What came of one transaction of the block. Never on the wire."""

    refusal: Refused | None
    """Set when it left no leaf."""
    is_repeat: bool
    """The same transaction was taken before: the first answer stands."""
    index: int
    """Index of the transaction leaf."""
    outcomes: tuple[bytes, ...]


class ExecutedBlock(NamedTuple):
    """A block's leaves in order, and what to tell each sender."""

    head: Head
    first: int
    leaves: list[bytes]
    leaf_hashes: list[bytes]
    answers: list[Answer]
    time: int
    system: Sequence[Any] = ()
    """The messages of the work it did by itself; their entries come first."""

    @property
    def is_empty(self) -> bool:
        """Nothing was due and nothing was taken: such a block adds no leaf."""
        return not self.leaves


def make_tables(rulebook: Rulebook) -> dict[str, Any]:
    """Every table of a ledger under this rulebook, with its record type."""
    core = {HEAD_TABLE: Head, KEY_TABLE: RegisteredKey, TRANSACTION_TABLE: RememberedTransaction, "due": int}
    return {**core, **TOTALS_TABLES, **rulebook.tables}


def get_resident_tables(rulebook: Rulebook) -> frozenset[str]:
    """The tables that are kept whole in memory."""
    return rulebook.resident | {
        HEAD_TABLE,
        KEY_TABLE,
        TALLY_TABLE,
        SUPPLY_TABLE,
        POSITION_TABLE,
        DEBIT_TABLE,
        OWED_TABLE,
    }


def get_fleeting_tables(rulebook: Rulebook) -> frozenset[str]:
    """The tables that leave memory with every fold."""
    return rulebook.fleeting | {TRANSACTION_TABLE}


def apply_genesis(state: State, origin: Origin, rulebook: Rulebook) -> None:
    """The state before the first block is written and current."""
    state.begin()
    for table, key, record in rulebook.genesis(origin):
        state.put(table, key, record)
    head = Head(0, origin.settings.time, len(origin.leaves), origin.previous, 0, 0, 0)
    state.put(HEAD_TABLE, HEAD_KEY, head)


class Executor:
    """Executes blocks of one chain over one state."""

    def __init__(self, *, state: State, origin: Origin, rulebook: Rulebook) -> None:
        self.state = state
        self.rulebook = rulebook
        self.chain = origin.chain
        self._operator = origin.settings.operator
        self._utc_offset_minutes = origin.settings.utc_offset_minutes

    @property
    def head(self) -> Head:
        """Where the committed chain stands."""
        head: Head = self.state.get_current(HEAD_TABLE, HEAD_KEY)
        return head

    def context(self, *, time: int) -> BlockContext:
        """The context of the next block at ``time``."""
        return BlockContext(
            chain=self.chain,
            height=self.head.height + 1,
            time=time,
            operator=self._operator,
            utc_offset_minutes=self._utc_offset_minutes,
        )

    def execute_block(
        self, transactions: Sequence[Transaction], *, time: int, engine_height: int | None = None
    ) -> ExecutedBlock:
        """The leaves of the next block, pending in the state. Raises `InvalidBlock` where time runs
        backwards.
        """
        head = self.head
        if time < head.time:
            raise InvalidBlock("TIME_BACKWARDS", expected=f">= {head.time}", found=time)
        block = self.context(time=time)
        state = self.state
        state.prefetch(self._reads(block, transactions))
        state.begin()
        leaves: list[bytes] = []
        answers: list[Answer] = []
        accepted = entries = taken = 0
        system: list[Any] = []
        for due in self.rulebook.due(state, block):
            system.append(due.message)
            self._write(due.decision, block)
            leaves.append(encode_system_entry(encode(due.message), encode(due.decision.outcome)))
            entries += 1
            accepted += 1
        for transaction in transactions:
            try:
                check_contents(transaction, chain=self.chain)
                check_authority(state, self.rulebook, transaction, block)
                is_repeat = check_repeat(state, transaction, block)
            except Refused as refusal:
                answers.append(Answer(refusal, False, 0, ()))
                continue
            if is_repeat:
                answers.append(Answer(None, True, 0, ()))
                continue
            index = head.size + len(leaves)
            outcomes, applied = self._execute(transaction, block, index, leaves)
            answers.append(Answer(None, False, index, outcomes))
            accepted += applied
            entries += len(outcomes)
            taken += 1
        if not leaves:
            state.roll_back()
            return ExecutedBlock(head, head.size, [], [], answers, time)
        leaf = BlockLeaf(
            engine_height=engine_height or block.height,
            first=head.size,
            height=block.height,
            last=head.size + len(leaves),
            previous=head.previous,
            rulebook=self.rulebook.version,
            sums=close_block(state),
            time=time,
            totals=Totals(head.accepted + accepted, head.entries + entries, head.transactions + taken),
        )
        leaves.append(encode_block_leaf(leaf))
        hashes = [sha256(b"\x00" + data).digest() for data in leaves]
        if max(map(len, leaves)) > LEAF_BYTES_MAX:
            raise InvariantBroken("LEAF_TOO_LARGE", bytes=max(map(len, leaves)))
        new_head = Head(
            block.height,
            time,
            head.size + len(leaves),
            to_base64url(hashes[-1]),
            leaf.totals.accepted,
            leaf.totals.entries,
            leaf.totals.transactions,
        )
        state.put(HEAD_TABLE, HEAD_KEY, new_head)
        return ExecutedBlock(new_head, head.size, leaves, hashes, answers, time, system)

    def _execute(
        self, transaction: Transaction, block: BlockContext, index: int, leaves: list[bytes]
    ) -> tuple[tuple[bytes, ...], int]:
        """Append the transaction's leaves; its outcomes, and how many messages were applied."""
        header = transaction.header
        leaf = encode_transaction_leaf(
            transaction.header_bytes, height=block.height, signature=transaction.signature, time=block.time
        )
        is_atomic = header.atomic is True
        if is_atomic:
            self.state.begin_atomic()
        outcomes: list[bytes] = []
        applied = 0
        key = self.state.get(KEY_TABLE, header.key)
        rules = self.rulebook.rules
        state = self.state
        hashes = transaction.message_hashes
        for number, message in enumerate(transaction.messages):
            asked = Asked(block, header.sender, key, header.key, index + 1 + number, hashes[number])
            try:
                decision = rules[type(message)].decide(state, asked, message)
            except Rejected as rejection:
                outcomes.append(encode(outcome_of(rejection)))
                if is_atomic:
                    state.roll_back_atomic()
                    block.memo.clear()  # some of it may rest on writes that never happened
                    outcomes = [_ABORTED] * number + outcomes[-1:] + [_ABORTED] * (header.count - number - 1)
                    applied = 0
                    break
                continue
            self._write(decision, block)
            outcomes.append(encode(decision.outcome))
            applied += 1
        state.end_atomic()
        remembered = RememberedTransaction(header.digest, header.not_after)
        state.put(TRANSACTION_TABLE, f"{header.sender}|{header.id}", remembered)
        tag = compute_tag(leaf)
        leaves.append(leaf)
        leaves.extend(
            [
                encode_entry(content, outcome, tag)
                for content, outcome in zip(transaction.message_bytes, outcomes, strict=True)
            ]
        )
        return tuple(outcomes), applied

    def _write(self, decision: Decision, block: BlockContext) -> None:
        """What a rule decided is pending in the state."""
        state = self.state
        for posting in decision.postings:
            apply_posting(state, posting, day=block.day)
        legs = decision.outcome.legs
        if legs:
            for leg in legs:
                apply_leg(state, leg)
        for table, key, record in decision.changes:
            state.put(table, key, record)

    def _reads(self, block: BlockContext, transactions: Sequence[Transaction]) -> Iterable[tuple[str, str]]:
        """Every record that the block's messages will read, as far as they say."""
        rules = self.rulebook.rules
        wanted: list[tuple[str, str]] = []
        for transaction in transactions:
            sender = transaction.header.sender
            wanted.append((TRANSACTION_TABLE, f"{sender}|{transaction.header.id}"))
            for message in transaction.messages:
                wanted += rules[type(message)].reads(block, sender, message)
        return wanted
