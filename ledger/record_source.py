"""What may stand behind the records of a state: everything up to the last fold, wherever that is kept.

Nothing is read here; `node.storage.fold` reads a database.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol


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
