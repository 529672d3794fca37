"""What a node keeps beside its log, held against the replay: every record, every look-up row, every block's
place.

State and look-ups stand for the tree size in their mark. When the replay has come to that size, every stored
record must be the replayed one byte for byte, and none may be missing or too many. Only what can never matter
again may be missing: a node sweeps it when it comes to it, and nobody knows when that was.

How a database is read is the node's business: this module sees rows through `StoredViews`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Final, Protocol

from ledger.calendar import get_day
from ledger.errors import InvalidBlock
from ledger.executor import HEAD_KEY, HEAD_TABLE, Head
from ledger.state import State
from ledger.transaction import TRANSACTION_TABLE, RememberedTransaction
from node.audit.lookups import LookupComparison, StoredLookups
from node.audit.records import MayBeGone, compare_table
from node.audit.replay import ReplayedBlock

REMEMBERED_MILLIS: Final = 3_600_000
"""How long after its `not_after` a transaction's id is still stored, at the least."""


class StoredViews(StoredLookups, Protocol):
    """What a data directory holds beside leaves and tiles, as of one moment."""

    def read_mark(self) -> int | None:
        """The tree size that records and look-ups stand for, or None where nothing was folded yet."""
        ...

    def read_note_size(self) -> int | None:
        """The size that the stored checkpoint is filed under."""
        ...

    def list_records(self, table: str) -> Iterable[tuple[str, bytes]]:
        """Every record of a table in key order, as stored."""
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
        self._lookups = LookupComparison(stored)
        self.mark = stored.read_mark()
        self.records = 0
        """Records that were compared and the same."""
        self._is_folded_compared = False

    @property
    def rows(self) -> int:
        """Look-up rows that were compared and the same."""
        return self._lookups.count

    def begin(self, size: int) -> None:
        """The replay stands at the genesis of this many leaves."""
        if self.mark is None:
            # Nothing was folded yet, or it is being made anew: then there is nothing at all.
            self._is_folded_compared = True
            for table in self._tables:
                compare_table(table, (), self._stored.list_records(table), size, may_be_gone=_keep)
            self._lookups.check_outside(size, is_any=False)
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
        self._lookups.add(block)
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

    def _compare_fold(self, size: int) -> None:
        """Records and look-ups of the mark's size are those of the replay."""
        self._is_folded_compared = True
        self._lookups.compare()
        self._lookups.check_outside(size)
        head: Head = self._state.get_current(HEAD_TABLE, HEAD_KEY)
        for table in self._tables:
            self.records += compare_table(
                table,
                self._state.list_records(table),
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
