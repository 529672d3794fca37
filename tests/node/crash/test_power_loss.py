"""Power loss: of what a node wrote, whatever a disk may keep that promises only what it synced, every
acknowledged transaction is there once, and the next start needs nobody.

A node trades, is stopped, trades, is killed, and trades again, while every call by which it changes its
folder is recorded. From that recording states are rebuilt that a power cut could have left, and each is
opened as a node opens its ledger. The same search over a recording with one kind of sync left out, or of a
node that syncs too little, must find what was lost.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from ledger.leaves import TRANSACTION_START
from node.storage.sqlite import PRAGMAS
from node.storage.store import open_store
from tests.conftest import FULL
from tests.node.crash.conftest import NEVER_IDLE
from tests.node.crash.disk import Disk
from tests.node.crash.dying import DONE
from tests.node.crash.recorder import Recording
from tests.node.crash.witness import answers_in
from tests.node.engine.town import RULEBOOK, Town

SHARES = 2
STATES = 5_600 if FULL else 200
"""To be looked at by each of the shares."""
LONG_STATES = 700
"""Likewise where files are long."""
FULL_STATES = 10_000


class Recorded(NamedTuple):
    """What a node did to its folder, and where that is written down."""

    folder: Path
    file: Path
    count: int

    @property
    def recording(self) -> Recording:
        return msgspec.msgpack.decode(self.file.read_bytes(), type=Recording)

    @property
    def database(self) -> Path:
        return self.folder / "ledger" / "ledger.db"


class Found(NamedTuple):
    """What a search found."""

    states: set[str]
    failures: list[str]
    points: int
    traded: int


def record(folder: Path, repository: Path, *, count: int, **pragmas: Any) -> Recorded:
    """Three lives of a node over one folder; the second is killed."""
    (folder / "ledger").mkdir(parents=True)
    settings = {
        **NEVER_IDLE,
        "node.folding.FOLD_RECORDS_MAX": 250,
        "node.storage.sqlite.PRAGMAS": {**PRAGMAS, **pragmas},
    }
    plan = {
        "at_start": False,
        "diary": str(folder / "diary"),
        "file_bytes_max": 0,
        "folder": str(folder / "ledger"),
        "log": str(folder / "log"),
        "occurrence": 1,
        "place": None,
        "seed": 1,
        "senders": 4,
        "settings": settings,
    }
    plans = [
        {**plan, "count": count // 2, "ends": DONE},
        {**plan, "count": count, "ends": -9, "occurrence": max(2, count // 16), "place": "signed"},
        {**plan, "count": count, "ends": DONE},
    ]
    (folder / "plans").write_text(json.dumps(plans))
    run = _start(repository, "tests.node.crash.recorder", folder / "plans", folder / "recording")
    said, _ = run.communicate(timeout=600)
    assert run.returncode == 0, f"{said}\n{(folder / 'log').read_text(errors='replace')}"
    return Recorded(folder, folder / "recording", count)


def search(
    recorded: Recorded, repository: Path, *, states: int, failures_max: int = 20, drops: str = ""
) -> Found:
    """So many states in each share of the recording, the shares beside each other."""
    task = {
        "count": recorded.count,
        "database": str(recorded.database),
        "draws": random.SystemRandom().randrange(2**32) if FULL else 1,
        "drops_syncs_of": drops,
        "failures_max": failures_max,
        "recording": str(recorded.file),
        "seed": 1,
        "shares": SHARES,
        "states": states,
        "trades_every": 90,
    }
    shares = [
        _start(repository, "tests.node.crash.survivors", json.dumps({**task, "share": share}))
        for share in range(SHARES)
    ]
    found = Found(set(), [], 0, 0)
    for share in shares:
        said, _ = share.communicate(timeout=3_000)
        assert share.returncode == 0, said[-3_000:]
        one = json.loads(said.splitlines()[-1])
        found = Found(
            found.states | set(one["states"]),
            [*found.failures, *one["failures"]],
            found.points + one["points"],
            found.traded + one["traded"],
        )
    print(f"{len(found.states)} states at {found.points} points, {found.traded} traded on")
    return found


def _start(repository: Path, *arguments: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *map(str, arguments)],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def recorded(tmp_path_factory, repository):
    """A node whose write-ahead logs begin again every 40 pages: a short story holds many checkpoints."""
    folder = tmp_path_factory.mktemp("recorded")
    return record(folder, repository, count=80, wal_autocheckpoint=(40, 40))


def test_the_recording_is_what_the_node_wrote(recorded):
    recording = recorded.recording
    disk = Disk(recording)
    disk.advance(recording.length)
    everything = next(draw for number, draw in enumerate(disk.draw(random.Random(1))) if number == 1)
    files = disk.rebuild(everything, _Last())
    left = {file.name: file.read_bytes() for file in recorded.database.parent.iterdir()}
    assert files == left
    kinds = {operation.kind for operation in recording.operations}
    assert kinds == {"create", "unlink", "write", "truncate", "sync", "sync_folder"}
    # Each write-ahead log was written from its beginning again and again: checkpoints lie within the story.
    for name in ("ledger.db-wal", "views.db-wal"):
        files = {one.file for one in recording.operations if (one.kind, one.name) == ("create", name)}
        begun = [
            one
            for one in recording.operations
            if one.file in files and one.kind == "write" and not one.offset
        ]
        assert len(begun) > len(files), name


class _Last(random.Random):
    """Chooses what came last."""

    def choice(self, choices):
        return choices[-1]


def test_every_transaction_was_acknowledged_and_stands_in_the_recorded_log(recorded, tmp_path):
    answers = answers_in([answer.line for answer in recorded.recording.answers])
    begin = len(Town(tmp_path).begin())
    assert sorted(answers) == list(range(recorded.count + begin))
    store = open_store(recorded.database, RULEBOOK)
    try:
        leaves = store.log.read_leaves(0, store.log.size)
    finally:
        store.close()
    assert sum(leaf.startswith(TRANSACTION_START) for leaf in leaves) == len(answers)
    assert all(leaves[index].startswith(TRANSACTION_START) for _, index, _, _ in answers.values())


def test_no_power_cut_loses_what_was_acknowledged(recorded, repository):
    found = search(recorded, repository, states=STATES)
    assert found.failures == []
    assert len(found.states) >= (FULL_STATES if FULL else 0.9 * SHARES * STATES)
    assert found.points == len(Disk(recorded.recording).list_points())
    assert found.traded > 0


@pytest.mark.full
def test_no_power_cut_loses_what_was_acknowledged_when_write_ahead_logs_are_long(
    tmp_path_factory, repository
):
    long = record(tmp_path_factory.mktemp("long"), repository, count=900)
    found = search(long, repository, states=LONG_STATES)
    assert found.failures == []
    # Two shares may come upon the same state; it counts once.
    assert len(found.states) >= LONG_STATES


def test_with_a_sync_left_out_the_search_finds_an_acknowledgement_that_is_lost(recorded, repository):
    found = search(recorded, repository, states=60, failures_max=3, drops="ledger.db-wal")
    assert any("acknowledged, and gone" in failure for failure in found.failures), found.failures


def test_of_a_node_that_syncs_only_at_checkpoints_the_search_finds_an_acknowledgement_that_is_lost(
    tmp_path, repository
):
    lax = record(tmp_path, repository, count=24, synchronous=("NORMAL", 1))
    found = search(lax, repository, states=60, failures_max=3)
    assert any("acknowledged, and gone" in failure for failure in found.failures), found.failures
