"""Before the disk is full nothing new is taken; what was taken is finished, what is read is answered, and it
goes on by itself when there is room again.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from ledger.errors import Refused
from node.disk_space import DiskSpace, Room, read_watermarks, watch_disk
from node.keystore import Unusable

MIB = 2**20
TOTAL = 1000 * MIB
MARKS = read_watermarks("100MiB", "200MiB")


def test_between_the_two_marks_nothing_changes():
    disk = DiskSpace()
    #        free MiB, whether it is low from then on
    for free, is_low in [
        (150, False),
        (100, False),
        (99, True),
        (150, True),
        (199, True),
        (200, False),
        (101, False),
    ]:
        disk.take_in(Room(free * MIB, TOTAL), MARKS)
        assert disk.is_low is is_low, free


def test_what_is_low_refuses_with_a_time_to_come_back():
    disk = DiskSpace()
    disk.check()
    disk.take_in(Room(0, TOTAL), MARKS)
    with pytest.raises(Refused) as caught:
        disk.check()
    assert (caught.value.code, caught.value.facts) == ("STORAGE_LOW", {"retry_after_seconds": 30})


#   stop, resume, of 1000 MiB: below which free MiB it ends, from which it goes on
TOLD = [
    (None, None, 512, 768),
    ("2GiB", None, 2048, 3072),
    ("10%", "20%", 100, 200),
    ("10%", None, 100, 150),
    ("10%", "300 MiB", 100, 300),
    (str(50 * MIB), "1GiB", 50, 1024),
]


@pytest.mark.parametrize(("stop", "resume", "low", "high"), TOLD)
def test_marks_are_bytes_or_percent(stop, resume, low, high):
    marks = read_watermarks(stop, resume)
    assert (marks.stop.of(TOTAL), marks.resume.of(TOTAL)) == (low * MIB, high * MIB)


def test_a_mark_of_nothing_never_refuses():
    disk = DiskSpace()
    disk.take_in(Room(0, TOTAL), read_watermarks("0", None))
    disk.check()


def test_a_percentage_to_go_on_at_that_lies_below_the_other_mark_counts_as_that_mark():
    disk = DiskSpace()
    marks = read_watermarks("500MiB", "1%")
    for free, is_low in [(499, True), (20, True), (500, False)]:
        disk.take_in(Room(free * MIB, TOTAL), marks)
        assert disk.is_low is is_low, free


@pytest.mark.parametrize("text", ["", "much", "-1", "5.5%", "100%", "3 PB", "0x10"])
def test_what_is_no_amount_is_told(text):
    with pytest.raises(Unusable) as caught:
        read_watermarks(text, None)
    assert caught.value.code == "WATERMARK_UNREADABLE"


def test_marks_the_wrong_way_round_are_told():
    with pytest.raises(Unusable) as caught:
        read_watermarks("2GiB", "1GiB")
    assert caught.value.code == "WATERMARKS_CROSSED"


def test_a_disk_that_cannot_be_seen_changes_nothing_and_is_seen_again():
    disk = DiskSpace()
    looks = iter([Room(0, TOTAL), OSError(5, "Input/output error"), Room(TOTAL, TOTAL)])
    last = Room(TOTAL, TOTAL)
    seen = []

    def measure(_folder):
        seen.append((disk.is_low, disk.room))
        found = next(looks, last)
        if isinstance(found, OSError):
            raise found
        return found

    with watch_disk(disk, Path("/"), MARKS, look_seconds=0.01, measure=measure):
        end = time.monotonic() + 10
        while len(seen) < 4 and time.monotonic() < end:
            time.sleep(0.01)
    assert seen[:4] == [
        (False, None),
        (True, Room(0, TOTAL)),
        (True, None),
        (False, Room(TOTAL, TOTAL)),
    ]


SMALL = "mount -t tmpfs -o size={size}m,mode=700 tmpfs {place} && cp -a {source}/. {place} && exec {command}"
needs_mounts = pytest.mark.skipif(
    not (
        os.geteuid() == 0
        and shutil.which("unshare")
        and not subprocess.run(["unshare", "-m", "true"], check=False).returncode
    ),
    reason="a file system of its own needs unshare, as root",
)


class SmallDisk:
    """A node whose data lies on a file system of 24 MiB that only it can see."""

    def __init__(self, repository, source: Path, place: Path, *options: str) -> None:
        place.mkdir()
        node = f"{sys.executable} -m node.cli.main node --data {place} --port 0 {' '.join(options)}"
        script = SMALL.format(size=24, place=place, source=source, command=node)
        plain = {name: value for name, value in os.environ.items() if not name.startswith("COMMONPOINT_")}
        self.process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", script],
            cwd=repository,
            env=plain,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url = self.process.stdout.readline().strip()
        assert self.url, self.end()
        # As the node sees it: its mounts are nobody else's.
        self.folder = Path(f"/proc/{self.process.pid}/root{place}")

    def fill(self, free: int) -> None:
        """All but so many bytes are somebody else's."""
        ballast = self.folder / "ballast"
        ballast.unlink(missing_ok=True)
        found = os.statvfs(self.folder)
        ballast.write_bytes(bytes(found.f_bavail * found.f_frsize - free))

    def read_figures(self) -> dict[str, float]:
        lines = httpx2.get(f"{self.url}/metrics").text.splitlines()
        return {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")
        }

    def wait_until(self, is_low: bool) -> dict[str, float]:
        end = time.monotonic() + 15
        while (figures := self.read_figures())["commonpoint_storage_low"] != is_low:
            assert time.monotonic() < end, figures
            time.sleep(0.1)
        return figures

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


@needs_mounts
@pytest.mark.parametrize("workers", [0, 1])
def test_a_disk_that_fills_closes_intake_and_opens_it_again(leader, repository, tmp_path, workers):
    options = ["--storage-stop", "6MiB", "--storage-resume", "10MiB", "--workers", str(workers)]
    node = SmallDisk(repository, leader.directory, tmp_path / "small", *options)
    try:
        leader.send(node.url, 1)
        node.fill(free=4 * MIB)
        figures = node.wait_until(True)
        assert figures["commonpoint_disk_free_bytes"] < 6 * MIB
        assert figures["commonpoint_disk_size_bytes"] == 24 * MIB
        refused = httpx2.post(f"{node.url}/v1/transactions", content=leader.sign(2).encode())
        assert (refused.status_code, refused.json()["code"]) == (503, "STORAGE_LOW")
        assert refused.headers["retry-after"] == "30"
        # What is in the log is answered as ever, and so is whoever reads.
        again = httpx2.post(f"{node.url}/v1/transactions", content=leader.sign(1).encode())
        assert again.status_code == 200
        assert httpx2.get(f"{node.url}/v1/chain").status_code == 200
        # Between the two marks it stays as it is.
        node.fill(free=8 * MIB)
        time.sleep(2.5)
        assert node.read_figures()["commonpoint_storage_low"] == 1
        (node.folder / "ballast").unlink()
        node.wait_until(False)
        leader.send(node.url, 2)
        status, said = node.end()
    finally:
        node.end(signal.SIGKILL)
    assert status == 0, said
    assert said.count("the disk is nearly full") == 1
    assert said.count("there is room again") == 1
