"""The executor: `state', leaves = f(state, block)`, the same on every node, in every engine and in the
auditor's verifier.

Per block: due work first, then each transaction in order. A transaction that keys, clock or its id turn down
changes nothing and leaves no leaf; every message of one that is taken gets an entry, applied or rejected.
The clock is the block's, and so is the version of the rules (`ledger.versions`). Nothing is durable yet when
`execute_block` returns: the caller makes the leaves durable and then commits the state, or rolls it back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from msgspec import Struct

from ledger.admission import check_authority, check_repeat
from ledger.block import BlockInHand
from ledger.codec import to_base64url
from ledger.errors import InvalidBlock, InvariantBroken, Refused
from ledger.genesis import Origin
from ledger.keys import SignatureCheck, SignatureJudge, SignedText
from ledger.leaves import BlockLeaf, Totals, encode_block_leaf
from ledger.log.merkle import compute_leaf_hashes
from ledger.rule import NO_READS, BlockContext, Rulebook
from ledger.state import DUE_TABLE, Key, State
from ledger.totals import (
    DEBIT_TABLE,
    OWED_TABLE,
    POSITION_TABLE,
    SUPPLY_TABLE,
    TALLY_TABLE,
    TOTALS_TABLES,
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
from ledger.versions import RULEBOOK_KEY, RULEBOOK_TABLE, pick_rulebook

HEAD_TABLE: Final = "head"
HEAD_KEY: Final = "head"


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
    """Every table of a ledger, with its record type: the same whichever of its versions is named."""
    core = {
        HEAD_TABLE: Head,
        RULEBOOK_TABLE: int,
        KEY_TABLE: RegisteredKey,
        TRANSACTION_TABLE: RememberedTransaction,
        DUE_TABLE: int,
    }
    return {**core, **TOTALS_TABLES, **rulebook.tables}


def get_resident_tables(rulebook: Rulebook) -> frozenset[str]:
    """The tables that are kept whole in memory."""
    return rulebook.resident | {
        HEAD_TABLE,
        RULEBOOK_TABLE,
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

    def __init__(
        self,
        *,
        state: State,
        origin: Origin,
        rulebooks: Mapping[int, Rulebook],
        judge: SignatureJudge | None = None,
    ) -> None:
        self.judge = judge or SignatureCheck()
        self.state = state
        self.rulebooks = rulebooks
        """All that this program knows, by version."""
        self._first_version = origin.settings.rulebook
        self.chain = origin.chain
        self._operator = origin.settings.operator
        self._utc_offset_minutes = origin.settings.utc_offset_minutes
        self._currency = origin.settings.currency
        self._founded_at = origin.settings.time

    @property
    def head(self) -> Head:
        """Where the committed chain stands."""
        head: Head = self.state.get_current(HEAD_TABLE, HEAD_KEY)
        return head

    @property
    def version(self) -> int:
        """Of the rules of the next block."""
        version: int | None = self.state.get_current(RULEBOOK_TABLE, RULEBOOK_KEY)
        return self._first_version if version is None else version

    @property
    def rulebook(self) -> Rulebook:
        """The rules of the next block. Raises `InvariantBroken` ``RULEBOOK_UNKNOWN``."""
        return pick_rulebook(self.rulebooks, self.version, height=self.head.height + 1)

    def context(self, *, time: int) -> BlockContext:
        """The context of the next block at ``time``."""
        return BlockContext(
            chain=self.chain,
            height=self.head.height + 1,
            time=time,
            operator=self._operator,
            utc_offset_minutes=self._utc_offset_minutes,
            judge=self.judge,
            previous=self.head.previous,
            rulebook=self.version,
            currency=self._currency,
            founded_at=self._founded_at,
        )

    def execute_block(
        self, transactions: Sequence[Transaction], *, time: int, engine_height: int | None = None
    ) -> ExecutedBlock:
        """The leaves of the next block, pending in the state. Raises `InvalidBlock` where time runs
        backwards, `InvariantBroken` where this program does not know the version of its rules.
        """
        head = self.head
        rulebook = self.rulebook
        if time < head.time:
            raise InvalidBlock("TIME_BACKWARDS", expected=f">= {head.time}", found=time)
        context = self.context(time=time)
        state = self.state
        reads = [_list_reads(rulebook, context, transaction) for transaction in transactions]
        state.prefetch(chain([_list_ids(transactions)], *reads))
        if self.judge.wants_notice:
            self.judge.expect(self._list_signatures(rulebook, context, transactions))
        state.begin()
        block = BlockInHand(state=state, rulebook=rulebook, context=context, first=head.size)
        system = block.do_due_work()
        answers: list[Answer] = []
        for transaction, read in zip(transactions, reads, strict=True):
            try:
                check_contents(transaction, chain=self.chain)
                check_authority(state, rulebook, transaction, context)
                is_repeat = check_repeat(state, transaction, context)
            except Refused as refusal:
                answers.append(Answer(refusal, False, 0, ()))
                continue
            if is_repeat:
                answers.append(Answer(None, True, 0, ()))
                continue
            index, outcomes = block.take(transaction, read)
            answers.append(Answer(None, False, index, outcomes))
        leaves = block.leaves
        if not leaves:
            state.roll_back()
            return ExecutedBlock(head, head.size, [], [], answers, time)
        leaf = BlockLeaf(
            engine_height=engine_height or context.height,
            first=head.size,
            height=context.height,
            last=head.size + len(leaves),
            previous=head.previous,
            rulebook=rulebook.version,
            sums=block.close(),
            time=time,
            totals=Totals(
                head.accepted + block.accepted, head.entries + block.entries, head.transactions + block.taken
            ),
        )
        leaves.append(encode_block_leaf(leaf))
        hashes = compute_leaf_hashes(leaves)
        if max(map(len, leaves)) > LEAF_BYTES_MAX:
            raise InvariantBroken("LEAF_TOO_LARGE", bytes=max(map(len, leaves)))
        new_head = Head(
            context.height,
            time,
            head.size + len(leaves),
            to_base64url(hashes[-1]),
            leaf.totals.accepted,
            leaf.totals.entries,
            leaf.totals.transactions,
        )
        state.put(HEAD_TABLE, HEAD_KEY, new_head)
        return ExecutedBlock(new_head, head.size, leaves, hashes, answers, time, system)

    def _list_signatures(
        self, rulebook: Rulebook, context: BlockContext, transactions: Sequence[Transaction]
    ) -> list[SignedText]:
        """The signatures that the block's messages carry, as far as the state tells whose they are."""
        announcing = {kind: rule.announce for kind, rule in rulebook.rules.items() if rule.announce}
        return [
            signed
            for transaction in transactions
            for message in transaction.messages
            if (announce := announcing.get(type(message))) is not None
            for signed in announce(self.state, context, message)
        ]


def _list_reads(rulebook: Rulebook, context: BlockContext, transaction: Transaction) -> list[Sequence[Key]]:
    """For each message, the records its rule will read, as far as it says; none where there is no rule."""
    rules = rulebook.rules
    sender = transaction.header.sender
    return [
        rule.reads(context, sender, message) if (rule := rules.get(type(message))) is not None else NO_READS
        for message in transaction.messages
    ]


def _list_ids(transactions: Sequence[Transaction]) -> list[Key]:
    """Under which keys the transactions would be remembered."""
    return [(TRANSACTION_TABLE, f"{one.header.sender}|{one.header.id}") for one in transactions]
