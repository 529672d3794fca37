"""What four validators on one machine carry, and how long a block of theirs takes.

    python -m scripts.measure.validators [--count 4] [--operations N] [--batch N] [--rate N] [--seconds N]

Four nodes as the command line runs them, each with a CometBFT of its own, over loopback, and the load beside
them: the day mix in transactions of a thousand, over HTTP. First the commit time at a steady rate, then as
many as go through. CPU is told of all their processes together, also by operation, and of a while in which
nothing is sent. An operation is executed by every node: on a machine that is busy with other things, what it
takes of a processor says more than how many go through.
"""

from __future__ import annotations

import argparse
import http.client
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from node.config import Config
from node.engine.cometbft.founding import found_ledger, join_ledger, make_validator
from scripts.measure.alliance import MERCHANTS, OPERATOR, UTC_OFFSET_MINUTES, Alliance
from scripts.measure.envelopes import Pen
from scripts.measure.load import Order, TransactionFile, make_load, read_transactions
from scripts.measure.prepared import _write_members  # the members of a measured ledger

SEED: Final = 7
MEMBERS: Final = 2_000
SETTLE_SECONDS: Final = 10.0
"""Until what filling has left to fold is folded."""
IDLE_SECONDS: Final = 10.0
_TICKS: Final = os.sysconf("SC_CLK_TCK")


class Node:
    """One validator's processes."""

    def __init__(self, config: Config) -> None:
        self.config = config
        command = [sys.executable, "-m", "node.cli.main", "node", "--data", str(config.directory)]
        limits = ["--limit", "transactions=0", "--limit", "messages=0", "--limit", "addresses=0"]
        self.process = subprocess.Popen(
            [*command, "--port", "0", *limits], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.host = ""

    def wait(self) -> None:
        """It answers."""
        address = self.process.stdout.readline() if self.process.stdout else ""
        self.host = urlsplit(address.strip()).netloc

    def post(self, line: http.client.HTTPConnection, data: bytes) -> None:
        """The transaction is answered as taken."""
        try:
            line.request("POST", "/v1/transactions", body=data)
            answer = line.getresponse()
        except ConnectionError:
            # A connection that was quiet for long is closed by the node; the same bytes again do no harm.
            line.close()
            line.request("POST", "/v1/transactions", body=data)
            answer = line.getresponse()
        body = answer.read()
        if answer.status != http.HTTPStatus.OK:
            raise SystemExit(f"{answer.status} {body[:300]!r}")

    def read_checkpoint(self) -> list[str]:
        """Size and root."""
        line = http.client.HTTPConnection(self.host, timeout=60)
        line.request("GET", "/checkpoint")
        return line.getresponse().read().decode().split("\n")[1:3]


def read_cpu_seconds(roots: list[int]) -> dict[str, float]:
    """Of these processes and all that they have started and that still run, by what they are."""
    parents: dict[int, int] = {}
    used: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        fields: list[str] = []
        with suppress(OSError):  # it has ended
            fields = path.read_text().rpartition(")")[2].split()
        if fields:
            parents[int(path.parent.name)] = int(fields[1])
            used[int(path.parent.name)] = int(fields[11]) + int(fields[12])
    seconds: Counter[str] = Counter()
    for pid, ticks in used.items():
        above = pid
        while above in parents and above not in roots:
            above = parents[above]
        if above in roots:
            seconds[_name(pid, roots)] += ticks
    return {name: found / _TICKS for name, found in seconds.items()}


def _name(pid: int, roots: list[int]) -> str:
    if pid in roots:
        return "keepers"
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return "ended"
    if b"--proxy_app" in words:
        return "cometbft"
    return "nodes" if b"node.cli.main" in words else "helpers"


def tell_cores(now: dict[str, float], before: dict[str, float], seconds: float) -> str:
    """So many cores were busy, and with what."""
    used = {name: (now[name] - before.get(name, 0.0)) / seconds for name in sorted(now)}
    return f"{sum(used.values()):.2f} ({', '.join(f'{name} {cores:.2f}' for name, cores in used.items())})"


def tell_microseconds(now: dict[str, float], before: dict[str, float], operations: int) -> str:
    """So much of a processor an operation takes on all nodes together, and where."""
    used = {name: (now[name] - before.get(name, 0.0)) / operations * 1e6 for name in sorted(now)}
    return f"{sum(used.values()):.0f} ({', '.join(f'{name} {found:.0f}' for name, found in used.items())})"


@contextmanager
def run_validators(folder: Path, count: int) -> Iterator[list[Node]]:
    """So many of one new ledger, until the end of the block."""
    alliance = Alliance(SEED)
    who = [OPERATOR, *[each for each in MERCHANTS if each != OPERATOR][: count - 1]]
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in who]
        ports = [each.getsockname()[1] for each in sockets]
    keys = [folder / f"keys-{each}" for each in who]
    made = [
        make_validator(each, participant=name, address=f"127.0.0.1:{port}")
        for each, name, port in zip(keys, who, ports, strict=True)
    ]
    founded = found_ledger(
        folder / "node-0",
        keys=keys[0],
        validators=made,
        name="bench",
        operator=OPERATOR,
        # Of the same measurement, for which nobody else asks.
        participants=[alliance._describe(each) for each in MERCHANTS],  # noqa: SLF001
        utc_offset_minutes=UTC_OFFSET_MINUTES,
        time=time.time_ns() // 1_000_000 - 1_000,
    )
    configs = [founded] + [
        join_ledger(folder / f"node-{at}", genesis=founded.origin.leaves, keys=keys[at], validators=made)
        for at in range(1, count)
    ]
    nodes = [Node(config) for config in configs]
    try:
        for node in nodes:
            node.wait()
        yield nodes
    finally:
        for node in nodes:
            node.process.terminate()
        for node in nodes:
            node.process.wait(60)


