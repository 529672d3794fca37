"""One thread of its own runs the event loop behind a blocking merchant, so calls that many threads make at
once still travel as one signed transaction.

A caller leaves its call in the inbox and sleeps on a lock of its own; the loop is woken once for all that
left theirs meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator
from contextlib import suppress
from typing import Any, Final, Generic, TypeVar

from merchant_sdk.client.verbs import Verbs
from merchant_sdk.errors import ConfigurationError
from merchant_sdk.receipt import Receipt
from merchant_sdk.results import Committed

T = TypeVar("T")
_CLOSED: Final = "this merchant is closed"
Done = Committed[Receipt]
"""A result whose receipt is there when asked for."""


class _Call(Generic[T]):
    """Work for the loop, and the thread that sleeps until it is done."""

    __slots__ = ("_done", "_task", "_work")

    def __init__(self, work: Coroutine[Any, Any, T]) -> None:
        self._work = work
        self._task: asyncio.Task[T] | None = None
        self._done = threading.Lock()
        self._done.acquire()

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop works on it."""
        self._task = loop.create_task(self._work)
        self._task.add_done_callback(self._wake)

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        if self._task is not None:
            self._task.cancel()

    def refuse(self) -> None:
        """No loop will work on it."""
        self._work.close()
        self._done.release()

    def wait(self) -> T:
        """The result of the work, or its error."""
        self._done.acquire()
        if self._task is None or self._task.cancelled():
            raise ConfigurationError(_CLOSED)
        return self._task.result()

    def _wake(self, _: asyncio.Task[T]) -> None:
        self._done.release()


class Blocking:
    """A merchant whose verbs return when they are done."""

    _verbs: Verbs[Receipt, Done]

    def _start(self) -> None:
        self._process = os.getpid()
        self._inbox: deque[_Call[Any]] = deque()
        self._is_woken = False
        self._is_stopped = False
        self._loop = asyncio.new_event_loop()
        # A program that ends without closing must not hang on a thread that waits for work.
        self._thread = threading.Thread(target=self._loop.run_forever, name="commonpoint", daemon=True)
        self._thread.start()

    def _stop(self) -> None:
        if self._is_stopped:
            return
        self._run(self._verbs.close())
        # Whatever came after that was not sent, and hears it.
        self._run(_cancel_others())
        self._is_stopped = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._refuse_all()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        fault = None
        if self._is_stopped:
            fault = _CLOSED
        elif os.getpid() != self._process:
            fault = "make a Merchant after the fork: its thread stayed with the parent"
        elif threading.get_ident() == self._thread.ident:
            fault = "called from inside its own event loop; use AsyncMerchant there"
        if fault is not None:
            work.close()
            raise ConfigurationError(fault)
        call = _Call(work)
        self._inbox.append(call)
        if not self._is_woken:
            self._is_woken = True
            # A loop that was closed this moment takes up nothing; then we do.
            with suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._take_up)
        if self._is_stopped:
            self._refuse_all()
        try:
            return call.wait()
        except KeyboardInterrupt:
            # Whoever pressed the key no longer waits; what was not sent yet is not sent.
            self._loop.call_soon_threadsafe(call.cancel)
            raise

    def _take_up(self) -> None:
        # First this, then the inbox: whoever comes in between wakes the loop once more.
        self._is_woken = False
        while self._inbox:
            self._inbox.popleft().begin(self._loop)

    def _refuse_all(self) -> None:
        with suppress(IndexError):
            while True:
                self._inbox.popleft().refuse()

    def _walk(self, rows: AsyncIterator[T]) -> Iterator[T]:
        """The same rows, each fetched when it is asked for."""
        try:
            while (row := self._run(_get_next(rows))) is not None:
                yield row
        finally:
            # Whoever stops early leaves nothing behind; a merchant that was closed has seen to that.
            if isinstance(rows, AsyncGenerator) and not self._is_stopped:
                self._run(rows.aclose())


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _get_next(rows: AsyncIterator[T]) -> T | None:
    return await anext(rows, None)
