"""From where a follower stands to where a checkpoint ends: every block in between executed again and found
the same.

Two ways lead there. *Step by step*: leaves in order, each signature checked where it is used, the first leaf
that differs named. *Together*, for long stretches: worker processes read leaves and check signatures while
this one executes, as `node.audit.together` does it for an audit. Together only ever finds that all is well;
a block is stored when the signatures in it were all found good, and where anything else is found the stretch
is gone again step by step.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from time import monotonic
from typing import Final, Protocol

from ledger.executor import ExecutedBlock
from ledger.keys import SignedText
from ledger.log.tiles import TILE_WIDTH
from node.audit.crew import GROUP_BUNDLES, LOT, Crew
from node.audit.preparing import ENTRY, Prepared
from node.audit.replay import Replay
from node.audit.tasks import CheckTask, Task, Terms
from node.audit.together import LaterJudge, OptimisticReplay, PreparedBlocks
from node.follower.chain import FollowedChain, Taken
from node.follower.verified import VerifiedLog

STORED_TOGETHER_LEAVES: Final = 8_192
"""So many leaves are made durable with one sync."""
WORTH_SHARING: Final = 20_000
"""A shorter stretch is over before worker processes have started."""
OnBlock = Callable[[float, ExecutedBlock], None]
"""Hears of each block and how long it took; readers do not see it yet."""
Stop = Callable[[], bool]
"""Whether to leave off at the next block."""


class Leaves(Protocol):
    """Leaves of a signed tree, found right before they are handed on."""

    size: int

    def read_from(self, first: int) -> list[bytes]:
        """Some leaves from this one on, at least one."""
        ...


def catch_up(
    chain: FollowedChain,
    verified: Leaves,
    *,
    is_stopping: Stop,
    on_block: OnBlock = lambda _seconds, _block: None,
) -> None:
    """The chain has all leaves of this tree, unless it was stopped. Raises `InvalidBlock` where a block does
    not come out the same.
    """
    leaves = _read_leaves(verified, chain.size)
    replay = Replay.resume(leaves, origin=chain.origin, executor=chain.executor)
    try:
        _take_each(chain, replay, is_stopping=is_stopping, on_block=on_block)
    finally:
        # Also where the next leaf cannot be had, or is not what executing makes: what came before it stands.
        chain.store_taken()
    chain.fold_if_due()
    chain.show_head()


def _take_each(chain: FollowedChain, replay: Replay, *, is_stopping: Stop, on_block: OnBlock) -> None:
    waiting = 0
    started = monotonic()
    for block in replay:
        on_block(monotonic() - started, block.executed)
        chain.take(Taken(block.executed, block.recorded.transactions, block.changes))
        chain.check_rulebook()
        waiting += len(block.executed.leaves)
        if waiting >= STORED_TOGETHER_LEAVES:
            waiting = 0
            chain.store_taken()
            chain.fold_if_due()
        if is_stopping():
            break
        started = monotonic()


def _read_leaves(verified: Leaves, first: int) -> Iterator[bytes]:
    """The leaves from ``first`` on."""
    while first < verified.size:
        leaves = verified.read_from(first)
        yield from leaves
        first += len(leaves)


def catch_up_together(
    chain: FollowedChain, verified: VerifiedLog, *, workers: int, is_stopping: Stop
) -> None:
    """As `catch_up`, in several processes.

    Raises `Irregular` or another finding, which says no more than that something is not as it has to be; what
    was executed and not stored is then still in memory, so the chain has to be opened anew.
    """
    first = chain.size
    judge = LaterJudge()
    terms = Terms(size=verified.size, signed_size=verified.size, has_partial_tiles=True, opening=None)
    executor = chain.executor
    usual, executor.judge = executor.judge, judge
    try:
        with _TailCrew(verified, terms, workers=workers, first=first) as crew:
            blocks = _TailBlocks(crew.read_prepared(), first=first, height=executor.head.height, judge=judge)
            replay = OptimisticReplay.resume(iter(()), origin=chain.origin, executor=executor)
            replay.blocks, replay.judge, replay.ask = iter(blocks), judge, crew.ask
            _store_confirmed(chain, replay, crew, is_stopping=is_stopping)
    finally:
        executor.judge = usual
    chain.show_head()


def _store_confirmed(
    chain: FollowedChain, replay: OptimisticReplay, crew: _TailCrew, *, is_stopping: Stop
) -> None:
    """Replay to the end, storing blocks some way behind, once their signatures are known to be good."""
    batches: deque[tuple[int, int]] = deque()
    """Of each batch that waits: how many blocks, and up to which lot its signatures are."""
    count = leaves = unstored = 0
    for block in replay:
        chain.take(Taken(block.executed, block.recorded.transactions, block.changes))
        chain.check_rulebook()
        count += 1
        unstored += 1
        leaves += len(block.executed.leaves)
        if leaves >= STORED_TOGETHER_LEAVES:
            batches.append((count, crew.close_lot()))
            count = leaves = 0
        while batches and crew.is_confirmed(batches[0][1]):
            unstored -= batches.popleft()[0]
            chain.store_taken(but=unstored)
        if chain.is_fold_due:
            # A fold is of what is stored alone: wait until all of it is.
            crew.confirm_all()
            batches.clear()
            count = leaves = unstored = 0
            chain.store_taken()
            chain.fold_if_due()
        if is_stopping():
            break
    crew.confirm_all()
    chain.store_taken()
    chain.fold_if_due()


class _TailCrew(Crew):
    """A crew that begins in the middle of a log, and knows which signatures are done."""

    def __init__(self, source: VerifiedLog, terms: Terms, *, workers: int, first: int) -> None:
        super().__init__(source, terms, workers=workers)
        bundles = -(-terms.size // TILE_WIDTH)
        begin = first // TILE_WIDTH
        # By the same numbers as from the beginning: answers are filed under them.
        self._first_group = begin // GROUP_BUNDLES
        self._groups = [
            range(max(begin, each), min(each + GROUP_BUNDLES, bundles))
            for each in range(0, bundles, GROUP_BUNDLES)
        ]
        self._asked = self._used = self._first_group
        self._made = self._given = 0
        self._in_hand: dict[int, int] = {}

    def read_prepared(self) -> Iterator[Prepared]:
        """The bundles from where it begins, prepared, in order."""
        for number in range(self._first_group, len(self._groups)):
            self._used = number
            while number not in self._prepared:
                self._hand_out()
                if self._answers.empty() and self._lots:
                    self._check_lot()
                else:
                    self._take_answer()
            yield self._prepared.pop(number)

    def ask(self, questions: list[SignedText]) -> None:
        """As `Crew.ask`; lots are counted."""
        self._made += (len(self._questions) + len(questions)) // LOT
        super().ask(questions)

    def close_lot(self) -> int:
        """The number of the lot with which everything asked so far is asked."""
        if self._questions:
            self._lots.append(self._questions)
            self._questions = []
            self._made += 1
        return self._made

    def is_confirmed(self, lot: int) -> bool:
        """Whether this lot and those before it were found good."""
        if self._given < lot:
            return False
        in_hand = [
            self._in_hand[id(task)]
            for worker in self._workers
            for task in worker.tasks
            if isinstance(task, CheckTask)
        ]
        return min(in_hand, default=lot + 1) > lot

    def confirm_all(self) -> None:
        """Everything asked so far was found good. Raises `Irregular`."""
        lot = self.close_lot()
        while not self.is_confirmed(lot):
            self._hand_out()
            if self._answers.empty() and self._lots:
                self._check_lot()
            else:
                self._take_answer()

    def _give_lot(self) -> Task | None:
        task = super()._give_lot()
        if task is not None:
            self._given += 1
            # A task's place in memory is another's only when it was answered.
            self._in_hand[id(task)] = self._given
        return task

    def _check_lot(self) -> None:
        super()._check_lot()
        self._given += 1


class _TailBlocks(PreparedBlocks):
    """The blocks from a leaf in the middle of the first prepared group on."""

    def __init__(self, groups: Iterator[Prepared], *, first: int, height: int, judge: LaterJudge) -> None:
        self._groups = groups
        self._judge = judge
        self._take = lambda _prepared: None
        self._size = first
        self._height = height
        self._next_group()
        group = self._group
        self._at = first % TILE_WIDTH
        before = group.kinds[: self._at]
        self._entry = before.count(ENTRY)
        self._transactions = iter(group.transactions[before.count(b"t") :])
        self._blocks = iter(group.blocks[before.count(b"b") :])
