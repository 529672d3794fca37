"""The history told again: every block is executed anew from its transactions, and every leaf must come out
the same.

Leaves are taken one after the other and grouped: genesis, then blocks of system entries, transactions each
with its entries, and the block leaf. Each block goes through the very executor a node runs, over a state that
began empty. So signatures, digests, ids, clocks, consents, rules, balances and totals are all decided again,
and what the executor makes is compared with what the log holds byte by byte. The first leaf that differs is
named.

Whether the leaves are those of the signed tree is not decided here (`node.audit.hashes`), and nothing is read
from a disk or a network: leaves come from an iterator.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final, NamedTuple, TypeVar

import msgspec
from msgspec import Raw

from contracts.rulebook import RULEBOOKS
from ledger.errors import CommonpointError, InvalidBlock
from ledger.executor import ExecutedBlock, Executor, Head, apply_genesis, make_tables
from ledger.genesis import Origin, read_genesis
from ledger.leaves import (
    BLOCK_LEAF_DECODER,
    BLOCK_START,
    GENESIS_START,
    SYSTEM_START,
    TRANSACTION_LEAF_DECODER,
    TRANSACTION_START,
    BlockLeaf,
    TransactionLeaf,
)
from ledger.rule import Rulebook
from ledger.state import Changes, State
from ledger.transaction import Transaction
from ledger.values import MESSAGES_MAX, TRANSACTION_BYTES_MAX

_T = TypeVar("_T")
_TOLD_BYTES: Final = 160
"""How much of a leaf is shown on either side of a difference."""


class RecordedBlock(NamedTuple):
    """One block as the log holds it."""

    first: int
    leaves: list[bytes]
    transactions: list[Transaction]
    places: list[int]
    """Index of each transaction's leaf."""
    closing: BlockLeaf


class ReplayedBlock(NamedTuple):
    """A block of the log that came out the same."""

    recorded: RecordedBlock
    executed: ExecutedBlock
    changes: Changes
    """The records it wrote; they are current."""


