"""Whether CometBFT reaches enough of the other validators, looked at every few seconds.

    out of reach    not connected; or nothing came from it for longer than peers ever stay silent
    fewer than it takes for a block, for some seconds, and no block since     the node is not ready
    fewer than half of those that it is told of, and no block for long        CometBFT is started again

By itself CometBFT dials a peer that is gone ever more rarely: after an hour's silence once in hours, and
after a day never again. Whoever reaches fewer than half has nothing to lose by a new start; whoever reaches
most of them is left alone, and is found by those who look.

What comes from a peer may have come from others before: a validator that reaches one alone, and sees blocks
through it, is well. How much each vote weighs is not asked here: validators are counted.
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
from typing import Any, Final, NamedTuple

import structlog

_LOOK_SECONDS: Final = 4.0
_FIRST_LOOK_SECONDS: Final = 0.5
_TIMEOUT_SECONDS: Final = 3.0
PATIENCE_SECONDS: Final = 90.0
"""So long CometBFT looks for them itself, every few seconds in the beginning."""
SILENT_SECONDS_MAX: Final = 66.0
"""CometBFT says something to each peer every sixty seconds, and gives one up after 105 without an answer."""
ALONE_SECONDS_MAX: Final = 5.0
"""Connections that were lost are made again within this, as a rule."""
_NO_ANSWER: Final = "cometbft does not answer"

log = structlog.get_logger("commonpoint.cometbft")


def count_expected(settings: Path) -> int:
    """How many peers CometBFT is told to stay connected to. Raises `OSError` or `ValueError`."""
    found = tomllib.loads(settings.read_text("utf-8")).get("p2p", {}).get("persistent_peers", "")
    return len([each for each in str(found).split(",") if each.strip()])


def count_peers(rpc: Path) -> int:
    """How many it hears. Raises `OSError` or `ValueError` where it does not say."""
    line = http.client.HTTPConnection("localhost", timeout=_TIMEOUT_SECONDS)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_TIMEOUT_SECONDS)
        connection.connect(str(rpc))
        line.sock = connection
        try:
            line.request("GET", "/net_info")
            return count_heard(json.loads(line.getresponse().read()))
        except http.client.HTTPException as error:
            raise ValueError("no answer to net_info") from error


def count_heard(answer: dict[str, Any]) -> int:
    """How many of the peers in CometBFT's answer are not silent. Raises `ValueError`."""
    try:
        silent = [int(each["connection_status"]["RecvMonitor"]["Idle"]) for each in answer["result"]["peers"]]
    except (KeyError, TypeError) as error:
        raise ValueError("no answer to net_info") from error
    return sum(nanoseconds <= SILENT_SECONDS_MAX * 1_000_000_000 for nanoseconds in silent)


class _Rest(NamedTuple):
    since: float
    told_from: float
    reason: str


class Reach:
    """A thread that looks now and then whom CometBFT reaches."""

    def __init__(
        self,
        settings: Path,
        rpc: Path,
        *,
        count_validators: Callable[[], int],
        get_last_block: Callable[[], float],
        start_again: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._rpc = rpc
        self._count_validators = count_validators
        self._get_last_block = get_last_block
        """When a block came, by the clock that only goes forward."""
        self._start_again = start_again
        self._alone_since: float | None = None
        self._rest: _Rest | None = None
        self._found: int | None = None
        """How many peers it heard at the last look; None where CometBFT did not say."""
        self._was_well = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="reach", daemon=True)

    def start(self) -> None:
        """It looks from now on. Until enough were seen once, nothing is taken on trust."""
        now = monotonic()
        self._rest = _Rest(now, now, _NO_ANSWER)
        self._thread.start()

    def stop(self) -> None:
        """It looks no more."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def find_rest(self, now: float) -> str | None:
        """Why nothing would be decided of what is sent here; None where something would, or may."""
        rest = self._rest
        if rest is None or now < rest.told_from or self._get_last_block() > rest.since:
            return None
        return rest.reason

    def look(self, now: float) -> None:
        """What can be seen of the others is known, and CometBFT was started again if it has been without most
        of them for too long.
        """
        try:
            expected, found = count_expected(self._settings), count_peers(self._rpc)
        except (OSError, ValueError):
            # It is being started, or its settings are being written.
            self._alone_since = None
            self._note_rest(now, _NO_ANSWER, found=None)
            return
        validators = self._count_validators()
        # This node's own vote is with it.
        is_enough = (found + 1) * 3 > validators * 2
        self._note_rest(
            now,
            None if is_enough else f"too few of {validators} validators are in reach: {found}",
            found=found,
        )
        if found * 2 >= expected:
            self._alone_since = None
        elif self._alone_since is None:
            self._alone_since = now
        elif now - max(self._alone_since, self._get_last_block()) >= PATIENCE_SECONDS:
            self._alone_since = None
            log.warning("most validators are out of reach, so cometbft starts anew", found=found, of=expected)
            self._start_again()

    def _note_rest(self, now: float, reason: str | None, *, found: int | None) -> None:
        before, self._found = self._found, found
        if reason is None:
            self._rest, self._was_well = None, True
            return
        rest = self._rest
        # A block since then may have come by a way that is lost now.
        is_worse = found is not None and (before is None or found < before)
        if rest is None or is_worse:
            grace = ALONE_SECONDS_MAX if self._was_well else 0
            self._rest = _Rest(now, now + grace if rest is None else rest.told_from, reason)
        else:
            self._rest = rest._replace(reason=reason)

    def _watch(self) -> None:
        while not self._stopping.wait(_LOOK_SECONDS if self._was_well else _FIRST_LOOK_SECONDS):
            self.look(monotonic())
