"""One ledger's store: the log, and beside it the views, opened and checked together.

In SQLite the log is one file, and the views another of a fixed name in the same folder; in PostgreSQL they
are two schemas of one database. The views may be deleted while no node runs: the next start makes them again
from the log.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from sqlalchemy import MetaData

from ledger.errors import InvariantBroken
from ledger.executor import make_tables
from ledger.rule import Rulebook
from node.storage.database import SCHEMA_MARK, Database
from node.storage.fold import FoldStore
from node.storage.log import LogStore
from node.storage.lookups import Lookups
from node.storage.place import Place, PostgresqlPlace
from node.storage.schema import LOG_VERSION, VIEWS_VERSION, Schema
from node.storage.sqlite import SqliteDatabase
from node.storage.sweep import Sweep

VIEWS_FILE: Final = "views.db"
_Open = Callable[[], Database]


class Store:
    """Everything that is kept. Open with `open_store`."""

    def __init__(self, open_log: _Open, open_views: _Open, rulebook: Rulebook) -> None:
        self.tables = make_tables(rulebook)
        schema = Schema(self.tables)
        self._databases: list[Database] = []
        try:
            self.log = LogStore(self._open(open_log, schema.log, LOG_VERSION), schema)
            views = self._open(open_views, schema.views, VIEWS_VERSION)
        except BaseException:
            self._dispose()
            raise
        self.fold = FoldStore(views, schema, self.tables, Sweep(rulebook.retention))
        self.lookups = Lookups(views)

    def _open(self, open_database: _Open, tables: MetaData, version: int) -> Database:
        """A database whose tables are there, and of the version this program knows."""
        database = open_database()
        self._databases.append(database)
        database.create(tables, version=version)
        found = database.read_mark(SCHEMA_MARK)
        if found != version:
            raise InvariantBroken("SCHEMA_VERSION", expected=version, found=found, file=database.name)
        return database

    def close(self) -> None:
        """Every connection is closed, and everything written lies where it stays."""
        try:
            for database in self._databases:
                database.close()
        finally:
            self._dispose()

    def _dispose(self) -> None:
        """Nothing is held, whatever state it is in."""
        for database in self._databases:
            database.dispose()


def open_store(place: Place, rulebook: Rulebook, *, is_reader: bool = False) -> Store:
    """The ledger that is kept there, made where there is none. Who is but a reader writes nothing: then the
    ledger is there already, and another process may be its writer.

    Raises `InvariantBroken` where it cannot keep its promises, `Unusable` where it cannot be reached.
    """
    if isinstance(place, PostgresqlPlace):
        # The driver is an extra, which a node over SQLite does without.
        from node.storage.postgresql import LOG, VIEWS, PostgresqlDatabase  # noqa: PLC0415

        return Store(
            lambda: PostgresqlDatabase(place, LOG, is_reader=is_reader),
            lambda: PostgresqlDatabase(place, VIEWS, is_reader=is_reader),
            rulebook,
        )
    path: Path = place
    return Store(lambda: SqliteDatabase(path), lambda: SqliteDatabase(path.with_name(VIEWS_FILE)), rulebook)


def open_views(path: Path, rulebook: Rulebook) -> FoldStore:
    """Only the views of a ledger in SQLite, which are there already: for a process that writes folds."""
    tables = make_tables(rulebook)
    views = SqliteDatabase(path.with_name(VIEWS_FILE))
    return FoldStore(views, Schema(tables), tables, Sweep(rulebook.retention))
