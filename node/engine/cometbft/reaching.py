"""A CometBFT that has lost sight of most validators is started again, so that it looks for them at once.

By itself it dials a peer that is gone ever more rarely: after an hour's silence once in hours, and after a
day never again. Whoever reaches fewer than half of its peers and has seen no block for as long has nothing to
lose by a new start; whoever reaches most of them is left alone, and is found by those who look.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Final

import structlog

_LOOK_SECONDS: Final = 10.0
_TIMEOUT_SECONDS: Final = 3.0
PATIENCE_SECONDS: Final = 90.0
"""So long CometBFT looks for them itself, every few seconds in the beginning."""

log = structlog.get_logger("commonpoint.cometbft")


def count_expected(settings: Path) -> int:
    """How many peers CometBFT is told to stay connected to. Raises `OSError` or `ValueError`."""
    found = tomllib.loads(settings.read_text("utf-8")).get("p2p", {}).get("persistent_peers", "")
    return len([each for each in str(found).split(",") if each.strip()])


def count_peers(rpc: Path) -> int:
    """How many it is connected to. Raises `OSError` or `ValueError` where it does not say."""
    line = http.client.HTTPConnection("localhost", timeout=_TIMEOUT_SECONDS)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_TIMEOUT_SECONDS)
        connection.connect(str(rpc))
        line.sock = connection
        try:
            line.request("GET", "/net_info")
            answer = json.loads(line.getresponse().read())
            return int(answer["result"]["n_peers"])
        except (http.client.HTTPException, KeyError, TypeError) as error:
            raise ValueError("no answer to net_info") from error


class Reach:
    """A thread that looks now and then whom CometBFT reaches."""

    def __init__(
        self,
        settings: Path,
        rpc: Path,
        *,
        get_last_block: Callable[[], float],
        start_again: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._rpc = rpc
        self._get_last_block = get_last_block
        """When a block came, by the clock that only goes forward."""
        self._start_again = start_again
        self._alone_since: float | None = None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="reach", daemon=True)

    def start(self) -> None:
        """It looks from now on."""
        self._thread.start()

    def stop(self) -> None:
        """It looks no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self, now: float) -> None:
        """CometBFT was started again if it has been without most of its peers for too long."""
        try:
            expected, found = count_expected(self._settings), count_peers(self._rpc)
        except (OSError, ValueError):
            # It is being started, or its settings are being written.
            self._alone_since = None
            return
        if found * 2 >= expected:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = now
        elif now - max(self._alone_since, self._get_last_block()) >= PATIENCE_SECONDS:
            self._alone_since = None
            log.warning("most validators are out of reach, so cometbft starts anew", found=found, of=expected)
            self._start_again()

    def _watch(self) -> None:
        while not self._stopping.wait(_LOOK_SECONDS):
            self.look(monotonic())
