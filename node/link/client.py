"""A client of the local socket: transactions of a program on the node's own machine, many under way at once.

    async with await LocalClient.open("ledger/core.sock") as node:
        answer = await node.submit(transaction.encode())

It sends and hears; it checks nothing. What an answer proves is for the SDK's functions or the auditor's, as
over HTTP: the bytes are the same.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from node.link.local_socket import ANSWER, REQUEST

_NUMBER_MAX = 2**32


class LocalAnswer(NamedTuple):
    """What the node said."""

    status: int
    """As over HTTP: 200, or a problem's."""
    body: bytes


class LocalClient(asyncio.Protocol):
    """One connection. On one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._waiting: dict[int, asyncio.Future[LocalAnswer]] = {}
        self._requests: list[bytes] = []
        self._count = 0

    @classmethod
    async def open(cls, path: Path | str) -> Self:
        """A connection to the node whose socket this is. Raises `OSError`."""
        _, client = await asyncio.get_running_loop().create_unix_connection(cls, str(path))
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def submit(self, data: bytes, *, trusted_size: int = 0) -> asyncio.Future[LocalAnswer]:
        """What came of the transaction, once it is told. Raises `ConnectionError` where it never will
        be: then nobody knows, and the same bytes are sent again.
        """
        answer: asyncio.Future[LocalAnswer] = self._loop.create_future()
        if self._transport is None:
            answer.set_exception(ConnectionError("the node closed the connection"))
            return answer
        self._count = (self._count + 1) % _NUMBER_MAX
        self._waiting[self._count] = answer
        if not self._requests:
            self._loop.call_soon(self._send)
        self._requests.append(REQUEST.pack(len(data), self._count, trusted_size) + data)
        return answer

    def close(self) -> None:
        """The connection ends."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The node is there."""
        self._transport = transport  # type: ignore[assignment]  # a stream's transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever still waits is told."""
        self._transport = None
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(exc or ConnectionError("the node closed the connection"))
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        """Answers have come, or pieces of them."""
        received = self._received
        received += data
        position, size = 0, len(received)
        while size - position >= ANSWER.size:
            length, number, status = ANSWER.unpack_from(received, position)
            begin = position + ANSWER.size
            if size - begin < length:
                break
            position = begin + length
            answer = self._waiting.pop(number)
            if not answer.done():
                answer.set_result(LocalAnswer(status, bytes(received[begin:position])))
        del received[:position]

    def _send(self) -> None:
        if self._transport is not None:
            self._transport.write(b"".join(self._requests))
        self._requests = []
