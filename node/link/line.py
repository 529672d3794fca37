"""The worker's end: transactions out, as many as have gathered in one turn of the event loop; answers, blocks
and what was asked for in.

Lives on the worker's event loop. When the core is gone everybody who waits is told that the node stops.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

from ledger.errors import Refused
from ledger.transaction import Transaction
from node.answers import Taken
from node.link import wire
from node.link.frames import Splitter, encode_frame
from node.link.wire import Call, FromCore, FromWorker, Returned, Submitted

Hear = Callable[[Taken | Exception], None]
"""Called once, on the event loop, with what came of a submission."""


class Events(Protocol):
    """Whoever uses a line."""

    def begin(self, setup: wire.Setup) -> None:
        """The first thing the core says."""
        ...

    def extend(self, block: wire.Block) -> None:
        """The chain has moved on."""
        ...

    def cosign(self, note: str) -> None:
        """The newest checkpoint has more lines under it."""
        ...

    def stop(self) -> None:
        """The node is stopping."""
        ...

    def lose(self) -> None:
        """The core is gone."""
        ...


class Line(asyncio.Protocol):
    """A worker's link to its core."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._loop = asyncio.get_running_loop()
        self._splitter = Splitter()
        self._transport: asyncio.Transport | None = None
        self._gathered: list[Submitted] = []
        self._hearers: dict[int, Hear] = {}
        self._calls: dict[int, Future[bytes]] = {}
        self._count = 0

    @property
    def waiting(self) -> int:
        """How many submissions have no answer yet."""
        return len(self._hearers)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The core is there."""
        self._transport = transport  # type: ignore[assignment]  # a stream's transport

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - either way it is gone
        """The core is gone, and nobody waits for it any more."""
        self._transport = None
        hearers, self._hearers = self._hearers, {}
        for hear in hearers.values():
            hear(Refused("STOPPING"))
        calls, self._calls = self._calls, {}
        for future in calls.values():
            future.set_exception(Refused("STOPPING"))
        self._events.lose()

    def data_received(self, data: bytes) -> None:
        """Frames have come."""
        for kind, payload in self._splitter.feed(data):
            if kind == FromCore.ANSWERS:
                self._tell(wire.ANSWERS.decode(payload))
            elif kind == FromCore.BLOCK:
                self._events.extend(wire.BLOCK.decode(payload))
            elif kind == FromCore.NOTE:
                self._events.cosign(wire.NOTE.decode(payload))
            elif kind == FromCore.RETURN:
                self._return(wire.RETURNED.decode(payload))
            elif kind == FromCore.SETUP:
                self._events.begin(wire.SETUP.decode(payload))
            elif kind == FromCore.STOP:
                self._events.stop()

    def submit(self, transaction: Transaction, data: bytes, hear: Hear) -> None:
        """The transaction goes to the core with the next frame. On the event loop."""
        if self._transport is None:
            hear(Refused("STOPPING"))
            return
        self._count += 1
        vetting = transaction.vetting
        self._hearers[self._count] = hear
        if not self._gathered:
            self._loop.call_soon(self._send_gathered)
        self._gathered.append(
            Submitted(self._count, data, list(vetting.lengths), vetting.hashes, vetting.verified_by)
        )

    def send(self, kind: FromWorker, value: Any) -> None:
        """A frame goes to the core. On the event loop."""
        if self._transport is not None:
            self._transport.write(encode_frame(kind, wire.encode(value)))

    def call(self, name: str, *arguments: Any) -> Future[bytes]:
        """The encoded value that the call comes to. Any thread; the future raises what the core raised."""
        future: Future[bytes] = Future()
        future.set_running_or_notify_cancel()
        self._loop.call_soon_threadsafe(self._begin_call, name, list(arguments), future)
        return future

    def _begin_call(self, name: str, arguments: list[Any], future: Future[bytes]) -> None:
        if self._transport is None:
            future.set_exception(Refused("STOPPING"))
            return
        self._count += 1
        self._calls[self._count] = future
        self.send(FromWorker.CALL, Call(self._count, name, arguments))

    def _send_gathered(self) -> None:
        gathered, self._gathered = self._gathered, []
        self.send(FromWorker.SUBMISSIONS, gathered)

    def _tell(self, answers: wire.Answers) -> None:
        hearers = self._hearers
        for told in answers.told:
            hearers.pop(told.number)(Taken(told.height, told.index, told.time, told.outcomes))
        for declined in answers.declined:
            hearers.pop(declined.number)(wire.read_fault(declined.fault))

    def _return(self, returned: Returned) -> None:
        future = self._calls.pop(returned.number)
        if returned.fault is None:
            future.set_result(returned.value)
        else:
            future.set_exception(wire.read_fault(returned.fault))
