"""Verification and catch-up: the auditor's command, the rebuild, a start without views, and a follower that
comes to where a mirror of the log is, over one ledger.

All are run as an operator or auditor would run them, so the seconds are those of the whole command, its
start included.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from node.config import load_config
from node.storage.store import VIEWS_FILE
from scripts.measure.followed import run_follower
from scripts.measure.mirror import write_mirror
from scripts.measure.process import get_cpu_seconds
from scripts.measure.served import ServedNode, get_children_seconds

_COMMAND: Final = (sys.executable, "-P", "-m", "node.cli.main")


class Timed(NamedTuple):
    """How long a command took, and the processor time of it and its children."""

    seconds: float
    cpu_seconds: float


def verify(directory: Path) -> tuple[Timed, int]:
    """`commonpoint verify` over a data directory; and how many operations it executed again."""
    timed, output = _run("verify", "--data", str(directory), "--json")
    report: dict[str, Any] = msgspec.json.decode(output)
    if not report["good"]:
        raise SystemExit(f"the ledger was found bad: {output.decode()}")
    return timed, int(report["operations"])


def rebuild(directory: Path) -> Timed:
    """`commonpoint rebuild`: everything folded is thrown away and made again from the log."""
    timed, _ = _run("rebuild", "--data", str(directory))
    return timed


def catch_up(directory: Path) -> Timed:
    """A node starts over a log without views, until it serves."""
    for path in directory.glob(VIEWS_FILE + "*"):
        path.unlink()
    started = time.perf_counter()
    with ServedNode(directory) as node:
        return Timed(time.perf_counter() - started, node.cpu_seconds)


def follow(directory: Path, scratch: Path) -> Timed:
    """A follower of a mirror in a folder starts from nothing, until it serves."""
    mirror = write_mirror(directory, scratch / "mirror")
    started = time.perf_counter()
    with run_follower(str(mirror), chain=load_config(directory).origin.chain) as (_, pid):
        return Timed(time.perf_counter() - started, get_cpu_seconds(pid))


def _run(*arguments: str) -> tuple[Timed, bytes]:
    before, started = get_children_seconds(), time.perf_counter()
    done = subprocess.run([*_COMMAND, *arguments], capture_output=True, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        words = (done.stderr or done.stdout).decode(errors="replace")[-500:]
        raise SystemExit(f"commonpoint {arguments[0]} ended with status {done.returncode}: {words}")
    return Timed(seconds, get_children_seconds() - before), done.stdout
