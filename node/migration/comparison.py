"""Two books held against each other, line by line: an earlier system's and the ledger's.

A line and an entry are the same movement when member, kind and order are; where a line names no order, when
member and kind are and points or day agree. Of several candidates those with the same points and the nearest
day are paired first. What is left over is missing in the other book.

Both books are split by member into parts on the disk, and one part is looked at after the other: so memory
holds a part of a day, not all of it. The result is in the order of the export's lines, then of the ledger's
entries, and the same every time.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final, NamedTuple
from zlib import crc32

import msgspec
from msgspec import Struct

from node.migration.movements import Movement

_PARTS: Final = 64
_AFTER_ALL_LINES: Final = 1


class Tolerance(NamedTuple):
    """How far the two books may be apart without a word."""

    points: int = 0
    balance: int | None = 0
    """None: balances are not compared."""
    days: int = 0


class Difference(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One movement on which the books disagree. Never on the wire."""

    code: str
    """``NOT_ON_LEDGER``, ``NOT_IN_EXPORT`` or ``DIFFERS``."""
    line: int | None = None
    entry: int | None = None
    """Index of the ledger's entry."""
    customer: str
    member: str
    kind: str
    order: str
    day: int
    points: int
    fields: list[tuple[str, int, int]] = []
    """Name, in the export, on the ledger."""

    @property
    def rank(self) -> tuple[int, int]:
        """Where it stands among the others."""
        if self.line is None:
            return _AFTER_ALL_LINES, self.entry or 0
        return 0, self.line


_MOVEMENT: Final = msgspec.json.Decoder(Movement)
_DIFFERENCE: Final = msgspec.json.Decoder(Difference)


class Books:
    """Both books, on the disk in parts. ``folder`` is temporary and its owner's alone."""

    def __init__(self, folder: Path, tolerance: Tolerance) -> None:
        self._folder = folder
        self._tolerance = tolerance
        self._files = ExitStack()
        self._theirs = [self._create(f"theirs-{part}") for part in range(_PARTS)]
        self._ours = [self._create(f"ours-{part}") for part in range(_PARTS)]
        self.matched = 0

    def add_theirs(self, movement: Movement) -> None:
        """A line of the export."""
        self._theirs[_get_part(movement)].write(msgspec.json.encode(movement) + b"\n")

    def add_ours(self, movement: Movement) -> None:
        """An entry of the ledger."""
        self._ours[_get_part(movement)].write(msgspec.json.encode(movement) + b"\n")

    def compare(self, *, first_day: int, last_day: int) -> Iterator[Difference]:
        """Every difference, in order. Entries of other days count only where a line needs them."""
        self._files.close()
        for part in range(_PARTS):
            theirs, ours = (self._read(f"{side}-{part}") for side in ("theirs", "ours"))
            found = sorted(self._compare_part(theirs, ours, first_day, last_day), key=_get_rank)
            with (self._folder / f"found-{part}").open("wb") as file:
                file.writelines(msgspec.json.encode(each) + b"\n" for each in found)
        yield from heapq.merge(*(self._list_found(part) for part in range(_PARTS)), key=_get_rank)

    def close(self) -> None:
        """The files are closed."""
        self._files.close()

    def _compare_part(
        self, theirs: list[Movement], ours: list[Movement], first_day: int, last_day: int
    ) -> Iterator[Difference]:
        groups: dict[tuple[str, str], tuple[list[Movement], list[Movement]]] = defaultdict(lambda: ([], []))
        for movement in theirs:
            groups[movement.member, movement.kind][0].append(movement)
        for movement in ours:
            groups[movement.member, movement.kind][1].append(movement)
        for lines, entries in groups.values():
            pairs, left_lines, left_entries = _pair(lines, entries, days=self._tolerance.days)
            for line, entry in pairs:
                fields = self._differ(line, entry)
                if fields:
                    yield _make("DIFFERS", line, line=line, entry=entry, fields=fields)
                else:
                    self.matched += 1
            for line in left_lines:
                yield _make("NOT_ON_LEDGER", line, line=line)
            for entry in left_entries:
                if first_day <= entry.day <= last_day:
                    yield _make("NOT_IN_EXPORT", entry, entry=entry)

    def _differ(self, line: Movement, entry: Movement) -> list[tuple[str, int, int]]:
        allowed = self._tolerance
        fields: list[tuple[str, int, int]] = []
        if abs(line.points - entry.points) > allowed.points:
            fields.append(("points", line.points, entry.points))
        if (
            allowed.balance is not None
            and line.balance is not None
            and entry.balance is not None
            and abs(line.balance - entry.balance) > allowed.balance
        ):
            fields.append(("balance", line.balance, entry.balance))
        if abs(line.day - entry.day) > allowed.days:
            fields.append(("day", line.day, entry.day))
        return fields

    def _create(self, name: str) -> IO[bytes]:
        return self._files.enter_context((self._folder / name).open("wb"))

    def _read(self, name: str) -> list[Movement]:
        with (self._folder / name).open("rb") as file:
            return [_MOVEMENT.decode(line) for line in file]

    def _list_found(self, part: int) -> Iterator[Difference]:
        with (self._folder / f"found-{part}").open("rb") as file:
            for line in file:
                yield _DIFFERENCE.decode(line)


def _pair(
    lines: list[Movement], entries: list[Movement], *, days: int
) -> tuple[list[tuple[Movement, Movement]], list[Movement], list[Movement]]:
    """Lines and entries of one member and kind that are the same movement, and what is left of both."""
    pairs: list[tuple[Movement, Movement]] = []
    # By order first; within it the same points and the nearest day, then the nearest day.
    for has_order, needs_points in ((True, True), (True, False), (False, True), (False, False)):
        for line in list(lines):
            if bool(line.order) != has_order:
                continue
            candidates = [
                entry
                for entry in entries
                if (entry.order == line.order if has_order else abs(entry.day - line.day) <= days)
                and (entry.points == line.points or not needs_points)
            ]
            if candidates:
                nearest = min(candidates, key=lambda entry: (abs(entry.day - line.day), entry.place))
                pairs.append((line, nearest))
                lines.remove(line)
                entries.remove(nearest)
    return pairs, lines, entries


def _make(
    code: str,
    told: Movement,
    *,
    line: Movement | None = None,
    entry: Movement | None = None,
    fields: Iterable[tuple[str, int, int]] = (),
) -> Difference:
    return Difference(
        code=code,
        line=None if line is None else line.place,
        entry=None if entry is None else entry.place,
        customer=told.holder,
        member=told.member,
        kind=told.kind,
        order=told.order,
        day=told.day,
        points=told.points,
        fields=list(fields),
    )


def _get_part(movement: Movement) -> int:
    return crc32(movement.member.encode()) % _PARTS


def _get_rank(difference: Difference) -> tuple[int, int]:
    return difference.rank
