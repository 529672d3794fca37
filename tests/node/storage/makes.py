"""The two makes of store, as somebody with a shell sees them: new, copied, read, written and robbed."""

from __future__ import annotations

import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg

from node.storage.chunks import read_chunk
from node.storage.packing import pack, unpack
from node.storage.place import PostgresqlPlace
from node.storage.store import VIEWS_FILE
from tests.node.postgres import PostgresServer, run_statement

Rows = list[tuple[Any, ...]]


class SqliteMake:
    """Two files in a folder."""

    def make(self, folder: Path) -> Path:
        """Where a new ledger can be kept."""
        folder.mkdir(exist_ok=True)
        return folder / "ledger.db"

    def take_back(self, place: Path) -> None:
        """Nobody needs it any more."""

    def copy(self, place: Path, folder: Path) -> Path:
        """The same ledger elsewhere. No node uses it."""
        shutil.copytree(place.parent, folder)
        return folder / place.name

    def read(self, place: Path, statement: str, *values: Any, views: bool = False) -> Rows:
        with closing(sqlite3.connect(self._find(place, views))) as connection:
            return connection.execute(statement, values).fetchall()

    def write(self, place: Path, statement: str, *values: Any, views: bool = False) -> int:
        """How many rows it concerned."""
        with closing(sqlite3.connect(self._find(place, views))) as connection, connection:
            return connection.execute(statement, values).rowcount

    def list_tables(self, place: Path, *, views: bool = False) -> set[str]:
        return {
            name
            for (name,) in self.read(
                place, "SELECT name FROM sqlite_master WHERE type = 'table'", views=views
            )
        }

    def forget_views(self, place: Path) -> None:
        """As if the log had been restored alone: everything after the genesis is executed again."""
        for file in place.parent.glob(f"{VIEWS_FILE}*"):
            file.unlink()

    def take_views(self, place: Path, other: Path) -> None:
        """The views are those of another ledger."""
        shutil.copy(other.with_name(VIEWS_FILE), place.with_name(VIEWS_FILE))

    def check_let_go(self, place: Path) -> None:
        """Nobody holds the files: they can be taken exclusively."""
        for views in (False, True):
            with closing(sqlite3.connect(self._find(place, views), timeout=0)) as connection:
                assert connection.execute("PRAGMA locking_mode=EXCLUSIVE").fetchone() == ("exclusive",)
                connection.execute("BEGIN EXCLUSIVE")

    @staticmethod
    def _find(place: Path, views: bool) -> Path:
        return place.with_name(VIEWS_FILE) if views else place


class PostgresqlMake:
    """Two schemas of a database."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def make(self, folder: Path) -> PostgresqlPlace:
        folder.mkdir(exist_ok=True)
        return self._server.make()

    def take_back(self, place: PostgresqlPlace) -> None:
        self._server.take_back(place)

    def copy(self, place: PostgresqlPlace, folder: Path) -> PostgresqlPlace:
        folder.mkdir(exist_ok=True)
        return self._server.copy(place)

    def read(self, place: PostgresqlPlace, statement: str, *values: Any, views: bool = False) -> Rows:
        return run_statement(place, self._name(views), statement, *values)

    def write(self, place: PostgresqlPlace, statement: str, *values: Any, views: bool = False) -> int:
        return len(run_statement(place, self._name(views), f"{statement} RETURNING 1", *values))

    def list_tables(self, place: PostgresqlPlace, *, views: bool = False) -> set[str]:
        statement = "SELECT tablename FROM pg_tables WHERE schemaname = ?"
        return {name for (name,) in self.read(place, statement, self._name(views))}

    def forget_views(self, place: PostgresqlPlace) -> None:
        run_statement(place, "views", "DROP SCHEMA IF EXISTS views CASCADE")

    def take_views(self, place: PostgresqlPlace, other: PostgresqlPlace) -> None:
        with psycopg.connect(place.address) as into, psycopg.connect(other.address) as source:
            for table in self.list_tables(place, views=True):
                rows = source.execute(f"SELECT * FROM views.{table}").fetchall()
                into.execute(f"TRUNCATE views.{table}")
                with into.cursor().copy(f"COPY views.{table} FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)

    def check_let_go(self, place: PostgresqlPlace) -> None:
        """Nobody has a session, or a lock, but whoever asks."""
        statement = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND"
            " pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
        end = time.monotonic() + 5
        while self.read(place, statement) != [(0,)]:
            # The server takes a moment to notice that a session was ended.
            assert time.monotonic() < end

    @staticmethod
    def _name(views: bool) -> str:
        return "views" if views else "log"


Make = SqliteMake | PostgresqlMake


def spread_chunks(table: str, rows: Rows) -> Rows:
    """The rows of a table in order; of the look-ups that are kept in chunks the entries, since how many a
    chunk holds is a matter of when it was folded.
    """
    if table not in ("history", "lookup_reference"):
        return sorted(rows)
    return sorted(row for place, data in rows for row in read_chunk(place, data))


def change_leaves(path: Path, old: bytes, new: bytes) -> None:
    """As whoever can write the file may do: leaves that hold these bytes hold others, and pack as well."""
    changed = 0
    with closing(sqlite3.connect(path)) as connection, connection:
        for first, row in connection.execute("SELECT first, data FROM segment").fetchall():
            leaves = unpack(row)
            changed += leaves.count(old)
            values = pack(leaves.replace(old, new)), first
            connection.execute("UPDATE segment SET data = ? WHERE first = ?", values)
    assert changed
