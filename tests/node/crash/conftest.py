"""Processes to be killed, and what is looked at afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from tests.node.crash.trade import make_trade
from tests.node.crash.witness import check_recovered, read_diary, read_left

NEVER_IDLE = {"node.engine.solo._IDLE_SECONDS": 30.0}
"""Nothing is folded because senders were slow for a moment: only when there is enough of it, or never."""
OFTEN = {**NEVER_IDLE, "node.folding.FOLD_RECORDS_MAX": 60}
RARELY = {**NEVER_IDLE, "node.folding.FOLD_RECORDS_MAX": 10**9}


class Mortuary:
    """Starts processes over one town's folder, has them killed, and says what they left."""

    def __init__(self, town, folder, nursery) -> None:
        self.town = town
        self._folder = folder
        self._nursery = nursery
        self._diary = folder / "diary"
        self._log = folder / "log"

    @property
    def diary(self) -> list[dict[str, Any]]:
        return read_diary(self._diary)

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def start(self, *, seed: int = 1, count: int = 60, **plan: Any) -> int:
        """The process id of a node that trades."""
        defaults = {
            "address": getattr(self.town.database, "address", None),
            "at_start": False,
            "file_bytes_max": 0,
            "occurrence": 1,
            "place": None,
            "senders": 4,
            "settings": OFTEN,
        }
        files = {"folder": self._folder / "ledger", "diary": self._diary, "log": self._log}
        told = {**defaults, **{name: str(path) for name, path in files.items()}, **plan}
        self._nursery.stdin.write(json.dumps({**told, "seed": seed, "count": count}) + "\n")
        self._nursery.stdin.flush()
        return self._hear()["pid"]

    def wait(self) -> int:
        """How it ended: the signal that killed it, below zero, or its exit status."""
        return os.waitstatus_to_exitcode(self._hear()["status"])

    def _hear(self) -> dict[str, int]:
        line = self._nursery.stdout.readline()
        assert line, "the nursery itself has died"
        return json.loads(line)

    def kill(self, place: str, occurrence: int = 1, **plan: Any):
        """A node is killed there; what it left behind."""
        self.start(place=place, occurrence=occurrence, **plan)
        assert self.wait() == -signal.SIGKILL, f"it never came to {place} {occurrence} times\n{self.log}"
        return self.look()

    def look(self):
        """What stands in the files, which nothing has touched since."""
        return read_left(self.town, self._folder / "scratch")

    def bury(self, *, seed: int = 1, count: int = 60, left=None) -> None:
        """Everything that was promised holds."""
        trade = make_trade(self.town, seed=seed, count=count)
        check_recovered(self.town, trade, self.diary, self.look() if left is None else left)


@pytest.fixture(scope="session")
def nursery(repository):
    """One process in which everything is loaded, and of which those to be killed are forked."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.node.crash.dying"],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.stdin.close()
    process.wait(60)
    process.stdout.close()


@pytest.fixture
def postgresql_mortuary(mortuary, postgres_server):
    """Over an empty PostgreSQL database."""
    place = mortuary.town.database = postgres_server.make()
    yield mortuary
    postgres_server.take_back(place)


@pytest.fixture
def mortuary(tmp_path, town, nursery):
    """Over an empty folder of its own. `town.database` lies where nothing else does."""
    ledger = tmp_path / "ledger"
    ledger.mkdir()
    town.database = ledger / "ledger.db"
    return Mortuary(town, tmp_path, nursery)
