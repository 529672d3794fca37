"""The tables of one ledger's database, for SQLite now and PostgreSQL later: one schema in SQLAlchemy Core.

The *log* is `segment`, `block` and `tile`: appended, never changed. Everything else is folded from it and
stands for the tree size in `mark`: one `state_…` table a state table, and the look-ups. What grows for ever
is keyed by segments of a million leaves first, so that inserts stay on hot pages however old the ledger is
and a look-up merges a few segments.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.types import TypeEngine

SCHEMA_VERSION: Final = 1
SEGMENT_BITS: Final = 20
"""Look-ups are keyed by index >> 20 first."""


def _column(name: str, kind: TypeEngine[Any], *, primary_key: bool = False) -> Column[Any]:
    return Column(name, kind, primary_key=primary_key, nullable=False, autoincrement=False)


class Schema:
    """All tables, for a rulebook's state tables."""

    def __init__(self, state_tables: Iterable[str]) -> None:
        self.metadata = MetaData()
        # STRICT tables know INTEGER, which in SQLite holds 64 bits.
        integer = BigInteger().with_variant(Integer(), "sqlite")
        blob, text = LargeBinary(), Text()
        self.segment = self._table(
            "segment", _column("first", integer, primary_key=True), _column("data", blob)
        )
        """Leaves as they stand in an entry bundle, never across a bundle's border.

        Keyed by the first one's index.
        """
        self.block = self._table(
            "block",
            _column("last", integer, primary_key=True),
            _column("height", integer),
            _column("time", integer),
        )
        self.tile = self._table(
            "tile",
            _column("level", integer, primary_key=True),
            _column("position", integer, primary_key=True),
            _column("data", blob),
            rowless=True,
        )
        """Full tiles of the hash tree; partial ones are worked out."""
        self.note = self._table("note", _column("size", integer, primary_key=True), _column("text", text))
        """The newest signed checkpoint: one row."""
        self.mark = self._table("mark", _column("name", text, primary_key=True), _column("value", integer))
        """`schema`, and `fold`: the tree size that state and look-ups stand for."""
        self.history = self._table(
            "history",
            _column("segment", integer, primary_key=True),
            _column("member", text, primary_key=True),
            _column("entry", integer, primary_key=True),
            _column("program", text, primary_key=True),
            rowless=True,
        )
        self.reference = self._table(
            "lookup_reference",
            _column("segment", integer, primary_key=True),
            _column("sender", text, primary_key=True),
            _column("reference", text, primary_key=True),
            _column("entry", integer, primary_key=True),
            rowless=True,
        )
        self.transaction = self._table(
            "lookup_transaction",
            _column("segment", integer, primary_key=True),
            _column("sender", text, primary_key=True),
            _column("id", text, primary_key=True),
            _column("entry", integer, primary_key=True),
            _column("digest", text),
            rowless=True,
        )
        self.state = {
            name: self._table(
                f"state_{name}", _column("key", text, primary_key=True), _column("value", blob), rowless=True
            )
            for name in sorted(state_tables)
        }

    def _table(self, name: str, *columns: Column[Any], rowless: bool = False) -> Table:
        return Table(name, self.metadata, *columns, sqlite_strict=True, sqlite_with_rowid=not rowless)

    @property
    def folded(self) -> list[Table]:
        """The tables that a rebuild empties."""
        return [self.history, self.reference, self.transaction, *self.state.values()]
