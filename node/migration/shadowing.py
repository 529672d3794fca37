"""A parallel run: days of an earlier system and of the ledger, compared in temporary files and little memory.

The days compared are those of the export, unless they are given. Lines of other days are counted and left
aside. Opening balances are looked at only where the export has some: an earlier system took nothing over.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct

from node.keystore import Unusable
from node.migration.comparison import Books, Difference, Tolerance
from node.migration.exports import OPTIONAL, REQUIRED, read_exports
from node.migration.ledgers import Side
from node.migration.movements import KINDS, Movement
from node.migration.table import Fault, open_table

_IMPORT: Final = "import"
_FIRST_DAY: Final = -1
_LAST_DAY: Final = 10**9


class Sums(Struct):
    """What one kind of movement comes to, in both books. Never on the wire."""

    lines: int = 0
    line_points: int = 0
    entries: int = 0
    entry_points: int = 0


class Compared:
    """Both books, read; the differences are worked out when asked for."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self.first_day = 0
        self.last_day = 0
        self.lines = 0
        self.other_days = 0
        """Lines that were left aside."""
        self.faults: list[Fault] = []
        self.sums: dict[str, Sums] = {}
        self.counts: Counter[str] = Counter()
        """Differences by code, once they were listed."""

    @property
    def matched(self) -> int:
        """Lines that the ledger has as they are."""
        return self._books.matched

    def list_differences(self) -> Iterator[Difference]:
        """Every difference, in the order of lines, then of entries."""
        for difference in self._books.compare(first_day=self.first_day, last_day=self.last_day):
            self.counts[difference.code] += 1
            yield difference

    def add_sums(self, movement: Movement, *, is_ours: bool) -> None:
        """Count a movement of one of the books."""
        sums = self.sums.setdefault(movement.kind, Sums())
        if is_ours:
            sums.entries += 1
            sums.entry_points += movement.points
        else:
            sums.lines += 1
            sums.line_points += movement.points

    def list_sums(self) -> list[tuple[str, Sums]]:
        """The kinds that occur, in the order of `KINDS`."""
        return [(kind, self.sums[kind]) for kind in KINDS if kind in self.sums]


@contextmanager
def compare(
    file: Path,
    side: Side,
    *,
    members: Mapping[str, str],
    kinds: Mapping[str, str],
    tolerance: Tolerance,
    first_day: int | None,
    last_day: int | None,
) -> Iterator[Compared]:
    """The export and the ledger, read into books that are gone afterwards. Raises `Unusable`."""
    with (
        tempfile.TemporaryDirectory(prefix="commonpoint-shadow-") as folder,
        closing(Books(Path(folder), tolerance)) as books,
    ):
        compared = Compared(books)
        seen = _read_file(compared, books, file, members, kinds, bounds=_bound(first_day, last_day))
        if compared.lines == 0 and (first_day is None or last_day is None):
            advice = "Say which days it was to be: --from and --to."
            raise Unusable("EXPORT_EMPTY", advice=advice, path=str(file), faults=len(compared.faults))
        compared.first_day = min(seen.days) if first_day is None else first_day
        compared.last_day = max(seen.days) if last_day is None else last_day
        wanted = sorted(seen.members | set(members.values()))
        for movement in side.list_movements(compared.first_day - tolerance.days, wanted):
            if movement.kind == _IMPORT and _IMPORT not in compared.sums:
                continue
            books.add_ours(movement)
            if compared.first_day <= movement.day <= compared.last_day:
                compared.add_sums(movement, is_ours=True)
        yield compared


class _Seen:
    """The days and members of an export."""

    def __init__(self) -> None:
        self.days: set[int] = set()
        self.members: set[str] = set()


def _read_file(
    compared: Compared,
    books: Books,
    file: Path,
    members: Mapping[str, str],
    kinds: Mapping[str, str],
    *,
    bounds: tuple[int, int],
) -> _Seen:
    seen = _Seen()
    with open_table(file, required=REQUIRED, optional=OPTIONAL) as table:
        for found in read_exports(table, members=members, kinds=kinds):
            if isinstance(found, Fault):
                compared.faults.append(found)
            elif not bounds[0] <= found.day <= bounds[1]:
                compared.other_days += 1
            elif found.points:
                # What moved nothing is in no ledger's history of points.
                compared.lines += 1
                seen.days.add(found.day)
                seen.members.add(found.member)
                books.add_theirs(found)
                compared.add_sums(found, is_ours=False)
    return seen


def _bound(first_day: int | None, last_day: int | None) -> tuple[int, int]:
    return _FIRST_DAY if first_day is None else first_day, _LAST_DAY if last_day is None else last_day