class Replay:
    """A ledger executed again from its leaves: all of them, or those after a state that is known.

    Iterating replays block by block; after each, `state` is that of the block's end.
    """

    def __init__(
        self, leaves: Iterator[bytes], *, ahead: bytes | None, origin: Origin, executor: Executor
    ) -> None:
        self._leaves = leaves
        self._ahead = ahead
        self._executor = executor
        self._decode_entry = _make_entry_decoder(executor.rulebook.message_type).decode
        self.origin = origin
        self.rulebook = executor.rulebook
        self.state = executor.state
        self.size = executor.head.size
        """Leaves taken and found good."""

    @classmethod
    def begin(cls, leaves: Iterable[bytes], *, rulebooks: Mapping[int, Rulebook] = RULEBOOKS) -> Replay:
        """A replay from the genesis on, over a state that begins empty. Raises `InvalidBlock`."""
        iterator = iter(leaves)
        genesis, ahead = _read_genesis_leaves(iterator)
        origin = read_genesis(genesis)
        version = origin.settings.rulebook
        if version not in rulebooks:
            raise InvalidBlock("RULEBOOK_UNKNOWN", expected=sorted(rulebooks), found=version, index=0)
        rulebook = rulebooks[version]
        state = State(make_tables(rulebook))
        apply_genesis(state, origin, rulebook)
        state.commit()
        return cls(
            iterator,
            ahead=ahead,
            origin=origin,
            executor=Executor(state=state, origin=origin, rulebook=rulebook),
        )

    @classmethod
    def resume(cls, leaves: Iterable[bytes], *, origin: Origin, executor: Executor) -> Replay:
        """A replay of the blocks after the executor's head, whose state the caller vouches for."""
        iterator = iter(leaves)
        return cls(iterator, ahead=next(iterator, None), origin=origin, executor=executor)

    @property
    def head(self) -> Head:
        """Where the replayed chain stands."""
        return self._executor.head

    def __iter__(self) -> Iterator[ReplayedBlock]:
        """Replay to the end. Raises `InvalidBlock` at the first leaf that does not come out the same."""
        while self._ahead is not None:
            recorded = self._read_block(self._ahead)
            executed = self._execute(recorded)
            changes = self.state.commit()
            self.size += len(recorded.leaves)
            self._ahead = next(self._leaves, None)
            yield ReplayedBlock(recorded, executed, changes)

    def _read_genesis_leaves(self) -> tuple[list[bytes], bytes | None]:
        """The genesis leaves and the first leaf after them."""
        genesis: list[bytes] = []
        leaf = next(self._leaves, None)
        while leaf is not None and leaf.startswith(GENESIS_START):
            genesis.append(leaf)
            leaf = next(self._leaves, None)
        if not genesis:
            raise InvalidBlock("GENESIS_MISSING", expected="a genesis leaf", found=_tell(leaf), index=0)
        return genesis, leaf

    def _read_block(self, leaf: bytes | None) -> RecordedBlock:
        """The next block, grouped; nothing in it is believed yet."""
        height = self.head.height + 1
        found: list[bytes] = []
        while leaf is not None and leaf.startswith(SYSTEM_START):
            found.append(leaf)
            leaf = next(self._leaves, None)
        transactions: list[Transaction] = []
        places: list[int] = []
        while leaf is not None and leaf.startswith(TRANSACTION_START):
            index = self.size + len(found)
            shape = _decode_leaf(TRANSACTION_LEAF_DECODER, leaf, "TRANSACTION_MALFORMED", index)
            if shape.height != height:
                raise InvalidBlock("HEIGHT", expected=height, found=shape.height, index=index)
            found.append(leaf)
            entries = self._read_entries(shape, index)
            found += entries[0]
            transactions.append(entries[1])
            places.append(index)
            leaf = next(self._leaves, None)
        index = self.size + len(found)
        if leaf is None or not leaf.startswith(BLOCK_START):
            check = "BLOCK_UNFINISHED" if leaf is None else "LEAF_OUT_OF_PLACE"
            raise InvalidBlock(
                check, expected="a transaction or a block leaf", found=_tell(leaf), index=index
            )
        closing = _decode_leaf(BLOCK_LEAF_DECODER, leaf, "BLOCK_MALFORMED", index)
        found.append(leaf)
        return RecordedBlock(self.size, found, transactions, places, closing)

    def _read_entries(self, shape: TransactionLeaf, index: int) -> tuple[list[bytes], Transaction]:
        """The entries after a transaction leaf, and the transaction that leaf and entries were made from."""
        count = shape.header.count
        if not 1 <= count <= MESSAGES_MAX:
            raise InvalidBlock("MESSAGE_COUNT", expected=f"1 to {MESSAGES_MAX}", found=count, index=index)
        entries = list(islice(self._leaves, count))
        if len(entries) < count:
            raise InvalidBlock(
                "BLOCK_UNFINISHED",
                expected=f"{count} entries",
                found=len(entries),
                index=index + 1 + len(entries),
            )
        messages = self._decode_messages(entries, index + 1)
        transaction = Transaction(
            header=shape.header,
            messages=messages,
            # Made from the values, never taken from the leaf: another spelling makes another leaf.
            message_bytes=[_encode(message) for message in messages],
            signature=shape.signature,
        )
        size = len(transaction.encode())
        if size > TRANSACTION_BYTES_MAX:
            raise InvalidBlock(
                "TRANSACTION_TOO_LARGE", expected=TRANSACTION_BYTES_MAX, found=size, index=index
            )
        return entries, transaction

    def _decode_messages(self, entries: Sequence[bytes], first: int) -> list[Any]:
        """The messages in entry leaves; the first leaf that is no entry is named."""
        decode = self._decode_entry
        messages: list[Any] = []
        try:
            for entry in entries:
                messages.append(decode(entry).message)  # noqa: PERF401  # how far it came is needed below
        except (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError) as error:
            place = len(messages)
            raise InvalidBlock(
                "ENTRY_MALFORMED",
                expected="an entry leaf",
                found=f"{error}: {_tell(entries[place])}",
                index=first + place,
            ) from None
        return messages

    def _execute(self, recorded: RecordedBlock) -> ExecutedBlock:
        """What the executor makes of the block's transactions, which is what the log holds."""
        closing = recorded.closing
        # A solo chain's engine has no height of its own, so the block leaf must repeat the ledger's.
        engine_height = None if self.origin.settings.engine == "solo" else closing.engine_height
        try:
            executed = self._executor.execute_block(
                recorded.transactions, time=closing.time, engine_height=engine_height
            )
        except CommonpointError as error:
            # Time that runs backwards, or a promise of the core that these transactions break.
            raise InvalidBlock(
                error.code, expected="a block that can be executed", found=str(error), index=recorded.first
            ) from None
        _check_same(recorded, executed)
        return executed


