"""The socket paths: raw HTTP over keep-alive connections, each sending its next transaction when it has an
answer; and the node's local socket, where one connection carries many transactions at once.

The clients do as little as they can (no library, no checks but of the status), since they run on the node's
own machine; what they used is told beside the figure.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import uvloop

from node.link.client import LocalClient
from node.link.supervisor import SOCKET_FILE
from scripts.measure.figures import Figures, get_percentile
from scripts.measure.inside import get_under_way, wait_until_quiet
from scripts.measure.load import Load
from scripts.measure.served import ServedNode
from scripts.measure.site import Site

CONNECTIONS: Final = 64
_OK: Final = b'"code":"OK"'
_STATUS_OK: Final = 200
_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"


class _Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, pool: HttpPool) -> None:
        self._pool = pool
        self._received = bytearray()
        self._wanted = 0
        """Bytes of the whole answer, once its head was read."""
        self._sent = 0.0
        self._transport: Any = None
        self._is_finished = False

    def connection_made(self, transport: Any) -> None:
        """Send the first."""
        self._transport = transport
        self._send_next()

    def data_received(self, data: bytes) -> None:
        """Gather an answer; when it is whole, send the next transaction."""
        received = self._received
        received += data
        if not self._wanted:
            end = received.find(_HEAD_END)
            if end < 0:
                return
            head = bytes(received[:end]).lower()
            if not head.startswith(b"http/1.1 200"):
                self._pool.fail(f"the node refused the load: {bytes(received[:400])!r}")
                return
            place = head.index(_LENGTH) + len(_LENGTH)
            self._wanted = end + len(_HEAD_END) + int(head[place:].split(b"\r\n", 1)[0])
        if len(received) < self._wanted:
            return
        self._pool.latencies.append((time.perf_counter() - self._sent) * 1000)
        self._pool.applied += received.count(_OK)
        received.clear()
        self._wanted = 0
        self._send_next()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody should hang up on us."""
        # One that has nothing more to send may be let go of while others still wait.
        if not self._is_finished and not self._pool.is_done:
            self._pool.fail(f"the node hung up: {exc}")

    def _send_next(self) -> None:
        data = next(self._pool.load, None)
        if data is None:
            self._is_finished = True
            self._pool.finish_one()
            return
        self._sent = time.perf_counter()
        self._transport.write(b"%b%d\r\n\r\n%b" % (self._pool.head, len(data), data))


class HttpPool:
    """Connections that share one load."""

    def __init__(self, node: ServedNode, load: Iterator[bytes], *, connections: int) -> None:
        self.load = load
        self.head = b"POST /v1/transactions HTTP/1.1\r\nhost: %b:%d\r\ncontent-length: " % (
            node.host.encode(),
            node.port,
        )
        self.latencies: list[float] = []
        self.applied = 0
        self._node = node
        self._connections = connections
        self._open = connections
        self._failure = ""
        self._done = asyncio.Event()

    @property
    def is_done(self) -> bool:
        """Whether every transaction was answered."""
        return self._done.is_set()

    def finish_one(self) -> None:
        """One connection has nothing more to send."""
        self._open -= 1
        if not self._open:
            self._done.set()

    def fail(self, why: str) -> None:
        """The run is worth nothing."""
        self._failure = self._failure or why
        self._done.set()

    async def run(self) -> float:
        """Seconds from the first send to the last answer."""
        loop = asyncio.get_running_loop()
        started = time.perf_counter()
        opened = [
            await loop.create_connection(lambda: _Client(self), self._node.host, self._node.port)
            for _ in range(self._connections)
        ]
        await self._done.wait()
        seconds = time.perf_counter() - started
        for transport, _ in opened:
            transport.close()
        if self._failure:
            raise SystemExit(f"{self._failure}: {self._node.get_last_words()}")
        return seconds


class LocalPool:
    """Transactions through the node's local socket, so many under way at once."""

    def __init__(
        self, path: Path, workers: int, node: ServedNode, load: Iterator[bytes], *, connections: int
    ) -> None:
        del node
        self.latencies: list[float] = []
        self.applied = 0
        self._path = path
        self._workers = workers
        self._load = load
        self._under_way = connections

    async def run(self) -> float:
        """Seconds from the first send to the last answer."""
        lines = [await LocalClient.open(self._path) for _ in range(2 * self._workers)]
        started = time.perf_counter()
        await asyncio.gather(*(self._send_some(lines[n % len(lines)]) for n in range(self._under_way)))
        seconds = time.perf_counter() - started
        for line in lines:
            line.close()
        return seconds

    async def _send_some(self, line: LocalClient) -> None:
        for data in self._load:
            sent = time.perf_counter()
            answer = await line.submit(data)
            self.latencies.append((time.perf_counter() - sent) * 1000)
            if answer.status != _STATUS_OK:
                raise SystemExit(f"the node refused the load: {answer.body[:300]!r}")
            self.applied += answer.body.count(_OK)


Pool = HttpPool | LocalPool


def measure_socket(site: Site, load: Load, *, workers: int = 0, is_local: bool = False) -> Figures:
    """The figures of a load sent to a node of its own process: over HTTP, or through its local socket."""
    make_pool = partial(LocalPool, site.directory / SOCKET_FILE, workers) if is_local else HttpPool
    with ServedNode(site.directory, workers=workers) as node:
        _send(HttpPool(node, load.read_before(), connections=4))
        wait_until_quiet(node.pid)
        cpu, own = node.cpu_seconds, time.process_time()
        batch = load.order.batch
        connections = CONNECTIONS if batch == 1 else min(CONNECTIONS, get_under_way(batch))
        pool = make_pool(node, load.read_measured(), connections=connections)
        seconds = _send(pool)
        own = time.process_time() - own
        resident = node.resident_bytes
        drained, whole = node.stop()
        return Figures(
            path=("core.sock" if is_local else "http") + (f", {workers} w" if workers else ""),
            store=site.store,
            mix=load.order.mix,
            batch=batch,
            operations=load.operations,
            applied=pool.applied,
            seconds=seconds,
            drain_seconds=drained,
            p50_ms=get_percentile(pool.latencies, 50),
            p99_ms=get_percentile(pool.latencies, 99),
            cpu_seconds=whole - cpu,
            client_cpu_seconds=own,
            resident_bytes=resident,
            resident_peak_bytes=node.resident_peak_bytes,
        )


def _send(pool: Pool) -> float:
    return uvloop.run(pool.run())
