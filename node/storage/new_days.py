"""Days of which nothing was on the disk when their first record came: what is absent need not be looked for.

Nearly every reference, and every nonce, is looked for to be found absent, on its day and the day before.
Where this process has seen all that was ever written for a day, it can say so by itself: each key written
leaves two marks in a field of bytes, and a key of which one is missing was never written. Keys that only seem
to be there are asked of the disk, and so is every day that had records before this process began and was not
read by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

DAY_DIGITS: Final = 7
"""With these the keys of such tables begin."""
_FIELD_BYTES: Final = 1 << 24
"""A million keys leave one in eighty unsure; memory is taken only as marks are made."""
_MASK: Final = _FIELD_BYTES - 1
_DAYS_MAX: Final = 3
"""So many days of a table at a time, the latest: of those long past the disk is asked."""


class NewDays:
    """What is known of tables whose keys begin with a day. One thread notes, any thread asks."""

    def __init__(self, tables: Iterable[str], is_empty: Callable[[str, str], bool]) -> None:
        self._tables = frozenset(tables)
        self._is_empty = is_empty
        """Whether a table has no record on the disk whose key begins so."""
        self._fields: dict[tuple[str, str], bytearray] = {}
        self._asked: set[tuple[str, str]] = set()

    def note(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """These are about to be written, and nothing else is on its way to the disk."""
        for table in sorted(self._tables & changes.keys()):
            for key, record in changes[table].items():
                if record is not None:
                    field = self._find_field(table, key[:DAY_DIGITS])
                    if field is not None:
                        number = hash(key)
                        field[number & _MASK] = field[(number >> 24) & _MASK] = 1

    def learn(self, table: str, day: str, keys: Iterable[str]) -> None:
        """These are all keys of a day that are on the disk, and nothing is on its way there."""
        self._asked.add((table, day))
        field = self._fields[table, day] = bytearray(_FIELD_BYTES)
        for key in keys:
            number = hash(key)
            field[number & _MASK] = field[(number >> 24) & _MASK] = 1

    def may_exist(self, table: str, key: str) -> bool:
        """Whether the disk has to be asked."""
        field = self._fields.get((table, key[:DAY_DIGITS]))
        if field is None:
            return True
        number = hash(key)
        return bool(field[number & _MASK] and field[(number >> 24) & _MASK])

    def forget(self) -> None:
        """Nothing is known any more."""
        self._fields = {}
        self._asked = set()

    def _find_field(self, table: str, day: str) -> bytearray | None:
        if (table, day) not in self._asked:
            # References are looked for on the day before as well, which may have had none.
            for one in (day, f"{int(day) - 1:0{DAY_DIGITS}d}"):
                self._open_field(table, one)
        return self._fields.get((table, day))

    def _open_field(self, table: str, day: str) -> None:
        if (table, day) in self._asked:
            return
        self._asked.add((table, day))
        if self._is_empty(table, day):
            self._fields[table, day] = bytearray(_FIELD_BYTES)
            # What is let go of is asked of the disk again, and never known anew.
            kept = sorted(one for one in self._fields if one[0] == table)
            for old in kept[:-_DAYS_MAX]:
                del self._fields[old]
