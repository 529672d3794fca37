"""What a follower is told on its command line. Light: a command that does not follow pays nothing for it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

COSIGNER_FILE: Final = "cosigner.vkey"
"""A data directory with it is a follower's."""


class Following(NamedTuple):
    """Where it reads, and as whom."""

    sources: Sequence[str]
    chain: str | None = None
    token: str | None = None
    token_file: Path | None = None
    cosigner: str | None = None
    is_postgresql: bool = False
    """Where its database is, the first time."""
