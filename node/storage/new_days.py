"""Days of which nothing was on the disk when their first record came: what is absent need not be looked for.

Nearly every reference, and every nonce, is looked for to be found absent, on its day and the day before.
Where this process has seen all that was ever written for a day, it can say so by itself: each key written
leaves two marks in a field of bytes, near each other so that the processor fetches them together, and a key
of which one is missing was never written. Keys that only seem to be there are asked of the disk, and so is
every day that had records before this process began and was not read by it.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

DAY_DIGITS: Final = 7
"""With these the keys of such tables begin."""
_FIELD_BITS: Final = 24
_FIELD_BYTES: Final = 1 << _FIELD_BITS
"""A million keys leave one in seventy unsure; memory is taken only as marks are made."""
_MASK: Final = _FIELD_BYTES - 1
_NEAR: Final = 63
"""Two marks are in the same 64 bytes, which is what a processor fetches at once."""
_DAYS_MAX: Final = 3
"""So many days of a table at a time, the latest: of those long past the disk is asked."""


class NewDays:
    """What is known of tables whose keys begin with a day. One thread notes, any thread asks."""

    def __init__(self, tables: Iterable[str], is_empty: Callable[[str, str], bool]) -> None:
        self._tables = frozenset(tables)
        self._is_empty = is_empty
        """Whether a table has no record on the disk whose key begins so."""
        self._fields: dict[str, dict[str, mmap.mmap | bytes]] = {}
        """Table → day → its field, of no bytes as long as nothing was written."""
        self._asked: set[tuple[str, str]] = set()

    def note(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """These are about to be written, and nothing else is on its way to the disk."""
        for table in sorted(self._tables & changes.keys()):
            last, field = "", None
            for key, record in changes[table].items():
                if record is None:
                    continue
                day = key[:DAY_DIGITS]
                if day != last:
                    # Most of what is written is of one day.
                    last, field = day, self._find_field(table, day)
                if field is not None:
                    number = hash(key)
                    place = number & _MASK
                    field[place] = field[place ^ (number >> _FIELD_BITS & _NEAR | 1)] = 1

    def learn(self, table: str, day: str, keys: Iterable[str]) -> None:
        """These are all keys of a day that are on the disk, and nothing is on its way there."""
        self._asked.add((table, day))
        field = self._fields.setdefault(table, {})[day] = _make_field()
        for key in keys:
            number = hash(key)
            place = number & _MASK
            field[place] = field[place ^ (number >> _FIELD_BITS & _NEAR | 1)] = 1

    def select(self, table: str, keys: Sequence[str]) -> Sequence[str]:
        """Those of the keys that the disk has to be asked for."""
        if table not in self._tables:
            return keys
        fields = self._fields.get(table, {})
        found = []
        for key in keys:
            field = fields.get(key[:DAY_DIGITS])
            if field is None:
                found.append(key)
            elif field:
                number = hash(key)
                place = number & _MASK
                if field[place] and field[place ^ (number >> _FIELD_BITS & _NEAR | 1)]:
                    found.append(key)
        return found

    def forget(self) -> None:
        """Nothing is known any more."""
        self._fields = {}
        self._asked = set()

    def _find_field(self, table: str, day: str) -> mmap.mmap | None:
        """The field to note a key of this day in."""
        if (table, day) not in self._asked:
            # References are looked for on the day before as well, which may have had none.
            for one in (day, f"{int(day) - 1:0{DAY_DIGITS}d}"):
                self._open_field(table, one)
        fields = self._fields.get(table, {})
        field = fields.get(day)
        if isinstance(field, bytes):
            # Another one, rather than the same made longer: a reader may be looking into it.
            field = fields[day] = _make_field()
        return field

    def _open_field(self, table: str, day: str) -> None:
        if (table, day) in self._asked:
            return
        self._asked.add((table, day))
        if self._is_empty(table, day):
            fields = self._fields.setdefault(table, {})
            fields[day] = b""
            # What is let go of is asked of the disk again, and never known anew.
            for old in sorted(fields)[:-_DAYS_MAX]:
                del fields[old]


def _make_field() -> mmap.mmap:
    """A field without a mark. Python's own bytes would all be written, and so take their memory, at once."""
    return mmap.mmap(-1, _FIELD_BYTES, access=mmap.ACCESS_COPY)
