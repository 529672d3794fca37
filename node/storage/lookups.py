"""Look-ups: which entries concern a member, name a reference, or answer a transaction.

Rows are made from each executed block and written with the fold; what was not folded yet is searched in
memory, so an answer is never behind the log. Every table is keyed by segment first: inserts touch the newest
pages only, and a search goes through the segments from the newest to the oldest.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection

from ledger.executor import Answer, ExecutedBlock
from ledger.transaction import Header, Transaction
from node.storage.database import Database
from node.storage.schema import SEGMENT_BITS, Schema


class LookupRows:
    """The rows of some blocks."""

    def __init__(self) -> None:
        self.history: list[tuple[int, str, int, str]] = []
        self.references: list[tuple[int, str, str, int]] = []
        self.transactions: list[tuple[int, str, str, str, int]] = []

    def add_block(self, block: ExecutedBlock, transactions: Sequence[Transaction]) -> None:
        """Take up what a block brought: its system messages, and its transactions with their answers."""
        self.add_system(block.first, block.system)
        for transaction, answer in list_taken(block, transactions):
            self.add_transaction(answer.index, transaction.header, transaction.messages)

    def add_system(self, first: int, messages: Sequence[Any]) -> None:
        """Take up what a block did by itself."""
        for index, message in enumerate(messages, start=first):
            self._add_message(index, message)
            sender = getattr(message, "sender", None)
            if sender is not None:
                self._add_references(index, sender, message)

    def add_transaction(self, index: int, header: Header, messages: Sequence[Any]) -> None:
        """Take up a transaction whose leaf stands at ``index``."""
        self.transactions.append((index >> SEGMENT_BITS, header.sender, header.id, header.digest, index))
        for number, message in enumerate(messages, start=index + 1):
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
        target = getattr(message, "target", None) or program
        if (recipient, target) != (member, program):
            self.history.append((segment, recipient, index, target))

    def write(self, database: Database, connection: Connection, schema: Schema) -> None:
        """Part of the fold's database transaction."""
        transactions = [
            (segment, sender, name, index, digest)
            for segment, sender, name, digest, index in self.transactions
        ]
        for table, rows in (
            (schema.history, self.history),
            (schema.reference, self.references),
            (schema.transaction, transactions),
        ):
            # In key order: neighbours share pages.
            database.insert(connection, table, sorted(rows))


def list_taken(
    block: ExecutedBlock, transactions: Sequence[Transaction]
) -> Iterator[tuple[Transaction, Answer]]:
    """The transactions of a block that are in the log, with their answers."""
    for transaction, answer in zip(transactions, block.answers, strict=True):
        if answer.refusal is None and not answer.is_repeat:
            yield transaction, answer


class RecentBlocks:
    """The blocks since the last fold, made searchable when somebody searches.

    The engine's thread adds; any thread asks.
    """

    def __init__(self) -> None:
        self.blocks: list[tuple[ExecutedBlock, Sequence[Transaction]]] = []
        self.by_transaction: dict[tuple[str, str], tuple[str, int]] = {}
        self.count = 0
        """Entries."""
        self._rows = LookupRows()
        self._known = 0
        """Of so many blocks the rows are there."""
        self._lock = threading.Lock()

    def add_block(self, block: ExecutedBlock, transactions: Sequence[Transaction]) -> None:
        """Take up what a block brought: its system messages, and its transactions with their answers."""
        for transaction, answer in list_taken(block, transactions):
            header = transaction.header
            self.by_transaction[header.sender, header.id] = (header.digest, answer.index)
        self.count += len(block.leaves)
        self.blocks.append((block, transactions))

    @property
    def rows(self) -> LookupRows:
        """The rows of all blocks that were added by now."""
        with self._lock:
            while self._known < len(self.blocks):
                self._rows.add_block(*self.blocks[self._known])
                self._known += 1
            return self._rows


