"""Due work in key order: what a block must do by itself once a day has passed.

Keys begin with their day in seven digits, so order of keys is order of days. Entries are grouped by day and a
day is sorted only when its turn has come: a write costs the same however much work lies ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

DAY_DIGITS = 7


class DueIndex:
    """The due keys written since the last fold, over those that a source has stored."""

    def __init__(self) -> None:
        self._days: dict[str, dict[str, bool]] = {}

    def update(self, written: Mapping[str, Any]) -> None:
        """Remember keys that were written, and those that were removed."""
        for key, record in written.items():
            self._days.setdefault(key[:DAY_DIGITS], {})[key] = record is not None

    def first(self, *, before: str, limit: int, stored: Callable[..., list[str]] | None) -> list[str]:
        """The lowest keys below ``before``, at most ``limit``: what was written here over what is stored."""
        if limit <= 0:
            return []
        present: set[str] = set()
        removed: set[str] = set()
        for day in sorted(day for day in self._days if day < before):
            for key, is_present in self._days[day].items():
                (present if is_present else removed).add(key)
        if stored is None:
            self._drop_finished(before)
        else:
            present.update(stored(before=before, limit=limit + len(removed)))
        return sorted(present - removed)[:limit]

    def _drop_finished(self, before: str) -> None:
        """Days on which all is done take no room (with a source they must still hide what is stored)."""
        for day in [day for day in self._days if day < before and not any(self._days[day].values())]:
            del self._days[day]
