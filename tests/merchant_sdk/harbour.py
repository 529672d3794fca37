"""A real node behind a real socket, and a stretch of bad road before it.

`BadRoad` is a TCP proxy that reads whole requests and does to the next transactions what a test tells it:
cuts them or their answers at any byte, resets, stays silent, answers for itself, delivers twice or late. It
counts what it saw, so a test knows whether a byte of a request ever left.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import uvicorn

from merchant_sdk import AsyncMerchant
from node.api.server import make_server_config
from tests.merchant_sdk.genesis import get_system_time, keys_of
from tests.merchant_sdk.village import RealNode, Village


class Harbour:
    """The real node, listening; a village that has begun; a clock that can be turned ahead."""

    def __init__(self, folder: Path, *, has_begun: bool = False) -> None:
        self.ahead = 0
        self._has_begun = has_begun
        self.node = RealNode(folder, clock=lambda: get_system_time() + self.ahead)
        self.village = Village(self.node)
        self.chain = self.node.chain
        self._server = uvicorn.Server(make_server_config(self.node.app))
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]})

    def __enter__(self) -> Self:
        if not self._has_begun:
            asyncio.run(self.village.begin())
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
        self.node.core.stop()

    def shop(self, *urls: str, participant: str = "fresh", **options: Any) -> AsyncMerchant:
        settings = {"keys": keys_of(participant), "chain": self.chain, "program": "fresh", "retries": 0}
        return AsyncMerchant(participant, list(urls or [self.url]), **{**settings, **options})

    def list_outcomes(self, reference: str) -> list[str]:
        """What the ledger says happened under a reference."""
        return [out["code"] for message, out in self.node.read_log() if message.get("reference") == reference]


class Way:
    """One request on its way, and the means to answer it or not."""

    def __init__(self, road: BadRoad, request: bytes, writer: asyncio.StreamWriter) -> None:
        self.request = request
        self._road = road
        self._writer = writer

    async def forward(self, data: bytes | None = None) -> bytes:
        """The node's answer to the request, on a connection of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._road.port_behind)
        writer.write(self.request if data is None else data)
        await writer.drain()
        try:
            return await read_message(reader)
        finally:
            writer.close()

    async def begin(self, count: int) -> None:
        """The node gets so many bytes of the request and then no more."""
        _, writer = await asyncio.open_connection("127.0.0.1", self._road.port_behind)
        writer.write(self.request[:count])
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    async def answer(self, data: bytes) -> None:
        self._writer.write(data)
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()

    @property
    def is_gone(self) -> bool:
        """The client no longer listens."""
        return self._writer.is_closing()

    def reset(self) -> None:
        """The client's connection ends in a reset."""
        raw = self._writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.close()


Fault = Callable[[Way], Awaitable[None]]
OK_HEAD = b"HTTP/1.1 200 OK\r\n"


class BadRoad:
    """A TCP proxy. The next transactions meet the faults planned, one each; then all is well."""

    def __init__(self, port_behind: int) -> None:
        self.port_behind = port_behind
        self.faults: list[Fault] = []
        self.seen = 0
        """Transactions of which a byte arrived here."""
        self.late: list[bytes] = []
        """Requests that were held back."""
        self.requests: list[bytes] = []
        """Every request."""
        self.extra = b""
        """Header lines that every answer gets besides its own."""
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Nothing listens here any more."""
        self._server.close()
        for writer in list(self._open):
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            while True:
                request = await read_message(reader)
                self.requests.append(request)
                way = Way(self, request, writer)
                if not request.startswith(b"POST /v1/transactions"):
                    await way.answer((await way.forward()).replace(b"\r\n", b"\r\n" + self.extra, 1))
                    continue
                self.seen += 1
                if self.faults:
                    await self.faults.pop(0)(way)
                    return
                await way.answer(await way.forward())
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            # The client went away, or the test ended while somebody was silent.
            pass
        finally:
            self._open.discard(writer)
            writer.close()


async def read_message(reader: asyncio.StreamReader) -> bytes:
    """A whole HTTP message with its length told, as bytes."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
    return head + (await reader.readexactly(length) if length else b"")


def cut_request(count: int) -> Fault:
    async def fault(way: Way) -> None:
        await way.begin(min(count, len(way.request)))

    return fault


def cut_answer(count: int, *, is_reset: bool = False) -> Fault:
    async def fault(way: Way) -> None:
        answer = await way.forward()
        # At least the last byte is missing.
        await way.answer(answer[: min(count, len(answer) - 1)])
        if is_reset:
            way.reset()

    return fault


async def reset_before(way: Way) -> None:
    way.reset()


async def reset_after(way: Way) -> None:
    await way.forward()
    way.reset()


async def swallow(_way: Way) -> None:
    await asyncio.sleep(1)


async def take_and_be_silent(way: Way) -> None:
    await way.forward()
    await asyncio.sleep(1)


async def half_and_be_silent(way: Way) -> None:
    answer = await way.forward()
    await way.answer(answer[: len(answer) // 2])
    await asyncio.sleep(1)


async def drip(way: Way) -> None:
    for byte in await way.forward():
        await way.answer(bytes([byte]))
        await asyncio.sleep(0.05)


async def delay(way: Way) -> None:
    await asyncio.sleep(0.1)
    await way.answer(await way.forward())


async def deliver_twice(way: Way) -> None:
    first, _ = await asyncio.gather(way.forward(), way.forward())
    await way.answer(first)


async def deliver_twice_and_lose(way: Way) -> None:
    await asyncio.gather(way.forward(), way.forward())


async def hold_back(way: Way) -> None:
    """It lies in somebody's buffer, and arrives when nobody waits for it any more."""
    way._road.late.append(way.request)


def say(status: int, body: bytes = b"<html>gateway</html>", *headers: str, is_taken: bool = False) -> Fault:
    """Something on the way answers, before the node was asked or after."""

    async def fault(way: Way) -> None:
        if is_taken:
            await way.forward()
        lines = [f"HTTP/1.1 {status} x", f"content-length: {len(body)}", *headers]
        await way.answer("\r\n".join([*lines, "", ""]).encode() + body)

    return fault


def babble(data: bytes, *, is_taken: bool = True) -> Fault:
    """These bytes instead of an answer."""

    async def fault(way: Way) -> None:
        if is_taken:
            await way.forward()
        await way.answer(data)

    return fault


def stream(head: bytes, piece: bytes) -> Fault:
    """An answer that never ends."""

    async def fault(way: Way) -> None:
        await way.forward()
        await way.answer(OK_HEAD + head)
        while not way.is_gone:
            await way.answer(piece)
            await asyncio.sleep(0)

    return fault
