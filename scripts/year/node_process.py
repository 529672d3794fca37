"""The demo's own node: a data directory with seeded keys, and a process of its own that serves it.

The node is started as an operator would start it, `commonpoint node`, and told to stop by its process id. It
is in a session of its own, so that Ctrl-C reaches the demo alone, which then stops it in good order.
"""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from node.access import parse_role
from node.config import Config, init_data_dir
from node.tokens import TokenIssuer
from scripts.year.alliance import (
    BEGINS,
    CHAIN_NAME,
    CURRENCY,
    KEY_PURPOSES,
    OPERATOR,
    OPERATOR_NAME,
    UTC_OFFSET_MINUTES,
    get_seed,
    make_participants,
)
from scripts.year.charter import PARAMETERS, make_constitution

COMMAND: Final = (sys.executable, "-P", "-m", "node.cli.main")
LOG_FILE: Final = "node.log"
_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 30.0
_INTERRUPTED_SECONDS: Final = 3.0
"""Somebody waits at the keyboard. A node that is killed then loses nothing it acknowledged, by design."""
_TOKEN_SECONDS: Final = 86_400


class NodeFailed(Exception):
    """The node did not start or did not stay up; its log says why."""


def make_data_dir(directory: Path) -> Config:
    """A new ledger whose every key follows from the seed. Raises `node.keystore.Unusable`."""
    return init_data_dir(
        directory,
        name=CHAIN_NAME,
        operator=OPERATOR,
        operator_name=OPERATOR_NAME,
        participants=make_participants(),
        clock="simulated",
        currency=CURRENCY,
        utc_offset_minutes=UTC_OFFSET_MINUTES,
        parameters=PARAMETERS,
        constitution=make_constitution(),
        time=BEGINS,
        seeds={purpose: get_seed(OPERATOR, purpose) for purpose in ("log", *KEY_PURPOSES)},
    )


def issue_token(config: Config, role: str) -> str:
    """A bearer token for a day, as `commonpoint key token` prints one."""
    tokens = TokenIssuer(
        secret=config.read_token_secret(),
        chain=config.origin.chain,
        clock=lambda: time.time_ns() // 1_000_000,
    )
    return tokens.issue(parse_role(role), seconds=_TOKEN_SECONDS)[0]


def choose_port(wanted: int) -> int:
    """The port, or 0 (any that is free) where somebody else listens there already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            return 0
    return wanted


class NodeProcess:
    """A running node; `with` stops it."""

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 0,
        options: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
        log: Path | None = None,
    ) -> None:
        """``options`` are the command's own, ``settings`` go into its environment; ``log`` is where it says
        what it does, in its directory where nothing else is named.
        """
        self._log = log or directory / LOG_FILE
        with self._log.open("ab") as written:
            self._process = subprocess.Popen(
                [*COMMAND, "node", "--data", str(directory), "--port", str(port), *options],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=written,
                env={**os.environ, **(settings or {})},
                start_new_session=True,
            )
        self._is_told = False
        self.address = ""

    def __enter__(self) -> Self:
        try:
            self.wait_for_address()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status = self._process.poll()
        self.stop(seconds=_STOP_SECONDS if kind is None else _INTERRUPTED_SECONDS)
        if status is not None and isinstance(error, Exception):
            # Whatever went wrong then, this is why.
            raise self._tell_end(status) from error

    @property
    def pid(self) -> int:
        """The node's process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """With which it has ended; None while it runs."""
        return self._process.poll()

    def wait_for_address(self) -> None:
        """It answers, at `address`. Raises `NodeFailed`."""
        self.address = self._read_address()

    def check(self) -> None:
        """It has not ended. Raises `NodeFailed`."""
        status = self._process.poll()
        if status is not None:
            raise self._tell_end(status)

    def wait(self) -> None:
        """Until it ends by itself, which it should not. Raises `NodeFailed`."""
        raise self._tell_end(self._process.wait())

    def tell_to_stop(self) -> None:
        """It knows that it is to stop. It is told once: a second signal would cut short how it ends."""
        if not self._is_told:
            self._is_told = True
            self._process.terminate()

    def stop(self, *, seconds: float = _STOP_SECONDS) -> None:
        """The node has finished the block in hand, stored everything and is gone."""
        self.tell_to_stop()
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read_address(self) -> str:
        """The one line a node prints once it can be reached."""
        output = self._process.stdout
        if output is None:
            raise NodeFailed("the node has no output")
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            if not selector.select(_START_SECONDS):
                raise NodeFailed(
                    f"the node said nothing for {_START_SECONDS:.0f} s: {self._get_last_words()}"
                )
        line = output.readline().decode().strip()
        if not line:
            self._process.wait(_STOP_SECONDS)
            raise NodeFailed(f"the node did not start: {self._get_last_words()}")
        return line

    def _tell_end(self, status: int) -> NodeFailed:
        return NodeFailed(f"the node ended with status {status}: {self._get_last_words()}")

    def _get_last_words(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()
        return " / ".join(lines[-3:]) or f"see {self._log}"
