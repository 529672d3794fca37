"""Calls that come together are sent together, as one signed transaction, and each hears its own outcome.

A call waits for nobody while nothing is under way: it goes at the end of the event loop's turn, with whatever
else came in that turn. While a transaction is under way the next ones gather, until it is answered or the
first of them has waited `group_seconds`. A signature, a request and a proof are then shared by up to 8,192
messages.

A lane is for one key. It orders nothing between calls that do not wait for each other.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable
from typing import Generic, NamedTuple, TypeVar

from ledger.values import MESSAGES_MAX
from merchant_sdk.client.core import MESSAGE_BYTES_MAX
from merchant_sdk.requests import Asked

T = TypeVar("T")

IN_FLIGHT_MAX = 8
"""More than so many transactions of one key are not under way at once; what comes gathers instead."""


class Call(NamedTuple, Generic[T]):
    """A message and who waits for its outcome."""

    asked: Asked
    future: asyncio.Future[T]


class Lane(Generic[T]):
    """The calls of one key that are not sent yet. Belongs to one event loop."""

    def __init__(self, send: Callable[[list[Call[T]]], Awaitable[list[T]]], *, group_seconds: float) -> None:
        self._send = send
        self._group_seconds = group_seconds
        self._waiting: list[Call[T]] = []
        self._bytes = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.Handle | None = None

    def add(self, asked: Asked) -> asyncio.Future[T]:
        """The outcome to come of this message. Raises nothing: what goes wrong is in the future."""
        loop = asyncio.get_running_loop()
        # One more byte for the comma between messages.
        size = len(asked.data) + 1
        if self._bytes + size > MESSAGE_BYTES_MAX or len(self._waiting) >= MESSAGES_MAX:
            self._dispatch()
        future: asyncio.Future[T] = loop.create_future()
        self._waiting.append(Call(asked, future))
        self._bytes += size
        if self._timer is None:
            if not self._tasks:
                self._timer = loop.call_soon(self._dispatch_if_free)
            else:
                self._timer = loop.call_later(self._group_seconds, self._dispatch_if_free)
        return future

    async def drain(self) -> None:
        """Everything that was added has its outcome."""
        while self._waiting or self._tasks:
            if self._waiting:
                self._dispatch()
            await asyncio.wait(self._tasks)

    def _dispatch_if_free(self) -> None:
        self._timer = None
        if len(self._tasks) < IN_FLIGHT_MAX:
            self._dispatch()

    def _dispatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        # Who gave up before anything was sent is left out.
        calls = [call for call in self._waiting if not call.future.done()]
        self._waiting, self._bytes = [], 0
        if calls:
            task = asyncio.get_running_loop().create_task(self._deliver(calls))
            self._tasks.add(task)
            task.add_done_callback(self._finish)

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._waiting and len(self._tasks) < IN_FLIGHT_MAX:
            self._dispatch()

    async def _deliver(self, calls: list[Call[T]]) -> None:
        try:
            results = await self._send(calls)
        except asyncio.CancelledError:
            for call in calls:
                call.future.cancel()
            raise
        except Exception as error:  # noqa: BLE001  # whoever waits hears it, whatever it is
            for call in calls:
                if not call.future.done():
                    # Each gets its own: an exception carries the path by which it was raised.
                    call.future.set_exception(copy.copy(error))
            return
        for call, result in zip(calls, results, strict=True):
            # Who gave up meanwhile does not hear it; the log holds it all the same.
            if not call.future.done():
                call.future.set_result(result)