def _read_genesis_leaves(leaves: Iterator[bytes]) -> tuple[list[bytes], bytes | None]:
    """The genesis leaves and the first leaf after them."""
    genesis: list[bytes] = []
    leaf = next(leaves, None)
    while leaf is not None and leaf.startswith(GENESIS_START):
        genesis.append(leaf)
        leaf = next(leaves, None)
    if not genesis:
        raise InvalidBlock("GENESIS_MISSING", expected="a genesis leaf", found=_tell(leaf), index=0)
    return genesis, leaf


def _check_same(recorded: RecordedBlock, executed: ExecutedBlock) -> None:
    """Every transaction was taken and every leaf came out the same. Raises `InvalidBlock` for the first that
    did not.
    """
    end = recorded.first + len(recorded.leaves)
    refused: tuple[int, str, str] | None = None
    for place, answer in zip(recorded.places, executed.answers, strict=True):
        if answer.refusal is not None:
            refused = (place, answer.refusal.code, str(answer.refusal))
            break
        if answer.is_repeat:
            refused = (place, "TRANSACTION_REPEATED", "the same sender, id and digest were taken before")
            break
    if refused is None and executed.leaves == recorded.leaves:
        return
    # What stands before a refused transaction came out all the same, so an earlier difference is told first.
    limit = end if refused is None else refused[0]
    for index in range(recorded.first, limit):
        place = index - recorded.first
        found = recorded.leaves[place]
        expected = executed.leaves[place] if place < len(executed.leaves) else None
        if found != expected:
            told = _tell_difference(expected, found)
            raise InvalidBlock(f"{_name(found)}_DIFFERS", expected=told[0], found=told[1], index=index)
    if refused is not None:
        raise InvalidBlock(
            refused[1], expected="a transaction that is taken", found=refused[2], index=refused[0]
        )
    raise InvalidBlock(
        "LEAF_MISSING", expected=_tell(executed.leaves[len(recorded.leaves)]), found=None, index=end
    )


_encode: Final = msgspec.json.Encoder().encode


def _make_entry_decoder(message_type: Any) -> msgspec.json.Decoder[Any]:
    """Reads an entry leaf down to the message in one pass; the outcome is compared and never read."""
    entry = msgspec.defstruct(
        "EntryLeaf",
        [("message", message_type), ("outcome", Raw), ("tag", str)],
        frozen=True,
        forbid_unknown_fields=True,
        tag="entry",
        tag_field="@type",
    )
    return msgspec.json.Decoder(entry)


def _decode_leaf(decoder: msgspec.json.Decoder[_T], leaf: bytes, check: str, index: int) -> _T:
    try:
        return decoder.decode(leaf)
    except (msgspec.MsgspecError, UnicodeError, ValueError, RecursionError) as error:
        raise InvalidBlock(
            check, expected="a canonical leaf", found=f"{error}: {_tell(leaf)}", index=index
        ) from None


def _name(leaf: bytes) -> str:
    """What a leaf calls itself, for the name of a check."""
    for start, name in (
        (SYSTEM_START, "SYSTEM_ENTRY"),
        (TRANSACTION_START, "TRANSACTION"),
        (BLOCK_START, "BLOCK"),
    ):
        if leaf.startswith(start):
            return name
    return "ENTRY"


def _tell(leaf: bytes | None) -> str:
    """The beginning of a leaf, for people."""
    if leaf is None:
        return "the end of the log"
    return leaf[:_TOLD_BYTES].decode("utf-8", "backslashreplace") + ("…" if len(leaf) > _TOLD_BYTES else "")


def _tell_difference(expected: bytes | None, found: bytes) -> tuple[str, str]:
    """Both leaves from a little before the first byte in which they differ."""
    if expected is None:
        return "no such leaf", _tell(found)
    pairs = enumerate(zip(expected, found, strict=False))
    place = next((at for at, (one, other) in pairs if one != other), min(len(expected), len(found)))
    begin = max(0, place - 40)
    lead = "…" if begin else ""
    return lead + _tell(expected[begin:]), lead + _tell(found[begin:])
