"""Folds written in another process are the same folds; a writer that is gone, or is not the node's, writes
none.
"""

from __future__ import annotations

import os
import signal
import sqlite3

import pytest

from ledger.errors import InvariantBroken
from node.storage.store import open_store
from tests.node.engine.story import Story
from tests.node.engine.town import RULEBOOK, Town
from tests.node.storage.makes import spread_chunks


def hear(core, blocks) -> None:
    for time, transactions in blocks:
        for data in transactions:
            core.submit(data)
        core.cut_block(time)


def read_views(town: Town) -> dict[str, list[tuple]]:
    """Every row of every table, but for the claim."""
    with sqlite3.connect(town.database.with_name("views.db")) as connection:
        tables = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        rows = {
            table: spread_chunks(table, connection.execute(f"SELECT * FROM {table}").fetchall())
            for table in tables
        }
    rows["mark"] = [(name, value) for name, value in rows["mark"] if name != "writer"]
    return rows


def get_writer(core):
    return core._chain._folder._fold


def check_lost(core) -> None:
    """The node ends over its writer: its engine has met that while it was idle, or its stop does."""
    try:
        core.stop()
    except InvariantBroken as error:
        found = error
    else:
        found = core._engine.failure
    assert str(found).startswith("FOLD_WRITER_LOST")


@pytest.fixture(autouse=True)
def every_fold_is_large(monkeypatch):
    monkeypatch.setattr("node.fold_process.APART_RECORDS", 0)


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """Time and transactions of each block: every kind of message, holds that lapse and points that expire."""
    return list(Story(Town(tmp_path_factory.mktemp("town"), kind="simulated"), 4).tell(days=60))


def test_views_written_apart_are_those_written_here(tmp_path, story):
    views = []
    for is_apart in (False, True):
        folder = tmp_path / str(is_apart)
        folder.mkdir()
        town = Town(folder, kind="simulated")
        core = town.open(is_apart=is_apart)
        for start in range(0, len(story), 20):
            hear(core, story[start : start + 20])
            core._chain.fold_all()
        core.stop()
        views.append(read_views(town))
    assert views[0] == views[1]
    assert all(views[0][table] for table in ("history", "lookup_reference", "state_earned", "state_account"))


def test_a_node_whose_writer_died_stops_and_loses_nothing(tmp_path, story):
    town = Town(tmp_path, kind="simulated")
    core = town.open(is_apart=True)
    half = len(story) // 2
    hear(core, story[:half])
    core._chain.fold_all()
    hear(core, story[half:])
    os.kill(get_writer(core)._process.pid, signal.SIGKILL)
    with pytest.raises(InvariantBroken, match="FOLD_WRITER_LOST"):
        core._chain.fold_all()
    head = core.head
    check_lost(core)
    core = town.open()
    assert core.head == head
    core.stop()


def test_an_orphaned_writer_writes_nothing_once_another_node_has_begun(tmp_path, story):
    town = Town(tmp_path, kind="simulated")
    core = town.open(is_apart=True)
    hear(core, story[:20])
    before = read_views(town)
    # As if this node were dead and its writer did not know: another start has claimed the views.
    another = open_store(town.database, RULEBOOK)
    another.fold.claim()
    with pytest.raises(InvariantBroken, match="FOLD_WRITER_LOST"):
        core._chain.fold_all()
    another.close()
    assert read_views(town) == before
    check_lost(core)


def test_a_quiet_node_has_no_second_process(tmp_path, story, monkeypatch):
    monkeypatch.setattr("node.fold_process.APART_RECORDS", 5_000)
    core = Town(tmp_path, kind="simulated").open(is_apart=True)
    hear(core, story[:20])
    core._chain.fold_all()
    assert get_writer(core)._process is None
    core.stop()
