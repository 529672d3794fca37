"""A recorded log as a whole, and what each beginning of it comes to: its root, its state, its look-ups.

State and look-ups are compared as sums of their rows' hashes, so that thousands of states can be.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from ledger.codec import encode
from ledger.executor import make_tables
from ledger.log.merkle import compute_leaf_hashes, compute_root
from node.audit.replay import Replay
from node.storage.lookups import LookupRows, list_brought
from node.storage.store import Store, open_store
from tests.node.engine.town import RULEBOOK, Town


class Whole:
    """The log at the end of the recording, and what every beginning of it comes to."""

    def __init__(self, town: Town, log_path: Path) -> None:
        self.town = town
        store = open_store(log_path, RULEBOOK)
        try:
            self.leaves = store.log.read_leaves(0, store.log.size)
        finally:
            store.close()
        self.hashes = compute_leaf_hashes(self.leaves)
        self.sums: dict[int, tuple[int, int]] = {}
        """Size at a block's end → sums of state and look-ups there."""
        self._replay()
        self._roots: dict[int, bytes] = {}

    def _replay(self) -> None:
        replay = Replay.begin(iter(self.leaves))
        records = {
            (table, key): _hash_row(table, key, encode(record))
            for table in list_tables()
            for key, record in replay.state.list_records(table)
        }
        state, views = sum(records.values()), 0
        self.sums[replay.size] = state, views
        for block in replay:
            for table, changed in block.changes.records.items():
                for key, record in changed.items():
                    state -= records.pop((table, key), 0)
                    if record is not None:
                        records[table, key] = _hash_row(table, key, encode(record))
                        state += records[table, key]
            rows = LookupRows()
            for brought in list_brought(block.executed, block.recorded.transactions):
                rows.add(brought)
            views += sum_lookups(rows)
            self.sums[replay.size] = state, views

    def root(self, size: int) -> bytes:
        """The recorded root of that many leaves."""
        if size not in self._roots:
            self._roots[size] = compute_root(self.hashes[:size])
        return self._roots[size]


def list_tables() -> list[str]:
    """Every state table."""
    return sorted(make_tables(RULEBOOK))


def _hash_row(*parts: Any) -> int:
    """Rows are added up: whatever order they come in, the sum tells."""
    data = repr(tuple(bytes(part) if isinstance(part, memoryview) else part for part in parts)).encode()
    return int.from_bytes(hashlib.sha256(data).digest()[:16])


def sum_lookups(rows: LookupRows) -> int:
    """Over these look-up rows."""
    return sum(
        _hash_row(name, *row)
        for name, found in (("h", rows.history), ("r", rows.references), ("t", rows.transactions))
        for row in found
    )


def sum_state(store: Store) -> int:
    """Over every folded record."""
    return sum(
        _hash_row(table, key, value)
        for table in list_tables()
        for key, value in store.fold._database.ask(f"SELECT key, value FROM state_{table}")
    )
