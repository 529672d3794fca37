"""Due work in key order: what a block must do by itself once its minute has come.

Keys begin with their minute in ten digits, so order of keys is order of time. Entries are grouped by
minute, and a minute is sorted once, when its turn has come: neither a write nor a block's share of the work
costs more because much work lies ahead.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Mapping
from itertools import islice, takewhile
from typing import Any, Final

MINUTE_DIGITS: Final = 10


class _Minute:
    """The keys of one minute that were written here, and those that were removed."""

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
        self._minutes: dict[str, _Minute] = {}
        self._order: list[str] = []
        """Their names, ascending: a block looks no further than its own time."""

    def update(self, written: Mapping[str, Any]) -> None:
        """Remember keys that were written, and those that were removed."""
        for key, record in written.items():
            name = key[:MINUTE_DIGITS]
            minute = self._minutes.get(name)
            if minute is None:
                minute = self._minutes[name] = _Minute()
                insort(self._order, name)
            minute.write(key, is_present=record is not None)

    def first(self, *, before: str, limit: int, stored: Callable[..., list[str]] | None) -> list[str]:
        """The lowest keys below ``before``, at most ``limit``: what was written here over what is stored."""
        if limit <= 0:
            return []
        due = list(takewhile(lambda name: name < before, self._order))
        found: list[str] = []
        removed: set[str] = set()
        for name in due:
            minute = self._minutes[name]
            found += minute.first(limit - len(found))
            if stored is not None:
                removed |= minute.removed
            elif not minute.keys:
                # With a source, what was removed must still hide what is stored.
                del self._minutes[name]
                self._order.remove(name)
        if stored is None:
            return found
        below = stored(before=before, limit=limit + len(removed))
        return sorted({*found, *below} - (removed - set(found)))[:limit]
