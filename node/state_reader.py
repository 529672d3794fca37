"""The committed state as everybody but the executor reads it."""

from __future__ import annotations

from typing import Any

from ledger.errors import InvariantBroken
from ledger.executor import Executor, get_resident_tables
from node.storage.store import Store


class StateReader:
    """The committed state for any thread, remembering nothing."""

    def __init__(self, executor: Executor, store: Store) -> None:
        self._state = executor.state
        self._store = store
        self._resident = get_resident_tables(executor.rulebook)

    def get(self, table: str, key: str) -> Any:
        """The record as of the last committed block, or None."""
        return self._state.peek(table, key, self._store.fold)

    def first_due(self, *, before: str, limit: int) -> list[str]:
        """Due work is the executor's alone."""
        raise InvariantBroken("DUE_WORK_NOT_READABLE", before=before, limit=limit)

    def list_records(self, table: str) -> list[tuple[str, Any]]:
        """Every record of a small table, in key order."""
        # A table that is whole in memory has lost there what was removed, before the fold has heard of it.
        rows = {} if table in self._resident else dict(self._store.fold.list_records(table))
        rows.update(self._state.list_remembered(table))
        return sorted((key, record) for key, record in rows.items() if record is not None)
