"""What a node keeps beside its log, held against the replay: every record, every look-up row, every block's
place.

State and look-ups stand for the tree size in their mark. When the replay has come to that size, every stored
record must be the replayed one byte for byte, and none may be missing or too many. Only what can never matter
again may be missing: a node sweeps it when it comes to it, and nobody knows when that was. Look-up rows are
worked out here from the messages and compared a segment at a time, so an audit holds no more of them than one
segment has.

How a database is read is the node's business: this module sees rows through `StoredViews`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final, Protocol

from ledger.calendar import get_day
from ledger.codec import encode
from ledger.errors import InvalidBlock
from ledger.executor import HEAD_KEY, HEAD_TABLE, Head
from ledger.state import State
from ledger.transaction import TRANSACTION_TABLE, RememberedTransaction
from node.audit.replay import ReplayedBlock

HISTORY: Final = "history"
REFERENCES: Final = "references"
TRANSACTIONS: Final = "transactions"
LOOKUPS: Final = (HISTORY, REFERENCES, TRANSACTIONS)
REMEMBERED_MILLIS: Final = 3_600_000
"""How long after its `not_after` a transaction's id is still stored, at the least."""
Row = tuple[Any, ...]
"""A look-up row, the index it leads to first: (index, member, program), (index, sender, reference), (index,
sender, id, digest)."""
MayBeGone = Callable[[str, Any], bool]
"""Of a replayed record, by key: whether it may be missing in what is stored."""


class StoredViews(Protocol):
    """What a data directory holds beside leaves and tiles, as of one moment."""

    @property
    def segment_leaves(self) -> int:
        """How many leaves a segment of the look-ups spans."""
        ...

    def read_mark(self) -> int | None:
        """The tree size that records and look-ups stand for, or None where nothing was folded yet."""
        ...

    def read_note_size(self) -> int | None:
        """The size that the stored checkpoint is filed under."""
        ...

    def list_records(self, table: str) -> Iterable[tuple[str, bytes]]:
        """Every record of a table in key order, as stored."""
        ...

    def list_lookups(self, lookup: str, segment: int) -> Iterable[Row]:
        """Every row of one of `LOOKUPS` in a segment."""
        ...

    def find_lookup_outside(self, segment: int) -> Row | None:
        """A look-up row of no segment from 0 to this one, if there is any."""
        ...

    def list_blocks(self) -> Iterable[tuple[int, int, int]]:
        """Every block in order: index of its leaf, height, time."""
        ...

    def count_tiles(self) -> int:
        """How many full hash tiles are stored."""
        ...


