"""One moment of a ledger's two SQLite files: one read transaction over both, and nothing can be written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.exc import DatabaseError

from ledger.errors import InvalidBlock
from node.audit.sources import SourceUnavailable
from node.storage.moment import Row
from node.storage.store import VIEWS_FILE

_NO_VERDICT: Final = frozenset(
    {
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_AUTH,
    }
)
"""What says nothing about the data: it was not reached."""


class SqliteMoment:
    """Two files as of the moment they were opened. Raises `SourceUnavailable` or, for a broken one,
    `InvalidBlock`.
    """

    marks = ("main.mark", "views.mark")

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise SourceUnavailable("DATABASE_MISSING", path=str(path))
        views = path.with_name(VIEWS_FILE)
        self.has_views = views.is_file()
        self._engine = _open_read_only(path, views if self.has_views else None)
        try:
            self._connection = self._engine.connect()
            self._connection.begin()
        except DatabaseError as error:
            raise _judge(error.orig) from None

    def rows(self, statement: str, *values: int | str) -> Iterator[Row]:
        """The rows as plain tuples."""
        try:
            # The driver's own cursor: an audit reads every row there is, and wants plain tuples.
            cursor = self._connection.connection.cursor()
            cursor.execute(statement, values)
            while rows := cursor.fetchmany(1000):
                yield from rows
        except sqlite3.DatabaseError as error:
            raise _judge(error) from None

    def close(self) -> None:
        """The moment is let go of."""
        self._connection.close()
        self._engine.dispose()


def _open_read_only(path: Path, views: Path | None) -> Engine:
    """An engine whose one connection cannot write and whose transaction is one moment."""
    engine = create_engine(
        f"sqlite:///file:{quote(str(path.resolve()))}?mode=ro&uri=true", connect_args={"timeout": 30}
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        if views is not None:
            connection.execute("ATTACH ? AS views", (f"file:{quote(str(views.resolve()))}?mode=ro",))
        connection.execute("PRAGMA query_only=ON")
        connection.execute("PRAGMA trusted_schema=OFF")

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _judge(error: BaseException | None) -> InvalidBlock | SourceUnavailable:
    """A database that could not be reached gives no verdict; one that SQLite finds broken is bad."""
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    if code & 0xFF in _NO_VERDICT:
        return SourceUnavailable("DATABASE_UNREADABLE", reason=str(error))
    return InvalidBlock("DATABASE_MALFORMED", expected="a whole database", found=str(error))
