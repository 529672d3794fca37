"""Validators that were caught signing two blocks of one height: each time is told once, in the log and in a
file of this node's, and stays counted.

    DIR/cometbft/misbehaviour.jsonl    one line each

The evidence stands in a decided block, so every validator comes to the same lines. A block that is shown
again after a crash, or replayed by somebody who comes back, tells nothing twice. What to do about it is for
people to decide (docs/how-to/runbook.md): nothing here takes anybody's vote away.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import structlog

from ledger.codec import encode
from node.storage.atomic import read_file, replace_file

MISBEHAVIOUR_FILE: Final = "misbehaviour.jsonl"

log = structlog.get_logger()


class Misbehaviour:
    """What is known of it in this folder of CometBFT's."""

    def __init__(self, home: Path) -> None:
        self._path = home / MISBEHAVIOUR_FILE
        self._lines = (read_file(self._path) or b"").splitlines()

    @property
    def count(self) -> int:
        """How often anybody was caught. Any thread."""
        return len(self._lines)

    def note(self, facts: Sequence[dict[str, Any]]) -> None:
        """All of this is told, and kept."""
        for each in facts:
            line = encode(each)
            if line not in self._lines:
                self._lines.append(line)
                replace_file(self._path, b"".join(known + b"\n" for known in self._lines))
                log.critical("a validator signed two blocks of one height", **each)
