"""One ledger's database: the log, the fold and the look-ups, opened and checked together."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import inspect

from ledger.errors import InvariantBroken
from ledger.executor import make_tables
from ledger.rule import Rulebook
from node.storage.database import Readers, open_sqlite
from node.storage.fold import FoldStore
from node.storage.log import LogStore
from node.storage.lookups import Lookups
from node.storage.schema import SCHEMA_VERSION, Schema


class Store:
    """Everything on disk. Open with `open_store`."""

    def __init__(self, path: Path, rulebook: Rulebook) -> None:
        self._engine = open_sqlite(path)
        self._readers = Readers(self._engine)
        self.tables = make_tables(rulebook)
        schema = Schema(self.tables)
        self._prepare(schema)
        self.log = LogStore(self._engine, self._readers)
        self.fold = FoldStore(self._engine, self._readers, schema, self.tables)
        self.lookups = Lookups(self._readers)

    def _prepare(self, schema: Schema) -> None:
        """The tables are there, and of the version this program knows."""
        if not inspect(self._engine).has_table("mark"):
            with self._engine.begin() as connection:
                schema.metadata.create_all(connection)
                connection.exec_driver_sql(
                    "INSERT INTO mark (name, value) VALUES ('schema', ?)", (SCHEMA_VERSION,)
                )
        with self._engine.connect() as connection:
            found = connection.exec_driver_sql("SELECT value FROM mark WHERE name = 'schema'").scalar()
        if found != SCHEMA_VERSION:
            raise InvariantBroken("SCHEMA_VERSION", expected=SCHEMA_VERSION, found=found)

    def close(self) -> None:
        """Every connection is closed; the write-ahead log is folded into the file."""
        self._readers.close()
        with self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        self._engine.dispose()


def open_store(path: Path, rulebook: Rulebook) -> Store:
    """The database at ``path``, made where there is none. Raises `InvariantBroken` where it cannot keep its
    promises.
    """
    return Store(path, rulebook)
