"""The fold in a process of its own: bringing state and look-ups into the database costs the executor nothing
but handing over.

The node's process stays the only one that decides anything. What it hands over is a fold: the records that
changed, as they will stand in the database, and the transactions whose look-up rows are to be written. The
answer comes when the database has it. A writer that dies ends the node, as a disk that fails does.

Two writers never meet: a fold is written under the claim of the node that started its writer
(`FoldStore.claim`), and the next start, which may come before an orphan has noticed that it is one, takes the
claim away from it. PostgreSQL's own processes do this work already; this is for SQLite.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import multiprocessing
import signal
import socket
from collections.abc import Iterator, Mapping
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any, Final

import msgspec

from contracts.rulebook import CURRENT
from ledger.errors import InvariantBroken
from ledger.executor import HEAD_TABLE
from ledger.transaction import TRANSACTION_TABLE
from node.storage.fold import FoldStore
from node.storage.lookups import Brought, LookupRows, RecentBlocks
from node.storage.store import Store, open_views

APART_RECORDS: Final = 5_000
"""With so many changed records a fold is worth a process."""
_PART_RECORDS: Final = 8_192
_LENGTH_BYTES: Final = 8
_DONE: Final = b"\x01"
_READ_BY_THE_SWEEP: Final = (HEAD_TABLE, TRANSACTION_TABLE)
_NOTHING: Final = b"null"


class _Job(msgspec.Struct, array_like=True, gc=False):
    """One fold on its way between the two."""

    size: int
    changes: list[tuple[str, list[str], bytes]]
    """Table, keys, and their records as `ledger.codec` writes them, a line each; null for a removed one. Of a
    table as often as it has parts.
    """
    brought: list[Brought]
    """What the look-up rows are made of."""


_pack = msgspec.msgpack.Encoder().encode
# As `ledger.codec.encode`, many at a time. No line break stands within canonical JSON.
_encode_lines = msgspec.json.Encoder().encode_lines


class FoldApart:
    """Writes folds as `FoldStore.fold` does: a quiet node's small ones here, and from the first large one on
    in another process. For one thread at a time.
    """

    def __init__(self, store: Store, path: Path, claim: int, *, is_warm: bool = False) -> None:
        self._store = store
        self._arguments = (path, claim)
        self._process: SpawnProcess | None = None
        self._socket = self._start() if is_warm else None

    def _start(self) -> socket.socket:
        """The other process is on its way."""
        ours, theirs = socket.socketpair()
        self._process = multiprocessing.get_context("spawn").Process(
            target=_write_for, args=(theirs, *self._arguments), name="fold", daemon=True
        )
        self._process.start()
        theirs.close()
        # A node that ends without closing is waited for by nobody: the writer ends with its line.
        atexit.register(_hang_up, ours)
        return ours

    def fold(self, *, size: int, changes: Mapping[str, Mapping[str, Any]], recent: RecentBlocks) -> None:
        """State and look-ups on disk stand for ``size`` leaves, or this raises `InvariantBroken`."""
        if self._socket is None:
            if sum(map(len, changes.values())) < APART_RECORDS:
                self._store.fold.fold(size=size, changes=changes, lookups=recent.rows)
                return
            self._socket = self._start()
        data = _pack(_Job(size, list(_list_parts(changes)), recent.brought))
        try:
            self._socket.sendall(len(data).to_bytes(_LENGTH_BYTES, "big"))
            self._socket.sendall(data)
            answer = self._socket.recv(1)
        except OSError as error:
            raise InvariantBroken("FOLD_WRITER_LOST", reason=str(error)) from None
        if answer != _DONE:
            raise InvariantBroken("FOLD_WRITER_LOST", reason="it ended; its last words are in the log above")

    def close(self) -> None:
        """The other process ends."""
        if self._socket is not None and self._process is not None:
            self._socket.close()
            self._process.join(timeout=30)


def _list_parts(changes: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, list[str], bytes]]:
    """The changes in parts: while one is encoded, nobody else in this process can do anything."""
    for table, records in changes.items():
        keys, values = list(records), list(records.values())
        for start in range(0, len(keys), _PART_RECORDS):
            end = start + _PART_RECORDS
            yield table, keys[start:end], _encode_lines(values[start:end])


def _hang_up(line: socket.socket) -> None:
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)


def _write_for(asker: socket.socket, path: Path, claim: int) -> None:
    """Write what is handed over until the asker is gone."""
    # Ctrl-C and a service's stop reach every process; this one ends with the node, once nothing is left.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # What a fold is made of holds no cycles, and is let go as soon as it is written.
    gc.disable()
    jobs = msgspec.msgpack.Decoder(_Job)
    store = open_views(path, CURRENT)
    store.hold_claim(claim)
    with asker, asker.makefile("rb") as wanted:
        while head := wanted.read(_LENGTH_BYTES):
            data = wanted.read(int.from_bytes(head, "big"))
            if len(data) != int.from_bytes(head, "big"):
                return
            job = jobs.decode(data)
            rows = LookupRows()
            for brought in job.brought:
                rows.add(brought)
            store.fold(size=job.size, changes=_read_changes(job.changes, store), lookups=rows)
            asker.sendall(_DONE)


def _read_changes(packed: list[tuple[str, list[str], bytes]], store: FoldStore) -> dict[str, dict[str, Any]]:
    """The records as they will be stored; those that the sweep looks into, as records."""
    changes: dict[str, dict[str, Any]] = {}
    for table, keys, lines in packed:
        written: list[Any] = lines.split(b"\n")
        # A break ends each line, also the last.
        written.pop()
        if _NOTHING in written:
            written = [None if record == _NOTHING else record for record in written]
        if table in _READ_BY_THE_SWEEP:
            written = [None if record is None else store.decode(table, record) for record in written]
        changes.setdefault(table, {}).update(zip(keys, written, strict=True))
    return changes
