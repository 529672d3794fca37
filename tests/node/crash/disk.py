"""What a power cut may leave of a recording: the model of a disk that promises what it synced and no more.

A write, a change of size or a name is safe once a sync that began after it has ended: of the file for what is
in it, of the folder for names. Of what is not safe yet any part may have arrived, in any order: each write
whole, not at all, or torn at sectors of 512 or 4,096 bytes; a file as long as it was, as it became or between
the two, with zeros or noise where nothing arrived; each name in any of its states since the last sync of the
folder, whatever the others are in.

Writes to one sector may arrive in any order too, which is more than a page cache would do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import NamedTuple

from tests.node.crash.recorder import Operation, Recording

NEVER = 2**61
_SINGLED_OUT_MAX = 40
"""Of so many pending writes at most, each is once the only one that arrived and once the only one that did
not. Of more, some that are drawn."""

Files = dict[str, bytes | bytearray]
Arrives = Callable[[Operation, int], bool]
"""Whether the sector of a write that holds this byte of the file arrived."""


class CrashPoint(NamedTuple):
    """The power goes after this many calls and ends of calls; by then these answers had been given."""

    place: int
    answers: int


class Draw(NamedTuple):
    """One way in which things may have gone."""

    order: list[int]
    """Which of the pending writes and truncations arrived at all, in the order in which they did."""
    sector: int
    """Where they may be torn; 0: they are whole."""
    arrives: float
    """How likely each sector is."""
    size: str
    """`natural`: as what arrived says; `full`, `old`, `between`: set apart from what arrived."""
    noise: bool


class Disk:
    """A recording up to a place: what is safe, and what is pending. It only moves on."""

    def __init__(
        self, recording: Recording, *, is_dropped: Callable[[Operation], bool] = lambda _sync: False
    ) -> None:
        self._answers = [answer.begin for answer in recording.answers]
        self._changes = [each for each in recording.operations if not each.kind.startswith("sync")]
        syncs = [
            each
            for each in recording.operations
            if each.kind.startswith("sync") and not is_dropped(each) and each.end < NEVER
        ]
        self._safe_at = [_find_sync(change, syncs) for change in self._changes]
        """The place from which on a change is safe."""
        places = {change.begin + 1 for change in self._changes} | {sync.end + 1 for sync in syncs}
        self._places = sorted(place for place in places if place <= recording.length)
        self._end = recording.length
        self._safe: dict[int, bytearray] = {}
        self._names: dict[str, int | None] = {}
        self._pending: list[int] = []
        self._next = 0

    def list_points(self) -> list[CrashPoint]:
        """Every place at which something else may be left than before, with all answers until the next."""
        points = []
        answered = 0
        for place, after in zip(self._places, [*self._places[1:], self._end + 1], strict=True):
            while answered < len(self._answers) and self._answers[answered] < after - 1:
                answered += 1
            points.append(CrashPoint(place, answered))
        return points

    def advance(self, place: int) -> None:
        """The power goes here."""
        while self._next < len(self._changes) and self._changes[self._next].begin < place:
            self._pending.append(self._next)
            self._next += 1
        left = []
        for number in self._pending:
            if self._safe_at[number] >= place:
                left.append(number)
                continue
            change = self._changes[number]
            if change.kind in ("create", "unlink"):
                self._names[change.name] = change.file if change.kind == "create" else None
            else:
                _apply(self._safe.setdefault(change.file, bytearray()), change, None)
        self._pending = left

    @property
    def pending(self) -> list[Operation]:
        """Writes and truncations of which nobody knows whether they arrived."""
        return [
            self._changes[number]
            for number in self._pending
            if self._changes[number].kind in ("write", "truncate")
        ]

    def draw(self, random: Random) -> Iterator[Draw]:
        """Ways in which it may have gone: first those everybody thinks of, then without end."""
        count = len(self.pending)
        everything = list(range(count))
        yield Draw([], 0, 1, "natural", False)
        yield Draw(everything, 0, 1, "natural", False)
        singles = (
            everything if count <= _SINGLED_OUT_MAX else sorted(random.sample(everything, _SINGLED_OUT_MAX))
        )
        plain = [Draw(everything[:end], 0, 1, "natural", False) for end in singles]
        plain += [
            Draw([each for each in everything if each != one], 0, 1, "natural", False) for one in singles
        ]
        plain += [Draw([one], 0, 1, "natural", False) for one in singles]
        random.shuffle(plain)
        while True:
            if plain and random.random() < 0.4:
                yield plain.pop()
                continue
            likely = random.choice((0.1, 0.5, 0.9, 1))
            order = [each for each in everything if random.random() < likely]
            if random.random() < 0.5:
                random.shuffle(order)
            yield Draw(
                order,
                random.choice((0, 512, 4096)),
                random.choice((0.1, 0.5, 0.9)),
                random.choice(("natural", "natural", "full", "old", "between")),
                random.random() < 0.3,
            )

    def rebuild(self, draw: Draw, random: Random) -> Files:
        """The files as they then are."""
        pending = self.pending
        contents = dict(self._safe)
        for file in {change.file for change in pending}:
            contents[file] = bytearray(self._safe.get(file, b""))
        sizes: dict[int, list[int]] = {}
        for change in pending:
            known = sizes.setdefault(change.file, [len(contents[change.file])])
            end = change.offset + len(change.data)
            known.append(end if change.kind == "truncate" else max(known[-1], end))
        for number in draw.order:
            change = pending[number]
            torn = draw.sector if change.kind == "write" else 0
            _apply(contents[change.file], change, (torn, draw.arrives, random) if torn else None)
        for file, known in sizes.items():
            _resize(contents[file], known, draw, random)
        names = dict(self._names)
        for name, states in self._list_names().items():
            # The folder's first and last state are the likely ones.
            names[name] = random.choice((states[0], states[-1], random.choice(states)))
        return {name: contents.get(file, b"") for name, file in names.items() if file is not None}

    def _list_names(self) -> dict[str, list[int | None]]:
        """What each name that is not safe may lead to: the file it leads to for sure, and all since."""
        found: dict[str, list[int | None]] = {}
        for number in self._pending:
            change = self._changes[number]
            if change.kind in ("create", "unlink"):
                states = found.setdefault(change.name, [self._names.get(change.name)])
                states.append(change.file if change.kind == "create" else None)
        return found


def _find_sync(change: Operation, syncs: list[Operation]) -> int:
    """The end of the first sync that vouches for a change, or `NEVER`."""
    is_name = change.kind in ("create", "unlink")
    return min(
        (
            sync.end
            for sync in syncs
            if sync.begin > change.end
            and (sync.kind == "sync_folder" if is_name else (sync.kind, sync.file) == ("sync", change.file))
        ),
        default=NEVER,
    )


def _apply(content: bytearray, change: Operation, torn: tuple[int, float, Random] | None) -> None:
    """The change, or those of its sectors that arrive."""
    if change.kind == "truncate":
        del content[change.offset :]
        content.extend(bytes(change.offset - len(content)))
        return
    begin, end = change.offset, change.offset + len(change.data)
    while begin < end:
        after = end
        if torn is not None:
            sector, likely, random = torn
            after = min(end, begin - begin % sector + sector)
            if random.random() >= likely:
                begin = after
                continue
        if len(content) < begin:
            content.extend(bytes(begin - len(content)))
        content[begin:after] = change.data[begin - change.offset : after - change.offset]
        begin = after


def _resize(content: bytearray, known: list[int], draw: Draw, random: Random) -> None:
    """The file is as long as was drawn."""
    if draw.size == "natural":
        return
    size = {"full": known[-1], "old": known[0], "between": random.choice(known)}[draw.size]
    missing = size - len(content)
    if missing > 0:
        content.extend(random.randbytes(missing) if draw.noise else bytes(missing))
    del content[size:]
