"""Look-ups: which entries concern a member, name a reference, or answer a transaction.

Rows are made from each executed block and written with the fold; what was not folded yet is searched in
memory, so an answer is never behind the log. Every table is keyed by segment first: inserts touch the newest
pages only, and a search goes through the segments from the newest to the oldest. Members and references are
kept many to a row (`node.storage.chunks`), transactions, which are looked for whenever one comes, one by one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple
from zlib import crc32

import msgspec
from sqlalchemy import Connection

from ledger.codec import encode
from ledger.executor import ExecutedBlock
from ledger.transaction import Header, Transaction
from node.storage.chunks import BUCKET_MASK, NamedEntries, find_in_chunk, find_range, find_segment, read_chunk
from node.storage.database import Database
from node.storage.schema import SEGMENT_BITS, Schema


class Brought(NamedTuple):
    """A transaction that is in the log, or what a block did by itself, as much of it as look-ups need: bytes,
    which wait for a fold in little room and go to another process as they are.
    """

    place: int
    """Index of the transaction's leaf; or of the first of the block's own messages."""
    header: bytes
    """Empty where there is no transaction."""
    messages: bytes
    """A list of them."""


class _Names(msgspec.Struct, gc=False):
    """What a message can be found by, whichever it is. (In the order in which JSON has them.)"""

    hold: str = ""
    member: str | None = None
    original: str = ""
    program: str = ""
    recipient: str | None = None
    reference: str = ""
    sender: str | None = None
    target: str | None = None


# Who brings them has read the messages already: here only the names count.
_read_names: Final = msgspec.json.Decoder(list[_Names]).decode
_read_header: Final = msgspec.json.Decoder(Header).decode


def list_brought(block: ExecutedBlock, transactions: Sequence[Transaction]) -> Iterator[Brought]:
    """What a block brought, in log order: its own messages, and its transactions but for those that are not
    in the log.
    """
    if block.system:
        yield Brought(block.first, b"", encode(block.system))
    for transaction, answer in zip(transactions, block.answers, strict=True):
        if answer.refusal is None and not answer.is_repeat:
            messages = b"[%b]" % b",".join(transaction.message_bytes)
            yield Brought(answer.index, transaction.header_bytes, messages)


class LookupRows:
    """The rows of some blocks."""

    def __init__(self) -> None:
        self.history = NamedEntries()
        """(index, member, program)"""
        self.references = NamedEntries()
        """(index, reference, sender)"""
        self.transactions: list[tuple[int, str, str, str, int]] = []

    def add(self, brought: Brought) -> None:
        """Take up what comes next in the log."""
        place, names = brought.place, _read_names(brought.messages)
        if brought.header:
            header = _read_header(brought.header)
            self.transactions.append((place >> SEGMENT_BITS, header.sender, header.id, header.digest, place))
            self._add_messages(place + 1, header.sender, names)
        else:
            for index, message in enumerate(names, start=place):
                self._add_messages(index, message.sender, [message])

    def _add_messages(self, first: int, sender: str | None, messages: Sequence[_Names]) -> None:
        history, references = self.history.buckets, self.references.buckets
        # As `NamedEntries.add`, which would take longer to call than what it does.
        for index, message in enumerate(messages, start=first):
            member = message.member
            if member is not None:
                program = message.program
                history[crc32(member.encode()) & BUCKET_MASK] += (index, member, program)
                recipient = message.recipient
                if recipient is not None:
                    # Points that go elsewhere concern whom they go to as well. An exchange by a member for
                    # themselves, into the same program, is turned down and stands in the log: that is one
                    # row, not two.
                    target = message.target or program
                    if (recipient, target) != (member, program):
                        self.history.add(index, recipient, target)
            if sender is None:
                continue
            reference = message.reference
            if message.original or message.hold:
                # The order of its own that an entry names, and the one it completes or undoes.
                for name in sorted({reference, message.original, message.hold} - {""}):
                    self.references.add(index, name, sender)
            elif reference:
                references[crc32(reference.encode()) & BUCKET_MASK] += (index, reference, sender)

    def write(self, database: Database, connection: Connection, schema: Schema) -> None:
        """Part of the fold's database transaction."""
        transactions = sorted(
            (segment, sender, name, index, digest)
            for segment, sender, name, digest, index in self.transactions
        )
        # In key order: neighbours share pages.
        database.insert(connection, schema.history, self.history.make_rows())
        database.insert(connection, schema.reference, self.references.make_rows())
        database.insert(connection, schema.transaction, transactions)


class RecentBlocks:
    """The blocks since the last fold, made searchable when somebody searches.

    The engine's thread adds; any thread asks.
    """

    def __init__(self) -> None:
        self.brought: list[Brought] = []
        """In log order."""
        self.by_transaction: dict[tuple[str, str], tuple[str, int]] = {}
        self.count = 0
        """Entries."""
        self._rows = LookupRows()
        self._known = 0
        """Of so much of what was brought the rows are there."""
        self._lock = threading.Lock()

    def add_block(self, block: ExecutedBlock, transactions: Sequence[Transaction]) -> None:
        """Take up what a block brought."""
        for transaction, answer in zip(transactions, block.answers, strict=True):
            if answer.refusal is None and not answer.is_repeat:
                header = transaction.header
                self.by_transaction[header.sender, header.id] = (header.digest, answer.index)
        self.count += len(block.leaves)
        self.brought += list_brought(block, transactions)

    @property
    def rows(self) -> LookupRows:
        """The rows of all blocks that were added by now."""
        with self._lock:
            while self._known < len(self.brought):
                self._rows.add(self.brought[self._known])
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
            for index, which in recent.rows.history.find(member)
            if index < before and program in (None, which)
        }
        for data in self._list_chunks("history", member, end=before):
            if len(found) >= limit:
                break
            found.update(
                index
                for index, which in find_in_chunk(data, member)
                if index < before and program in (None, which)
            )
        return sorted(found, reverse=True)[:limit]

    def find_reference(self, sender: str, reference: str) -> list[int]:
        """Indexes of the entries of a sender that name a reference, oldest first."""
        found = {
            index
            for recent in (self.unfolded, self._folding)
            for index, who in recent.rows.references.find(reference)
            if who == sender
        }
        for data in self._list_chunks("lookup_reference", reference):
            found.update(index for index, who in find_in_chunk(data, reference) if who == sender)
        return sorted(found)

    def _list_chunks(self, table: str, name: str, *, end: int = 2**53) -> Iterator[bytes]:
        """The chunks on the disk that may hold a name below ``end``, the newest first."""
        top = self._database.fetch(f"SELECT max(place) FROM {table}")[0][0]
        newest = -1 if top is None else find_segment(top)
        for segment in range(min(newest, (end - 1) >> SEGMENT_BITS), -1, -1):
            first, beyond = find_range(segment, name, end=end)
            rows = self._database.fetch(
                f"SELECT data FROM {table} WHERE place >= ? AND place < ? ORDER BY place DESC", first, beyond
            )
            yield from (data for (data,) in rows)

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
        """All folded rows, for an audit. Raises `Unverified` for a broken chunk."""
        rows = LookupRows()
        for table, into in (("history", rows.history), ("lookup_reference", rows.references)):
            for place, data in self._database.ask(f"SELECT place, data FROM {table} ORDER BY place"):
                for row in read_chunk(place, data):
                    into.add(*row)
        columns = "segment, sender, id, digest, entry"
        found = self._database.ask(f"SELECT {columns} FROM lookup_transaction ORDER BY {columns}")
        rows.transactions.extend(tuple(row) for row in found)
        return rows
