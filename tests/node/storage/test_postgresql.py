"""PostgreSQL as a store: refused where it cannot keep a promise, one writer, the same ledger as in SQLite."""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ledger.errors import InvariantBroken
from node.audit.sources import SourceUnavailable
from node.audit.verify import verify_ledger
from node.keystore import Unusable
from node.storage.place import PostgresqlPlace, format_place, parse_place
from node.storage.postgresql import SETTINGS
from node.storage.snapshot import Snapshot
from node.storage.store import open_store
from tests.contracts.cast import FRESH
from tests.node.engine.story import Story
from tests.node.engine.town import RULEBOOK, Town, codes_of, refusal_of, submit
from tests.node.postgres import run_statement
from tests.node.storage.makes import PostgresqlMake, SqliteMake, spread_chunks

SECRET = "correct-horse"


@pytest.fixture
def place(postgres_server):
    """An empty database."""
    place = postgres_server.make()
    yield place
    postgres_server.take_back(place)


@pytest.fixture
def kept(place, town):
    """The town, kept there."""
    town.database = place
    return town


@pytest.fixture(autouse=True)
def impatience(monkeypatch):
    monkeypatch.setattr("node.storage.postgresql.PATIENCE_SECONDS", 0.5)


def change_default(place: PostgresqlPlace, setting: str, value: str) -> None:
    """What sessions of this database find from now on."""
    name = conninfo_to_dict(place.address)["dbname"]
    run_statement(place, "public", f"ALTER DATABASE {name} SET {setting} = {value}")


# Promises.


@pytest.mark.parametrize("setting", ["zero_damaged_pages", "ignore_checksum_failure"])
def test_a_database_that_passes_over_damage_is_not_opened(place, setting):
    change_default(place, setting, "on")
    with pytest.raises(InvariantBroken) as refused:
        open_store(place, RULEBOOK)
    change_default(place, setting, "off")
    assert refused.value.code == "DATABASE_NOT_DURABLE"
    assert refused.value.facts == {"setting": setting, "expected": "off", "found": "on"}
    open_store(place, RULEBOOK).close()


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
def test_a_server_that_does_not_wait_for_its_disk_is_not_written_to(place, setting):
    if "DATABASE_URL" in os.environ:
        pytest.skip("the server is somebody's: its settings are not changed")
    try:
        change_server(place, f"ALTER SYSTEM SET {setting} = off", setting, "off")
        with pytest.raises(InvariantBroken) as refused:
            open_store(place, RULEBOOK)
    finally:
        change_server(place, f"ALTER SYSTEM RESET {setting}", setting, "on")
    assert (refused.value.code, refused.value.facts["setting"]) == ("DATABASE_NOT_DURABLE", setting)


def change_server(place, statement: str, setting: str, expected: str) -> None:
    run_statement(place, "public", statement)
    run_statement(place, "public", "SELECT pg_reload_conf()")
    end = time.monotonic() + 10
    while run_statement(place, "public", f"SHOW {setting}") != [(expected,)]:
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("setting", SETTINGS)
def test_whatever_a_promise_rests_on_is_looked_at(place, monkeypatch, setting):
    """The settings that no test can change, such as data checksums, are compared like all others."""
    monkeypatch.setitem(SETTINGS, setting, "otherwise")
    with pytest.raises(InvariantBroken, match="DATABASE_NOT_DURABLE") as refused:
        open_store(place, RULEBOOK)
    assert refused.value.facts["setting"] == setting


def test_text_that_is_not_unicode_is_not_kept(place):
    name = conninfo_to_dict(place.address)["dbname"] + "_ascii"
    with psycopg.connect(place.address, autocommit=True) as session:
        session.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
        with pytest.raises(InvariantBroken, match="DATABASE_NOT_DURABLE") as refused:
            open_store(PostgresqlPlace(make_conninfo(place.address, dbname=name)), RULEBOOK)
        session.execute(f"DROP DATABASE {name} WITH (FORCE)")
    assert refused.value.facts["setting"] == "server_encoding"


