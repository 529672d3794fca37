"""A database as the rest of the storage sees it: what can be asked of it, whichever makes keep it.

Most of it is said in SQL that both makes read, with ``?`` where a value goes. What each does in a way of its
own (many rows at once, opening, closing) is a method here, and has its home in `node.storage.sqlite` and
`node.storage.postgresql`; nothing outside them asks which one it is.

Either promises that a transaction of `begin` is on the disk when it ends well. One that cannot is not opened.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final
from weakref import WeakSet

from sqlalchemy import Connection, CursorResult, Engine, MetaData, Table

Record = tuple[str, bytes]
"""A state record as stored: key, value."""


Rows = CursorResult[*tuple[Any, ...]]
"""What a statement brought."""
SCHEMA_MARK: Final = "schema"


class Readers:
    """One open reading connection a thread: a look-up costs its query and no more.

    Servers start and end threads as they please; with a thread its connection goes back to the pool.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._local = threading.local()
        self._lock = threading.Lock()
        self._all: WeakSet[Connection] = WeakSet()

    def get(self) -> Connection:
        """This thread's connection; each statement on it sees what is committed by then."""
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            self._local.connection = connection
            with self._lock:
                self._all.add(connection)
        return connection

    def close(self) -> None:
        """Every thread's connection is closed."""
        with self._lock:
            for connection in list(self._all):
                connection.close()
            self._all.clear()


class Database(ABC):
    """One of a ledger's two databases: the log or the views."""

    def __init__(self, engine: Engine, *, name: str) -> None:
        self.engine = engine
        self.readers = Readers(engine)
        self.name = name

    @abstractmethod
    def create(self, tables: MetaData, *, version: int) -> None:
        """Where there was nothing the tables are there, marked as of this version: all of it or nothing."""

    @abstractmethod
    def begin(self) -> AbstractContextManager[Connection]:
        """A transaction: all of it is durable when the block ends, none of it where that raises."""

    @abstractmethod
    def run(self, connection: Connection, statement: str, *values: Any) -> Rows:
        """A statement within a transaction."""

    def mark(self, connection: Connection, name: str, value: int) -> None:
        """A number under a name, in the place of what stood there."""
        self.run(
            connection,
            "INSERT INTO mark (name, value) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            name,
            value,
        )

    def read_mark(self, name: str) -> int | None:
        """The number under a name, or None."""
        row = self.ask("SELECT value FROM mark WHERE name = ?", name).one_or_none()
        return None if row is None else int(row[0])

    def ask(self, statement: str, *values: Any) -> Rows:
        """A statement on this thread's own connection: what is committed by then."""
        return self.run(self.readers.get(), statement, *values)

    def fetch(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows that `ask` brings, as plain tuples: for what is asked with every transaction."""
        return [tuple(row) for row in self.ask(statement, *values)]

    @abstractmethod
    def insert(self, connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """New rows, of all the table's columns in their order. One that is there already fails."""

    @abstractmethod
    def insert_missing(self, connection: Connection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
        """The same; those that are there already stay."""

    @abstractmethod
    def put(self, connection: Connection, table: Table, records: Sequence[Record]) -> None:
        """These records of a state table, in the place of those with the same keys."""

    @abstractmethod
    def remove(self, connection: Connection, table: Table, keys: Sequence[str]) -> None:
        """No records of a state table under these keys."""

    @abstractmethod
    def load(self, connection: Connection, table: Table, keys: Sequence[str]) -> Iterable[Record]:
        """The records of a state table under these keys that exist."""

    def close(self) -> None:
        """Everything is brought home, and nothing held any more."""
        self.dispose()

    def dispose(self) -> None:
        """Nothing is held any more, whatever state it is in."""
        self.readers.close()
        self.engine.dispose()
