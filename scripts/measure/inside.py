"""The in-process path: a core in a process of its own, driven through `NodeCore.submit`.

The process holds the node and the one thread that drives it, which reads transactions from a file as it needs
them; so what it takes in memory is the node's.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from node.answers import Taken
from node.core import NodeCore
from node.process import tame_garbage_collector
from scripts.measure.figures import Figures, get_percentile
from scripts.measure.load import Load, read_transactions
from scripts.measure.process import get_cpu_seconds, get_peak_resident_bytes, get_resident_bytes
from scripts.measure.site import Site
from scripts.measure.stages import Stages

PATH: Final = "in process"
UNDER_WAY_MAX: Final = 64
_MESSAGES_UNDER_WAY: Final = 12_288
_QUIET_SECONDS: Final = 0.2
_QUIET_WAIT_SECONDS: Final = 60.0


def get_under_way(batch: int) -> int:
    """How many transactions are under way at once: 64, or as many as hold two full blocks."""
    return max(4, min(UNDER_WAY_MAX if batch == 1 else 512, _MESSAGES_UNDER_WAY // batch))


def measure_inside(
    site: Site, load: Load, *, is_profiled: bool = False, under_way: int | None = None
) -> Figures:
    """The figures of a load against this ledger, in a process of its own."""
    under_way = under_way or get_under_way(load.order.batch)
    figures: Figures = call_apart(_run, site, load, is_profiled, under_way)
    return figures


def feed_apart(site: Site, load: Iterable[Path]) -> None:
    """The transactions of these files stand in the ledger, every one applied, in a process of their own."""
    call_apart(_feed, site, list(load))


def call_apart(function: Any, *arguments: Any) -> Any:
    """What ``function`` returns in a fresh process. Raises `SystemExit` where that ends without a result."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(theirs, function, arguments))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    except EOFError:
        raise SystemExit("a measured process ended early; what it said stands above") from None
    finally:
        process.join()


def _report(pipe: Connection, function: Any, arguments: tuple[Any, ...]) -> None:
    pipe.send(function(*arguments))


def _run(site: Site, load: Load, is_profiled: bool, under_way: int) -> Figures:
    stages = Stages() if is_profiled else None
    core = site.open_core()
    send(core, load.read_before(), under_way=8)
    wait_until_quiet(os.getpid())
    tame_garbage_collector()
    head = core.head
    cpu = get_cpu_seconds(os.getpid())
    if stages is not None:
        stages.begin()
    latencies: list[float] = []
    started = time.perf_counter()
    send(core, load.read_measured(), under_way=under_way, latencies=latencies)
    seconds = time.perf_counter() - started
    resident = get_resident_bytes(os.getpid())
    applied = core.head.accepted - head.accepted
    core.stop()
    drained = time.perf_counter() - started - seconds
    return Figures(
        path=PATH,
        store=site.store,
        mix=load.order.mix,
        batch=load.order.batch,
        operations=load.operations,
        applied=applied,
        seconds=seconds,
        drain_seconds=drained,
        p50_ms=get_percentile(latencies, 50),
        p99_ms=get_percentile(latencies, 99),
        cpu_seconds=get_cpu_seconds(os.getpid()) - cpu,
        resident_bytes=resident,
        resident_peak_bytes=get_peak_resident_bytes(os.getpid()),
        stages=stages.tell(load.operations) if stages is not None else {},
    )


def _feed(site: Site, files: list[Path]) -> None:
    core = site.open_core()
    tame_garbage_collector()
    before = core.head
    for path in files:
        # One by one where a file opens programs: each opening is a block of its own.
        send(core, read_transactions(path), under_way=1 if path.name.startswith("opening") else 8)
    entries, accepted = core.head.entries - before.entries, core.head.accepted - before.accepted
    core.stop()
    if entries != accepted:
        raise SystemExit(f"only {accepted} of {entries} prepared operations were applied")


def send(
    core: NodeCore,
    transactions: Iterable[bytes],
    *,
    under_way: int,
    latencies: list[float] | None = None,
) -> None:
    """Every transaction is answered; at most ``under_way`` wait at a time. Raises `Refused` if one is."""
    room = threading.Semaphore(under_way)
    waiting: deque[Future[Taken]] = deque()
    for data in transactions:
        room.acquire()
        sent = time.perf_counter()
        future = core.submit(data)

        def done(_: object, sent: float = sent) -> None:
            if latencies is not None:
                latencies.append((time.perf_counter() - sent) * 1000)
            room.release()

        future.add_done_callback(done)
        waiting.append(future)
        while waiting[0].done():
            waiting.popleft().result()
            if not waiting:
                break
    while waiting:
        waiting.popleft().result(timeout=300)


def wait_until_quiet(pid: int) -> None:
    """What was sent is folded: the process and its children have been idle for a moment."""
    deadline = time.monotonic() + _QUIET_WAIT_SECONDS
    before = get_cpu_seconds(pid)
    while time.monotonic() < deadline:
        time.sleep(_QUIET_SECONDS)
        now = get_cpu_seconds(pid)
        if now - before < _QUIET_SECONDS / 8:
            return
        before = now
