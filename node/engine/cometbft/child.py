"""CometBFT as the node's child: started, started again whenever it ends by itself, and ended with the node.

It ends with status 0 when its application is gone, so a status says nothing: whatever ends that was not told
to is started again. What it says goes to a file in its folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final

import structlog

from node.keystore import PASSPHRASE_VARIABLE

LOG_FILE: Final = "cometbft.log"
LOG_BYTES_MAX: Final = 16 * 1024 * 1024
_STOP_SECONDS: Final = 15.0
_AGAIN_SECONDS: Final = 0.2
_AGAIN_SECONDS_MAX: Final = 10.0
_LASTED_SECONDS: Final = 30.0

_LAUNCH: Final = """\
import ctypes, os, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Linux ends the program with the node, however that ends (PR_SET_PDEATHSIG). It ends by itself as well, in
most of the ways in which a node can.
"""

log = structlog.get_logger("commonpoint.cometbft")


class Child:
    """The program, kept running by a thread of its own."""

    def __init__(
        self,
        program: Path,
        home: Path,
        *,
        app: Path,
        rpc: Path,
        prepare: Callable[[], None],
        on_started: Callable[[], None],
    ) -> None:
        """``prepare`` is called before each start, while no CometBFT runs over this folder."""
        self._home = home
        self._rpc = rpc
        self._command = [
            sys.executable,
            "-I",
            "-c",
            _LAUNCH,
            str(program),
            "start",
            "--home",
            str(home),
            "--proxy_app",
            f"unix://{app}",
            "--rpc.laddr",
            f"unix://{rpc}",
        ]
        self._prepare = prepare
        self._on_started = on_started
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._keep, name="cometbft", daemon=True)

    def start(self) -> None:
        """It runs from now on."""
        self._thread.start()

    @property
    def pid(self) -> int | None:
        """Of the process that runs now, if one does."""
        process = self._process
        return process.pid if process is not None and process.poll() is None else None

    def start_again(self) -> None:
        """It is told to end, and is started again when it has."""
        with self._lock:
            process = self._process
        if process is not None and process.poll() is None:
            process.terminate()

    def stop(self) -> None:
        """It has ended and is not started again."""
        self._stopping.set()
        with self._lock:
            process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                log.warning("cometbft did not end in time", pid=process.pid)
                process.kill()
                process.wait()
        if self._thread.is_alive():
            self._thread.join()

    def _keep(self) -> None:
        wait_seconds = _AGAIN_SECONDS
        while not self._stopping.is_set():
            started = monotonic()
            with self._lock:
                if self._stopping.is_set():
                    return
                process = self._process = self._spawn()
            self._on_started()
            status = process.wait()
            if self._stopping.is_set():
                return
            log.error("cometbft ended and is started again", status=status, said=str(self._home / LOG_FILE))
            lasted = monotonic() - started > _LASTED_SECONDS
            wait_seconds = _AGAIN_SECONDS if lasted else min(wait_seconds * 2, _AGAIN_SECONDS_MAX)
            self._stopping.wait(wait_seconds)

    def _spawn(self) -> subprocess.Popen[bytes]:
        # What was killed leaves its socket behind, and cannot listen there again.
        self._rpc.unlink(missing_ok=True)
        self._prepare()
        path = self._home / LOG_FILE
        if path.exists() and path.stat().st_size > LOG_BYTES_MAX:
            path.replace(path.with_name(LOG_FILE + ".1"))
        environment = {name: value for name, value in os.environ.items() if name != PASSPHRASE_VARIABLE}
        # The one form in which `node.engine.cometbft.halting` reads it.
        environment["CMT_LOG_FORMAT"] = "plain"
        # A few hundredths of a core are all it takes; with more threads it would mostly look for work.
        environment.setdefault("GOMAXPROCS", "1")
        with path.open("ab") as said:
            return subprocess.Popen(  # noqa: S603 - the program that was checked
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
                env=environment,
                # Ctrl-C in a terminal is for the node, which ends it in its turn.
                start_new_session=True,
            )
