"""What was signed is stored before it is sent, and sent again as the very same bytes until it is known what
came of it.

A crash, a lost reply or a pulled plug therefore never makes a second order out of one. The outbox is an
SQLite file (WAL, every write synced) that several processes may share, or, without a path, memory that is
gone with the process. It also keeps what must not be forgotten with it: the checkpoint trusted last, the
notes of a log that contradicted itself, and the moment we gave to an order that came without one, so that the
same call made again says the same thing.

    put ──▶ waiting ──▶ done         with the node's answer
               │  └───▶ ended        refused, withdrawn or signed anew: never to be sent again
               └──▶ released         nobody has it in hand; `claim` takes it up

It sends nothing and verifies nothing: that is the client's business.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from merchant_sdk.errors import ConfigurationError, OutboxError
from merchant_sdk.records import Dated, Evidence, Pending, TrustedNote

LEASE_MILLIS: Final = 60_000
KEPT_MILLIS: Final = 7 * 86_400_000
"""How long a file keeps what is done."""
DATED_MILLIS: Final = 86_400_000
"""How long the moment given to an order is remembered: a day, as long as its reference is looked up for
certain.
"""
_PRUNE_EVERY: Final = 1_000
_VERSION: Final = 1
_MEMORY: Final = ":memory:"
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
_open_owners: Final[set[str]] = set()
"""The outboxes that are open in this process."""


def get_wall_time() -> int:
    """Milliseconds UTC of this machine: leases and clearing away, never the ledger's time."""
    return time.time_ns() // 1_000_000


