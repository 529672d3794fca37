"""A site: one ledger that a run may write to, wherever its databases are."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from node.config import load_config
from node.core import NodeCore
from node.storage.place import Place, PostgresqlPlace

SQLITE: Final = "sqlite"
POSTGRESQL: Final = "postgresql"


class Site(NamedTuple):
    """A data directory, and the address of its PostgreSQL database where it has one."""

    directory: Path
    address: str = ""

    @property
    def store(self) -> str:
        """Which kind of database."""
        return POSTGRESQL if self.address else SQLITE

    @property
    def chain(self) -> str:
        """Its chain string."""
        return load_config(self.directory).origin.chain

    def open_core(self) -> NodeCore:
        """The running core."""
        config = load_config(self.directory)
        place: Place = PostgresqlPlace(self.address) if self.address else config.database
        return NodeCore.open(
            place, genesis=config.origin.leaves, signer=config.open_signer("log"), is_apart=True, is_warm=True
        )

    def get_stored_bytes(self) -> int:
        """Every byte of it: log, views, write-ahead logs; of PostgreSQL its database alone."""
        size = sum(path.stat().st_size for path in self.directory.rglob("*") if path.is_file())
        if self.address:
            import psycopg  # noqa: PLC0415 - few parts need the driver

            with psycopg.connect(self.address, autocommit=True) as connection:
                row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
                size += int(row[0]) if row else 0
        return size
