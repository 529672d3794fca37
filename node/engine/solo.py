"""The solo engine: one sequencer that takes what is waiting, cuts a block, commits, signs, and only then
answers.

Group commit without timers: while one block is being made durable the next one gathers, so the latency is one
execution and one sync, and the load decides the size of blocks. A simulated chain cuts only when it is told
to, at the time it is told, its transactions ordered by (sender, id).

It ends with the block that hands over to validators: what was in it is answered, nothing is taken any more
(``ENGINE_SWITCHED``), and reads go on.

The engine stops for good at the first fault that is not the asker's: nothing is acknowledged that is not on
the disk.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING

import structlog

from ledger.calendar import MILLIS_PER_DAY
from ledger.errors import Refused
from ledger.values import NEVER
from node.engine.answering import refuse, tell_answer, tell_failure, tell_stopped
from node.engine.standing import find_engine

if TYPE_CHECKING:
    from ledger.executor import ExecutedBlock, Head
    from node.chain import ChainKeeper
    from node.mempool import Mempool, Waiting

log = structlog.get_logger()

_IDLE_SECONDS = 0.05
"""After so long without work, what is unfolded is folded."""
_QUIET_SECONDS = 0.3
"""After so long without being told to cut, a simulated chain folds."""
_DUE_WORK_SECONDS = 20.0
"""How often an idle chain looks for work that has fallen due; where a block has found some, the next looks at
once.
"""
_TIME_MAX = NEVER * MILLIS_PER_DAY
"""No block is later: days are counted up to there."""


class SoloEngine:
    """One thread that makes blocks of a mempool's transactions."""

    def __init__(
        self,
        chain: ChainKeeper,
        mempool: Mempool,
        *,
        clock: Callable[[], int] | None,
        on_failure: Callable[[], None],
        on_block: Callable[[float, ExecutedBlock], None],
    ) -> None:
        self._chain = chain
        self._mempool = mempool
        self._clock = clock
        """Milliseconds UTC, or None for a simulated chain."""
        self._on_failure = on_failure
        self._on_block = on_block
        self._cutting = threading.Lock()
        self._stopping = threading.Event()
        self._was_quiet = True
        self._handed_over: Refused | None = None
        """Why it makes no more blocks, where validators do."""
        self.failure: BaseException | None = None
        self._hand_over_if_decided()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Blocks are cut from now on."""
        self._thread.start()

    @property
    def is_open(self) -> bool:
        """Whether what is submitted will be answered."""
        return self.failure is None and not self._stopping.is_set()

    @property
    def is_at_rest(self) -> bool:
        """Whether validators make the blocks, and this engine none any more."""
        return self._handed_over is not None

    @property
    def misbehaviour(self) -> int:
        """Nobody here looks on: witnesses and followers do."""
        return 0

    def find_rest(self) -> str | None:
        """It needs nobody else."""
        return None

    def close_intake(self) -> None:
        """What waits is told to come again, and nothing more is taken."""
        refusal = Refused("STOPPING")
        refuse(self._mempool.close(refusal), refusal)

    def stop(self) -> None:
        """Intake closes; the block in hand is finished and answered, all of it folded."""
        self._stopping.set()
        self.close_intake()
        self._thread.join()
        with self._cutting:
            if self.failure is None:
                self._chain.fold_all()

    def cut(self, time: int) -> Head:
        """One block of everything that waits, at the time told. Raises `Refused` ``TIME_BACKWARDS``."""
        with self._cutting:
            self._was_quiet = False
            if not self.is_open:
                raise Refused("STOPPING")
            if self._handed_over is not None:
                raise Refused(self._handed_over.code, **self._handed_over.facts)
            if time < self._chain.head.time:
                raise Refused("TIME_BACKWARDS", time=time, head=self._chain.head.time)
            if time > _TIME_MAX:
                raise Refused("BAD_REQUEST", time=time, allowed=_TIME_MAX)
            waiting = self._mempool.take(everything=True)
            waiting.sort(key=lambda one: (one.transaction.header.sender, one.transaction.header.id))
            self._make_block(waiting, time)
            return self._chain.head

    def _run(self) -> None:
        try:
            if self._clock is not None:
                self._cut_when_waiting(self._clock)
            self._fold_when_quiet()
        except BaseException as error:  # noqa: BLE001 - the thread's last act is to stop the node and say why
            if self.failure is None:
                self._fail(error)

    def _cut_when_waiting(self, clock: Callable[[], int]) -> None:
        idle_seconds = 0.0
        while not self._stopping.is_set() and self._handed_over is None:
            self._mempool.wait(_IDLE_SECONDS)
            if self._mempool.is_closed:
                # That wait is over at once then, and nothing will come any more.
                self._stopping.wait(_IDLE_SECONDS)
            with self._cutting:
                waiting = self._mempool.take()
                if not waiting:
                    self._chain.fold_when_idle()
                    idle_seconds += _IDLE_SECONDS
                    if idle_seconds < _DUE_WORK_SECONDS:
                        continue
                # A clock that was set back must not stop the chain: time stands still until it has caught up.
                block = self._make_block(waiting, max(clock(), self._chain.head.time))
                idle_seconds = _DUE_WORK_SECONDS if block.system else 0.0

    def _fold_when_quiet(self) -> None:
        """A simulated chain is cut by `cut`, and one that was handed over by nobody; this only folds what a
        pause leaves unfolded.
        """
        while not self._stopping.wait(_QUIET_SECONDS):
            with self._cutting:
                if self.failure is not None:
                    return
                if self._was_quiet:
                    self._chain.fold_when_idle()
                self._was_quiet = True

    def _make_block(self, waiting: list[Waiting], time: int) -> ExecutedBlock:
        """Execute, make durable, sign, answer, fold if due. Any fault but the asker's stops the engine; so do
        rules that this program does not know, once the last block before them is answered.
        """
        try:
            started = monotonic()
            block = self._chain.make_block([one.transaction for one in waiting], time=time)
            if not block.is_empty:
                self._on_block(monotonic() - started, block)
            self._answer(waiting, block)
            self._mempool.finish()
            self._chain.check_rulebook()
            if block.system:
                self._hand_over_if_decided()
            if block.system and self._handed_over is None:
                # Among what a block does by itself may be that another key signs from here on.
                self._chain.check_signer()
            self._chain.fold_if_due()
        except BaseException as error:
            self._fail(error)
            raise
        return block

    def _hand_over_if_decided(self) -> None:
        """Where the last block was the last one here, nothing is taken any more, and who waits is told so."""
        engine = find_engine(self._chain.reader)
        if engine is None:
            return
        self._handed_over = Refused("ENGINE_SWITCHED", engine=engine.engine, height=engine.height)
        refuse(self._mempool.close(self._handed_over), self._handed_over)
        log.warning("validators make the blocks from here on", engine=engine.engine, height=engine.height)

    def _answer(self, waiting: list[Waiting], block: ExecutedBlock) -> None:
        for one, answer in zip(waiting, block.answers, strict=True):
            tell_answer(one, answer, block=block, chain=self._chain)

    def _fail(self, error: BaseException) -> None:
        """The engine has stopped for good. Nobody is left waiting, whatever else may fail."""
        self.failure = error
        tell_stopped(self._mempool)
        try:
            tell_failure(error)
        finally:
            # On a thread of its own: whoever is told may well stop the engine, and so wait for this one.
            threading.Thread(target=self._on_failure, name="engine-failure", daemon=True).start()
