"""Driving a node: transactions in, answers out, and how long each took."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from node.answers import Taken
from node.core import NodeCore

_OK = b'"code":"OK"'


class Figures(NamedTuple):
    """One measured run."""

    operations: int
    seconds: float
    latencies_ms: list[float]
    applied: int

    @property
    def ops_per_second(self) -> int:
        """Operations a second from the first send to the last answer."""
        return round(self.operations / self.seconds)

    def percentile(self, part: int) -> float:
        """A percentile of the commit's latency in milliseconds."""
        ordered = sorted(self.latencies_ms)
        return round(ordered[min(len(ordered) - 1, len(ordered) * part // 100)], 3)


def drive_in_process(core: NodeCore, load: Sequence[bytes], *, batch: int, concurrent: int) -> Figures:
    """At most ``concurrent`` transactions under way, submitted from one thread."""
    room = threading.Semaphore(concurrent)
    latencies: list[float] = []
    answers: list[Taken] = []
    started = time.perf_counter()
    futures = []
    for data in load:
        room.acquire()
        sent = time.perf_counter()
        future = core.submit(data)

        def done(_: object, sent: float = sent) -> None:
            latencies.append((time.perf_counter() - sent) * 1000)
            room.release()

        future.add_done_callback(done)
        futures.append(future)
    answers = [future.result(timeout=120) for future in futures]
    seconds = time.perf_counter() - started
    applied = sum(_OK in outcome for answer in answers for outcome in answer.outcomes)
    return Figures(len(load) * batch, seconds, latencies, applied)


async def drive_http(host: str, port: int, load: Sequence[bytes], *, batch: int, concurrent: int) -> Figures:
    """``concurrent`` keep-alive connections, each sending its next transaction when it has an answer."""
    waiting = list(reversed(load))
    latencies: list[float] = []
    applied = 0

    async def client() -> None:
        nonlocal applied
        reader, writer = await asyncio.open_connection(host, port, limit=2**24)
        while waiting:
            data = waiting.pop()
            sent = time.perf_counter()
            head = f"POST /v1/transactions HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(data)}\r\n\r\n"
            writer.write(head.encode() + data)
            await writer.drain()
            body = await _read_answer(reader)
            latencies.append((time.perf_counter() - sent) * 1000)
            applied += body.count(_OK)
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(concurrent)))
    return Figures(len(load) * batch, time.perf_counter() - started, latencies, applied)


async def _read_answer(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    lengths = [int(line.split(":")[1]) for line in lines if line.lower().startswith("content-length:")]
    body = await reader.readexactly(lengths[0])
    if " 200 " not in lines[0]:
        raise SystemExit(f"the node refused the load: {lines[0]} {body[:300]!r}")
    return body


class Sizes(msgspec.Struct):
    """Bytes a leaf and an operation."""

    leaves: int
    mean_leaf_bytes: float
    largest_leaf_bytes: int
    database_bytes_per_operation: float
