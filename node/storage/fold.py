"""The fold: state and look-ups brought into the database, a bounded step behind the log, marked with the size
they stand for.

A fold is one database transaction: the records that changed since the last, less those that have had their
time (`node.storage.sweep`), the look-up rows of the new entries, and the mark. A crash before it leaves the
old fold and its mark; a start re-executes the log from there. So nothing here is ever the only copy of
anything, and nothing here is on the path of an answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from ledger.codec import encode
from ledger.errors import InvariantBroken
from ledger.state import DUE_TABLE
from node.storage.database import Database
from node.storage.lookups import LookupRows
from node.storage.new_days import DAY_DIGITS, NewDays
from node.storage.schema import Schema
from node.storage.sweep import Sweep

_FOLD: Final = "fold"
_LEARNT_MAX: Final = 2_000_000
"""Keys of one day that a start reads: some seconds."""
_WRITER: Final = "writer"
"""Under this name stands the claim of the process that writes."""


class FoldStore:
    """Folded records: a `ledger.record_source.RecordSource`, and the writer of the fold."""

    def __init__(self, database: Database, schema: Schema, tables: Mapping[str, Any], sweep: Sweep) -> None:
        self._database = database
        self._schema = schema
        self._sweep = sweep
        self._claim: int | None = None
        self._days = NewDays(sweep.tables, self._is_empty)
        self.is_noting = True
        """Whether `note` does anything; where it did not, `learn_last_days` has to follow."""
        self._decoders = {name: msgspec.json.Decoder(kind) for name, kind in tables.items()}

    def load(self, wanted: Mapping[str, Sequence[str]]) -> list[tuple[str, str, Any]]:
        """The (table, key, record) of those that exist."""
        found: list[tuple[str, str, Any]] = []
        connection = self._database.readers.get()
        for table, named in wanted.items():
            keys = self._days.select(table, named)
            if not keys:
                continue
            decode = self._decoders[table].decode
            rows = self._database.load(connection, self._schema.state[table], keys)
            found += [(table, key, decode(value)) for key, value in rows]
        return found

    def first_due(self, *, before: str, limit: int) -> list[str]:
        """The folded keys of the due table below ``before``, in order, at most ``limit``."""
        rows = self._database.ask(
            f"SELECT key FROM state_{DUE_TABLE} WHERE key < ? ORDER BY key LIMIT ?", before, limit
        )
        return [row[0] for row in rows]

    def list_records(self, table: str) -> list[tuple[str, Any]]:
        """Every folded record of a table, in key order."""
        decode = self._decoders[table].decode
        rows = self._database.ask(f"SELECT key, value FROM state_{table} ORDER BY key")
        return [(key, decode(value)) for key, value in rows]

    def note(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """These changes are about to be folded, by this process or for it, and no others are on their way."""
        if self.is_noting:
            self._days.note(changes)

    def learn_last_days(self) -> None:
        """What the last two days of each table hold is known from here on, where that is soon read."""
        for table in sorted(self._sweep.tables):
            last = self._database.fetch(f"SELECT max(key) FROM state_{table}")[0][0]
            if last is None:
                continue
            today = int(last[:DAY_DIGITS])
            for day in (f"{today:0{DAY_DIGITS}d}", f"{today - 1:0{DAY_DIGITS}d}"):
                rows = self._database.fetch(
                    f"SELECT key FROM state_{table} WHERE key >= ? AND key < ? LIMIT ?",
                    day,
                    day + "\U0010ffff",
                    _LEARNT_MAX + 1,
                )
                if len(rows) <= _LEARNT_MAX:
                    self._days.learn(table, day, [row[0] for row in rows])

    def _is_empty(self, table: str, prefix: str) -> bool:
        rows = self._database.fetch(
            f"SELECT 1 FROM state_{table} WHERE key >= ? AND key < ? LIMIT 1", prefix, prefix + "\U0010ffff"
        )
        return not rows

    def read_mark(self) -> int | None:
        """The tree size that state and look-ups stand for, or None before the first fold."""
        return self._database.read_mark(_FOLD)

    def fold(self, *, size: int, changes: Mapping[str, Mapping[str, Any]], lookups: LookupRows) -> None:
        """State and look-ups stand for ``size`` leaves now. A record may be given as it will be stored."""
        database = self._database
        with database.begin() as connection:
            self._check_claim(connection)
            for name, records in sorted(changes.items()):
                table = self._schema.state[name]
                # In key order: neighbours share pages.
                ordered = sorted(records.items())
                database.put(
                    connection,
                    table,
                    [
                        (key, record if type(record) is bytes else encode(record))
                        for key, record in ordered
                        if record is not None
                    ],
                )
                removed = [key for key, record in ordered if record is None]
                database.remove(connection, table, removed)
            self._sweep.run(database, connection, self._schema, changes)
            lookups.write(database, connection, self._schema)
            database.mark(connection, _FOLD, size)

    def claim(self) -> int:
        """Nobody else writes here from now on: whoever did, and may not be gone yet, fails at its next fold.

        The number to go on with in another process.
        """
        with self._database.begin() as connection:
            # Written first and read then: so it waits for a fold that is under way.
            self._database.run(connection, "UPDATE mark SET value = value + 1 WHERE name = ?", _WRITER)
            row = self._database.run(
                connection, "SELECT value FROM mark WHERE name = ?", _WRITER
            ).one_or_none()
            claim = int(row[0]) if row is not None else 1
            if row is None:
                self._database.mark(connection, _WRITER, claim)
        self.hold_claim(claim)
        return claim

    def hold_claim(self, claim: int) -> None:
        """Every fold from now on is written under this claim, or not at all."""
        self._claim = claim

    def _check_claim(self, connection: Connection) -> None:
        if self._claim is None:
            return
        held = self._database.run(
            connection, "UPDATE mark SET value = value WHERE name = ? AND value = ?", _WRITER, self._claim
        )
        if held.rowcount != 1:
            raise InvariantBroken("FOLD_WRITER_REPLACED", claim=self._claim)

    def decode(self, table: str, value: bytes) -> Any:
        """A stored record as it is in memory."""
        return self._decoders[table].decode(value)

    def clear(self) -> None:
        """Everything folded is gone; the next start makes it again from the log."""
        self._days.forget()
        database = self._database
        with database.begin() as connection:
            for table in self._schema.folded:
                database.run(connection, f"DELETE FROM {table.name}")
            database.run(connection, "DELETE FROM mark WHERE name = ?", _FOLD)
