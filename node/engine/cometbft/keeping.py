"""`commonpoint node` over a ledger with validators: a process that keeps the node running, and does nothing
else.

    keeper ─▶ node (application, API) ─▶ CometBFT

The node starts CometBFT again when that ends; the keeper starts the node again when that is killed or falls
over, and CometBFT, which ends without its application, comes back with it. A node that was told to stop, that
could not start, or that stopped over a promise it could not keep, stays stopped. When the keeper is gone the
node stops too.

The keeper may be told to stop as often as somebody likes: the node hears it once, and ends in order.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic, sleep
from types import FrameType
from typing import Final
from urllib.parse import urlsplit

import structlog

from node.config import load_config
from node.engine.cometbft.making import has_engine
from node.process import work_in_long_turns

KEPT_VARIABLE: Final = "COMMONPOINT_KEPT"
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
_FINAL: Final = frozenset({0, 2, 3})
"""Statuses with which a node means it: told to stop, could not start, stopped rather than go on wrong."""
_AGAIN_SECONDS: Final = 0.2
_AGAIN_SECONDS_MAX: Final = 10.0
_LASTED_SECONDS: Final = 30.0
_LOOK_SECONDS: Final = 0.1

log = structlog.get_logger("commonpoint.keeper")


def needs_keeper(directory: Path) -> bool:
    """Whether this process should keep a node running rather than be one. Raises `Unusable`."""
    return KEPT_VARIABLE not in os.environ and has_engine(load_config(directory))


def watch_keeper() -> None:
    """In a node that is kept: it stops when its keeper is gone."""
    if KEPT_VARIABLE not in os.environ:
        return

    def watch() -> None:
        # The other end is the keeper's alone, and nothing is ever written to it.
        while os.read(sys.stdin.fileno(), 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="keeper", daemon=True).start()


class Keeper:
    """A node's process, started again until it ends as it means to."""

    def __init__(self, arguments: Sequence[str], *, announce: Callable[[str], None]) -> None:
        self._command = [sys.executable, "-m", "node.cli.main", *arguments]
        self._announce = announce
        self._port: int | None = None
        self._process: subprocess.Popen[str] | None = None
        self._told: subprocess.Popen[str] | None = None
        # Plain, and no event: a signal's handler that comes amid itself would wait for its lock for ever.
        self._is_stopping = False

    def run(self) -> int:
        """The status with which the node ended for good. From then on this process is deaf, until it ends."""
        for number in _SIGNALS:
            signal.signal(number, self._hear)
        work_in_long_turns()
        try:
            return self._run()
        finally:
            # Python gives signals back to the system before it ends, and the next one would be the status.
            for number in _SIGNALS:
                signal.signal(number, signal.SIG_IGN)

    def _run(self) -> int:
        wait_seconds = _AGAIN_SECONDS
        while True:
            started = monotonic()
            status = self._run_once()
            if status in _FINAL:
                return status
            if self._is_stopping:
                # It was told before it could listen, and has begun nothing.
                return 0
            log.error("the node ended and is started again", status=status)
            lasted = monotonic() - started > _LASTED_SECONDS
            wait_seconds = _AGAIN_SECONDS if lasted else min(wait_seconds * 2, _AGAIN_SECONDS_MAX)
            if not self._wait(wait_seconds):
                return 0

    def _wait(self, seconds: float) -> bool:
        """Whether so much time has passed and nobody has told it to stop."""
        end = monotonic() + seconds
        while not self._is_stopping and (left := end - monotonic()) > 0:
            sleep(min(left, _LOOK_SECONDS))
        return not self._is_stopping

    def _run_once(self) -> int:
        # The address it had is the one it is known by.
        port = [] if self._port is None else ["--port", str(self._port)]
        # The child finds the very modules that its parent runs.
        paths = os.pathsep.join(path for path in sys.path if path)
        environment = {**os.environ, KEPT_VARIABLE: "1", "PYTHONPATH": paths}
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [*self._command, *port],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
            # Ctrl-C in a terminal is for us, who hand it on.
            start_new_session=True,
        )
        self._process = process
        if self._is_stopping:
            self._end(process)
        if process.stdout is not None:
            for line in process.stdout:
                self._hear_address(line.strip())
        status = process.wait()
        if process.stdin is not None:
            process.stdin.close()
        return status

    def _hear_address(self, line: str) -> None:
        """The node says where it is reached, once each time it starts."""
        if self._port is None:
            self._port = urlsplit(line).port
            self._announce(line)

    def _hear(self, _number: int, _frame: FrameType | None) -> None:
        # Nothing is written here: this may come amid a line that is being written, or amid itself.
        self._is_stopping = True
        if self._process is not None:
            self._end(self._process)

    def _end(self, process: subprocess.Popen[str]) -> None:
        """It is told to stop, once: told twice while it loads, a node drops everything."""
        if self._told is not process and process.returncode is None:
            self._told = process
            process.terminate()
