"""Look-ups: which entries concern a member, name a reference, or answer a transaction.

Rows are gathered from each executed block and written with the fold; what was not folded yet is searched in
memory, so an answer is never behind the log. Every table is keyed by segment first: inserts touch the newest
pages only, and a search goes through the segments from the newest to the oldest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from ledger.executor import ExecutedBlock
from ledger.transaction import Transaction
from node.storage.database import Readers, write_rows
from node.storage.schema import SEGMENT_BITS


class LookupRows:
    """The rows of the blocks since the last fold, searchable in memory."""

    def __init__(self) -> None:
        self.history: list[tuple[int, str, int, str]] = []
        self.references: list[tuple[int, str, str, int]] = []
        self.transactions: list[tuple[int, str, str, str, int]] = []
        self.by_transaction: dict[tuple[str, str], tuple[str, int]] = {}

    @property
    def count(self) -> int:
        """How many rows there are."""
        return len(self.history) + len(self.references) + len(self.transactions)

    def add_block(self, block: ExecutedBlock, transactions: Sequence[Transaction]) -> None:
        """Take up what a block brought: its system messages, and its transactions with their answers."""
        for number, message in enumerate(block.system):
            self._add_message(block.first + number, message)
            sender = getattr(message, "sender", None)
            if sender is not None:
                self._add_references(block.first + number, sender, message)
        for transaction, answer in zip(transactions, block.answers, strict=True):
            if answer.refusal is not None or answer.is_repeat:
                continue
            header = transaction.header
            index = answer.index
            self.transactions.append((index >> SEGMENT_BITS, header.sender, header.id, header.digest, index))
            self.by_transaction[header.sender, header.id] = (header.digest, index)
            for number, message in enumerate(transaction.messages, start=index + 1):
                self._add_message(number, message)
                self._add_references(number, header.sender, message)

    def _add_references(self, index: int, sender: str, message: Any) -> None:
        """The order of its own that an entry names, and the one it completes or undoes."""
        named = {getattr(message, field, "") for field in ("reference", "original", "hold")} - {""}
        self.references += [(index >> SEGMENT_BITS, sender, name, index) for name in sorted(named)]

    def _add_message(self, index: int, message: Any) -> None:
        member = getattr(message, "member", None)
        if member is None:
            return
        segment = index >> SEGMENT_BITS
        program = getattr(message, "program", "")
        self.history.append((segment, member, index, program))
        recipient = getattr(message, "recipient", None)
        if recipient is None:
            return
        # Points that go elsewhere concern whom they go to as well. An exchange by a member for themselves,
        # into the same program, is turned down and stands in the log: that is one row, not two.
        target = getattr(message, "target", program)
        if (recipient, target) != (member, program):
            self.history.append((segment, recipient, index, target))

    def write(self, connection: Connection) -> None:
        """Part of the fold's database transaction."""
        for table, columns, rows in (
            ("history", "segment, member, entry, program", self.history),
            ("lookup_reference", "segment, sender, reference, entry", self.references),
            ("lookup_transaction", "segment, sender, id, digest, entry", self.transactions),
        ):
            values = ", ".join(f"value ->> {place}" for place in range(columns.count(",") + 1))
            statement = f"INSERT INTO {table} ({columns}) SELECT {values} FROM json_each(?)"
            write_rows(connection, statement, sorted(rows))


class Lookups:
    """Searches over folded rows and those in memory."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers
        self.unfolded = LookupRows()
        self._folding = LookupRows()

    def begin_fold(self) -> LookupRows:
        """The rows gathered so far, to be folded; from here on others are gathered."""
        # In this order: a reader looks at what is unfolded first, then at what is on its way, then at the
        # disk.
        self._folding = self.unfolded
        self.unfolded = LookupRows()
        return self._folding

    def end_fold(self) -> None:
        """The rows that were on their way are on the disk."""
        self._folding = LookupRows()

    def find_history(self, member: str, *, program: str | None, before: int, limit: int) -> list[int]:
        """Indexes of the entries that concern a member, newest first, below ``before``."""
        found = {
            index
            for rows in (self.unfolded, self._folding)
            for _, who, index, which in list(rows.history)
            if who == member and index < before and program in (None, which)
        }
        newest = min(before - 1, 2**62) >> SEGMENT_BITS
        clause, extra = ("", ()) if program is None else (" AND program = ?", (program,))
        connection = self._readers.get()
        top = connection.exec_driver_sql("SELECT max(segment) FROM history").scalar()
        for segment in range(min(newest, -1 if top is None else top), -1, -1):
            if len(found) >= limit:
                break
            stored = connection.exec_driver_sql(
                "SELECT DISTINCT entry FROM history WHERE segment = ? AND member = ? AND entry < ?"
                f"{clause} ORDER BY entry DESC LIMIT ?",
                (segment, member, before, *extra, limit),
            ).all()
            found.update(row[0] for row in stored)
        return sorted(found, reverse=True)[:limit]

    def find_reference(self, sender: str, reference: str) -> list[int]:
        """Indexes of the entries of a sender that name a reference, oldest first."""
        found = {
            index
            for rows in (self.unfolded, self._folding)
            for _, who, which, index in list(rows.references)
            if who == sender and which == reference
        }
        connection = self._readers.get()
        top = connection.exec_driver_sql("SELECT max(segment) FROM lookup_reference").scalar()
        for segment in range(-1 if top is None else top, -1, -1):
            stored = connection.exec_driver_sql(
                "SELECT entry FROM lookup_reference WHERE segment = ? AND sender = ? AND reference = ?",
                (segment, sender, reference),
            ).all()
            found.update(row[0] for row in stored)
        return sorted(found)

    def find_transaction(self, sender: str, transaction_id: str) -> tuple[str, int] | None:
        """The digest and leaf index of the newest transaction taken under this id."""
        for rows in (self.unfolded, self._folding):
            found = rows.by_transaction.get((sender, transaction_id))
            if found is not None:
                return found
        connection = self._readers.get()
        top = connection.exec_driver_sql("SELECT max(segment) FROM lookup_transaction").scalar()
        for segment in range(-1 if top is None else top, -1, -1):
            row = connection.exec_driver_sql(
                "SELECT digest, entry FROM lookup_transaction WHERE segment = ? AND sender = ? AND id = ?"
                " ORDER BY entry DESC LIMIT 1",
                (segment, sender, transaction_id),
            ).one_or_none()
            if row is not None:
                return row[0], row[1]
        return None

    def list_rows(self) -> LookupRows:
        """All folded rows, for an audit."""
        rows = LookupRows()
        connection = self._readers.get()
        for table, columns, into in (
            ("history", "segment, member, entry, program", rows.history),
            ("lookup_reference", "segment, sender, reference, entry", rows.references),
            ("lookup_transaction", "segment, sender, id, digest, entry", rows.transactions),
        ):
            found = connection.exec_driver_sql(f"SELECT {columns} FROM {table} ORDER BY {columns}")
            into.extend(tuple(row) for row in found)
        return rows
