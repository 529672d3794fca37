"""The newest of the log in memory: rows as they were stored, for the several who ask for the same at once.

Followers of a busy log all ask for what was appended last, within the second. What is here costs them no
look at the disk, and nobody unpacks or packs it again. Only what is durable is put here, so whoever is given
it is given what the disk has; and it is bounded in bytes, the oldest going first. Any thread.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from collections import OrderedDict
from typing import Final, NamedTuple

from ledger.log.tiles import TILE_WIDTH

REMEMBERED_BYTES_MAX: Final = 8 * 1024 * 1024
"""Of rows as they are stored: some hundred thousand leaves of ordinary blocks."""


class _Bundle(NamedTuple):
    """The rows of one entry bundle from its first leaf on, and where each of them ends."""

    rows: list[bytes]
    ends: list[int]


class NewestRows:
    """Rows of the log, by the entry bundle that they are part of."""

    def __init__(self, *, bytes_max: int = REMEMBERED_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._bundles: OrderedDict[int, _Bundle] = OrderedDict()
        self._bytes = 0

    def add(self, *, first: int, end: int, row: bytes) -> None:
        """The durable row with the leaves [first, end) can be had here, where those of its bundle before it
        can.
        """
        number, place = divmod(first, TILE_WIDTH)
        with self._lock:
            if not place and number not in self._bundles:
                self._bundles[number] = _Bundle([], [])
            bundle = self._bundles.get(number)
            if bundle is None or (bundle.ends[-1] if bundle.ends else number * TILE_WIDTH) != first:
                # What stands before it is not here, or it is here itself.
                return
            bundle.rows.append(row)
            bundle.ends.append(end)
            self._bytes += len(row)
            while self._bytes > self._bytes_max:
                self._bytes -= sum(map(len, self._bundles.popitem(last=False)[1].rows))

    def find(self, index: int, width: int) -> list[bytes] | None:
        """The rows that hold a bundle's first ``width`` leaves and no others; None where they are not here,
        or a row goes on beyond.
        """
        end = index * TILE_WIDTH + width
        with self._lock:
            bundle = self._bundles.get(index)
            if bundle is None:
                return None
            place = bisect_left(bundle.ends, end)
            if place == len(bundle.ends) or bundle.ends[place] != end:
                return None
            return bundle.rows[: place + 1]
