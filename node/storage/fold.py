"""The fold: state and look-ups brought into the database, a bounded step behind the log, marked with the size
they stand for.

A fold is one database transaction: the records that changed since the last, less those that have had their
time (`node.storage.sweep`), the look-up rows of the new entries, and the mark. A crash before it leaves the
old fold and its mark; a start re-executes the log from there. So nothing here is ever the only copy of
anything, and nothing here is on the path of an answer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from sqlalchemy import Engine

from ledger.codec import encode
from ledger.state import DUE_TABLE
from node.storage.database import Readers, write_rows
from node.storage.lookups import LookupRows
from node.storage.schema import Schema
from node.storage.sweep import Sweep

_FOLD = "fold"


class FoldStore:
    """Folded records: a `ledger.state.RecordSource`, and the writer of the fold."""

    def __init__(
        self, engine: Engine, readers: Readers, schema: Schema, tables: Mapping[str, Any], sweep: Sweep
    ) -> None:
        self._engine = engine
        self._readers = readers
        self._schema = schema
        self._sweep = sweep
        self._decoders = {name: msgspec.json.Decoder(kind) for name, kind in tables.items()}

    def load(self, wanted: Mapping[str, Sequence[str]]) -> list[tuple[str, str, Any]]:
        """The (table, key, record) of those that exist."""
        found: list[tuple[str, str, Any]] = []
        connection = self._readers.get()
        for table, keys in wanted.items():
            decode = self._decoders[table].decode
            rows = connection.exec_driver_sql(
                f"SELECT key, value FROM state_{table} WHERE key IN (SELECT value FROM json_each(?))",
                (json.dumps(list(keys)),),
            )
            found += [(table, key, decode(value)) for key, value in rows]
        return found

    def first_due(self, *, before: str, limit: int) -> list[str]:
        """The folded keys of the due table below ``before``, in order, at most ``limit``."""
        connection = self._readers.get()
        rows = connection.exec_driver_sql(
            f"SELECT key FROM state_{DUE_TABLE} WHERE key < ? ORDER BY key LIMIT ?",
            (before, limit),
        )
        return [row[0] for row in rows]

    def list_records(self, table: str) -> list[tuple[str, Any]]:
        """Every folded record of a table, in key order."""
        decode = self._decoders[table].decode
        connection = self._readers.get()
        rows = connection.exec_driver_sql(f"SELECT key, value FROM state_{table} ORDER BY key")
        return [(key, decode(value)) for key, value in rows]

    def read_mark(self) -> int | None:
        """The tree size that state and look-ups stand for, or None before the first fold."""
        connection = self._readers.get()
        row = connection.exec_driver_sql("SELECT value FROM mark WHERE name = ?", (_FOLD,)).one_or_none()
        return None if row is None else int(row[0])

    def fold(self, *, size: int, changes: Mapping[str, Mapping[str, Any]], lookups: LookupRows) -> None:
        """State and look-ups stand for ``size`` leaves now."""
        with self._engine.begin() as connection:
            for table, records in sorted(changes.items()):
                # In key order: neighbours share pages.
                keys = sorted(records)
                written = [(key, encode(records[key]).decode()) for key in keys if records[key] is not None]
                removed = [(key,) for key in keys if records[key] is None]
                write_rows(
                    connection,
                    f"INSERT INTO state_{table} (key, value)"
                    " SELECT value ->> 0, CAST(value ->> 1 AS BLOB) FROM json_each(?) WHERE true"
                    " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                    written,
                )
                write_rows(
                    connection,
                    f"DELETE FROM state_{table} WHERE key IN (SELECT value ->> 0 FROM json_each(?))",
                    removed,
                )
            self._sweep.run(connection, changes)
            lookups.write(connection)
            connection.exec_driver_sql(
                "INSERT INTO mark (name, value) VALUES (?, ?) "
                "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (_FOLD, size),
            )

    def clear(self) -> None:
        """Everything folded is gone; the next start makes it again from the log."""
        with self._engine.begin() as connection:
            for table in self._schema.folded:
                connection.exec_driver_sql(f"DELETE FROM {table.name}")
            connection.exec_driver_sql("DELETE FROM mark WHERE name = ?", (_FOLD,))