def test_our_sessions_wait_for_the_disk_though_others_need_not(place):
    change_default(place, "synchronous_commit", "off")
    change_default(place, "idle_session_timeout", "'1s'")
    store = open_store(place, RULEBOOK)
    for database in store._databases:
        with database.begin() as connection:
            assert database.run(connection, "SHOW synchronous_commit").scalar() == "on"
            assert database.run(connection, "SHOW idle_session_timeout").scalar() == "0"
        assert database.ask("SHOW synchronous_commit").scalar() == "on"
    store.close()
    change_default(place, "synchronous_commit", "DEFAULT")
    change_default(place, "idle_session_timeout", "DEFAULT")


def test_a_server_that_is_not_there_is_told_without_the_password():
    place = PostgresqlPlace(f"host=127.0.0.1 port=1 user=points password={SECRET} dbname=points")
    with pytest.raises(Unusable) as refused:
        open_store(place, RULEBOOK)
    assert refused.value.code == "DATABASE_UNREACHABLE"
    with pytest.raises(SourceUnavailable) as unread:
        Snapshot(place)
    assert unread.value.code == "DATABASE_UNREACHABLE"
    for said in (refused.value, unread.value, place, refused.value.advice):
        assert SECRET not in str(said) + repr(said)
    assert parse_place(format_place(place)) == place


def test_without_its_driver_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for use in (lambda place: open_store(place, RULEBOOK), Snapshot):
        with pytest.raises(Unusable, match="POSTGRESQL_DRIVER_MISSING") as refused:
            use(PostgresqlPlace("host=db.example"))
        assert "commonpoint[postgresql]" in refused.value.advice


# One writer.


def test_a_second_node_is_turned_away_and_the_first_goes_on(kept, place):
    one = kept.open()
    kept.settle(one)
    with pytest.raises(Unusable) as refused:
        kept.open()
    assert refused.value.code == "DATABASE_IN_USE"
    assert codes_of(submit(one, kept.sign(FRESH, "one", kept.earn(1)))) == {"OK"}
    one.stop()
    assert kept.open().is_ready
    assert len(run_statement(place, "log", "SELECT * FROM pg_locks WHERE locktype = 'advisory'")) == 2


def test_who_only_reads_needs_no_lock_and_writes_nothing(kept, place):
    core = kept.open()
    kept.settle(core)
    reader = open_store(place, RULEBOOK, is_reader=True)
    assert reader.log.read_leaves(0, reader.log.size) == core.read_leaves(0, core.head.size)
    with pytest.raises(InvariantBroken, match="DATABASE_READ_ONLY"):
        reader.fold.clear()
    reader.close()


@pytest.mark.parametrize("schema", ["log", "views"])
def test_a_node_whose_session_is_lost_stops_and_never_goes_on_without_its_lock(kept, place, schema):
    core = kept.open()
    kept.settle(core)
    core._chain.fold_all()
    database = core._chain.store._databases[("log", "views").index(schema)]
    run_statement(place, "log", "SELECT pg_terminate_backend(?)", database._session.info.backend_pid)
    future = core.submit(kept.sign(FRESH, "one", kept.earn(1)))
    if schema == "log":
        assert refusal_of(future) == "STOPPING"
    else:
        # The block is durable; the fold is not written, and the engine stops at its next step.
        assert future.result(10).height == core.head.height
        with pytest.raises(Exception, match=r"terminat|DATABASE_SESSION_LOST"):
            core._chain.fold_all()
    with pytest.raises(InvariantBroken, match="DATABASE_SESSION_LOST"), database.begin():
        pass
    kept._opened.clear()
    core._engine.close_intake()
    for each in core._chain.store._databases:
        each.dispose()
    again = kept.open()
    assert codes_of(submit(again, kept.sign(FRESH, "one", kept.earn(1)))) == {"OK"}


# The same ledger.


