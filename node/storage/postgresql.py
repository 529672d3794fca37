"""PostgreSQL as a ledger's store: one database of its own, with a schema for the log and one for the views.

It is opened only where a commit means the disk has it and a page that a disk has changed is noticed: `fsync`,
`full_page_writes` and data checksums are the server's, `synchronous_commit` is set for each session and read
back. Who writes holds an advisory lock on the very session that writes, so there is one writer; when that
session is lost nothing is written any more, and the node stops as it does when a disk fails.

It does not look after the server: replicas, backups and upgrades are its admin's, and a pooler that hands one
session to several clients must not stand between.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any, Final

from sqlalchemy import BigInteger, Connection, Engine, LargeBinary, MetaData, Table, create_engine
from sqlalchemy.exc import DBAPIError

from ledger.errors import InvariantBroken
from node.keystore import Unusable
from node.storage.database import SCHEMA_MARK, Database, Record, Rows
from node.storage.place import PostgresqlPlace

LOG: Final = "log"
VIEWS: Final = "views"
SETTINGS: Final = {
    "fsync": "on",
    "full_page_writes": "on",
    "data_checksums": "on",
    "ignore_checksum_failure": "off",
    "zero_damaged_pages": "off",
    "synchronous_commit": "on",
    "server_encoding": "UTF8",
}
"""What the promises rest on, as every session must find it."""
_SESSION: Final = {
    "synchronous_commit": "on",
    # A session lasts as long as its node: the writer's lock must not end because nobody sold anything.
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
    "transaction_timeout": "0",
    "jit": "off",
}
_LOCKS: Final = {LOG: 0x636F6D6D6F6E_01, VIEWS: 0x636F6D6D6F6E_02}
"""Advisory locks are a database's own, and a database is one ledger's: two ledgers in one would meet here."""
PATIENCE_SECONDS: Final = 5.0
_TYPES: Final = {BigInteger: "int8", LargeBinary: "bytea"}
_ROWS_MAX: Final = 4_096


def load_driver() -> Any:
    """The driver, which is an extra: a node over SQLite does without. Raises `Unusable`."""
    try:
        return import_module("psycopg")
    except ImportError:
        advice = "Install the driver: pip install 'commonpoint[postgresql]'"
        raise Unusable("POSTGRESQL_DRIVER_MISSING", advice=advice) from None


def connect(place: PostgresqlPlace) -> Any:
    """A new session. Raises `Unusable`."""
    psycopg = load_driver()
    try:
        return psycopg.connect(
            place.address, application_name="commonpoint", client_encoding="UTF8", tcp_user_timeout=30_000
        )
    except psycopg.Error as error:
        advice = "Look at the address (docs/how-to/admin.md) and whether the server runs."
        raise Unusable("DATABASE_UNREACHABLE", advice=advice, reason=tell(error)) from None


def prepare(session: Any, schema: str) -> None:
    """The session is of this schema, and keeps the promises. Raises `InvariantBroken`."""
    known = {name for (name,) in session.execute("SELECT name FROM pg_settings")}
    # Older servers do not know all of them: what they do not know they do not do.
    wanted = {name: value for name, value in _SESSION.items() if name in known}
    session.execute(
        "SELECT " + ", ".join(f"set_config('{name}', '{wanted[name]}', false)" for name in wanted)
    )
    session.execute(f"SET search_path TO {schema}")
    shown = session.execute(
        "SELECT " + ", ".join(f"current_setting('{name}')" for name in SETTINGS)
    ).fetchone()
    session.commit()
    for (name, expected), found in zip(SETTINGS.items(), shown, strict=True):
        if found != expected:
            raise InvariantBroken("DATABASE_NOT_DURABLE", setting=name, expected=expected, found=found)


def open_postgresql(place: PostgresqlPlace, schema: str) -> Engine:
    """An engine over one schema whose every session keeps the promises above."""

    def make() -> Any:
        session = connect(place)
        try:
            prepare(session, schema)
        except BaseException:
            session.close()
            raise
        return session

    load_driver()
    return create_engine("postgresql+psycopg://", creator=make, max_overflow=-1)


class PostgresqlDatabase(Database):
    """One schema, its writer's session, and the lock that it holds."""

    def __init__(self, place: PostgresqlPlace, schema: str, *, is_reader: bool = False) -> None:
        super().__init__(open_postgresql(place, schema), name=schema)
        self._turn = threading.Lock()
        self._session: Any = None
        if is_reader:
            return
        try:
            self._writer = self.engine.connect()
            self._session = self._writer.connection.driver_connection
            self._take_lock()
        except BaseException:
            self.dispose()
            raise

    def _take_lock(self) -> None:
        """This session is the one that writes. Raises `Unusable`."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            with self.begin() as connection:
                if self.run(connection, "SELECT pg_try_advisory_lock(?)", _LOCKS[self.name]).scalar():
                    return
            if time.monotonic() > end:
                advice = "Stop the node that uses this PostgreSQL database first."
                raise Unusable("DATABASE_IN_USE", advice=advice, schema=self.name)
            # The server may not have noticed yet that a node is gone.
            time.sleep(0.02)

    def create(self, tables: MetaData, *, version: int) -> None:
        """A database without the schema has it and its tables."""
        if self.ask("SELECT to_regclass(?)", f"{self.name}.mark").scalar() is not None:
            return
        with self.begin() as connection:
            self.run(connection, f"CREATE SCHEMA IF NOT EXISTS {self.name}")
            tables.create_all(connection)
            for table in tables.sorted_tables:
                for column in table.columns:
                    if isinstance(column.type, LargeBinary):
                        # Leaves are packed already, and hashes cannot be.
                        self.run(
                            connection, f"ALTER TABLE {table.name} ALTER {column.name} SET STORAGE EXTERNAL"
                        )
            self.mark(connection, SCHEMA_MARK, version)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A transaction in the session that holds the lock, and in no other."""
        with self._turn:
            if self._session is None:
                raise InvariantBroken("DATABASE_READ_ONLY", schema=self.name)
            if self._session.closed or self._writer.invalidated:
                # SQLAlchemy would open another session, and that has no lock.
                raise InvariantBroken("DATABASE_SESSION_LOST", schema=self.name)
            with self._writer.begin():
                yield self._writer

    def run(self, connection: Connection, statement: str, *values: Any) -> Rows:
        """The statement with the driver's own placeholders."""
        return connection.exec_driver_sql(translate(statement), values)

    def insert(self, connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """By COPY, in its binary form."""
        if not rows:
            return
        copied = f"COPY {table.name} ({', '.join(table.columns.keys())}) FROM STDIN (FORMAT BINARY)"
        session: Any = connection.connection.driver_connection
        with _report_as_sqlalchemy(copied), session.cursor() as cursor, cursor.copy(copied) as copy:
            copy.set_types(_get_types(table))
            for row in rows:
                copy.write_row(row)

    def insert_missing(self, connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """As arrays, one a column."""
        self._insert_arrays(connection, table, rows, "ON CONFLICT DO NOTHING")

    def put(self, connection: Connection, table: Table, records: Sequence[Record]) -> None:
        """As two arrays."""
        conflict = "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        self._insert_arrays(connection, table, records, conflict)

    def remove(self, connection: Connection, table: Table, keys: Sequence[str]) -> None:
        """Found by an array of keys."""
        if keys:
            connection.exec_driver_sql(f"DELETE FROM {table.name} WHERE key = ANY(%b)", (list(keys),))

    def load(self, connection: Connection, table: Table, keys: Sequence[str]) -> Iterable[Record]:
        """Likewise."""
        found: Any = connection.exec_driver_sql(
            f"SELECT key, value FROM {table.name} WHERE key = ANY(%b)", (list(keys),)
        )
        return found  # type: ignore[no-any-return]  # rows are tuples

    def close(self) -> None:
        """The lock is given back with its session."""
        self.dispose()

    def dispose(self) -> None:
        """No session is held."""
        writer = getattr(self, "_writer", None)
        if writer is not None and not writer.closed:
            # It goes, and not back to the pool: with it goes the lock.
            writer.invalidate()
            writer.close()
        super().dispose()

    @staticmethod
    def _insert_arrays(
        connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]], conflict: str
    ) -> None:
        arrays = ", ".join(f"%b::{kind}[]" for kind in _get_types(table))
        names = ", ".join(table.columns.keys())
        statement = f"INSERT INTO {table.name} ({names}) SELECT * FROM unnest({arrays}) {conflict}"
        for start in range(0, len(rows), _ROWS_MAX):
            some = rows[start : start + _ROWS_MAX]
            connection.exec_driver_sql(statement, tuple(map(list, zip(*some, strict=True))))


@cache
def translate(statement: str) -> str:
    """Our statements hold neither literal question marks nor per cent signs."""
    return statement.replace("?", "%s")


def _get_types(table: Table) -> list[str]:
    return [
        next((name for kind, name in _TYPES.items() if isinstance(column.type, kind)), "text")
        for column in table.columns
    ]


@contextmanager
def _report_as_sqlalchemy(statement: str) -> Iterator[None]:
    """What the driver itself raises is raised as SQLAlchemy does, with neither values nor address in it."""
    psycopg = load_driver()
    try:
        yield
    except psycopg.Error as error:
        raise DBAPIError.instance(statement, None, error, psycopg.Error) from error


def tell(error: BaseException) -> str:
    """The driver's own first line, in which there is never a password."""
    return str(error).strip().split("\n", maxsplit=1)[0]
