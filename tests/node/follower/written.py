"""A log written as the files of C2SP tlog-tiles, from a data directory; also as no honest node writes it."""

from __future__ import annotations

from pathlib import Path

from ledger.log.merkle import compute_leaf_hashes
from ledger.log.note import sign_checkpoint
from ledger.log.tiles import (
    TILE_LEVELS,
    TILE_WIDTH,
    HashTree,
    decode_bundle,
    encode_bundle,
    entries_path,
    tile_path,
)
from node.config import load_config
from node.storage.snapshot import Snapshot


def write_log(
    directory: Path, folder: Path, *, blocks: int | None = None, altered: int | None = None
) -> Path:
    """The log's first blocks, or all, signed by its key; the leaf at `altered` is not what it was."""
    config = load_config(directory)
    with Snapshot(config.database) as snapshot:
        size = snapshot.read_size()
        leaves = [
            leaf
            for index in range(-(-size // TILE_WIDTH))
            for leaf in decode_bundle(snapshot.read_bundle(index, min(TILE_WIDTH, size - index * TILE_WIDTH)))
        ]
    ends = [at + 1 for at, leaf in enumerate(leaves) if leaf.startswith(b'{"@type":"block"')]
    leaves = leaves[: ends[-1] if blocks is None else ends[blocks - 1]]
    if altered is not None:
        leaves[altered] = (
            leaves[altered].replace(b'"points":', b'"points":1', 1).replace(b'"time":', b'"time":1', 1)
        )
    tree = HashTree(cached_tiles=1000)

    def put(path: str, data: bytes) -> None:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)

    for first in range(0, len(leaves), TILE_WIDTH):
        part = leaves[first : first + TILE_WIDTH]
        put(entries_path(first // TILE_WIDTH, len(part)), encode_bundle(part))
        for tile in tree.extend(compute_leaf_hashes(part)):
            put(tile_path(tile.level, tile.index), tile.data)
    level = 0
    while known := len(leaves) >> (TILE_LEVELS * level):
        index, width = divmod(known, TILE_WIDTH)
        if width:
            put(tile_path(level, index, width), tree.tile(level, index, width))
        level += 1
    note = sign_checkpoint(
        origin=config.origin.chain, size=len(leaves), root=tree.root(), signer=config.open_signer("log")
    )
    put("checkpoint", note.encode())
    return folder