class StoredComparison:
    """Follows a replay and compares what is stored on the way. Raises `InvalidBlock` where it differs."""

    def __init__(
        self,
        stored: StoredViews,
        *,
        state: State,
        tables: Iterable[str],
        utc_offset_minutes: int,
        retention: Mapping[str, int],
    ) -> None:
        self._stored = stored
        self._utc_offset_minutes = utc_offset_minutes
        self._retention = retention
        """Table → days after the day its keys begin with, from which a record never matters again."""
        self._state = state
        self._tables = sorted(tables)
        self._blocks: Iterator[tuple[int, int, int]] = iter(stored.list_blocks())
        self._segment = 0
        self._rows: dict[str, list[Row]] = {lookup: [] for lookup in LOOKUPS}
        self.mark = stored.read_mark()
        self.records = 0
        """Records that were compared and the same."""
        self.rows = 0
        """Look-up rows that were."""
        self._is_folded_compared = False

    def begin(self, size: int) -> None:
        """The replay stands at the genesis of this many leaves."""
        if self.mark is None:
            # Nothing was folded yet, or it is being made anew: then there is nothing at all.
            self._is_folded_compared = True
            for table in self._tables:
                _compare_table(table, (), self._stored.list_records(table), size, may_be_gone=_keep)
            self._check_outside(-1, size)
        elif size == self.mark:
            self._compare_fold(size)

    def take(self, block: ReplayedBlock) -> None:
        """The replay stands at the end of this block."""
        executed = block.executed
        last = executed.head.size - 1
        found = next(self._blocks, None)
        if found != (last, executed.head.height, executed.time):
            raise InvalidBlock(
                "BLOCK_PLACE_DIFFERS",
                expected=(last, executed.head.height, executed.time),
                found=found,
                index=last,
            )
        if self._is_folded_compared:
            return
        self._add_rows(block)
        if executed.head.size == self.mark:
            self._compare_fold(executed.head.size)

    def finish(self, size: int, tiles: int) -> None:
        """The replay is at its end: nothing stored may stand beyond it."""
        extra = next(self._blocks, None)
        if extra is not None:
            raise InvalidBlock("BLOCK_PLACE_DIFFERS", expected=None, found=extra, index=size)
        if not self._is_folded_compared:
            raise InvalidBlock("STATE_SIZE", expected=f"the end of a block up to {size}", found=self.mark)
        stored = self._stored.count_tiles()
        if stored != tiles:
            raise InvalidBlock("TILE_COUNT", expected=tiles, found=stored)

    def _add_rows(self, block: ReplayedBlock) -> None:
        """The look-up rows that this block brings, segment by segment."""
        recorded = block.recorded
        for index, message in enumerate(block.executed.system, start=recorded.first):
            self._enter(index)
            self._add_history(index, message)
            if hasattr(message, "sender"):
                self._add_references(index, message.sender, message)
        for place, transaction in zip(recorded.places, recorded.transactions, strict=True):
            header = transaction.header
            self._enter(place)
            self._rows[TRANSACTIONS].append((place, header.sender, header.id, header.digest))
            for index, message in enumerate(transaction.messages, start=place + 1):
                self._enter(index)
                self._add_history(index, message)
                self._add_references(index, header.sender, message)

    def _add_references(self, index: int, sender: str, message: Any) -> None:
        """An entry belongs to the reference it takes and to the original or the hold it names."""
        for field in ("reference", "original", "hold"):
            if hasattr(message, field):
                self._rows[REFERENCES].append((index, sender, getattr(message, field)))

    def _add_history(self, index: int, message: Any) -> None:
        """An entry concerns the member it names and, where points go to another, that one too."""
        member = getattr(message, "member", None)
        if member is None:
            return
        rows = self._rows[HISTORY]
        program = getattr(message, "program", "")
        rows.append((index, member, program))
        recipient = getattr(message, "recipient", None)
        if recipient is not None:
            rows.append((index, recipient, getattr(message, "target", program)))

    def _enter(self, index: int) -> None:
        """Rows of a segment are compared once the replay has left it."""
        while index >= (self._segment + 1) * self._stored.segment_leaves:
            self._compare_lookups()
            self._segment += 1

    def _compare_lookups(self) -> None:
        for lookup in LOOKUPS:
            expected = set(self._rows[lookup])
            self._rows[lookup] = []
            found = set(self._stored.list_lookups(lookup, self._segment))
            self.rows += len(found)
            if found != expected:
                # By index as text too: a stored index may be anything.
                index, row = min(((row[0], row) for row in found ^ expected), key=str)
                raise InvalidBlock(
                    f"LOOKUP_{'MISSING' if row in expected else 'UNKNOWN'}",
                    expected=row if row in expected else None,
                    found=None if row in expected else row,
                    index=index if isinstance(index, int) else None,
                )

    def _check_outside(self, segment: int, size: int) -> None:
        """No look-up row stands in another segment than 0 to this one."""
        outside = self._stored.find_lookup_outside(segment)
        if outside is not None:
            raise InvalidBlock("LOOKUP_UNKNOWN", expected=None, found=outside, index=size)

    def _compare_fold(self, size: int) -> None:
        """Records and look-ups of the mark's size are those of the replay."""
        self._is_folded_compared = True
        self._compare_lookups()
        self._check_outside(self._segment, size)
        head: Head = self._state.get_current(HEAD_TABLE, HEAD_KEY)
        for table in self._tables:
            self.records += _compare_table(
                table,
                self._state.rows(table),
                self._stored.list_records(table),
                size,
                may_be_gone=self._judge_age(table, head.time),
            )

    def _judge_age(self, table: str, time: int) -> MayBeGone:
        """Whether a record of this table can never matter again, as of this time."""
        if table == TRANSACTION_TABLE:
            return partial(_is_forgotten, before=time - REMEMBERED_MILLIS)
        days = self._retention.get(table)
        if days is None:
            return _keep
        day = get_day(time, utc_offset_minutes=self._utc_offset_minutes)
        return partial(_is_beyond, horizon=f"{max(0, day - days):07d}")


def _keep(_key: str, _record: Any) -> bool:
    """No record of the table may be missing."""
    return False


def _is_forgotten(_key: str, record: RememberedTransaction, *, before: int) -> bool:
    return record.not_after < before


def _is_beyond(key: str, _record: Any, *, horizon: str) -> bool:
    """Keys of such a table begin with their day in seven digits."""
    return key < horizon


def _compare_table(
    table: str,
    replayed: Iterable[tuple[str, Any]],
    stored: Iterable[tuple[str, bytes]],
    size: int,
    *,
    may_be_gone: MayBeGone,
) -> int:
    """How many records were the same. Raises `InvalidBlock` for the first that was not."""
    count = 0
    expected = iter(replayed)
    for found in stored:
        wanted = next(expected, None)
        while wanted is not None and wanted[0] != found[0] and may_be_gone(*wanted):
            wanted = next(expected, None)
        if wanted is None or found[0] != wanted[0] or found[1] != encode(wanted[1]):
            _tell_record(table, wanted, found, size)
        count += 1
    left = next((each for each in expected if not may_be_gone(*each)), None)
    if left is not None:
        _tell_record(table, left, None, size)
    return count


def _tell_record(table: str, wanted: tuple[str, Any] | None, found: Sequence[Any] | None, size: int) -> None:
    """Raise for a record that is not as replayed. Its place in the log is the last leaf that the state stands
    for.
    """
    check = "RECORD_DIFFERS"
    if wanted is None:
        check = "RECORD_UNKNOWN"
    elif found is None:
        check = "RECORD_MISSING"
    elif found[0] != wanted[0]:
        # Both sides are in key order: the smaller key is the one that the other side does not have.
        check = "RECORD_MISSING" if str(wanted[0]) < str(found[0]) else "RECORD_UNKNOWN"
    raise InvalidBlock(
        check,
        expected=None if wanted is None else f"{table} {wanted[0]}: {encode(wanted[1]).decode()}",
        found=None if found is None else f"{table} {found[0]}: {_to_text(found[1])}",
        index=size - 1,
    )


def _to_text(value: Any) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else repr(value)
