"""The file behind the outbox: how it is opened, what stands in it, and what is said when it cannot be used.

It is an SQLite database (WAL) that only its owner may read. A file that is damaged, read-only, on a full disk
or of another version is said to be just that, before anything is sent. It is never mended and never begun
anew by itself: what was signed may stand in it.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from merchant_sdk.errors import ConfigurationError, OutboxError

Connection = sqlite3.Connection
MEMORY: Final = ":memory:"
_VERSION: Final = 3
_BUSY_SECONDS: Final = 10
_SCHEMA: Final = """
CREATE TABLE transactions (
    sender TEXT NOT NULL, id TEXT NOT NULL, data BLOB NOT NULL, not_after INTEGER NOT NULL,
    created INTEGER NOT NULL, state TEXT NOT NULL, owner TEXT NOT NULL, lease_until INTEGER NOT NULL,
    answer BLOB, UNIQUE (sender, id)) STRICT;
CREATE INDEX transactions_waiting ON transactions (sender, created) WHERE state = 'waiting';
CREATE TABLE dated (
    sender TEXT NOT NULL, kind TEXT NOT NULL, program TEXT NOT NULL, reference TEXT NOT NULL,
    occurred_at INTEGER NOT NULL, created INTEGER NOT NULL,
    PRIMARY KEY (sender, kind, program, reference)) STRICT, WITHOUT ROWID;
CREATE TABLE checkpoints (chain TEXT PRIMARY KEY, size INTEGER NOT NULL, note TEXT NOT NULL) STRICT;
CREATE TABLE evidence (
    created INTEGER NOT NULL, code TEXT NOT NULL, found TEXT NOT NULL, trusted TEXT NOT NULL) STRICT;
"""
_SINCE_2: Final = """
ALTER TABLE transactions ADD COLUMN successor TEXT;
CREATE TABLE queue (
    number INTEGER PRIMARY KEY AUTOINCREMENT, sender TEXT NOT NULL, message BLOB NOT NULL,
    created INTEGER NOT NULL, carrier TEXT) STRICT;
CREATE INDEX queue_carrier ON queue (sender, carrier);
"""
_SINCE_3: Final = """
CREATE TABLE policies (
    chain TEXT NOT NULL, anchor TEXT NOT NULL, epoch INTEGER NOT NULL, step BLOB NOT NULL,
    PRIMARY KEY (chain, anchor, epoch)) STRICT;
CREATE TABLE promises (
    sender TEXT NOT NULL, id TEXT NOT NULL, data BLOB NOT NULL, not_after INTEGER NOT NULL,
    promise BLOB NOT NULL, created INTEGER NOT NULL, UNIQUE (sender, id)) STRICT;
"""
_REASONS: Final = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_READONLY": "the outbox may only be read",
    "SQLITE_CORRUPT": "the outbox file is damaged",
    "SQLITE_NOTADB": "this file is no outbox, or is damaged",
    "SQLITE_BUSY": "another process holds the outbox",
    "SQLITE_IOERR": "the disk does not take it",
    "SQLITE_CANTOPEN": "the file cannot be opened",
}


class OutboxFile:
    """The database of an outbox, or the same in memory. Any thread may use it."""

    def __init__(self, path: str | os.PathLike[str] | None) -> None:
        name = MEMORY if path is None else os.fspath(path)
        self._lock = threading.Lock()
        try:
            self.synced = _connect(name)
            # Losing the mark that something is done costs one more question, so these writes need not be
            # synced.
            self.lazy = self.synced if path is None else _connect(name)
            self.lazy.execute("PRAGMA synchronous = NORMAL")
            self._migrate()
            _check(self.synced)
        except (sqlite3.Error, OSError, OutboxError) as error:
            detail = f"the outbox does not open: {_explain(error)}"
            raise ConfigurationError(detail, path=name, reason=str(error)) from None

    @contextmanager
    def write(self, *, is_lazy: bool = False) -> Iterator[Connection]:
        """One change, wholly made or not at all. Raises `OutboxError`."""
        connection = self.lazy if is_lazy else self.synced
        try:
            with self._lock:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
        except sqlite3.Error as error:
            detail = f"the outbox cannot be written: {_explain(error)}"
            raise OutboxError(detail, reason=str(error), sqlite=_get_name(error)) from None

    def read(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        """The rows. Raises `OutboxError`."""
        with self._reading() as read:
            return read.execute(query, values).fetchall()

    def read_each(self, query: str, values: Iterable[Sequence[Any]]) -> list[Any]:
        """The first row for each of these values, None where there is none. Raises `OutboxError`."""
        with self._reading() as read:
            return [read.execute(query, each).fetchone() for each in values]

    def close(self) -> None:
        """The file is closed."""
        with self._lock:
            self.lazy.close()
            self.synced.close()

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._lock:
                yield self.synced
        except sqlite3.Error as error:
            detail = f"the outbox cannot be read: {_explain(error)}"
            raise OutboxError(detail, reason=str(error), sqlite=_get_name(error)) from None

    def _migrate(self) -> None:
        # Written even where nothing is to change: a disk that takes nothing is to be heard of now.
        with self.write() as write:
            version = write.execute("PRAGMA user_version").fetchone()[0]
            if version not in range(_VERSION + 1):
                raise ConfigurationError("this outbox is of another version of the SDK", version=version)
            if version == 0 and write.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                raise ConfigurationError("this file is another program's database")
            steps = [_SCHEMA, _SINCE_2, _SINCE_3][version:]
            for statement in "".join(steps).split(";"):
                write.execute(statement)
            write.execute(f"PRAGMA user_version = {_VERSION}")


def _connect(name: str) -> Connection:
    if name != MEMORY:
        _create(name)
    connection = sqlite3.connect(name, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != ("memory" if name == MEMORY else "wal"):
        raise ConfigurationError(
            "the outbox needs a file system on which SQLite has its WAL", path=name, mode=mode
        )
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _create(name: str) -> None:
    """The file is there and may be written."""
    # A file that is there is never opened beside SQLite, not for a moment: closing it would take this
    # process's locks off it (as POSIX has it), and another process would clear away a log still in use.
    with suppress(FileExistsError):
        # It holds members' orders: only whoever runs the shop's software may read them.
        os.close(os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    if not os.access(name, os.R_OK | os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)


def _check(connection: Connection) -> None:
    # A page that was overwritten may read as fewer rows: what was signed would be forgotten without a word.
    (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise sqlite3.DatabaseError(f"damaged: {found}")


def _get_name(error: Exception) -> str:
    return str(getattr(error, "sqlite_errorname", ""))


def _explain(error: Exception) -> str:
    """In words what kept us from it."""
    if isinstance(error, OutboxError):
        return error.detail
    if isinstance(error, OSError):
        return error.strerror or "the file cannot be opened"
    name = _get_name(error)
    found = next((told for prefix, told in _REASONS.items() if name.startswith(prefix)), None)
    return found or ("the outbox file is damaged" if "damaged" in str(error) else "SQLite says no")
