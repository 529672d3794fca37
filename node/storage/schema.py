"""The tables of one ledger, in SQLite or PostgreSQL: one schema in SQLAlchemy Core.

The *log* is `segment`, `block`, `tile` and `note`: appended, never changed, and the only thing that must not
be lost. The *views* are folded from it and stand for the tree size in their `mark`: one `state_…` table a
state table, and the look-ups. They are two databases, because folding must not keep a block from becoming
durable, and because whoever makes backups needs only the first.

What grows for ever is keyed by segments of a million leaves first, so that inserts stay on hot pages however
old the ledger is and a look-up merges a few segments.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.types import TypeEngine

LOG_VERSION: Final = 3
VIEWS_VERSION: Final = 6
"""Which tables there are and how they are read, of the log and of the views. Views of an older version may be
deleted: the next start makes them again.
"""
SEGMENT_BITS: Final = 20
"""Look-ups are keyed by index >> 20 first."""


def _column(name: str, kind: TypeEngine[Any], *, primary_key: bool = False) -> Column[Any]:
    return Column(name, kind, primary_key=primary_key, nullable=False, autoincrement=False)


def _integer() -> TypeEngine[Any]:
    """64 bits. STRICT tables know INTEGER, which in SQLite holds as many."""
    return BigInteger().with_variant(Integer(), "sqlite")


def _text() -> TypeEngine[Any]:
    """Text that sorts by its bytes, as SQLite's does, whatever a PostgreSQL database's own order is."""
    return Text(collation="C").with_variant(Text(), "sqlite")


class Schema:
    """All tables, for a rulebook's state tables."""

    def __init__(self, state_tables: Iterable[str]) -> None:
        self.log = MetaData()
        self.views = MetaData()
        integer = _integer()
        blob, text = LargeBinary(), _text()
        self.segment = self._table(
            self.log, "segment", _column("first", integer, primary_key=True), _column("data", blob)
        )
        """Leaves as they stand in an entry bundle, never across a bundle's border, packed where that saves
        room (`node.storage.packing`).

        Keyed by the first one's index.
        """
        self.block = self._table(
            self.log,
            "block",
            _column("last", integer, primary_key=True),
            _column("height", integer),
            _column("time", integer),
        )
        self.tile = self._table(
            self.log,
            "tile",
            _column("level", integer, primary_key=True),
            _column("position", integer, primary_key=True),
            _column("data", blob),
            rowless=True,
        )
        """Full tiles of the hash tree; partial ones are worked out."""
        self.note = self._table(
            self.log, "note", _column("size", integer, primary_key=True), _column("text", text)
        )
        """The newest signed checkpoint: one row."""
        self.marks = [
            self._table(database, "mark", _column("name", text, primary_key=True), _column("value", integer))
            for database in (self.log, self.views)
        ]
        """`schema` in both; in the views `fold`: the tree size that state and look-ups stand for."""
        self._add_views(state_tables)

    def _add_views(self, state_tables: Iterable[str]) -> None:
        integer = _integer()
        blob, text = LargeBinary(), _text()
        self.history = self._table(
            self.views, "history", _column("place", integer, primary_key=True), _column("data", blob)
        )
        """Which entries concern a member, in chunks (`node.storage.chunks`)."""
        self.reference = self._table(
            self.views, "lookup_reference", _column("place", integer, primary_key=True), _column("data", blob)
        )
        """Which entries name a reference, likewise."""
        self.transaction = self._table(
            self.views,
            "lookup_transaction",
            _column("segment", integer, primary_key=True),
            _column("sender", text, primary_key=True),
            _column("id", text, primary_key=True),
            _column("entry", integer, primary_key=True),
            _column("digest", text),
            rowless=True,
        )
        self.leaving = self._table(
            self.views,
            "leaving",
            _column("hour", integer, primary_key=True),
            _column("key", text, primary_key=True),
            rowless=True,
        )
        """Which remembered transactions have had their time, and by when: for the sweep alone."""
        self.state = {
            name: self._table(
                self.views,
                f"state_{name}",
                _column("key", text, primary_key=True),
                _column("value", blob),
                rowless=True,
            )
            for name in sorted(state_tables)
        }

    @staticmethod
    def _table(database: MetaData, name: str, *columns: Column[Any], rowless: bool = False) -> Table:
        return Table(name, database, *columns, sqlite_strict=True, sqlite_with_rowid=not rowless)

    @property
    def folded(self) -> list[Table]:
        """The tables that a rebuild empties."""
        return [self.history, self.reference, self.transaction, self.leaving, *self.state.values()]
