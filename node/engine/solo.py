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
from time import monotonic
from typing import TYPE_CHECKING

import structlog

from ledger.calendar import MILLIS_PER_DAY
from ledger.errors import CommonpointError, InvariantBroken, Refused
from ledger.values import NEVER

if TYPE_CHECKING:
    from ledger.executor import ExecutedBlock, Head
    from node.chain import ChainKeeper
    from node.mempool import Mempool, Waiting

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
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Blocks are cut from now on."""
        self._thread.start()

    @property
    def is_open(self) -> bool:
        """Whether what is submitted will be answered."""
        return self.failure is None and not self._stopping.is_set()

    def close_intake(self) -> None:
        """What waits is told to come again, and nothing more is taken."""
        refusal = Refused("STOPPING")
        self._refuse(self._mempool.close(refusal), refusal)

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
            if self._clock is None:
                self._fold_when_quiet()
            else:
                self._cut_when_waiting(self._clock)
        except BaseException as error:  # noqa: BLE001 - the thread's last act is to stop the node and say why
            if self.failure is None:
                self._fail(error)

    def _cut_when_waiting(self, clock: Callable[[], int]) -> None:
        idle_seconds = 0.0
        while not self._stopping.is_set():
            self._mempool.wait(_IDLE_SECONDS)
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
        """A simulated chain is cut by `cut`; this only folds what a pause leaves unfolded."""
        while not self._stopping.wait(_QUIET_SECONDS):
            with self._cutting:
                if self.failure is not None:
                    return
                if self._was_quiet:
                    self._chain.fold_when_idle()
                self._was_quiet = True

    def _make_block(self, waiting: list[Waiting], time: int) -> ExecutedBlock:
        """Execute, make durable, sign, answer, fold if due. Any fault but the asker's stops the engine."""
        try:
            started = monotonic()
            block = self._chain.make_block([one.transaction for one in waiting], time=time)
            if not block.is_empty:
                self._on_block(monotonic() - started, block)
            self._answer(waiting, block)
            self._mempool.finish()
            self._chain.fold_if_due()
        except BaseException as error:
            self._fail(error)
            raise
        return block

    def _answer(self, waiting: list[Waiting], block: ExecutedBlock) -> None:
        for one, answer in zip(waiting, block.answers, strict=True):
            header = one.transaction.header
            if answer.refusal is None and not answer.is_repeat:
                one.future.set_result(self._chain.make_taken(block, answer))
                continue
            # It came again while the block that took it was being made. By now it may be past its `not_after`
            # or its key revoked; all the same it was taken, and what was taken has one answer for ever.
            known = self._chain.find_transaction(header.sender, header.id)
            if known is not None and known[0] == header.digest:
                one.future.set_result(known[1])
            else:
                one.future.set_exception(
                    answer.refusal or InvariantBroken("REPEAT_NOT_FOUND", sender=header.sender, id=header.id)
                )

    def _fail(self, error: BaseException) -> None:
        """The engine has stopped for good. Nobody is left waiting, whatever else may fail."""
        self.failure = error
        refusal = Refused("STOPPING", reason="the node stopped because it could not keep a promise")
        self._refuse([*self._mempool.close(refusal), *self._mempool.give_up_block()], refusal)
        facts = error.facts if isinstance(error, CommonpointError) else {}
        try:
            log.critical(
                "engine stopped",
                error=str(error),
                **{f"fact_{name}": str(value) for name, value in facts.items()},
            )
        finally:
            # On a thread of its own: whoever is told may well stop the engine, and so wait for this one.
            threading.Thread(target=self._on_failure, name="engine-failure", daemon=True).start()

    @staticmethod
    def _refuse(waiting: list[Waiting], refusal: Refused) -> None:
        for one in waiting:
            if not one.future.done():
                one.future.set_exception(Refused(refusal.code, **refusal.facts))
