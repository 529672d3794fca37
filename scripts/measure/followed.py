"""What followers cost the node that they follow: the same load over HTTP, without followers and with two.

They are real ones, started as an operator would start them, and they re-execute everything; but they are
meant to run elsewhere. On one machine they take the leader's cores away from it, so its clock says little.
What the leader itself spends, in processor time an operation, from the first send until both followers have
come to its head and everything is folded, is what following costs it. Folds count with and without: a leader
that is followed waits for its followers at the end, and folds meanwhile.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from urllib.request import urlopen

import uvloop

from ledger.log.note import parse_checkpoint, split_note
from node.access import parse_role
from node.app import open_tokens
from node.config import load_config
from scripts.measure.figures import Figures, get_percentile
from scripts.measure.inside import get_under_way, wait_until_quiet
from scripts.measure.load import Load
from scripts.measure.served import ServedNode
from scripts.measure.site import Site
from scripts.measure.sockets import HttpPool

FOLLOWERS: Final = 2
_COMMAND: Final = (sys.executable, "-P", "-m", "node.cli.main", "node", "--port", "0")
_TOKEN_SECONDS: Final = 86_400
_ARRIVE_SECONDS: Final = 600.0
_LOOK_SECONDS: Final = 0.2


def measure_followed(site: Site, load: Load, *, followers: int, workers: int = 0) -> Figures:
    """The figures of the leader alone, with so many followers."""
    with ServedNode(site.directory, workers=workers) as node, ExitStack() as stack:
        urls = [stack.enter_context(_follow(site, node.url)) for _ in range(followers)]
        uvloop.run(HttpPool(node, load.read_before(), connections=4).run())
        _wait_until_there(node.url, urls)
        wait_until_quiet(node.pid)
        cpu, own = node.cpu_seconds, time.process_time()
        batch = load.order.batch
        pool = HttpPool(node, load.read_measured(), connections=get_under_way(batch))
        seconds = uvloop.run(pool.run())
        own = time.process_time() - own
        _wait_until_there(node.url, urls)
        resident = node.resident_bytes
        drained, whole = node.stop()
        return Figures(
            path=f"http, {followers} followers",
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


@contextmanager
def _follow(site: Site, leader: str) -> Iterator[str]:
    """The address of a follower that has come to where the leader is; in the end it is gone."""
    token = open_tokens(load_config(site.directory)).issue(parse_role("follower"), seconds=_TOKEN_SECONDS)[0]
    with run_follower(leader, chain=site.chain, token=token) as (url, _):
        yield url


@contextmanager
def run_follower(source: str, *, chain: str, token: str = "") -> Iterator[tuple[str, int]]:
    """The address and process of a follower that has come to where its source is; in the end it is gone."""
    with tempfile.TemporaryDirectory(prefix="commonpoint-follower-") as folder:
        process = subprocess.Popen(
            [*_COMMAND, "--data", f"{folder}/data", "--follow", source, "--chain", chain],
            env={**os.environ, "COMMONPOINT_TOKEN": token},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=(Path(folder) / "log").open("wb"),
        )
        try:
            url = process.stdout.readline().decode().strip() if process.stdout else ""
            if not url:
                process.wait()
                raise SystemExit(f"a follower did not start: {(Path(folder) / 'log').read_text()[-2_000:]}")
            yield url, process.pid
        finally:
            # It is thrown away, so it need not end in order.
            process.kill()
            process.wait()


def _wait_until_there(leader: str, urls: list[str]) -> None:
    """Every follower shows the leader's tree."""
    newest = _read_size(leader)
    deadline = time.monotonic() + _ARRIVE_SECONDS
    for url in urls:
        while _read_size(url) < newest:
            if time.monotonic() > deadline:
                raise SystemExit("a follower does not come to where its leader is")
            time.sleep(_LOOK_SECONDS)


def _read_size(url: str) -> int:
    with urlopen(f"{url}/checkpoint", timeout=60) as answer:  # noqa: S310 - a node of this run
        note: str = answer.read().decode()
    return parse_checkpoint(split_note(note)[0]).size
