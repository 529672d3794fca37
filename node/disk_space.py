"""Room on the disk: before it is full nothing new is taken, so that what was taken can be finished.

A node that meets a full disk in the middle of a block stops, and everybody waits for a person. So every few
seconds it looks how much is free where its data lies. Below one mark it turns new transactions away
(`STORAGE_LOW`) and goes on with everything else: reads, repeated answers, blocks in hand, folding. Above
another, higher one it takes them again; between the two nothing changes, so that it does not flutter.

Nothing is deleted to make room, and nothing is measured while somebody waits for it. What lies on another
machine, as a PostgreSQL database may, is not seen from here.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import structlog
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ledger.errors import Refused
from node.keystore import Unusable

LOOK_SECONDS: Final = 2.0
"""At the highest speed measured a ledger grows by less than 20 MiB in that time."""
RETRY_SECONDS: Final = 30
STOP_DEFAULT: Final = "512MiB"
_AMOUNT: Final = re.compile(r"(\d{1,15})\s*(%|[KMGT]i?B|B|)", re.IGNORECASE)
_UNITS: Final = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
_BINARY_UNITS: Final = {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}

log = structlog.get_logger("commonpoint.disk")


class Amount(NamedTuple):
    """So many bytes, or so many percent of the whole."""

    number: int
    is_percent: bool

    def of(self, total_bytes: int) -> int:
        """The bytes that it comes to."""
        return total_bytes * self.number // 100 if self.is_percent else self.number


class Watermarks(NamedTuple):
    """Below ``stop`` free bytes nothing new is taken, until there are ``resume``."""

    stop: Amount
    resume: Amount


class Room(NamedTuple):
    """What a file system says of itself."""

    free_bytes: int
    total_bytes: int


Measure = Callable[[Path], Room]


def measure(folder: Path) -> Room:
    """What is free for whoever runs this, and how much there is in all."""
    found = os.statvfs(folder)
    return Room(found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)


def read_watermarks(stop: str | None = None, resume: str | None = None) -> Watermarks:
    """The marks as an operator writes them: ``512MiB``, ``2GB``, ``5%``; with ``0`` nothing is ever turned
    away. What is not told is `STOP_DEFAULT`, and half as much more to go on. Raises `Unusable`.
    """
    low = _read_amount(STOP_DEFAULT if stop is None else stop)
    marks = Watermarks(
        low, low._replace(number=low.number * 3 // 2) if resume is None else _read_amount(resume)
    )
    # Whether a percentage lies above a number of bytes is known only where the disk is.
    if low.is_percent == marks.resume.is_percent and marks.resume.number < low.number:
        advice = (
            "Taking begins again at more free space than it ended at: --storage-resume above --storage-stop."
        )
        raise Unusable("WATERMARKS_CROSSED", advice=advice, stop=stop, resume=resume)
    return marks


def _read_amount(text: str) -> Amount:
    found = _AMOUNT.fullmatch(text.strip())
    unit = found[2].lower() if found else ""
    if found is None or (unit == "%" and int(found[1]) > 99):
        advice = "Write so many bytes or percent: 512MiB, 2GB, 5%."
        raise Unusable("WATERMARK_UNREADABLE", advice=advice, found=text)
    number = int(found[1])
    return Amount(number, True) if unit == "%" else Amount(number * (_UNITS | _BINARY_UNITS)[unit], False)


class DiskSpace:
    """Whether there is room for new transactions. Until it is watched there is."""

    def __init__(self) -> None:
        self.is_low = False
        self.room: Room | None = None
        """As it was seen last; none where nobody looks, or where it cannot be seen."""
        self._stop_bytes = 0

    def check(self) -> None:
        """Raises `Refused` ``STORAGE_LOW`` where something new is not taken now."""
        if self.is_low:
            raise Refused("STORAGE_LOW", retry_after_seconds=RETRY_SECONDS)

    def take_in(self, room: Room, marks: Watermarks) -> None:
        """This is how it looks now. What changes by it is in the log."""
        self.room = room
        stop = marks.stop.of(room.total_bytes)
        if not self.is_low and room.free_bytes < stop:
            self.is_low = True
            log.critical(
                "the disk is nearly full: nothing new is taken",
                code="STORAGE_LOW",
                free_bytes=room.free_bytes,
                stop_bytes=stop,
            )
        elif self.is_low and room.free_bytes >= max(stop, marks.resume.of(room.total_bytes)):
            self.is_low = False
            log.warning("there is room again: transactions are taken", free_bytes=room.free_bytes)

    def lose_sight(self, error: OSError) -> None:
        """It cannot be seen: nothing is decided anew, and the log says why, once."""
        if self.room is not None:
            log.error("the disk's free space cannot be read", reason=error.strerror)
        self.room = None


class DiskCollector(Collector):
    """Its figures, for an operator's monitoring."""

    def __init__(self, disk: DiskSpace) -> None:
        self._disk = disk

    def describe(self) -> Iterable[Metric]:
        """Nothing is read when it is registered."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Whether intake is closed for want of room; free and total bytes where they are seen."""
        room = self._disk.room
        yield GaugeMetricFamily(
            "commonpoint_storage_low",
            "Whether new transactions are turned away for want of room on the disk.",
            value=int(self._disk.is_low),
        )
        if room is not None:
            yield GaugeMetricFamily(
                "commonpoint_disk_free_bytes", "Free where the data lies.", value=room.free_bytes
            )
            yield GaugeMetricFamily(
                "commonpoint_disk_size_bytes", "In all where the data lies.", value=room.total_bytes
            )


@contextmanager
def watch_disk(
    disk: DiskSpace,
    folder: Path,
    marks: Watermarks,
    *,
    look_seconds: float = LOOK_SECONDS,
    measure: Measure = measure,
) -> Iterator[None]:
    """The disk is looked at now and every few seconds, on a thread of its own, until the block ends."""
    is_over = threading.Event()

    def look() -> None:
        try:
            disk.take_in(measure(folder), marks)
        except OSError as error:
            disk.lose_sight(error)

    def keep_looking() -> None:
        while not is_over.wait(look_seconds):
            look()

    look()
    thread = threading.Thread(target=keep_looking, name="disk-space", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
