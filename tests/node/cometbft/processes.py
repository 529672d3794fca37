"""The processes that a validator is: a keeper, its node below it, and CometBFT below that."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

SECONDS = 240.0
PROGRAM = "node.cli.main"


def list_children(parent: int, name: str = "") -> list[int]:
    """The processes that this one has started, and that run a program or module of this name."""
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
            command = (status.parent / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z" and name.encode() in command:
            found.append(int(status.parent.name))
    return sorted(found)


class Keeping:
    """The process of a keeper, whose words are in a file: it is never held up by nobody listening."""

    def __init__(self, repository: Path, directory: Path, *options: str, module: str = PROGRAM) -> None:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("COMMONPOINT_")
        }
        self._said = directory.with_name(f"{directory.name}.said")
        with self._said.open("w") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, "node", "--data", directory, "--port", "0", *options],
                cwd=repository,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )
        self.url = ""

    def wait_for_address(self) -> None:
        """It answers."""
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http://127.0.0.1:"), self.stop()

    def wait(self) -> tuple[int, str]:
        """(exit status, what it said to people), once it has ended."""
        status = self.process.wait(SECONDS)
        self.process.stdout.close()
        return status, self._said.read_text()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """As `wait`, told to."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()
