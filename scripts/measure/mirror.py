"""A log as a static mirror holds it: every file of C2SP tlog-tiles in a folder."""

from __future__ import annotations

from pathlib import Path

from ledger.log.merkle import compute_leaf_hashes
from ledger.log.note import parse_checkpoint, split_note
from ledger.log.tiles import (
    TILE_LEVELS,
    TILE_WIDTH,
    HashTree,
    decode_bundle,
    entries_path,
    tile_path,
)
from node.config import load_config
from node.storage.snapshot import Snapshot

_CACHED_TILES = 1_000


def write_mirror(directory: Path, folder: Path) -> Path:
    """The log of a data directory whose node was stopped, as files in a folder."""

    def put(path: str, data: bytes) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)

    tree = HashTree(cached_tiles=_CACHED_TILES)
    with Snapshot(load_config(directory).database) as snapshot:
        note = snapshot.read_checkpoint()
        size = parse_checkpoint(split_note(note)[0]).size
        for first in range(0, size, TILE_WIDTH):
            index, width = first // TILE_WIDTH, min(TILE_WIDTH, size - first)
            data = snapshot.read_bundle(index, width) or b""
            put(entries_path(index, width), data)
            for tile in tree.extend(compute_leaf_hashes(decode_bundle(data))):
                put(tile_path(tile.level, tile.index), tile.data)
    level = 0
    while known := size >> (TILE_LEVELS * level):
        index, width = divmod(known, TILE_WIDTH)
        if width:
            put(tile_path(level, index, width), tree.tile(level, index, width))
        level += 1
    put("checkpoint", note.encode())
    return folder
