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

Key = tuple[str, str]
"""Table and key."""

DUE_TABLE: Final = "due"
"""The one table that is also read in key order: what a block has to do by itself."""

_MISSING: Final = object()


class RecordSource(Protocol):
    """Where records come from that are not in memory: everything up to the last fold."""

    def load(self, wanted: Mapping[str, Sequence[str]]) -> Iterable[tuple[str, str, Any]]:
        """The (table, key, record) of those that exist."""
        ...

    def first_due(self, *, before: str, limit: int) -> list[str]:
        """The keys of the due table below ``before``, in order, at most ``limit``."""
        ...

    def list_records(self, table: str) -> Iterable[tuple[str, Any]]:
        """Every record of a table."""
        ...


class StateView(Protocol):
    """What a rule may do with the state: read it."""

    def get(self, table: str, key: str) -> Any:
        """The record, or None."""
        ...

    def first_due(self, *, before: str, limit: int) -> list[str]:
        """The keys of the due table below ``before``, in order, at most ``limit``."""
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
        """Tables that are whole in memory: what is not there does not exist, and nobody asks the source."""
        self._fleeting = frozenset(fleeting)
        """Tables whose records are written once and hardly read again.

        They leave memory with the next fold.
        """
        self._current: dict[str, dict[str, Any]] = {table: {} for table in self._tables}
        self._pending: dict[str, dict[str, Any]] = {table: {} for table in self._tables}
        self._absent: dict[str, set[str]] = {table: set() for table in self._tables}
        """What the block asked the source for in vain. Forgotten with the block: it may write these keys."""
        self._undo: list[tuple[str, str, Any]] | None = None
        self._due = DueIndex()
        self._due_folding = DueIndex()
        self._is_folding = False
        self._in_block = False
        if source is not None:
            for table in sorted(self._resident):
                self._current[table].update(source.list_records(table))

    def get(self, table: str, key: str) -> Any:
        """The record as of the last write of the block being executed, or None."""
        record = self._pending[table].get(key, _MISSING)
        if record is _MISSING:
            record = self._current[table].get(key, _MISSING)
            if record is _MISSING:
                return None if table in self._resident else self.get_current(table, key)
        return record

    def get_current(self, table: str, key: str) -> Any:
        """The record as of the last committed block, or None."""
        current = self._current[table]
        record = current.get(key, _MISSING)
        if record is not _MISSING:
            return record
        if self._source is None or table in self._resident or key in self._absent[table]:
            return None
        for _, _, found in self._source.load({table: [key]}):
            current[key] = found
            return found
        self._absent[table].add(key)
        return None

    def peek(self, table: str, key: str, source: RecordSource | None) -> Any:
        """The record as of the last committed block, read from another thread: nothing is remembered.

        ``source`` is that thread's own. A reader that stored what it loaded could overwrite what the executor
        has committed since.
        """
        record = self._current[table].get(key, _MISSING)
        if record is not _MISSING:
            return record
        if source is not None and table not in self._resident:
            for _, _, found in source.load({table: [key]}):
                return found
        return None

    def list_remembered(self, table: str) -> list[tuple[str, Any]]:
        """The records of a table that are in memory, None for those known to be absent.

        Over a source's, the whole.
        """
        return list(self._current[table].items())

    def prefetch(self, wanted: Iterable[Key]) -> None:
        """Bring what a block will read into memory with one read of the source.

        Never changes what `get` answers.
        """
        if self._source is None:
            return
        absent = self._absent
        missing: dict[str, list[str]] = {}
        for table, key in wanted:
            if key in self._current[table] or key in absent[table] or table in self._resident:
                continue
            absent[table].add(key)
            missing.setdefault(table, []).append(key)
        if not missing:
            return
        for table, key, record in self._source.load(missing):
            self._current[table][key] = record
            absent[table].discard(key)

    def begin(self) -> None:
        """A block begins: nothing pending, nothing half done."""
        if self._in_block:
            raise InvariantBroken("BLOCK_ALREADY_BEGUN")
        self._in_block = True

    def put(self, table: str, key: str, record: Any) -> None:
        """Write a record (None removes it) into the pending layer."""
        pending = self._pending[table]
        if self._undo is not None:
            self._undo.append((table, key, pending.get(key, _MISSING)))
        pending[key] = record

    def begin_atomic(self) -> None:
        """From here on every write can be undone by `roll_back_atomic`, until `end_atomic`."""
        self._undo = []

    def end_atomic(self) -> None:
        """The writes since `begin_atomic` stay."""
        self._undo = None

    def roll_back_atomic(self) -> None:
        """The writes since `begin_atomic` never happened."""
        for table, key, before in reversed(self._undo or ()):
            if before is _MISSING:
                del self._pending[table][key]
            else:
                self._pending[table][key] = before
        self._undo = None

    def pending(self, table: str) -> Mapping[str, Any]:
        """What the block has written to a table so far."""
        return self._pending[table]

    def commit(self) -> Changes:
        """What is pending becomes current. The caller has made the block's leaves durable."""
        # Small tables first, and with them the head: a reader on another thread that finds the head where it
        # was has not seen anything newer either.
        tables = sorted(self._tables, key=lambda table: (table not in self._resident, table))
        changes = {table: self._pending[table] for table in tables if self._pending[table]}
        for table, pending in changes.items():
            self._current[table].update(pending)
            if table == DUE_TABLE:
                self._due.update(pending)
            if table in self._resident:
                for key, record in pending.items():
                    if record is None:
                        del self._current[table][key]
            self._pending[table] = {}
        self._end_block()
        return Changes(changes)

    def roll_back(self) -> None:
        """What is pending is forgotten."""
        for table in self._tables:
            if self._pending[table]:
                self._pending[table] = {}
        self._undo = None
        self._end_block()

    def _end_block(self) -> None:
        for table, keys in self._absent.items():
            if keys:
                self._absent[table] = set()
        self._in_block = False

    def first_due(self, *, before: str, limit: int) -> list[str]:
        """The keys of the due table below ``before``, in order.

        Read at the start of a block, before any write.
        """
        if self._source is None:
            return self._due.first(before=before, limit=limit, stored=None)
        folding = partial(self._due_folding.first, stored=self._source.first_due)
        return self._due.first(before=before, limit=limit, stored=folding)

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
        for table, current in self._current.items():
            if table in self._resident:
                continue
            if table in self._fleeting or len(current) > keep_below:
                self._current[table] = {key: current[key] for key in unfolded.get(table, ())}

    def rows(self, table: str) -> Iterable[tuple[str, Any]]:
        """All records of a table in key order. Only without a source: an auditor's whole state."""
        if self._source is not None:
            raise InvariantBroken("STATE_NOT_WHOLE")
        return sorted(self._current[table].items())
