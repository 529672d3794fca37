"""One moment of a ledger's PostgreSQL database: one transaction that repeats its reads and cannot write."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

import psycopg

from ledger.errors import InvalidBlock
from node.audit.sources import SourceUnavailable
from node.keystore import Unusable
from node.storage.moment import Row
from node.storage.place import PostgresqlPlace
from node.storage.postgresql import LOG, VIEWS, connect, tell, translate

_ROWS_AT_A_TIME = 2_000
_BROKEN = ("XX001", "XX002")
"""What PostgreSQL says of a page whose checksum differs, and of an index that contradicts itself."""


class PostgresqlMoment:
    """A database as of the moment it was opened. Raises `SourceUnavailable`, or `InvalidBlock` where the
    database says that it is broken.
    """

    marks = (f"{LOG}.mark", f"{VIEWS}.mark")

    def __init__(self, place: PostgresqlPlace) -> None:
        try:
            self._session: Any = connect(place)
        except Unusable as error:
            raise SourceUnavailable(error.code, **error.facts) from None
        self._names = count()
        try:
            self._session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            self._session.read_only = True
            self._session.execute(f"SET LOCAL search_path TO {LOG}, {VIEWS}")
            found = {mark: self._is_there(mark) for mark in self.marks}
        except psycopg.Error as error:
            self.close()
            raise _judge(error) from None
        if not found[self.marks[0]]:
            self.close()
            raise SourceUnavailable("DATABASE_MISSING", schema=LOG)
        self.has_views = found[self.marks[1]]

    def rows(self, statement: str, *values: int | str) -> Iterator[Row]:
        """The rows as plain tuples, so many at a time."""
        try:
            with self._session.cursor(f"rows_{next(self._names)}") as cursor:
                cursor.itersize = _ROWS_AT_A_TIME
                cursor.execute(translate(statement), values)
                yield from cursor
        except psycopg.Error as error:
            raise _judge(error) from None

    def close(self) -> None:
        """The moment is let go of."""
        self._session.close()

    def _is_there(self, table: str) -> bool:
        found: tuple[Any] = self._session.execute("SELECT to_regclass(%s)", (table,)).fetchone()
        return found[0] is not None


def _judge(error: psycopg.Error) -> InvalidBlock | SourceUnavailable:
    """A database that could not be reached gives no verdict; one that PostgreSQL finds broken is bad."""
    if error.sqlstate in _BROKEN:
        return InvalidBlock("DATABASE_MALFORMED", expected="a whole database", found=tell(error))
    return SourceUnavailable("DATABASE_UNREADABLE", reason=tell(error))
