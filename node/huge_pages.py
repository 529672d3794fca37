"""Huge pages: the state, up to a gigabyte of small records in no order, lies in pages of two megabytes.

A look-up of a record that nobody touched lately waits for the memory, and with pages of 4 KiB for the page
tables too, which no cache holds either; in a virtual machine twice over. Python asks for its memory a
megabyte at a time, and a kernel that joins pages only for those who ask never joins these. So a thread asks,
now and then, for what has come since.

Linux only, and a matter of speed alone: where the kernel cannot, or its administrator says ``never``, nothing
happens. Nothing is freed or moved, and a small process stays as it is.
"""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from time import sleep
from typing import Final

_COLLAPSE: Final = 25
"""MADV_COLLAPSE of madvise(2), since Linux 6.1."""
HUGE_PAGE_BYTES: Final = 2 * 1024 * 1024
AREA_BYTES_MIN: Final = 16 * 1024 * 1024
"""Smaller areas are threads' stacks, of which little is used, and whatever else is not worth it."""
_PAUSE_SECONDS: Final = 5.0
_MAPS: Final = Path("/proc/self/maps")
_SETTING: Final = Path("/sys/kernel/mm/transparent_hugepage/enabled")


@cache
def keep_in_huge_pages() -> None:
    """From now on a thread joins what memory this process has and gets. Once a process."""
    if not is_possible():
        return
    pages = HugePages()

    def run() -> None:
        while True:
            pages.join()
            sleep(_PAUSE_SECONDS)

    threading.Thread(target=run, name="huge pages", daemon=True).start()


def is_possible() -> bool:
    """Whether this machine has huge pages for whoever asks."""
    return sys.platform == "linux" and _SETTING.exists() and "[never]" not in _SETTING.read_text()


class HugePages:
    """Joins this process's memory, each piece once."""

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._advise = ctypes.CDLL(None).madvise
        self._advise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)

    def join(self) -> int:
        """What has come since the last time is joined, as far as the kernel will: bytes that were tried."""
        tried = 0
        for first, end in list_areas(_MAPS.read_text()):
            for place in range(first, end, HUGE_PAGE_BYTES):
                if place not in self._known:
                    self._known.add(place)
                    # A refusal (no room, not in use) leaves it as it is, and is not worth asking again.
                    self._advise(place, HUGE_PAGE_BYTES, _COLLAPSE)
                    tried += HUGE_PAGE_BYTES
        return tried


def list_areas(maps: str) -> Iterator[tuple[int, int]]:
    """First and end address of what can be joined, whole huge pages, from the text of ``/proc/self/maps``
    (proc_pid_maps(5)): large areas of private memory that belong to no file.
    """
    for line in maps.splitlines():
        addresses, access, _offset, _device, inode, *name = line.split(maxsplit=5)
        first, end = (int(address, 16) for address in addresses.split("-"))
        is_plain = access == "rw-p" and inode == "0" and name in ([], ["[heap]"])
        if is_plain and end - first >= AREA_BYTES_MIN:
            yield -(-first // HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES, end // HUGE_PAGE_BYTES * HUGE_PAGE_BYTES
