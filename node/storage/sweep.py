"""The sweep: with every fold, records that can never matter again leave the state's storage.

Rules look no further back than the rulebook's retention, whatever the parameters: by then time alone has
turned the message down. So what is older is deleted, in the fold's own database transaction, found by key (a
swept table's keys begin with their day) and for remembered transactions by a table of theirs by hours: no
table is ever read through. A fold deletes a bounded number of rows, yet always more than it writes, so a
table stays as large as its retention makes it.

One thing a block reads however old it is: what its own overdue work is about. It does a bounded share of
that, so a chain that comes back after years has some left; until then nothing is swept by its day.

Nothing is decided here: the same transactions come to the same leaves with and without it. The log keeps
everything, and so do the look-ups, which answer for a transaction's id for ever. Days are counted in UTC and
one too many, so that no chain's own offset needs to be known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from sqlalchemy import Connection

from ledger.calendar import MILLIS_PER_DAY
from ledger.due import MINUTE_DIGITS
from ledger.executor import HEAD_KEY, HEAD_TABLE, Head
from ledger.state import DUE_TABLE
from ledger.transaction import TRANSACTION_TABLE, RememberedTransaction
from node.storage.database import Database
from node.storage.schema import Schema

ROWS_BESIDES: Final = 2_000
"""So many rows more than a fold writes to a table may leave it."""
HOUR_MILLIS: Final = 3_600_000
"""A remembered transaction leaves an hour and more after its `not_after`. From `not_after` on nobody asks."""

_REMEMBERED: Final = msgspec.json.Decoder(RememberedTransaction)
_OLDEST: Final = "SELECT hour, key FROM leaving WHERE hour < ? ORDER BY hour, key LIMIT ?"


class Sweep:
    """Deletes what has had its time, as part of a fold."""

    def __init__(self, retention: Mapping[str, int]) -> None:
        self._retention = dict(retention)
        """Table → days after the day its keys begin with, from which a record never matters again."""

    @property
    def tables(self) -> frozenset[str]:
        """The tables whose keys begin with a day."""
        return frozenset(self._retention)

    def run(
        self,
        database: Database,
        connection: Connection,
        schema: Schema,
        changes: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """The oldest rows that had had their time at the fold's head are gone; if they are many, some.

        A fold without a head, as of a store that no chain uses, leaves everything.
        """
        transactions = changes.get(TRANSACTION_TABLE, {})
        leaving = sorted(
            (record.not_after // HOUR_MILLIS, key) for key, record in transactions.items() if record
        )
        database.insert_missing(connection, schema.leaving, leaving)
        head: Head | None = changes.get(HEAD_TABLE, {}).get(HEAD_KEY)
        if head is None:
            return
        limit = ROWS_BESIDES + len(transactions)
        _forget_transactions(database, connection, schema, before=head.time // HOUR_MILLIS - 1, limit=limit)
        if _is_behind(database, connection, head.time):
            return
        for table, days in sorted(self._retention.items()):
            database.run(
                connection,
                f"DELETE FROM state_{table} WHERE key IN"
                f" (SELECT key FROM state_{table} WHERE key < ? ORDER BY key LIMIT ?)",
                format_horizon(head.time, days=days),
                ROWS_BESIDES + len(changes.get(table, ())),
            )


def format_horizon(time: int, *, days: int) -> str:
    """The lowest key that stays, in a table whose keys begin with their day in seven digits."""
    return f"{max(0, time // MILLIS_PER_DAY - 1 - days):07d}"


def _is_behind(database: Database, connection: Connection, time: int) -> bool:
    """Whether work has been due for more than a day."""
    minute = max(0, time - MILLIS_PER_DAY) // 60_000
    rows = database.run(
        connection,
        f"SELECT 1 FROM state_{DUE_TABLE} WHERE key < ? LIMIT 1",
        f"{minute:0{MINUTE_DIGITS}d}",
    )
    return rows.one_or_none() is not None


def _forget_transactions(
    database: Database, connection: Connection, schema: Schema, *, before: int, limit: int
) -> None:
    """The oldest remembered transactions that left before this hour are gone, at most ``limit``."""
    keys = [row[1] for row in database.run(connection, _OLDEST, before, limit)]
    if not keys:
        return
    table = schema.state[TRANSACTION_TABLE]
    # An id that was taken once more after its `not_after` stands here twice: its newer record stays.
    found = database.load(connection, table, keys)
    gone = [key for key, value in found if _REMEMBERED.decode(value).not_after < before * HOUR_MILLIS]
    database.remove(connection, table, gone)
    database.run(connection, f"DELETE FROM leaving WHERE (hour, key) IN ({_OLDEST})", before, limit)
