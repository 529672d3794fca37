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
from node.audit.replay import Replay
from node.audit.together import LaterJudge, OptimisticReplay
from node.follower.chain import FollowedChain, Taken
from node.follower.crew import TailBlocks, TailCrew
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
    executor = chain.executor
    usual, executor.judge = executor.judge, judge
    chain.hold_whole(stretch=verified.size - first)
    try:
        with TailCrew(verified, workers=workers, first=first) as crew:
            blocks = TailBlocks(crew.read_prepared(), first=first, height=executor.head.height, judge=judge)
            replay = OptimisticReplay.resume(iter(()), origin=chain.origin, executor=executor)
            replay.blocks, replay.judge, replay.ask = iter(blocks), judge, crew.ask
            _store_confirmed(chain, replay, crew, is_stopping=is_stopping)
    finally:
        executor.judge = usual
    chain.show_head()


def _store_confirmed(
    chain: FollowedChain, replay: OptimisticReplay, crew: TailCrew, *, is_stopping: Stop
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