class Lookups:
    """Searches over folded rows and those in memory."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.unfolded = RecentBlocks()
        self._folding = RecentBlocks()
        self._segments: str | None = None
        self._lock = threading.Lock()

    def begin_fold(self) -> RecentBlocks:
        """The blocks gathered so far, to be folded; from here on others are gathered."""
        # In this order: a reader looks at what is unfolded first, then at what is on its way, then at the
        # disk.
        self._folding = self.unfolded
        self.unfolded = RecentBlocks()
        return self._folding

    def end_fold(self) -> None:
        """The blocks that were on their way are on the disk."""
        # In this order: until the rows in memory are let go, nobody needs the segment they opened.
        with self._lock:
            self._segments = None
        self._folding = RecentBlocks()

    def find_history(self, member: str, *, program: str | None, before: int, limit: int) -> list[int]:
        """Indexes of the entries that concern a member, newest first, below ``before``."""
        found = {
            index
            for recent in (self.unfolded, self._folding)
            for _, who, index, which in list(recent.rows.history)
            if who == member and index < before and program in (None, which)
        }
        newest = min(before - 1, 2**62) >> SEGMENT_BITS
        clause, extra = ("", ()) if program is None else (" AND program = ?", (program,))
        top = self._database.ask("SELECT max(segment) FROM history").scalar()
        for segment in range(min(newest, -1 if top is None else top), -1, -1):
            if len(found) >= limit:
                break
            stored = self._database.ask(
                "SELECT DISTINCT entry FROM history WHERE segment = ? AND member = ? AND entry < ?"
                f"{clause} ORDER BY entry DESC LIMIT ?",
                segment,
                member,
                before,
                *extra,
                limit,
            ).all()
            found.update(row[0] for row in stored)
        return sorted(found, reverse=True)[:limit]

    def find_reference(self, sender: str, reference: str) -> list[int]:
        """Indexes of the entries of a sender that name a reference, oldest first."""
        found = {
            index
            for recent in (self.unfolded, self._folding)
            for _, who, which, index in list(recent.rows.references)
            if who == sender and which == reference
        }
        top = self._database.ask("SELECT max(segment) FROM lookup_reference").scalar()
        for segment in range(-1 if top is None else top, -1, -1):
            stored = self._database.ask(
                "SELECT entry FROM lookup_reference WHERE segment = ? AND sender = ? AND reference = ?",
                segment,
                sender,
                reference,
            ).all()
            found.update(row[0] for row in stored)
        return sorted(found)

    def find_transaction(self, sender: str, transaction_id: str) -> tuple[str, int] | None:
        """The digest and leaf index of the newest transaction taken under this id."""
        for recent in (self.unfolded, self._folding):
            found = recent.by_transaction.get((sender, transaction_id))
            if found is not None:
                return found
        # One statement for all segments: this is asked for every transaction that is new.
        rows = self._database.fetch(
            "SELECT digest, entry FROM lookup_transaction"
            f" WHERE segment IN ({self._list_segments()}) AND sender = ? AND id = ?"
            " ORDER BY segment DESC, entry DESC LIMIT 1",
            sender,
            transaction_id,
        )
        return (rows[0][0], rows[0][1]) if rows else None

    def _list_segments(self) -> str:
        """Every segment that may have rows on the disk, as SQL says a list."""
        segments = self._segments
        if segments is None:
            # Under the lock, so that what was read before a fold arrived is not kept after it.
            with self._lock:
                top = self._database.fetch("SELECT max(segment) FROM lookup_transaction")[0][0]
                segments = ", ".join(map(str, range((-1 if top is None else top) + 1))) or "-1"
                self._segments = segments
        return segments

    def list_rows(self) -> LookupRows:
        """All folded rows, for an audit."""
        rows = LookupRows()
        for table, columns, into in (
            ("history", "segment, member, entry, program", rows.history),
            ("lookup_reference", "segment, sender, reference, entry", rows.references),
            ("lookup_transaction", "segment, sender, id, digest, entry", rows.transactions),
        ):
            found = self._database.ask(f"SELECT {columns} FROM {table} ORDER BY {columns}")
            into.extend(tuple(row) for row in found)
        return rows
