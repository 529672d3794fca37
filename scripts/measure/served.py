"""A node in a process of its own, started as an operator would: `commonpoint node`, without rate limits."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from scripts.measure.process import get_cpu_seconds, get_peak_resident_bytes, get_resident_bytes

_COMMAND: Final = (sys.executable, "-P", "-m", "node.cli.main", "node", "--port", "0")
_UNLIMITED: Final = ("transactions", "messages", "reads", "addresses")
_STOP_SECONDS: Final = 300.0


class ServedNode:
    """A running node; `with` stops it."""

    def __init__(self, directory: Path, *, workers: int = 0) -> None:
        limits = [word for name in _UNLIMITED for word in ("--limit", f"{name}=0")]
        more = ["--workers", str(workers)] if workers else []
        # Not in the data directory, whose bytes are counted.
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `stop`
        self._process = subprocess.Popen(
            [*_COMMAND, "--data", str(directory), *limits, *more],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        output = self._process.stdout
        self.url = output.readline().decode().strip() if output else ""
        if not self.url:
            self._process.wait()
            raise SystemExit(f"the node did not start: {self.get_last_words()}")
        address = urlsplit(self.url)
        self.host, self.port = address.hostname or "", address.port or 0
        self._cpu_when_stopped = 0.0
        self.resident_peak_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The node's process id."""
        return self._process.pid

    @property
    def cpu_seconds(self) -> float:
        """Processor seconds of the node and its workers so far."""
        return get_cpu_seconds(self.pid)

    @property
    def resident_bytes(self) -> int:
        """Of the node and its workers, now."""
        return get_resident_bytes(self.pid)

    def stop(self) -> tuple[float, float]:
        """Everything is folded and the node is gone: seconds that took, processor seconds of its life."""
        if self._process.returncode is not None:
            return 0.0, self._cpu_when_stopped
        self.resident_peak_bytes = get_peak_resident_bytes(self.pid)
        started = time.perf_counter()
        before = get_children_seconds()
        so_far = self.cpu_seconds
        self._process.terminate()
        status = self._process.wait(_STOP_SECONDS)
        seconds = time.perf_counter() - started
        # What a process has used is known to whoever waited for it.
        self._cpu_when_stopped = max(so_far, get_children_seconds() - before)
        if self._process.stdout is not None:
            self._process.stdout.close()
        words = self.get_last_words()
        self._log.close()
        if status:
            raise SystemExit(f"the node ended with status {status}: {words}")
        return seconds, self._cpu_when_stopped

    def get_last_words(self) -> str:
        """The end of what it wrote for people."""
        self._log.seek(0)
        lines = self._log.read().decode(errors="replace").splitlines()
        return " / ".join(lines[-5:])


def get_children_seconds() -> float:
    """Processor seconds of the children of this process that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
