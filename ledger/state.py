"""State: records by table and key, with prefetch, begin, commit and roll back.

The state is a view of the log and holds nothing that replaying it would not bring back. A block writes into a
pending layer which `commit` makes current once its leaves are durable and `roll_back` forgets. Behind the
records in memory may stand a `RecordSource` (a database with everything up to the last fold); what is not in
memory is loaded from it, in bulk by `prefetch`, or singly where a rule reads what nobody announced. An
auditor's replay has no source: all is in memory.

Which tables there are, and what their records look like, is said by whoever makes the state; this module
moves them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, Protocol

from ledger.due import DueIndex
from ledger.errors import InvariantBroken
from ledger.record_source import RecordSource

Key = tuple[str, str]
"""Table and key."""

DUE_TABLE: Final = "due"
"""The one table that is also read in key order: what a block has to do by itself."""

_MISSING: Final = object()
_UNREAD: Final = object()
"""Stands for what a block wrote over without having read it: the source knows."""


class StateView(Protocol):
    """What a rule may do with the state: read it."""

    def get(self, table: str, key: str) -> Any:
        """The record, or None."""
        ...

    def first_due(self, *, before: str, limit: int) -> list[str]:
        """The keys of the due table below ``before``, in order, at most ``limit``."""
        ...

    def list_records(self, table: str) -> list[tuple[str, Any]]:
        """Every record of a table that is whole in memory, in key order."""
        ...


class Changes(NamedTuple):
    """What one committed block changed: table → key → record, None where it was removed."""

    records: dict[str, dict[str, Any]]


class State:
    """All records, and the pending changes of the block being executed."""

    def __init__(
        self,
        tables: Iterable[str],
        source: RecordSource | None = None,
        *,
        resident: Iterable[str] = (),
        fleeting: Iterable[str] = (),
    ) -> None:
        self._tables = tuple(sorted({*tables, DUE_TABLE}))
        self._source = source
        self._resident = frozenset(self._tables if source is None else resident)
        """Tables that are whole in memory, always, and can be listed."""
        self._whole = self._resident
        """Those, or all (`hold_whole`): what is not there does not exist, and nobody asks the source."""
        self._fleeting = frozenset(fleeting)
        """Tables whose records are written once and hardly read again.

        They leave memory with the next fold.
        """
        self._records: dict[str, dict[str, Any]] = {table: {} for table in self._tables}
        """What is in memory, as of the last write; None where there is no record, as the source said or since
        it was removed.
        """
        self._before: dict[str, dict[str, Any]] = {table: {} for table in self._tables}
        """What stood there before the block being executed wrote it."""
        self._undo: list[tuple[str, str, Any, bool]] | None = None
        self._due = DueIndex()
        self._due_folding = DueIndex()
        self._is_folding = False
        self._in_block = False
        if source is not None:
            for table in sorted(self._resident):
                self._records[table].update(source.list_records(table))

    def get(self, table: str, key: str) -> Any:
        """The record as of the last write of the block being executed, or None."""
        record = self._records[table].get(key, _MISSING)
        if record is _MISSING:
            return None if table in self._whole else self._load(table, key)
        return record

    def get_current(self, table: str, key: str) -> Any:
        """The record as of the last committed block, or None."""
        before = self._before[table].get(key, _MISSING)
        if before is _MISSING:
            return self.get(table, key)
        if before is _UNREAD and self._source is not None:
            return next((found for _, _, found in self._source.load({table: [key]})), None)
        return before

    def _load(self, table: str, key: str) -> Any:
        """A record that nobody announced, from the source."""
        if self._source is None:
            return None
        record = next((found for _, _, found in self._source.load({table: [key]})), None)
        self._records[table][key] = record
        return record

    def peek(self, table: str, key: str, source: RecordSource | None) -> Any:
        """The record as of the last committed block, read from another thread: nothing is remembered.

        ``source`` is that thread's own. A reader that stored what it loaded could overwrite what the executor
        has committed since.
        """
        # In this order, the reverse of `put`: whoever meets a write of the block in hand also finds what
        # stood there before.
        record = self._records[table].get(key, _MISSING)
        before = self._before[table].get(key, _MISSING)
        if before is not _MISSING:
            record = before
        if record is not _MISSING and record is not _UNREAD:
            return record
        if source is not None and table not in self._whole:
            for _, _, found in source.load({table: [key]}):
                return found
        return None

    def list_remembered(self, table: str) -> list[tuple[str, Any]]:
        """The records of a table in memory, None for those known to be absent: over a source's, the whole."""
        records = dict(self._records[table])
        records.update(self._before[table])
        return [(key, record) for key, record in records.items() if record is not _UNREAD]

    def prefetch(self, wanted: Iterable[Sequence[Key]]) -> None:
        """Bring what a block will read into memory with one read of the source.

        Never changes what `get` answers.
        """
        if self._source is None or len(self._whole) == len(self._tables):
            return
        records, whole = self._records, self._whole
        missing: dict[str, dict[str, None]] = {}
        for keys in wanted:
            for table, key in keys:
                if key not in records[table] and table not in whole:
                    missing.setdefault(table, {})[key] = None
        if not missing:
            return
        # All of it is here before any of it is taken for absent.
        loaded = list(self._source.load({table: list(keys) for table, keys in missing.items()}))
        for table, absent in missing.items():
            records[table].update(absent)
        for table, key, record in loaded:
            records[table][key] = record

    def begin(self) -> None:
        """A block begins: nothing pending, nothing half done."""
        if self._in_block:
            raise InvariantBroken("BLOCK_ALREADY_BEGUN")
        self._in_block = True

    def put(self, table: str, key: str, record: Any) -> None:
        """Write a record (None removes it), until the block is committed or rolled back."""
        records = self._records[table]
        before = self._before[table]
        if self._undo is not None:
            self._undo.append((table, key, records.get(key, _MISSING), key not in before))
        if key not in before:
            known = records.get(key, _MISSING)
            if known is _MISSING:
                known = None if table in self._whole else _UNREAD
            before[key] = known
        records[key] = record

    def begin_atomic(self) -> None:
        """From here on every write can be undone by `roll_back_atomic`, until `end_atomic`."""
        self._undo = []

    def end_atomic(self) -> None:
        """The writes since `begin_atomic` stay."""
        self._undo = None

    def roll_back_atomic(self) -> None:
        """The writes since `begin_atomic` never happened."""
        for table, key, record, is_first in reversed(self._undo or ()):
            if record is _MISSING:
                del self._records[table][key]
            else:
                self._records[table][key] = record
            if is_first:
                del self._before[table][key]
        self._undo = None

    def pending(self, table: str) -> dict[str, Any]:
        """What the block has written to a table so far."""
        records = self._records[table]
        return {key: records[key] for key in self._before[table]}

    def overwritten(self, table: str) -> Mapping[str, Any]:
        """What stood, before the block, where it has written to a table it had read; None for nothing."""
        return self._before[table]

    def commit(self) -> Changes:
        """What is pending becomes current. The caller has made the block's leaves durable."""
        # Small tables first, and with them the head: a reader on another thread that finds the head where it
        # was has not seen anything newer either.
        tables = sorted(self._tables, key=lambda table: (table not in self._resident, table))
        changes = {table: self.pending(table) for table in tables if self._before[table]}
        for table, written in changes.items():
            self._before[table] = {}
            if table == DUE_TABLE:
                self._due.update(written)
            if table in self._resident:
                for key, record in written.items():
                    if record is None:
                        del self._records[table][key]
        self._in_block = False
        return Changes(changes)

    def roll_back(self) -> None:
        """What is pending is forgotten."""
        for table, overwritten in self._before.items():
            for key, before in overwritten.items():
                if before is _UNREAD or (before is None and table in self._resident):
                    del self._records[table][key]
                else:
                    self._records[table][key] = before
            if overwritten:
                self._before[table] = {}
        self._undo = None
        self._in_block = False

    def first_due(self, *, before: str, limit: int) -> list[str]:
        """The keys of the due table below ``before``, in order.

        Read at the start of a block, before any write.
        """
        if self._source is None:
            return self._due.first(before=before, limit=limit, stored=None)
        folding = partial(self._due_folding.first, stored=self._source.first_due)
        return self._due.first(before=before, limit=limit, stored=folding)

    def hold_whole(self) -> None:
        """All tables are whole in memory until `let_go`: a long stretch asks the source for nothing."""
        if self._source is None or self._is_folding or self._in_block:
            raise InvariantBroken("STATE_NOT_AT_REST")
        for table in self._tables:
            if table not in self._resident:
                self._records[table] = {**dict(self._source.list_records(table)), **self._records[table]}
        self._whole = frozenset(self._tables)

    def let_go(self) -> None:
        """Only what a node keeps is kept from the next fold on; the rest the source has by then."""
        self._whole = self._resident

    def begin_fold(self) -> None:
        """What was committed so far is on its way to the source; what comes from here on is not."""
        if self._source is None:
            raise InvariantBroken("NOTHING_BEHIND_THE_STATE")
        if self._is_folding:
            raise InvariantBroken("FOLD_ALREADY_BEGUN")
        self._is_folding = True
        self._due_folding, self._due = self._due, DueIndex()

    def end_fold(self, *, unfolded: Mapping[str, Mapping[str, Any]], keep_below: int) -> None:
        """What was on its way has arrived. Make room in tables of more than ``keep_below`` records in memory.

        ``unfolded`` names what was written since `begin_fold` and stays, as do resident tables.
        """
        if self._source is None:
            raise InvariantBroken("NOTHING_BEHIND_THE_STATE")
        self._is_folding = False
        self._due_folding = DueIndex()
        for table, records in self._records.items():
            if table in self._whole:
                continue
            if table in self._fleeting or len(records) > keep_below:
                self._records[table] = {key: records[key] for key in unfolded.get(table, ())}

    def list_records(self, table: str) -> list[tuple[str, Any]]:
        """Every record of a table that is whole in memory, as of the last write, in key order."""
        if table not in self._resident:
            raise InvariantBroken("TABLE_NOT_WHOLE", table=table)
        return sorted((key, record) for key, record in self._records[table].items() if record is not None)
