"""Intake: transactions are checked on the event loop while there are few, and beside it, many at a time, when
they crowd.

Checking one (its bytes, its key, its signature) costs about as much as handing it to a thread, so a lone
transaction is checked where it arrived. In a crowd that would hold up everybody: then whatever has arrived
while the threads were busy goes over together, and the threads, which need no Python lock for most of it, use
the other processor. Nothing waits for company.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final
from weakref import WeakKeyDictionary

from node.answers import Taken
from node.core import NodeCore

THREADS: Final = 2
_TOGETHER_MAX: Final = 32
_INLINE_BYTES_MAX: Final = 32_768
_CROWD: Final = 16
"""With so many submissions unanswered, checking them one by one would hold up the loop."""


class Intake:
    """Where submissions wait to be checked, whatever event loops they come from."""

    def __init__(self, core: NodeCore) -> None:
        self._core = core
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="intake")
        self._queues: WeakKeyDictionary[asyncio.AbstractEventLoop, _Queue] = WeakKeyDictionary()

    async def submit(self, data: bytes) -> Taken:
        """What came of the transaction, once its block is durable. Raises `Refused`."""
        loop = asyncio.get_running_loop()
        queue = self._queues.get(loop)
        if queue is None:
            queue = self._queues[loop] = _Queue(self._core, self._threads)
        return await queue.submit(data)


class _Queue:
    """The submissions of one event loop."""

    def __init__(self, core: NodeCore, threads: ThreadPoolExecutor) -> None:
        self._core = core
        self._threads = threads
        self._waiting: list[tuple[bytes, asyncio.Future[Future[Taken]]]] = []
        self._busy = 0
        self._unanswered = 0

    async def submit(self, data: bytes) -> Taken:
        """As `Intake.submit`."""
        self._unanswered += 1
        try:
            if self._unanswered < _CROWD and len(data) <= _INLINE_BYTES_MAX:
                answer = self._core.submit(data)
            else:
                answer = await self._hand_over(data)
            # Others who ask the same share this future. It runs already, so nobody who gives up cancels it.
            return await asyncio.wrap_future(answer)
        finally:
            self._unanswered -= 1

    async def _hand_over(self, data: bytes) -> Future[Taken]:
        loop = asyncio.get_running_loop()
        admitted: asyncio.Future[Future[Taken]] = loop.create_future()
        self._waiting.append((data, admitted))
        if self._busy < THREADS:
            self._start(loop)
        return await admitted

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        together, self._waiting = self._waiting[:_TOGETHER_MAX], self._waiting[_TOGETHER_MAX:]
        self._busy += 1
        work = loop.run_in_executor(self._threads, self._check, [data for data, _ in together])
        work.add_done_callback(lambda done: self._finish(loop, done.result(), [each for _, each in together]))

    def _check(self, batch: list[bytes]) -> list[Future[Taken]]:
        checked = []
        for data in batch:
            try:
                checked.append(self._core.submit(data))
            except Exception as error:  # noqa: BLE001 - handed to the request that it belongs to
                refused: Future[Taken] = Future()
                refused.set_exception(error)
                checked.append(refused)
        return checked

    def _finish(
        self,
        loop: asyncio.AbstractEventLoop,
        checked: list[Future[Taken]],
        requests: list[asyncio.Future[Future[Taken]]],
    ) -> None:
        self._busy -= 1
        if self._waiting:
            self._start(loop)
        for answer, request in zip(checked, requests, strict=True):
            if not request.done():
                request.set_result(answer)
