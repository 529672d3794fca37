"""The benchmark: the ledger and this machine's raw limits in one run, so that every figure is also a ratio.

Load is signed before the clock starts. Every run checks that what it sent was applied. In-process runs go
through `NodeCore.submit`, HTTP runs through a node in its own process and this process as the client; both
are durable.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec

from node.core import NodeCore
from node.process import tame_garbage_collector
from scripts.measure.alliance import Alliance
from scripts.measure.drive import Figures, Sizes, drive_http, drive_in_process
from scripts.measure.raw import measure_raw
from scripts.measure.serve import serve

MIX = "70 earn, 5 partner earn, 16 redeem at home, 7 elsewhere with a code, 2 exchange"


def main() -> None:
    """Measure, print a table, write JSON where asked."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the load, in about half a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures as JSON")
    parser.add_argument("--sizes", action="store_true", help="only the sizes of leaves and of the database")
    parser.add_argument("--members", type=int, default=2_000, help="each with points of two programs")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    scale = 1 if options.quick else 10
    found: dict[str, Any] = {"raw": {}, "results": [], "sizes": {}, "mix": MIX, "cores": os.cpu_count()}
    with tempfile.TemporaryDirectory(prefix="commonpoint-bench-") as folder:
        base = Path(folder)
        if not options.sizes:
            found["raw"] = measure_raw(base, seconds=0.3 if options.quick else 1.0)
            for name, value in found["raw"].items():
                print(f"{name:>58} {value:>12,}", flush=True)
        sizes = _run_in_process(
            base, found, scale=scale, seed=options.seed, members=options.members, only_sizes=options.sizes
        )
        found["sizes"] = msgspec.to_builtins(sizes)
        if not options.sizes:
            _run_http(base, found, scale=scale, seed=options.seed, members=options.members)
    print()
    for name, value in found["sizes"].items():
        print(f"{name:>58} {value:>12,}")
    if options.json:
        options.json.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")


def _run_in_process(
    base: Path, found: dict[str, Any], *, scale: int, seed: int, members: int, only_sizes: bool
) -> Sizes:
    alliance = Alliance(time=time.time_ns() // 1_000_000, members=members, seed=seed)
    path = base / "in-process" / "ledger.db"
    path.parent.mkdir()
    core = NodeCore.open(path, genesis=alliance.genesis, signer=alliance.log_signer)
    for data in alliance.make_setup():
        core.submit(data).result(timeout=120)
    first = core.head.size
    before = _get_stored_bytes(path)
    operations = 0
    plan = [(1_000, 20 * scale)] if only_sizes else [(1, 300 * scale), (100, 40 * scale), (1_000, 20 * scale)]
    try:
        for batch, transactions in plan:
            load = alliance.make_load(transactions, batch=batch)
            operations += batch * transactions
            tame_garbage_collector()
            figures = drive_in_process(core, load, batch=batch, concurrent=64 if batch == 1 else 8)
            if not only_sizes:
                _note(found, figures, batch=batch, path="in_process")
        size = core.head.size
        total = largest = 0
        for start in range(first, size, 4_096):
            leaves = core.read_leaves(start, min(size, start + 4_096))
            total += sum(map(len, leaves))
            largest = max(largest, *map(len, leaves))
    finally:
        core.stop()
    stored = (_get_stored_bytes(path) - before) / operations
    return Sizes(size - first, round(total / (size - first), 1), largest, round(stored, 1))


def _get_stored_bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.parent.iterdir())


def _make_folder(path: Path) -> Path:
    path.mkdir()
    return path


def _run_http(base: Path, found: dict[str, Any], *, scale: int, seed: int, members: int) -> None:
    alliance = Alliance(time=time.time_ns() // 1_000_000, members=members, seed=seed)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    node = context.Process(
        target=serve,
        args=(_make_folder(base / "http") / "ledger.db", alliance.genesis, seed, port),
        daemon=True,
    )
    node.start()
    try:
        _wait_for(port)
        setup = list(alliance.make_setup())
        for data in setup:
            asyncio.run(drive_http("127.0.0.1", port, [data], batch=1, concurrent=1))
        for batch, transactions in ((1, 200 * scale), (100, 30 * scale), (1_000, 10 * scale)):
            load = alliance.make_load(transactions, batch=batch)
            concurrent = 64 if batch == 1 else 8
            figures = asyncio.run(drive_http("127.0.0.1", port, load, batch=batch, concurrent=concurrent))
            _note(found, figures, batch=batch, path="http")
    finally:
        node.terminate()
        node.join(timeout=30)


def _wait_for(port: int) -> None:
    for _ in range(300):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit("the node did not start")


def _note(found: dict[str, Any], figures: Figures, *, batch: int, path: str) -> None:
    """Take up a run. Nearly all of the load must have been applied, or the figure would be of refusals."""
    if figures.applied < figures.operations * 99 // 100:
        raise SystemExit(f"only {figures.applied} of {figures.operations} operations were applied")
    verify = found["raw"]["ed25519_verify_per_second"]
    ratio = round(figures.ops_per_second / verify, 3)
    row: dict[str, Any] = {
        "mix": "day",
        "batch": batch,
        "path": path,
        "store": "sqlite",
        "ops_per_second": figures.ops_per_second,
        "p50_ms": figures.percentile(50),
        "p99_ms": figures.percentile(99),
        "applied": figures.applied,
        "ratio_to": {"ed25519_verify_per_second": ratio},
    }
    found["results"].append(row)
    print(
        f"{path:>12} batch {batch:>5}: {row['ops_per_second']:>8,} op/s  p50 {row['p50_ms']:>8} ms"
        f"  p99 {row['p99_ms']:>8} ms  ({ratio} x one core's verify)",
        flush=True,
    )


if __name__ == "__main__":
    main()
