"""The files themselves: opened so that a commit means the disk has it, of one schema, for one writer."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from ledger.errors import InvariantBroken
from ledger.executor import make_tables
from node.storage.database import open_sqlite
from node.storage.schema import SCHEMA_VERSION, Schema
from node.storage.store import VIEWS_FILE, open_store
from tests.contracts.cast import FRESH
from tests.node.engine.town import RULEBOOK, codes_of, points_of, refusal_of, run_threads, submit

FILES = ("ledger.db", VIEWS_FILE)
PRAGMAS = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "trusted_schema": 0}


@pytest.fixture
def store(tmp_path):
    store = open_store(tmp_path / "ledger.db", RULEBOOK)
    yield store
    store.close()


def test_every_connection_keeps_the_promise_of_durability(store):
    for engine, readers in zip(store._engines, store._readers, strict=True):
        held = [engine.connect() for _ in range(7)]
        for connection in [*held, readers.get()]:
            found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in PRAGMAS}
            assert found == PRAGMAS
        for connection in held:
            connection.close()


def test_a_database_that_cannot_promise_it_is_not_opened(tmp_path):
    # A file system that knows no locks has no write-ahead log: SQLite keeps to what it had and says nothing.
    engine = open_sqlite(Path(f"file:{tmp_path}/ledger.db?nolock=1&uri=true"))
    with pytest.raises(InvariantBroken) as refused:
        engine.connect()
    assert refused.value.code == "DATABASE_NOT_DURABLE"
    assert refused.value.facts == {"pragma": "journal_mode", "expected": "wal", "found": "delete"}


def test_all_tables_are_strict_and_every_state_table_is_there(store, tmp_path):
    schema = Schema(make_tables(RULEBOOK))
    for file, metadata in zip(FILES, (schema.log, schema.views), strict=True):
        with closing(sqlite3.connect(tmp_path / file)) as connection:
            found = {
                name: strict
                for _, name, kind, _, _, strict in connection.execute("PRAGMA table_list")
                if kind == "table" and not name.startswith("sqlite_")
            }
        assert found == dict.fromkeys(metadata.tables, 1)
    assert {f"state_{name}" for name in make_tables(RULEBOOK)} < set(schema.views.tables)
    with store._engines[0].connect() as connection, pytest.raises(Exception, match="cannot store TEXT"):
        connection.exec_driver_sql("INSERT INTO block (last, height, time) VALUES (1, 1, 'soon')")


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("change", ["UPDATE mark SET value = value + 1", "DELETE FROM mark"])
def test_a_file_of_another_schema_is_not_touched(town, file, change):
    core = town.open()
    town.settle(core)
    core.stop()
    with closing(sqlite3.connect(town.database.with_name(file))) as connection, connection:
        connection.execute(change + " WHERE name = 'schema'")
    before = town.database.with_name(file).read_bytes()
    with pytest.raises(InvariantBroken) as refused:
        town.open()
    assert refused.value.code == "SCHEMA_VERSION"
    assert refused.value.facts["expected"] == SCHEMA_VERSION
    with closing(sqlite3.connect(town.database.with_name(file), timeout=0)) as connection:
        # Nobody holds it any more.
        assert connection.execute("PRAGMA locking_mode=EXCLUSIVE").fetchone() == ("exclusive",)
        connection.execute("BEGIN EXCLUSIVE")
    assert town.database.with_name(file).read_bytes() == before


def test_what_was_stopped_lies_in_two_files_and_nothing_beside_them(town):
    core = town.open()
    town.settle(core)
    core.stop()
    left = {path.name: path.stat().st_size for path in town.database.parent.iterdir()}
    assert {name for name, size in left.items() if size} == set(FILES)


def test_two_nodes_over_one_log_never_make_it_two(town, monkeypatch):
    """The lock of the data directory keeps a second process out. Were it not there, the log's own keys would:
    the database refuses a second block at one place, and whoever wanted to write it stops.
    """
    monkeypatch.setattr("node.engine.solo._IDLE_SECONDS", 30.0)
    one = town.open()
    town.settle(one)
    one._chain.fold_all()
    other = town.open()
    assert codes_of(submit(one, town.sign(FRESH, "one", town.earn(1)))) == {"OK"}
    leaves = one.read_leaves(0, one.head.size)
    assert refusal_of(other.submit(town.sign(FRESH, "other", town.earn(2)))) == "STOPPING"
    assert not other.is_ready
    other.stop()
    assert codes_of(submit(one, town.sign(FRESH, "two", town.earn(3)))) == {"OK"}
    one.stop()
    again = town.open()
    assert again.read_leaves(0, len(leaves)) == leaves
    assert points_of(again, 1) == 20
    assert again.find_transaction(FRESH, "other") is None


def test_readers_of_one_thread_share_a_connection_and_threads_have_their_own(store):
    readers = store._readers[0]
    seen = {id(readers.get()) for _ in range(5)}
    held = []

    def look() -> None:
        held.append(readers.get())
        assert readers.get() is held[-1]

    for _ in range(3):
        run_threads(look)
    seen |= {id(connection) for connection in held}
    assert len(seen) == 4


def test_a_reader_sees_what_is_committed_and_never_what_is_not(store):
    engine, readers = store._engines[0], store._readers[0]
    count = "SELECT count(*) FROM block"
    with engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO block (last, height, time) VALUES (1, 1, 1)")
        assert readers.get().exec_driver_sql(count).scalar() == 0
    assert readers.get().exec_driver_sql(count).scalar() == 1
