"""Memory in huge pages: which areas are asked for, and that the kernel does it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from node.huge_pages import AREA_BYTES_MIN, is_possible, list_areas

MAPS = """\
55d000000000-55d000400000 r-xp 00000000 fe:00 1234                       /usr/bin/python3.11
55d001000000-55d003000000 rw-p 00000000 00:00 0                          [heap]
7f0000000000-7f0000800000 rw-p 00000000 00:00 0
7f0010100000-7f0014300000 rw-p 00000000 00:00 0
7f0020000000-7f0024000000 rw-s 00000000 00:01 77                         /dev/shm/shared
7f0030000000-7f0034000000 ---p 00000000 00:00 0
7f0040000000-7f0044000000 rw-p 00000000 fe:00 99                         /ledger/views.db
7ffc00000000-7ffc04000000 rw-p 00000000 00:00 0                          [stack]
"""

MANY_RECORDS = """
from node.huge_pages import HugePages
records = {str(number): (number, str(-number)) for number in range(400_000)}
def count():
    with open("/proc/self/smaps_rollup") as rows:
        return sum(int(row.split()[1]) for row in rows if row.startswith("AnonHugePages"))
pages, before = HugePages(), count()
print(pages.join() // 1024, pages.join(), count() - before)
"""


def test_large_private_areas_are_joined_in_whole_huge_pages_and_nothing_else() -> None:
    assert list(list_areas(MAPS)) == [
        (0x55D001000000, 0x55D003000000),
        (0x7F0010200000, 0x7F0014200000),
    ]
    assert AREA_BYTES_MIN > 0x800000, "a thread's stack is 8 MiB"


@pytest.mark.skipif(not is_possible(), reason="no huge pages for whoever asks on this machine")
def test_records_end_up_in_huge_pages_and_nothing_is_asked_twice() -> None:
    ran = subprocess.run([sys.executable, "-c", MANY_RECORDS], capture_output=True, text=True, check=True)
    tried, again, joined = map(int, ran.stdout.split())
    assert (tried > 0, again, joined > tried // 2) == (True, 0, True), ran.stdout
