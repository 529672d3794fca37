"""What an auditor does when the year is over: read the totals, verify everything, believe nothing.

The totals are the node's word. The verification is not: `commonpoint verify` executes the whole history again
from the data directory, in a process of its own, while no node runs. It is what makes the totals true, since
every balance and position it comes to is compared with the stored ones.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import httpx2
import msgspec

from ledger.log.note import Checkpoint
from ledger.log.policy import parse_policy, verify_checkpoint
from scripts.year.node_process import COMMAND
from scripts.year.results import Results, compute_results


class Verified(NamedTuple):
    """A ledger that was found good."""

    operations: int
    size: int
    seconds: float
    operations_per_second: int


class NotGood(Exception):
    """The verification found something, or could not be run."""


def read_results(url: str, *, auditor_token: str, prices: Mapping[str, int]) -> Results:
    """The year's figures, as the node tells an auditor. Raises `NotGood` where they do not add up."""
    with httpx2.Client(
        base_url=url, trust_env=False, headers={"authorization": f"Bearer {auditor_token}"}
    ) as http:
        tallies = _read_rows(http, "/v1/tallies")
        positions = _read_rows(http, "/v1/positions")
        bilateral = _read_rows(http, "/v1/positions/bilateral")
    try:
        return compute_results(tallies=tallies, positions=positions, bilateral=bilateral, prices=prices)
    except ValueError as error:
        raise NotGood(str(error)) from None


def read_checkpoint(url: str, *, policy: bytes) -> Checkpoint:
    """The newest checkpoint, signed as the policy asks."""
    with httpx2.Client(base_url=url, trust_env=False) as http:
        response = http.get("/checkpoint")
        response.raise_for_status()
        return verify_checkpoint(parse_policy(policy), response.text)


def verify_offline(directory: Path) -> Verified:
    """The whole history executed again. Raises `NotGood`, with the first thing that is bad."""
    done = subprocess.run(
        [*COMMAND, "verify", "--data", str(directory), "--json"], stdout=subprocess.PIPE, check=False
    )
    report: dict[str, Any] = msgspec.json.decode(done.stdout) if done.stdout else {}
    if done.returncode or not report.get("good"):
        raise NotGood(f"status {done.returncode}: {report.get('first_bad')}")
    return Verified(
        operations=report["operations"],
        size=report["size"],
        seconds=report["seconds"],
        operations_per_second=report["operations_per_second"],
    )


def _read_rows(http: httpx2.Client, path: str) -> list[dict[str, Any]]:
    response = http.get(path)
    response.raise_for_status()
    rows: list[dict[str, Any]] = msgspec.json.decode(response.content)["rows"]
    return rows
