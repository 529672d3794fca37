"""CometBFT that has given up: its process lives on, and decides nothing any more until somebody has looked.

    more than two thirds committed a block over another root than ours    BLOCK_DIFFERS
    any other failure of the consensus, or of the replay at a start       ENGINE_FAILED

Each block's header holds the root after the block before, so the first block that came out differently here
is the last one that was executed, and is known by its height. The program is pinned and its text with it: a
line counts when it begins as CometBFT's own message, and never for what a peer may have put into it.

One proposer that is wrong is no reason to stop: that is outvoted, and told in the same file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, NamedTuple

READ_BYTES_MAX: Final = 1024 * 1024
_SAID_MAX: Final = 400
_FAILURE: Final = re.compile(
    rb"^(?:E\[[^]]*\] (?:CONSENSUS FAILURE!!! |Error in validation +module=blocksync .*"
    rb'err="wrong Block\.Header\.AppHash\.)|panic: (?:block|state)\.AppHash does not match)'
)
_STACK: Final = re.compile(rb" stack=.*", re.DOTALL)
_DIFFERS: Final = re.compile(
    rb'(?:err="[^"\\]*\bwrong Block\.Header\.AppHash\. +Expected [0-9A-F]*, got '
    rb"|^panic: block\.AppHash does not match AppHash after replay\. Got [0-9A-F]*, expected )"
    rb"(?P<decided>[0-9A-F]{64})\b"
)


class Halt(NamedTuple):
    """Why CometBFT decides nothing any more."""

    decided: bytes | None
    """The root that the others have come to, where that is what differs."""
    said: str


def read_halt(line: bytes) -> Halt | None:
    """Whether CometBFT says with this line of its file that it has given up."""
    if _FAILURE.match(line) is None:
        return None
    found = _DIFFERS.search(line)
    said = _STACK.sub(b"", line).decode("utf-8", "replace").strip()[:_SAID_MAX]
    return Halt(bytes.fromhex(found["decided"].decode()) if found else None, said)


class SaidFile:
    """What CometBFT adds to its file from now on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._position = self._get_size()
        self._rest = b""

    def find_halt(self) -> Halt | None:
        """The first line since the last look that says so."""
        size = self._get_size()
        if size < self._position:
            # It grew too large and was begun anew.
            self._position, self._rest = 0, b""
        if size == self._position:
            return None
        with self._path.open("rb") as file:
            file.seek(self._position)
            data = file.read(READ_BYTES_MAX)
        self._position += len(data)
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[:READ_BYTES_MAX]
        return next((halt for halt in map(read_halt, lines) if halt is not None), None)

    def _get_size(self) -> int:
        try:
            return self._path.stat().st_size
        except FileNotFoundError:
            return 0
