"""Opening the database so that a commit means the disk has it.

SQLite runs with a write-ahead log and ``synchronous=FULL``; both are set on every connection, read back and
checked, because a pragma that does not take is silent. Power-loss enumeration found acknowledged commits lost
with NORMAL and none with FULL. A database that cannot promise this is not opened.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from weakref import WeakSet

from sqlalchemy import Connection, Engine, create_engine, event

from ledger.codec import encode
from ledger.errors import InvariantBroken

_PRAGMAS = {
    "journal_mode": ("WAL", "wal"),
    "synchronous": ("FULL", 2),
    "foreign_keys": ("ON", 1),
    "trusted_schema": ("OFF", 0),
}


_ROWS_AT_A_TIME = 4_096


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


def write_rows(connection: Connection, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
    """Run a statement over many rows, given to it as one JSON array that it reads with ``json_each(?)``.

    Row by row the driver would take and release the interpreter's lock each time, and a thread that writes
    beside a busy one would wait for it at every row. Like this it lets go of it for thousands of rows.
    """
    for start in range(0, len(rows), _ROWS_AT_A_TIME):
        data = encode(rows[start : start + _ROWS_AT_A_TIME]).decode()
        connection.exec_driver_sql(statement, (data,))


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
        for name, (wanted, expected) in _PRAGMAS.items():
            cursor.execute(f"PRAGMA {name}={wanted}")
            (found,) = cursor.execute(f"PRAGMA {name}").fetchone()
            if found != expected:
                raise InvariantBroken("DATABASE_NOT_DURABLE", pragma=name, expected=expected, found=found)
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql("BEGIN")

    return engine
