"""Due work in key order: what a block must do by itself once a day has passed.

Keys begin with their day in seven digits, so order of keys is order of days. Entries are grouped by day, and
a day is sorted once, when its turn has come: neither a write nor a block's share of the work costs more
because much work lies ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final

DAY_DIGITS: Final = 7


class _Day:
    """The keys of one day that were written here, and those that were removed."""

    __slots__ = ("begin", "keys", "order", "removed")

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.removed: set[str] = set()
        self.order: list[str] | None = None
        self.begin = 0
        """Before this place in the order everything is done."""

    def write(self, key: str, *, is_present: bool) -> None:
        if not is_present:
            self.keys.discard(key)
            self.removed.add(key)
            return
        self.removed.discard(key)
        if key not in self.keys:
            self.keys.add(key)
            self.order = None

    def first(self, limit: int) -> list[str]:
        if self.order is None:
            self.order, self.begin = sorted(self.keys), 0
        while self.begin < len(self.order) and self.order[self.begin] not in self.keys:
            self.begin += 1
        ahead = islice(self.order, self.begin, None)
        return list(islice((key for key in ahead if key in self.keys), limit))


class DueIndex:
    """The due keys written since the last fold, over those that a source has stored."""

    def __init__(self) -> None:
        self._days: dict[str, _Day] = {}

    def update(self, written: Mapping[str, Any]) -> None:
        """Remember keys that were written, and those that were removed."""
        for key, record in written.items():
            day = self._days.get(key[:DAY_DIGITS])
            if day is None:
                day = self._days[key[:DAY_DIGITS]] = _Day()
            day.write(key, is_present=record is not None)

    def first(self, *, before: str, limit: int, stored: Callable[..., list[str]] | None) -> list[str]:
        """The lowest keys below ``before``, at most ``limit``: what was written here over what is stored."""
        if limit <= 0:
            return []
        due = sorted(day for day in self._days if day < before)
        found: list[str] = []
        removed: set[str] = set()
        for name in due:
            day = self._days[name]
            found += day.first(limit - len(found))
            if stored is not None:
                removed |= day.removed
            elif not day.keys:
                del self._days[name]  # with a source, what was removed must still hide what is stored
        if stored is None:
            return found
        below = stored(before=before, limit=limit + len(removed))
        return sorted({*found, *below} - (removed - set(found)))[:limit]