def test_the_same_transactions_come_to_the_same_root_and_records_in_either(postgres_server, place, tmp_path):
    found = []
    for make, where in (
        (SqliteMake(), SqliteMake().make(tmp_path / "kept")),
        (PostgresqlMake(postgres_server), place),
    ):
        town = Town(tmp_path, kind="simulated")
        town.database = where
        core = town.open()
        for at, transactions in Story(town, 4).tell(days=20):
            for data in transactions:
                core.submit(data)
            core.cut_block(at)
        leaves = core.read_leaves(0, core.head.size)
        town.close()
        tables = make.list_tables(where, views=True)
        records = {
            table: spread_chunks(table, make.read(where, f"SELECT * FROM {table}", views=True))
            for table in tables
        }
        found.append((core.checkpoint, leaves, records))
    assert found[0] == found[1]
    assert len(found[0][1]) > 300


# The audit.


def test_an_audit_sees_one_moment_writes_nothing_and_is_good(kept, place):
    core = kept.open()
    kept.settle(core)
    core._chain.fold_all()
    with Snapshot(place) as snapshot:
        size = snapshot.read_size()
        submit(core, kept.sign(FRESH, "one", kept.earn(1)))
        core._chain.fold_all()
        report = verify_ledger(snapshot, stored=snapshot)
        assert (report.first_bad, report.size, snapshot.read_size()) == (None, size, size)
        assert report.records > 10
        with pytest.raises(SourceUnavailable, match="DATABASE_UNREADABLE"):
            list(snapshot._rows("DELETE FROM views.mark RETURNING 1"))
    assert core.head.size > size


#   what is done to the database, and what the audit calls it
CHANGES = [
    ("UPDATE log.segment SET data = substr(data, 1, length(data) - 1) WHERE first = 23", "LEAVES_MISSING"),
    ("DELETE FROM log.segment WHERE first = 23", "LEAVES_MISSING"),
    ("UPDATE views.state_member SET value = value || ' '::bytea", "RECORD_DIFFERS"),
    ("DELETE FROM views.history", "LOOKUP_MISSING"),
    ("DELETE FROM log.note", "CHECKPOINT_MISSING"),
    ("UPDATE log.block SET time = time + 1 WHERE height = 2", "BLOCK_PLACE_DIFFERS"),
]


@pytest.mark.parametrize(("statement", "check"), CHANGES)
def test_what_somebody_with_a_shell_changed_is_found(kept, place, statement, check):
    kept.settle(kept.open())
    kept.close()
    firsts = [first for (first,) in run_statement(place, "log", "SELECT first FROM segment ORDER BY first")]
    run_statement(place, "log", statement.replace("23", str(firsts[1])))
    with Snapshot(place) as snapshot:
        assert verify_ledger(snapshot, stored=snapshot).first_bad.check == check


def test_a_page_that_a_disk_has_changed_is_found_and_is_bad(kept, place):
    """Past PostgreSQL: its own checksum tells, and the audit gives a verdict."""
    if "DATABASE_URL" in os.environ:
        pytest.skip("the server is somebody's: its files are not changed")
    kept.settle(kept.open())
    kept.close()
    run_statement(place, "log", "CHECKPOINT")
    folder, path = run_statement(
        place, "log", "SELECT current_setting('data_directory'), pg_relation_filepath('block')"
    )[0]
    with (Path(folder) / path).open("r+b") as file:
        file.seek(8_100)
        byte = file.read(1)
        file.seek(8_100)
        file.write(bytes([byte[0] ^ 1]))
    # What the server still holds in memory is whole: it has to read the page again.
    run_statement(place, "log", "CREATE EXTENSION IF NOT EXISTS pg_buffercache SCHEMA public")
    run_statement(place, "log", "SELECT public.pg_buffercache_evict_all()")
    with Snapshot(place) as snapshot:
        assert verify_ledger(snapshot, stored=snapshot).first_bad.check == "DATABASE_MALFORMED"


def test_sqlite_is_what_a_path_means(tmp_path):
    open_store(tmp_path / "ledger.db", RULEBOOK).close()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        assert connection.execute("SELECT name FROM mark").fetchall() == [("schema",)]
