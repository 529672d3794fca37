"""A moment of a ledger's databases in which orders, members and keys can be looked up.

It is the audit's snapshot with the few searches that gathering one order needs; like it, it writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from node.storage.chunks import find_in_chunk, find_range
from node.storage.snapshot import Snapshot


class OrderSnapshot(Snapshot):
    """Look-ups as of the last fold. Leaves after `read_mark` are in no look-up yet."""

    def find_order(self, sender: str, reference: str, *, size: int) -> Iterator[int]:
        """Entries below ``size`` of this sender that name this reference, in log order."""
        for entry, who in self._find("lookup_reference", reference, size):
            if who == sender:
                yield entry

    def find_history(self, member: str, *, size: int) -> Iterator[int]:
        """Entries below ``size`` that concern this member, in log order."""
        last = -1
        for entry, _ in self._find("history", member, size):
            if entry != last:
                yield entry
            last = entry

    def find_record(self, table: str, key: str) -> bytes | None:
        """A record of the state, as stored."""
        value = self._get(f"SELECT value FROM state_{table} WHERE key = ?", key) if self.has_views else None
        return value if isinstance(value, bytes) else None

    def _find(self, table: str, name: str, size: int) -> Iterator[tuple[int, str]]:
        # Every table is placed by segment first, so each segment is one search.
        for segment in range(-(-size // self.segment_leaves)):
            for (data,) in self._rows(
                f"SELECT data FROM {table} WHERE place >= ? AND place < ? ORDER BY place",
                *find_range(segment, name, end=size),
            ):
                for entry, beside in find_in_chunk(data, name):
                    if entry < size:
                        yield entry, beside
