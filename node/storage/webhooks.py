"""The webhooks' own small database: where participants want to hear of entries, and how far they have.

It is no part of the ledger and none of its views: nothing in it follows from the log, and nothing in the log
follows from it. Secrets stand in it as they are, since deliveries are signed with them; like every private
file of a node it is its owner's alone.

A change by whoever manages an endpoint gives it a new revision, and what is delivered meanwhile under the
old one moves nothing: a cursor that was set back stays where it was set. Several processes may have the file
open.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct
from sqlalchemy import Connection, inspect

from ledger.errors import InvariantBroken
from node.storage.database import Readers
from node.storage.sqlite import open_sqlite

SCHEMA_VERSION: Final = 1
FAILURES_KEPT: Final = 10

State = Literal["enabled", "disabled"]


class Endpoint(Struct, frozen=True, kw_only=True):
    """A state record: one address, what it wants to hear, and how far it has heard."""

    id: str
    participant: str
    url: str
    types: tuple[str, ...] = ()
    """Only entries of these messages; none named means all."""
    secret: str
    created_at: int
    revision: int = 0
    cursor: int
    """Everything up to this leaf was delivered, or was not for this endpoint."""
    state: State = "enabled"
    reason: str = ""
    """Why it is disabled."""
    attempts: int = 0
    """Failed attempts for the entry whose turn it is."""
    next_at: int = 0
    """Not before then is it tried again."""
    delivered_at: int = 0


class Failure(Struct, frozen=True, kw_only=True):
    """A state record: an attempt that did not succeed."""

    at: int
    attempt: int
    index: int
    reason: str


_SCHEMA: Final = """
CREATE TABLE mark (name TEXT NOT NULL PRIMARY KEY, value INTEGER NOT NULL) STRICT;
CREATE TABLE endpoint (
    id TEXT NOT NULL PRIMARY KEY, participant TEXT NOT NULL, url TEXT NOT NULL, types TEXT NOT NULL,
    secret TEXT NOT NULL, created_at INTEGER NOT NULL, revision INTEGER NOT NULL, cursor INTEGER NOT NULL,
    state TEXT NOT NULL, reason TEXT NOT NULL, attempts INTEGER NOT NULL, next_at INTEGER NOT NULL,
    delivered_at INTEGER NOT NULL
) STRICT;
CREATE TABLE failure (
    endpoint TEXT NOT NULL REFERENCES endpoint (id) ON DELETE CASCADE, number INTEGER NOT NULL,
    at INTEGER NOT NULL, attempt INTEGER NOT NULL, entry INTEGER NOT NULL, reason TEXT NOT NULL,
    PRIMARY KEY (endpoint, number)
) STRICT
"""
_COLUMNS: Final = Endpoint.__struct_fields__


class WebhookStore:
    """Endpoints and their last failures, durable at every return. Any thread."""

    def __init__(self, path: Path) -> None:
        self._engine = open_sqlite(path)
        self._readers = Readers(self._engine)
        self._lock = threading.Lock()
        try:
            self._prepare(path.name)
        except BaseException:
            self.close()
            raise

    def _prepare(self, name: str) -> None:
        """The tables are there, and of the version this program knows."""
        if not inspect(self._engine).has_table("mark"):
            with self._engine.begin() as connection:
                for table in _SCHEMA.split(";"):
                    connection.exec_driver_sql(table)
                connection.exec_driver_sql(
                    "INSERT INTO mark (name, value) VALUES ('schema', ?)", (SCHEMA_VERSION,)
                )
        found = self._select("SELECT value FROM mark WHERE name = 'schema'", ())[0][0]
        if found != SCHEMA_VERSION:
            raise InvariantBroken("SCHEMA_VERSION", expected=SCHEMA_VERSION, found=found, file=name)

    def close(self) -> None:
        """No file is held."""
        self._readers.close()
        self._engine.dispose()

    def find(self, endpoint_id: str) -> Endpoint | None:
        """The endpoint, or None."""
        return next(iter(self._list("WHERE id = ?", (endpoint_id,))), None)

    def list_all(self) -> list[Endpoint]:
        """Every endpoint, in the order of their registration."""
        return self._list("", ())

    def list_of(self, participant: str) -> list[Endpoint]:
        """A participant's endpoints, in the order of their registration."""
        return self._list("WHERE participant = ?", (participant,))

    def list_failures(self, endpoint_id: str) -> list[Failure]:
        """The last failures, newest first."""
        rows = self._select(
            "SELECT at, attempt, entry, reason FROM failure WHERE endpoint = ? ORDER BY number DESC",
            (endpoint_id,),
        )
        return [Failure(at=row[0], attempt=row[1], index=row[2], reason=row[3]) for row in rows]

    def add(self, endpoint: Endpoint, *, of_participant_max: int, in_all_max: int) -> bool:
        """The endpoint is registered, unless there are as many as there may be: then False."""
        values = {**msgspec.structs.asdict(endpoint), "types": " ".join(endpoint.types)}
        places = ", ".join("?" * len(_COLUMNS))
        with self._lock, self._engine.begin() as connection:
            # The first statement writes, so two processes do not both find room for the last one.
            connection.exec_driver_sql(
                f"INSERT INTO endpoint ({', '.join(_COLUMNS)}) VALUES ({places})",
                tuple(values[name] for name in _COLUMNS),
            )
            own, everybodys = connection.exec_driver_sql(
                "SELECT sum(participant = ?), count(*) FROM endpoint", (endpoint.participant,)
            ).one()
            if own > of_participant_max or everybodys > in_all_max:
                connection.rollback()
                return False
        return True

    def remove(self, endpoint_id: str) -> bool:
        """The endpoint is no more, nor its secret. Whether there was one."""
        return self._write("DELETE FROM endpoint WHERE id = ?", (endpoint_id,)) == 1

    def restart(self, endpoint_id: str, *, after: int | None = None) -> bool:
        """The endpoint is enabled and tried at once; with ``after``, from that cursor on. Whether it is
        there.
        """
        return (
            self._write(
                "UPDATE endpoint SET revision = revision + 1, state = 'enabled', reason = '', attempts = 0,"
                " next_at = 0, cursor = coalesce(?, cursor) WHERE id = ?",
                (after, endpoint_id),
            )
            == 1
        )

    def advance(self, endpoint: Endpoint, *, cursor: int, delivered_at: int) -> bool:
        """Everything up to ``cursor`` is done. Whether the endpoint is still the one of that revision."""
        return (
            self._write(
                "UPDATE endpoint SET cursor = ?, attempts = 0, next_at = 0, delivered_at = ?"
                " WHERE id = ? AND revision = ?",
                (cursor, delivered_at, endpoint.id, endpoint.revision),
            )
            == 1
        )

    def note_failure(
        self, endpoint: Endpoint, failure: Failure, *, cursor: int, next_at: int, disabled: str = ""
    ) -> bool:
        """An attempt failed: the next is at ``next_at``, or none is made because of ``disabled``. Whether the
        endpoint is still the one of that revision.
        """
        with self._lock, self._engine.begin() as connection:
            changed = connection.exec_driver_sql(
                "UPDATE endpoint SET cursor = ?, attempts = ?, next_at = ?, state = ?, reason = ?"
                " WHERE id = ? AND revision = ?",
                (
                    cursor,
                    failure.attempt,
                    next_at,
                    "disabled" if disabled else "enabled",
                    disabled,
                    endpoint.id,
                    endpoint.revision,
                ),
            ).rowcount
            if changed:
                self._keep_failure(connection, endpoint.id, failure)
        return bool(changed)

    @staticmethod
    def _keep_failure(connection: Connection, endpoint_id: str, failure: Failure) -> None:
        """The failure is the newest of the last ten."""
        last = connection.exec_driver_sql(
            "SELECT coalesce(max(number), 0) FROM failure WHERE endpoint = ?", (endpoint_id,)
        ).scalar_one()
        connection.exec_driver_sql(
            "INSERT INTO failure (endpoint, number, at, attempt, entry, reason) VALUES (?, ?, ?, ?, ?, ?)",
            (endpoint_id, last + 1, failure.at, failure.attempt, failure.index, failure.reason),
        )
        connection.exec_driver_sql(
            "DELETE FROM failure WHERE endpoint = ? AND number <= ?", (endpoint_id, last + 1 - FAILURES_KEPT)
        )

    def _list(self, where: str, values: tuple[Any, ...]) -> list[Endpoint]:
        rows = self._select(f"SELECT {', '.join(_COLUMNS)} FROM endpoint {where} ORDER BY rowid", values)
        found = []
        for row in rows:
            fields = dict(zip(_COLUMNS, row, strict=True))
            found.append(Endpoint(**{**fields, "types": tuple(fields["types"].split())}))
        return found

    def _select(self, statement: str, values: tuple[Any, ...]) -> Sequence[Any]:
        return self._readers.get().exec_driver_sql(statement, values).all()

    def _write(self, statement: str, values: tuple[Any, ...]) -> int:
        with self._lock, self._engine.begin() as connection:
            return int(connection.exec_driver_sql(statement, values).rowcount)