class Outbox:
    """Signed transactions and what came of them, in a file or in memory. Any thread may call."""

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, clock: Callable[[], int] = get_wall_time
    ) -> None:
        self.is_durable = path is not None
        self._clock = clock
        self._lock = threading.Lock()
        # The process is part of the name, so that what a dead one had in hand is taken up at once.
        self._owner = f"{os.getpid()}:{secrets.token_hex(8)}"
        self._ended = 0
        name = _MEMORY if path is None else os.fspath(path)
        try:
            self._synced = _connect(name)
            # Losing the mark that something is done costs one more question, so these writes need not be
            # synced.
            self._lazy = self._synced if path is None else _connect(name)
            self._lazy.execute("PRAGMA synchronous = NORMAL")
            self._migrate()
        except (sqlite3.Error, OSError, OutboxError) as error:
            raise ConfigurationError("the outbox does not open", path=name, reason=str(error)) from None
        _open_owners.add(self._owner)

    def put(self, pending: Pending, dated: Iterable[Dated] = ()) -> None:
        """The transaction is stored, and in this process's hands, before anything is sent."""
        now = self._clock()
        row = (*pending, now, self._owner, now + LEASE_MILLIS)
        rows = [(pending.sender, *each, now) for each in dated]
        with self._write(self._synced) as write:
            write.execute(
                "INSERT OR REPLACE INTO transactions VALUES (?, ?, ?, ?, ?, 'waiting', ?, ?, NULL)", row
            )
            if rows:
                write.executemany("INSERT OR REPLACE INTO dated VALUES (?, ?, ?, ?, ?, ?)", rows)

    def mark_done(self, pending: Pending, *, answer: bytes, trusted: TrustedNote | None) -> None:
        """It is committed, and the checkpoint that proved it is what is trusted now."""
        with self._write(self._lazy) as write:
            if trusted is not None:
                _save_note(write, trusted)
            self._end(write, pending, "done", answer)

    def mark_ended(self, pending: Pending, *, why: str) -> None:
        """It will never be sent again: ``refused``, ``withdrawn`` or ``signed anew``."""
        with self._write(self._synced) as write:
            self._end(write, pending, why, None)

    def release(self, pending: Pending) -> None:
        """Nobody has it in hand: whoever claims next may."""
        with self._write(self._synced) as write:
            write.execute(
                "UPDATE transactions SET lease_until = 0 WHERE sender = ? AND id = ? AND owner = ?",
                (pending.sender, pending.id, self._owner),
            )

    def claim(self, sender: str, *, limit: int = 100) -> list[Pending]:
        """Transactions that nobody living has in hand, oldest first, in this process's hands now."""
        now = self._clock()
        with self._write(self._synced) as write:
            rows = write.execute(
                "SELECT id, data, not_after, owner, lease_until FROM transactions"
                " WHERE sender = ? AND state = 'waiting' ORDER BY created, rowid",
                (sender,),
            ).fetchall()
            free = [row for row in rows if row[4] <= now or not self._is_held(row[3])][:limit]
            write.executemany(
                "UPDATE transactions SET owner = ?, lease_until = ? WHERE sender = ? AND id = ?",
                [(self._owner, now + LEASE_MILLIS, sender, row[0]) for row in free],
            )
        return [Pending(sender, *row[:3]) for row in free]

    def find(self, sender: str, transaction_id: str) -> Pending | None:
        """The signed bytes that stand under this id, unless it is known that they were never taken."""
        rows = self._read(
            "SELECT data, not_after FROM transactions WHERE sender = ? AND id = ?"
            " AND state IN ('waiting', 'done')",
            (sender, transaction_id),
        )
        return Pending(sender, transaction_id, *rows[0]) if rows else None

    def find_answer(self, sender: str, transaction_id: str) -> bytes | None:
        """The node's answer to a transaction that is done and not yet cleared away."""
        query = "SELECT answer FROM transactions WHERE sender = ? AND id = ? AND state = 'done'"
        rows = self._read(query, (sender, transaction_id))
        return rows[0][0] if rows else None

    def find_occurred_at(self, sender: str, *, kind: str, program: str, reference: str) -> int | None:
        """The moment that an order was given within the last day, when it came without one."""
        rows = self._read(
            "SELECT occurred_at FROM dated WHERE sender = ? AND kind = ? AND program = ? AND reference = ?"
            " AND created > ?",
            (sender, kind, program, reference, self._clock() - DATED_MILLIS),
        )
        return rows[0][0] if rows else None

    def count_waiting(self, sender: str) -> int:
        """How many transactions are not known to be committed or refused."""
        query = "SELECT count(*) FROM transactions WHERE sender = ? AND state = 'waiting'"
        return int(self._read(query, (sender,))[0][0])

    def load_note(self, chain: str) -> str | None:
        """The checkpoint of this chain that was trusted last, by any process of this outbox."""
        rows = self._read("SELECT note FROM checkpoints WHERE chain = ?", (chain,))
        return rows[0][0] if rows else None

    def save_note(self, trusted: TrustedNote) -> None:
        """The checkpoint is what is trusted now, unless a larger one is already."""
        with self._write(self._lazy) as write:
            _save_note(write, trusted)

    def save_evidence(self, evidence: Evidence) -> None:
        """Both notes are kept, synced, until somebody looks."""
        with self._write(self._synced) as write:
            write.execute("INSERT INTO evidence VALUES (?, ?, ?, ?)", (self._clock(), *evidence))

    def list_evidence(self) -> list[Evidence]:
        """Every contradiction that was ever found, oldest first."""
        return [
            Evidence(*row)
            for row in self._read("SELECT code, found, trusted FROM evidence ORDER BY rowid", ())
        ]

    def close(self) -> None:
        """The file is closed; what waits stays for whoever opens it next."""
        with self._lock:
            _open_owners.discard(self._owner)
            self._lazy.close()
            self._synced.close()

    @contextmanager
    def _write(self, connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
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
            raise OutboxError("the outbox cannot be written", reason=str(error)) from None

    def _read(self, query: str, values: Sequence[Any]) -> list[Any]:
        try:
            with self._lock:
                return self._synced.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise OutboxError("the outbox cannot be read", reason=str(error)) from None

    def _end(self, write: sqlite3.Connection, pending: Pending, state: str, answer: bytes | None) -> None:
        key = (pending.sender, pending.id)
        if not self.is_durable:
            # Nobody can open this memory later, so nothing of it is kept.
            write.execute("DELETE FROM transactions WHERE sender = ? AND id = ?", key)
            return
        write.execute(
            "UPDATE transactions SET state = ?, answer = ? WHERE sender = ? AND id = ?", (state, answer, *key)
        )
        self._ended += 1
        if self._ended % _PRUNE_EVERY == 0:
            _prune(write, now=self._clock())

    def _is_held(self, owner: str) -> bool:
        """Whether the process that took it may still live; then its lease has to run out first."""
        process = int(owner.partition(":")[0])
        if process == os.getpid():
            return owner in _open_owners
        if os.name != "posix":
            return True
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def _migrate(self) -> None:
        with self._write(self._synced) as write:
            version = write.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, _VERSION):
                raise ConfigurationError("this outbox is of another version of the SDK", version=version)
            if version == 0:
                for statement in _SCHEMA.split(";"):
                    write.execute(statement)
                write.execute(f"PRAGMA user_version = {_VERSION}")
            _prune(write, now=self._clock())


def _connect(name: str) -> sqlite3.Connection:
    if name != _MEMORY:
        # It holds members' orders: only whoever runs the shop's software may read them.
        os.close(os.open(name, os.O_RDWR | os.O_CREAT, 0o600))
    connection = sqlite3.connect(name, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    if mode != ("memory" if name == _MEMORY else "wal"):
        raise ConfigurationError(
            "the outbox needs a file system on which SQLite has its WAL", path=name, mode=mode
        )
    connection.execute("PRAGMA synchronous = FULL")
    return connection


def _save_note(write: sqlite3.Connection, trusted: TrustedNote) -> None:
    write.execute(
        "INSERT INTO checkpoints VALUES (?, ?, ?) ON CONFLICT (chain)"
        " DO UPDATE SET size = excluded.size, note = excluded.note WHERE excluded.size > size",
        trusted,
    )


def _prune(write: sqlite3.Connection, *, now: int) -> None:
    write.execute("DELETE FROM transactions WHERE state <> 'waiting' AND created < ?", (now - KEPT_MILLIS,))
    write.execute("DELETE FROM dated WHERE created < ?", (now - DATED_MILLIS,))
