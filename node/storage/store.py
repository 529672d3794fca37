"""One ledger on disk: the log, and beside it the views, opened and checked together.

The log is one database file; the views are another of a fixed name in the same folder. The views may be
deleted while no node runs: the next start makes them again from the log.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Engine, MetaData, inspect

from ledger.errors import InvariantBroken
from ledger.executor import make_tables
from ledger.rule import Rulebook
from node.storage.database import Readers, open_sqlite
from node.storage.fold import FoldStore
from node.storage.log import LogStore
from node.storage.lookups import Lookups
from node.storage.schema import SCHEMA_VERSION, Schema
from node.storage.sweep import Sweep

VIEWS_FILE: Final = "views.db"


class Store:
    """Everything on disk. Open with `open_store`."""

    def __init__(self, path: Path, rulebook: Rulebook) -> None:
        self.tables = make_tables(rulebook)
        schema = Schema(self.tables)
        self._engines: list[Engine] = []
        self._readers: list[Readers] = []
        try:
            self.log = LogStore(*self._open(path, schema.log))
            views, readers = self._open(path.with_name(VIEWS_FILE), schema.views)
        except BaseException:
            self._dispose()
            raise
        self.fold = FoldStore(views, readers, schema, self.tables, Sweep(rulebook.retention))
        self.lookups = Lookups(readers)

    def _open(self, path: Path, tables: MetaData) -> tuple[Engine, Readers]:
        """A database whose tables are there, and of the version this program knows."""
        engine = open_sqlite(path)
        readers = Readers(engine)
        self._engines.append(engine)
        self._readers.append(readers)
        if not inspect(engine).has_table("mark"):
            with engine.begin() as connection:
                tables.create_all(connection)
                connection.exec_driver_sql(
                    "INSERT INTO mark (name, value) VALUES ('schema', ?)", (SCHEMA_VERSION,)
                )
        found = readers.get().exec_driver_sql("SELECT value FROM mark WHERE name = 'schema'").scalar()
        if found != SCHEMA_VERSION:
            raise InvariantBroken("SCHEMA_VERSION", expected=SCHEMA_VERSION, found=found, file=path.name)
        return engine, readers

    def close(self) -> None:
        """Every connection is closed; the write-ahead logs are folded into their files."""
        try:
            for readers in self._readers:
                readers.close()
            for engine in self._engines:
                with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                    connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            self._dispose()

    def _dispose(self) -> None:
        """No file is held, whatever state it is in."""
        for readers in self._readers:
            readers.close()
        for engine in self._engines:
            engine.dispose()


def open_store(path: Path, rulebook: Rulebook) -> Store:
    """The ledger whose log is at ``path``, made where there is none. Raises `InvariantBroken` where it cannot
    keep its promises.
    """
    return Store(path, rulebook)