def fill(nodes: list[Node], folder: Path) -> None:
    """Programs are opened; members are enrolled and have points."""
    alliance, moment = Alliance(SEED), time.time_ns() // 1_000_000
    chain = nodes[0].config.origin.chain
    pen = Pen(alliance, chain=chain, time=moment, name="opening")
    with TransactionFile(folder / "opening") as opening:
        for issuer, messages in alliance.make_openings(time=moment):
            opening.write([pen.sign(issuer, "govern", messages)])
    _write_members(folder, seed=SEED, chain=chain, moment=moment, count=MEMBERS, part=0, parts=1)
    line = http.client.HTTPConnection(nodes[0].host, timeout=120)
    for path in (folder / "opening", *sorted(folder.glob("members-*"))):
        for data in read_transactions(path):
            nodes[0].post(line, data)


def send(nodes: list[Node], transactions: list[bytes], *, lines: int, rate: float | None) -> list[float]:
    """How long each took; from so many connections, at a steady rate or as they go through."""
    begun = time.monotonic()
    lock = threading.Lock()
    waiting = iter(enumerate(transactions))
    seconds: list[float] = []

    def work(number: int) -> None:
        node = nodes[number % len(nodes)]
        line = http.client.HTTPConnection(node.host, timeout=120)
        while True:
            with lock:
                at, data = next(waiting, (0, b""))
            if not data:
                return
            if rate is not None:
                time.sleep(max(0.0, begun + at / rate - time.monotonic()))
            started = time.monotonic()
            node.post(line, data)
            with lock:
                seconds.append(time.monotonic() - started)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(lines)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return seconds


def tell(name: str, **figures: Any) -> None:
    """One line a figure."""
    print(name, *(f"{key}={value}" for key, value in figures.items()), flush=True)


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=4)
    parser.add_argument("--operations", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=1_000)
    parser.add_argument("--rate", type=float, default=10.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--lines", type=int, default=16)
    told = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="validators-"))
    try:
        with run_validators(folder, told.count) as nodes:
            measure(nodes, folder, told)
    finally:
        shutil.rmtree(folder)


def measure(nodes: list[Node], folder: Path, told: argparse.Namespace) -> None:
    """Idle, at a steady rate, and as much as goes through."""
    pids = [node.process.pid for node in nodes]
    chain = nodes[0].config.origin.chain
    fill(nodes, folder)
    time.sleep(SETTLE_SECONDS)
    before = read_cpu_seconds(pids)
    time.sleep(IDLE_SECONDS)
    tell("idle", cores=tell_cores(read_cpu_seconds(pids), before, IDLE_SECONDS))
    for name, operations, rate, lines in (
        ("steady", int(told.rate * told.seconds) * told.batch, told.rate, 24),
        ("flood", told.operations, None, told.lines),
    ):
        order = Order("day", operations, told.batch, MEMBERS, SEED, chain, name)
        load = make_load(folder / name, order)
        send(nodes, list(load.read_before()), lines=4, rate=None)
        transactions = list(load.read_measured())
        before, started = read_cpu_seconds(pids), time.monotonic()
        seconds = sorted(send(nodes, transactions, lines=lines, rate=rate))
        elapsed = time.monotonic() - started
        after = read_cpu_seconds(pids)
        tell(
            name,
            operations_per_second=round(operations / elapsed),
            p50_ms=round(statistics.median(seconds) * 1000),
            p99_ms=round(seconds[int(len(seconds) * 0.99)] * 1000),
            transactions=len(seconds),
            cores=tell_cores(after, before, elapsed),
            microseconds_per_operation=tell_microseconds(after, before, operations),
        )
    while len({tuple(node.read_checkpoint()) for node in nodes}) > 1:
        time.sleep(0.2)
    tell("roots", equal=True, leaves=nodes[0].read_checkpoint()[0])


if __name__ == "__main__":
    main()
