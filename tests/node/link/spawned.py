"""A node with workers, as the command line starts it, and merchants who sign for themselves."""

from __future__ import annotations

import os
import time
from pathlib import Path
from urllib.parse import urlsplit

from node.config import init_data_dir, load_config
from node.link.supervisor import SOCKET_FILE
from tests.contracts.cast import FRESH, OPERATOR, PETROL, make_participant
from tests.node.api.race import Alliance, get_time
from tests.node.cli.conftest import NodeProcess


class Spawned(Alliance):
    """A node and its workers, each a process of its own."""

    def __init__(self, repository: Path, directory: Path, *, workers: int) -> None:
        self.directory = directory
        init_data_dir(
            directory,
            name="linked",
            operator=OPERATOR,
            time=get_time(),
            participants=[make_participant(FRESH), make_participant(PETROL)],
        )
        self.config = load_config(directory)
        self.chain = self.config.origin.chain
        self.node = NodeProcess(repository, directory, "--workers", str(workers), "--limit", "transactions=0")
        self.host = urlsplit(self.node.url).netloc
        self._count = 0

    @property
    def socket(self) -> Path:
        """Where local programs talk to it."""
        return self.directory / SOCKET_FILE

    def list_workers(self) -> list[int]:
        """The process ids of its workers."""
        return list_children(self.node.process.pid)


def list_children(parent: int) -> list[int]:
    """The worker processes that this process has started and that still run."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z" and b"node.link.worker" in command:
            found.append(int(status.parent.name))
    return sorted(found)


def runs(pid: int) -> bool:
    """Whether a process is there, and not only its remains."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(what, *, seconds: float = 20.0) -> None:
    """Until ``what()`` holds."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def kill(pid: int, number: int) -> None:
    """A signal to one process."""
    os.kill(pid, number)
