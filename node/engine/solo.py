"""The solo engine: one sequencer that takes what is waiting, cuts a block, commits, signs, and only then
answers.

Group commit without timers: while one block is being made durable the next one gathers, so the latency is one
execution and one sync, and the load decides the size of blocks. A simulated chain cuts only when it is told
to, at the time it is told, its transactions ordered by (sender, id).

The engine stops for good at the first fault that is not the asker's: nothing is acknowledged that is not on
the disk.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from ledger.errors import CommonpointError, InvariantBroken, Refused

if TYPE_CHECKING:
    from ledger.executor import ExecutedBlock, Head
    from node.chain import ChainKeeper
    from node.mempool import Mempool, Waiting

_IDLE_SECONDS = 0.05
"""After so long without work, what is unfolded is folded."""
_QUIET_SECONDS = 0.3
"""After so long without being told to cut, a simulated chain folds."""
_DUE_WORK_SECONDS = 20.0
"""How often an idle chain looks for work that has fallen due."""

log = structlog.get_logger()


class SoloEngine:
    """One thread that makes blocks of a mempool's transactions."""

    def __init__(
        self,
        chain: ChainKeeper,
        mempool: Mempool,
        *,
        clock: Callable[[], int] | None,
        on_failure: Callable[[], None],
    ) -> None:
        self._chain = chain
        self._mempool = mempool
        self._clock = clock
        """Milliseconds UTC, or None for a simulated chain."""
        self._on_failure = on_failure
        self._cutting = threading.Lock()
        self._stopping = threading.Event()
        self._was_quiet = True
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Blocks are cut from now on."""
        self._thread.start()

    def stop(self) -> None:
        """What waits is told to come again; the block in hand is finished, everything is folded."""
        self._stopping.set()
        self._give_up(Refused("STOPPING"))
        self._thread.join()
        if self.failure is None:
            with self._cutting:
                self._chain.fold_all()

    def cut(self, time: int) -> Head:
        """One block of everything that waits, at the time told. Raises `Refused` ``TIME_BACKWARDS``."""
        with self._cutting:
            self._was_quiet = False
            self._raise_failure()
            if time < self._chain.head.time:
                raise Refused("TIME_BACKWARDS", time=time, head=self._chain.head.time)
            waiting = self._mempool.take(everything=True)
            waiting.sort(key=lambda one: (one.transaction.header.sender, one.transaction.header.id))
            self._make_block(waiting, time)
            return self._chain.head

    def _run(self) -> None:
        try:
            if self._clock is None:
                self._fold_when_quiet()
            else:
                self._cut_when_waiting(self._clock)
        except BaseException as error:  # noqa: BLE001 - the thread's last act is to stop the node and say why
            if self.failure is None:
                self._fail(error, [])

    def _cut_when_waiting(self, clock: Callable[[], int]) -> None:
        idle_seconds = 0.0
        while not self._stopping.is_set():
            self._mempool.wait(_IDLE_SECONDS)
            with self._cutting:
                waiting = self._mempool.take()
                if not waiting:
                    self._chain.fold_all()
                    idle_seconds += _IDLE_SECONDS
                    if idle_seconds < _DUE_WORK_SECONDS:
                        continue
                idle_seconds = 0.0
                # A clock that was set back must not stop the chain: time stands still until it has caught up.
                self._make_block(waiting, max(clock(), self._chain.head.time))

    def _fold_when_quiet(self) -> None:
        """A simulated chain is cut by `cut`; this only folds what a pause leaves unfolded."""
        while not self._stopping.wait(_QUIET_SECONDS):
            with self._cutting:
                if self._was_quiet:
                    self._chain.fold_all()
                self._was_quiet = True

    def _make_block(self, waiting: list[Waiting], time: int) -> None:
        """Execute, make durable, sign, answer. Any fault but the asker's stops the engine."""
        try:
            block = self._chain.make_block([one.transaction for one in waiting], time=time)
        except BaseException as error:
            self._fail(error, waiting)
            raise
        self._answer(waiting, block)
        self._mempool.finish()
        self._chain.fold_if_due()

    def _answer(self, waiting: list[Waiting], block: ExecutedBlock) -> None:
        for one, answer in zip(waiting, block.answers, strict=True):
            header = one.transaction.header
            if answer.refusal is not None:
                one.future.set_exception(answer.refusal)
            elif answer.is_repeat:
                known = self._chain.find_transaction(header.sender, header.id)
                if known is None:
                    one.future.set_exception(InvariantBroken("REPEAT_NOT_FOUND", id=header.id))
                else:
                    one.future.set_result(known[1])
            else:
                one.future.set_result(self._chain.make_taken(block, answer))

    def _fail(self, error: BaseException, waiting: list[Waiting]) -> None:
        self.failure = error
        facts = error.facts if isinstance(error, CommonpointError) else {}
        log.critical(
            "engine stopped",
            error=str(error),
            **{f"fact_{name}": str(value) for name, value in facts.items()},
        )
        refusal = Refused("STOPPING", reason="the node stopped because it could not keep a promise")
        for one in waiting:
            if not one.future.done():
                one.future.set_exception(refusal)
        self._give_up(refusal)
        self._on_failure()

    def _give_up(self, refusal: Refused) -> None:
        for one in self._mempool.close(refusal):
            if not one.future.done():
                one.future.set_exception(refusal)

    def _raise_failure(self) -> None:
        if self.failure is not None or self._stopping.is_set():
            raise Refused("STOPPING")
