"""SQLite as a ledger's store: two files, opened so that a commit means the disk has it.

It runs with a write-ahead log and ``synchronous=FULL``; both are set on every connection, read back and
checked, because a pragma that does not take is silent. Power-loss enumeration found acknowledged commits lost
with NORMAL and none with FULL. A file system that cannot promise this gets no database.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, MetaData, Table, create_engine, event, inspect

from ledger.codec import encode
from ledger.errors import InvariantBroken
from node.storage.database import SCHEMA_MARK, Database, Record, Rows

PRAGMAS: Final = {
    "journal_mode": ("WAL", "wal"),
    "synchronous": ("FULL", 2),
    "foreign_keys": ("ON", 1),
    "trusted_schema": ("OFF", 0),
}
_ROWS_MAX: Final = 1_024
"""A statement's rows, at most: with five columns a sixth of the values that SQLite takes."""


def open_sqlite(path: Path) -> Engine:
    """An engine over one SQLite file whose every connection keeps the promises above."""
    engine = create_engine(
        f"sqlite:///{path}", connect_args={"check_same_thread": False, "timeout": 30}, max_overflow=-1
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        # The driver's own implicit transactions are switched off; SQLAlchemy's `begin` below is the only one.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA cache_size=-65536")
        for name, (wanted, expected) in PRAGMAS.items():
            cursor.execute(f"PRAGMA {name}={wanted}")
            (found,) = cursor.execute(f"PRAGMA {name}").fetchone()
            if found != expected:
                raise InvariantBroken("DATABASE_NOT_DURABLE", setting=name, expected=expected, found=found)
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql("BEGIN")

    return engine


class SqliteDatabase(Database):
    """One file. Writers take turns by SQLite's own lock."""

    def __init__(self, path: Path) -> None:
        super().__init__(open_sqlite(path), name=path.name)

    def create(self, tables: MetaData, *, version: int) -> None:
        """A file that is new has its tables."""
        if not inspect(self.engine).has_table("mark"):
            with self.begin() as connection:
                tables.create_all(connection)
                self.mark(connection, SCHEMA_MARK, version)

    def begin(self) -> AbstractContextManager[Connection]:
        """A transaction on a connection of its own."""
        return self.engine.begin()

    def run(self, connection: Connection, statement: str, *values: Any) -> Rows:
        """The statement as it is."""
        return connection.exec_driver_sql(statement, values)

    def fetch(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """By the driver itself: a look-up takes a tenth of the time."""
        rows: list[tuple[Any, ...]] = _get_driver(self.readers.get()).execute(statement, values).fetchall()
        return rows

    def insert(self, connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """Many rows a statement."""
        _insert(connection, table, rows, "")

    def insert_missing(self, connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """Many rows a statement."""
        _insert(connection, table, rows, " ON CONFLICT DO NOTHING")

    def put(self, connection: Connection, table: Table, records: Sequence[Record]) -> None:
        """Many records a statement."""
        _insert(connection, table, records, " ON CONFLICT (key) DO UPDATE SET value = excluded.value")

    def remove(self, connection: Connection, table: Table, keys: Sequence[str]) -> None:
        """Found by a list of keys that is one JSON array."""
        if keys:
            connection.exec_driver_sql(
                f"DELETE FROM {table.name} WHERE key IN (SELECT value FROM json_each(?))",
                (encode(keys).decode(),),
            )

    def load(self, connection: Connection, table: Table, keys: Sequence[str]) -> Iterable[Record]:
        """Likewise."""
        found: Iterable[Record] = _get_driver(connection).execute(
            f"SELECT key, value FROM {table.name} WHERE key IN (SELECT value FROM json_each(?))",
            (encode(keys).decode(),),
        )
        return found

    def close(self) -> None:
        """The write-ahead log is folded into the file."""
        try:
            self.readers.close()
            with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self.dispose()


def _get_driver(connection: Connection) -> sqlite3.Connection:
    """The driver's own connection."""
    driver: Any = connection.connection.driver_connection
    return driver  # type: ignore[no-any-return]


def _insert(connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]], conflict: str) -> None:
    """Rows one by one would take the driver twice as long, and let go of the interpreter's lock each time: a
    thread that writes beside a busy one would wait for it at every row.
    """
    names = tuple(table.columns.keys())
    for some in _cut(rows):
        statement = _format_insert(table.name, names, len(some), conflict)
        connection.exec_driver_sql(statement, tuple(chain.from_iterable(some)))


def _cut(rows: Sequence[tuple[Any, ...]]) -> Iterator[Sequence[tuple[Any, ...]]]:
    """In parts whose sizes are powers of two: so few statements are made that SQLite keeps them compiled."""
    start, size = 0, _ROWS_MAX
    while start < len(rows):
        while size > len(rows) - start:
            size >>= 1
        yield rows[start : start + size]
        start += size


@cache
def _format_insert(table: str, columns: tuple[str, ...], rows: int, conflict: str) -> str:
    row = f"({', '.join('?' * len(columns))})"
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES {', '.join([row] * rows)}{conflict}"
