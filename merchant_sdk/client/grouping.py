"""Calls that come together are sent together, as one signed transaction, and each hears its own outcome.

A call waits for nobody while nothing is under way: it goes at the end of the event loop's turn, with whatever
else came in that turn. While a transaction is under way the next ones gather, until it is answered, or the
first of them has waited `group_seconds`, or they are `group_messages`. Callers that were answered together
and come again at once are sent together again: for those, too, nobody waits longer than `group_seconds`.

A lane is for the keys of one purpose. It orders nothing between calls that do not wait for each other. What
it holds is never more than the calls that wait for it, and of what is signed no more than `IN_FLIGHT_MAX`
transactions.
"""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Generic, NamedTuple, Self, TypeVar

from msgspec import Struct

from ledger.values import MESSAGES_MAX
from merchant_sdk.client.core import MESSAGE_BYTES_MAX
from merchant_sdk.errors import ConfigurationError

T = TypeVar("T")

IN_FLIGHT_MAX: Final = 8
"""More than so many transactions of one lane are not under way at once; what comes gathers instead."""
GROUP_MESSAGES: Final = 1_000
"""From here on what is shared (a signature, a request, a proof) costs each message next to nothing, and the
node can work on one transaction while the next one is made.
"""
GROUP_SECONDS: Final = 0.005


_MOMENT_BYTES_MAX: Final = 16
"""A message that gets its moment when it goes may grow by so much."""


class Grouping(NamedTuple):
    """How calls are gathered."""

    seconds: float = GROUP_SECONDS
    """So long a call may wait for company while others are under way."""
    messages: int = GROUP_MESSAGES
    """So many share a transaction at the most."""

    def check(self) -> Self:
        """Itself, where it is one. Raises `ConfigurationError`."""
        if not (0 <= self.seconds <= 1 and 1 <= self.messages <= MESSAGES_MAX):
            raise ConfigurationError(
                "group_seconds is 0 to 1 and group_messages 1 to 8192",
                group_seconds=self.seconds,
                group_messages=self.messages,
            )
        return self


class Call(Struct, Generic[T], eq=False):
    """A message, its canonical bytes, and who waits for its outcome."""

    message: Any
    data: bytes
    future: asyncio.Future[T]
    is_dated_by_us: bool = False
    """Whether the SDK chooses its `occurred_at`."""
    is_dated: bool = False
    """Whether it has chosen."""
    is_settled: bool = False
    """Whether what was open of this order is known by now, so that it has only to be sent."""


Send = Callable[[list[Call[T]]], Awaitable[Sequence[T]]]
"""Gives a result for each call that is left in the list: one that it takes out hears its own otherwise."""


class Lane(Generic[T]):
    """The calls of one purpose that are not sent yet. Belongs to one event loop."""

    def __init__(self, send: Send[T], grouping: Grouping) -> None:
        self._send = send
        self._group_seconds, self._group_messages = grouping
        self._full: deque[list[Call[T]]] = deque()
        """Groups that take no more, and wait until fewer are under way."""
        self._waiting: list[Call[T]] = []
        self._bytes = 0
        self._enough = grouping.messages
        """With so many the group that gathers is sent at once."""
        self._company_until = 0.0
        """Until then callers who were answered together may come again together."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.Handle | None = None

    def add(self, message: Any, data: bytes, *, is_dated_by_us: bool = False) -> asyncio.Future[T]:
        """The outcome to come of this message. Raises nothing: what goes wrong is in the future."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.put(Call(message, data, future, is_dated_by_us))
        return future

    def put(self, call: Call[T]) -> None:
        """The call is sent with the next ones."""
        # One more byte for the comma between messages.
        size = len(call.data) + 1 + (_MOMENT_BYTES_MAX if call.is_dated_by_us else 0)
        if self._bytes + size > MESSAGE_BYTES_MAX:
            self._close()
        self._waiting.append(call)
        self._bytes += size
        count = len(self._waiting)
        if count >= self._group_messages:
            self._close()
        elif count >= self._enough:
            self._close_if_free()
        elif self._timer is None:
            self._wait()

    @property
    def is_busy(self) -> bool:
        """Whether anything was added that has no outcome yet."""
        return bool(self._waiting or self._full or self._tasks)

    async def drain(self) -> None:
        """Everything that was added has its outcome."""
        while self.is_busy:
            if self._waiting:
                self._close()
            if self._tasks:
                await asyncio.wait(self._tasks)

    def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        if self._tasks:
            self._timer = loop.call_later(self._group_seconds, self._close_if_free)
        elif self._company_until > loop.time():
            self._timer = loop.call_at(self._company_until, self._close_if_free)
        else:
            self._timer = loop.call_soon(self._close_if_free)

    def _close_if_free(self) -> None:
        self._stop_timer()
        if self._waiting and len(self._tasks) < IN_FLIGHT_MAX:
            self._close()

    def _close(self) -> None:
        """What has gathered is a group, and goes as soon as it may."""
        self._stop_timer()
        self._full.append(self._waiting)
        self._waiting, self._bytes = [], 0
        self._enough, self._company_until = self._group_messages, 0.0
        self._dispatch()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _dispatch(self) -> None:
        while self._full and len(self._tasks) < IN_FLIGHT_MAX:
            # Who gave up before anything was sent is left out.
            calls = [call for call in self._full.popleft() if not call.future.done()]
            if calls:
                task = asyncio.get_running_loop().create_task(self._deliver(calls))
                self._tasks.add(task)
                task.add_done_callback(self._finish)

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._dispatch()
        if self._waiting and len(self._tasks) < IN_FLIGHT_MAX:
            if self._company_until <= asyncio.get_running_loop().time():
                self._close()
            elif self._timer is None:
                self._wait()

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
        if len(calls) > 1:
            # Whoever was alone comes again alone, and waits for nobody.
            self._enough = min(self._group_messages, len(self._waiting) + len(calls))
            self._company_until = asyncio.get_running_loop().time() + self._group_seconds
        for call, result in zip(calls, results, strict=True):
            # Who gave up meanwhile does not hear it; the log holds it all the same.
            if not call.future.done():
                call.future.set_result(result)
