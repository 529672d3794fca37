"""The height of the engine at which this ledger stands, as it is known after a crash.

The block leaf of the last block tells it. An engine's block in which nothing was taken and nothing was due
adds no leaf; its height is kept in a small file beside the log. That file is replaced as one and not synced:
one that is lost or old makes CometBFT show blocks again that change nothing, and nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from ledger.codec import decode, encode
from ledger.errors import Refused
from ledger.leaves import BLOCK_LEAF_DECODER, BLOCK_START
from ledger.values import Count, Height
from node.storage.atomic import read_file
from node.storage.log import LogStore

HEIGHT_FILE: Final = "engine-height.json"


class Idle(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """The engine came to this height while the log had this size."""

    engine_height: Height
    size: Count


_IDLE: Final = msgspec.json.Decoder(Idle)


class EngineHeight:
    """Read at the start, moved on with each block."""

    def __init__(self, folder: Path, log: LogStore, *, before: int, first: int = 0) -> None:
        """``before``: height of the ledger's last block that was not this engine's; 0 where all were.
        ``first``: the height after which this engine begins.
        """
        self._path = folder / HEIGHT_FILE
        self._first = first
        self.value = max(first, _read_leaf_height(log, before=before), self._read_idle(log.size))
        """Of the last block that was committed; ``first`` before that."""

    @property
    def committed(self) -> int:
        """As CometBFT is to be told: 0 before this engine's first block."""
        return self.value if self.value > self._first else 0

    def move_on(self, engine_height: int) -> None:
        """A block with leaves is durable, and tells its height itself."""
        self.value = engine_height

    def keep(self, engine_height: int, *, size: int) -> None:
        """A block without leaves was committed."""
        fresh = self._path.with_name(HEIGHT_FILE + ".new")
        fresh.write_bytes(encode(Idle(engine_height, size)))
        fresh.replace(self._path)
        self.value = engine_height

    def _read_idle(self, size: int) -> int:
        """What the file says, where it speaks of this very log."""
        data = read_file(self._path)
        if not data:
            return 0
        try:
            found = decode(data, _IDLE)
        except Refused:
            # Torn by a power cut: as good as lost.
            return 0
        return found.engine_height if found.size == size else 0


def _read_leaf_height(log: LogStore, *, before: int) -> int:
    last = log.read_leaf(log.size - 1)
    if not last.startswith(BLOCK_START):
        return 0
    leaf = BLOCK_LEAF_DECODER.decode(last)
    return leaf.engine_height if leaf.height > before else 0
