"""The files themselves: opened so that a commit means the disk has it, of one schema, for one writer."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError

from ledger.errors import InvariantBroken
from ledger.executor import make_tables
from node.storage.schema import LOG_VERSION, VIEWS_VERSION, Schema
from node.storage.sqlite import open_sqlite
from node.storage.store import VIEWS_FILE, open_store
from tests.contracts.cast import FRESH
from tests.node.engine.town import RULEBOOK, codes_of, points_of, refusal_of, run_threads, submit

FILES = ("ledger.db", VIEWS_FILE)
EXPECTED = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "trusted_schema": 0}


@pytest.fixture
def sqlite_store(tmp_path):
    store = open_store(tmp_path / "ledger.db", RULEBOOK)
    yield store
    store.close()


def test_every_connection_to_sqlite_keeps_the_promise_of_durability(sqlite_store):
    for database in sqlite_store._databases:
        held = [database.engine.connect() for _ in range(7)]
        for connection in [*held, database.readers.get()]:
            found = {name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in EXPECTED}
            assert found == EXPECTED
        for connection in held:
            connection.close()


def test_an_sqlite_database_that_cannot_promise_it_is_not_opened(tmp_path):
    # A file system that knows no locks has no write-ahead log: SQLite keeps to what it had and says nothing.
    engine = open_sqlite(Path(f"file:{tmp_path}/ledger.db?nolock=1&uri=true"))
    with pytest.raises(InvariantBroken) as refused:
        engine.connect()
    assert refused.value.code == "DATABASE_NOT_DURABLE"
    assert refused.value.facts == {"setting": "journal_mode", "expected": "wal", "found": "delete"}


def test_all_tables_of_sqlite_are_strict(sqlite_store, tmp_path):
    schema = Schema(make_tables(RULEBOOK))
    for file, metadata in zip(FILES, (schema.log, schema.views), strict=True):
        with closing(sqlite3.connect(tmp_path / file)) as connection:
            found = {
                name: strict
                for _, name, kind, _, _, strict in connection.execute("PRAGMA table_list")
                if kind == "table" and not name.startswith("sqlite_")
            }
        assert found == dict.fromkeys(metadata.tables, 1)
    with (
        sqlite_store._databases[0].engine.connect() as connection,
        pytest.raises(Exception, match="cannot store TEXT"),
    ):
        connection.exec_driver_sql("INSERT INTO block (last, height, time) VALUES (1, 1, 'soon')")


@pytest.mark.usefixtures("store")
def test_every_table_is_there(make, place):
    schema = Schema(make_tables(RULEBOOK))
    assert make.list_tables(place) == set(schema.log.tables)
    assert make.list_tables(place, views=True) == set(schema.views.tables)
    assert {f"state_{name}" for name in make_tables(RULEBOOK)} < set(schema.views.tables)


@pytest.mark.parametrize("views", [False, True], ids=["log", "views"])
@pytest.mark.parametrize("change", ["UPDATE mark SET value = value + 1", "DELETE FROM mark"])
def test_a_store_of_another_schema_is_not_touched(kept_town, make, views, change):
    place = kept_town.database
    core = kept_town.open()
    kept_town.settle(core)
    core.stop()
    assert make.write(place, f"{change} WHERE name = 'schema'", views=views) == 1
    before = read_all(make, place, views=views)
    with pytest.raises(InvariantBroken) as refused:
        kept_town.open()
    assert refused.value.code == "SCHEMA_VERSION"
    assert refused.value.facts["expected"] == (VIEWS_VERSION if views else LOG_VERSION)
    make.check_let_go(place)
    assert read_all(make, place, views=views) == before


def read_all(make, place, *, views):
    tables = sorted(make.list_tables(place, views=views))
    return {table: sorted(make.read(place, f"SELECT * FROM {table}", views=views)) for table in tables}


def test_what_was_stopped_lies_in_two_files_and_nothing_beside_them(town):
    core = town.open()
    town.settle(core)
    core.stop()
    left = {path.name: path.stat().st_size for path in town.database.parent.iterdir()}
    assert {name for name, size in left.items() if size} == set(FILES)


def failure_of(core):
    """What keeps a node from folding its last blocks: met by its engine while it was idle, or by the stop."""
    try:
        core.stop()
    except InvariantBroken as error:
        return error
    return core._engine.failure


def test_two_nodes_over_one_sqlite_log_never_make_it_two(town, monkeypatch):
    """The lock of the data directory keeps a second process out. Were it not there, the log's own keys would:
    the database refuses a second block at one place, and whoever wanted to write it stops. The views are for
    the node that came last.
    """
    for seconds in ("_IDLE_SECONDS", "_QUIET_SECONDS"):
        monkeypatch.setattr(f"node.engine.solo.{seconds}", 30.0)
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
    assert str(failure_of(one)).startswith("FOLD_WRITER_REPLACED")
    town._opened.clear()
    again = town.open()
    assert again.read_leaves(0, len(leaves)) == leaves
    assert points_of(again, 1) == 20
    assert again.find_transaction(FRESH, "other") is None


def test_readers_of_one_thread_share_a_connection_and_threads_have_their_own(store):
    readers = store._databases[0].readers
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
    database = store._databases[0]
    count = "SELECT count(*) FROM block"
    with database.begin() as connection:
        database.run(connection, "INSERT INTO block (last, height, time) VALUES (1, 1, 1)")
        assert database.ask(count).scalar() == 0
    assert database.ask(count).scalar() == 1


#   more and fewer than a statement takes, and every way of cutting the rest
@pytest.mark.parametrize("count", [0, 1, 2, 3, 1_023, 1_024, 1_025, 4_095, 4_097, 10_000])
def test_however_many_rows_go_in_at_once_all_of_them_are_there(store, count):
    database, table = store._databases[1], Schema(store.tables).state["tally"]
    records = [(f"key-{number:05d}", b"%d" % number) for number in range(count)]
    with database.begin() as connection:
        database.put(connection, table, records)
        database.put(connection, table, [(key, value + b"0") for key, value in records[::3]])
        found = {row[0]: row[1] for row in database.load(connection, table, [key for key, _ in records])}
        assert found == {key: value + b"0" * (place % 3 == 0) for place, (key, value) in enumerate(records)}
        database.remove(connection, table, [key for key, _ in records[::2]])
    rows = database.ask("SELECT key FROM state_tally ORDER BY key").all()
    assert [row[0] for row in rows] == [key for key, _ in records[1::2]]


def test_new_rows_are_refused_or_left_out_where_they_are_there_already(store):
    database, table = store._databases[1], Schema(store.tables).leaving
    with database.begin() as connection:
        database.insert(connection, table, [(1, "a"), (2, "b")])
        database.insert_missing(connection, table, [(2, "b"), (3, "c")])
    with pytest.raises(IntegrityError), database.begin() as connection:
        database.insert(connection, table, [(4, "d"), (3, "c")])
    assert database.ask("SELECT hour, key FROM leaving ORDER BY hour").all() == [(1, "a"), (2, "b"), (3, "c")]


def test_keys_stand_in_the_order_of_their_bytes(store):
    database, table = store._databases[1], Schema(store.tables).state["tally"]
    keys = ["B", "a", "Z|1", "Z1", "_", "é", "通", "e", "0", "-", "aB", "ab", "\U0001f600", "\uffee"]
    with database.begin() as connection:
        database.put(connection, table, [(key, b"1") for key in keys])
    found = [row[0] for row in database.ask("SELECT key FROM state_tally ORDER BY key")]
    assert found == sorted(keys) == sorted(keys, key=str.encode)
    below = [row[0] for row in database.ask("SELECT key FROM state_tally WHERE key < ? ORDER BY key", "a")]
    assert below == [key for key in sorted(keys) if key < "a"]
