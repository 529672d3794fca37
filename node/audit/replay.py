"""The history told again: every block is executed anew from its transactions, and every leaf must come out
the same.

Each block goes through the very executor a node runs, over a state that began empty. So signatures, digests,
ids, clocks, consents, rules, balances and totals are all decided again, and what the executor makes is
compared with what the log holds byte by byte. The first leaf that differs is named.

Whether the leaves are those of the signed tree is not decided here (`node.audit.hashes`), and nothing is read
from a disk or a network: leaves come from an iterator.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Self

from contracts.mechanics.governance_records import ENGINE
from contracts.rulebook import RULEBOOKS
from ledger.errors import CommonpointError, InvalidBlock
from ledger.executor import ExecutedBlock, Executor, Head, apply_genesis, make_tables
from ledger.genesis import Origin, read_genesis
from ledger.keys import SignatureJudge
from ledger.leaves import BLOCK_START, SYSTEM_START, TRANSACTION_START
from ledger.rule import Rulebook
from ledger.state import Changes, State
from node.audit.recorded import BlockReader, RecordedBlock, read_genesis_leaves, tell_leaf


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
        self._executor = executor
        self.origin = origin
        self.rulebook = executor.rulebook
        """Of the first block to come. Tables and messages are every version's."""
        self.state = executor.state
        head = executor.head
        self._engine_height: int | None = None
        """Of the last block that validators made here; None before the first."""
        self.size = head.size
        """Leaves taken and found good."""
        self.blocks: Iterator[RecordedBlock] = iter(
            BlockReader(
                leaves,
                ahead=ahead,
                size=head.size,
                height=head.height,
                message_type=self.rulebook.message_type,
            )
        )
        """The blocks to come. Whoever looks at them earlier puts an iterator over the same ones here."""

    @classmethod
    def begin(
        cls,
        leaves: Iterable[bytes],
        *,
        rulebooks: Mapping[int, Rulebook] = RULEBOOKS,
        judge: SignatureJudge | None = None,
    ) -> Self:
        """A replay from the genesis on, over a state that begins empty. Raises `InvalidBlock`."""
        iterator = iter(leaves)
        genesis, ahead = read_genesis_leaves(iterator)
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
            executor=Executor(state=state, origin=origin, rulebooks=rulebooks, judge=judge),
        )

    @classmethod
    def resume(cls, leaves: Iterable[bytes], *, origin: Origin, executor: Executor) -> Self:
        """A replay of the blocks after the executor's head, whose state the caller vouches for."""
        iterator = iter(leaves)
        return cls(iterator, ahead=next(iterator, None), origin=origin, executor=executor)

    @property
    def head(self) -> Head:
        """Where the replayed chain stands."""
        return self._executor.head

    def __iter__(self) -> Iterator[ReplayedBlock]:
        """Replay to the end. Raises `InvalidBlock` at the first leaf that does not come out the same."""
        for recorded in self.blocks:
            executed = self._execute(recorded)
            changes = self.state.commit()
            self.size += len(recorded.leaves)
            yield ReplayedBlock(recorded, executed, changes)

    def _execute(self, recorded: RecordedBlock) -> ExecutedBlock:
        """What the executor makes of the block's transactions, which is what the log holds."""
        closing = recorded.closing
        engine_height = self._find_engine_height(recorded)
        try:
            executed = self._executor.execute_block(
                recorded.transactions, time=closing.time, engine_height=engine_height
            )
        except CommonpointError as error:
            # Time that runs backwards, a version of the rules that this program does not know, or a promise
            # of the core that these transactions break.
            raise InvalidBlock(
                error.code, expected="a block that can be executed", found=str(error), index=recorded.first
            ) from None
        _check_same(recorded, executed)
        self._engine_height = engine_height
        return executed

    def _find_engine_height(self, recorded: RecordedBlock) -> int | None:
        """The engine's height of this block; None where one sequencer makes the blocks, which has none of its
        own, so that the block leaf must repeat the ledger's.

        Validators may need several of theirs for one of the ledger's, but never go back.

        Raises `InvalidBlock` ``ENGINE_HEIGHT``.
        """
        if self.state.get_current(ENGINE, ENGINE) is None:
            return None
        found = recorded.closing.engine_height
        # After a resume nobody knows the one before, and the first block of an engine has none.
        if self._engine_height is not None and found <= self._engine_height:
            last = recorded.first + len(recorded.leaves) - 1
            raise InvalidBlock("ENGINE_HEIGHT", expected=f"> {self._engine_height}", found=found, index=last)
        return found


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
        "LEAF_MISSING", expected=tell_leaf(executed.leaves[len(recorded.leaves)]), found=None, index=end
    )


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


def _tell_difference(expected: bytes | None, found: bytes) -> tuple[str, str]:
    """Both leaves from a little before the first byte in which they differ."""
    if expected is None:
        return "no such leaf", tell_leaf(found)
    pairs = enumerate(zip(expected, found, strict=False))
    place = next((at for at, (one, other) in pairs if one != other), min(len(expected), len(found)))
    begin = max(0, place - 40)
    lead = "…" if begin else ""
    return lead + tell_leaf(expected[begin:]), lead + tell_leaf(found[begin:])
