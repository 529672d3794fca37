"""A log copied from one store to another while its node runs, and held against its signed tree.

What is read is one moment of the source, whichever make it is, and only what the copy lacks; what is written
is one transaction. Every leaf is hashed on the way, every full tile that comes of it must be the stored one,
and the whole must have the root of the newest stored checkpoint. A copy that has been begun is gone on with
only where it is the beginning of the same tree.

Only the log is copied. State and look-ups follow from it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from ledger.errors import InvariantBroken, Unverified
from ledger.genesis import Origin
from ledger.log import merkle
from ledger.log.tiles import TILE_LEVELS, TILE_WIDTH, FullTile, HashTree, decode_bundle, encode_bundle
from node.keystore import Unusable
from node.storage.database import SCHEMA_MARK, Database
from node.storage.log import LogStore
from node.storage.packing import pack
from node.storage.place import Place, PostgresqlPlace
from node.storage.policies import learn_stored_policies
from node.storage.schema import LOG_VERSION, Schema
from node.storage.snapshot import Snapshot
from node.storage.sqlite import SqliteDatabase


class Copied(NamedTuple):
    """What a copy holds."""

    before: int
    """Leaves that were there already."""
    size: int
    height: int
    signed_size: int
    """Leaves under the newest stored checkpoint; the rest is vouched for when a node executes it again."""


def copy_log(source: Snapshot, place: Place, origin: Origin, *, end: int | None = None) -> Copied:
    """The log at ``place`` is that of the source, durable and read back, its checkpoint signed by a key that
    could sign for a tree of its size. With ``end`` no leaf from there on is copied, nor a checkpoint over it.

    Raises `Unverified` where the source is not what was signed, `Unusable` where the copy is another's.
    """
    schema = Schema(())
    database = _open_log(place)
    try:
        database.create(schema.log, version=LOG_VERSION)
        found = database.read_mark(SCHEMA_MARK)
        if found != LOG_VERSION:
            raise InvariantBroken("SCHEMA_VERSION", expected=LOG_VERSION, found=found, file=database.name)
        return _Copying(source, database, schema, origin, end).run()
    finally:
        database.close()


def copy_sqlite(source: Path, target: Path) -> None:
    """The file holds one moment of another SQLite file, which may be in use. It is replaced as one."""
    fresh = target.with_name(target.name + ".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    with (
        closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as old,
        closing(sqlite3.connect(fresh)) as new,
    ):
        old.backup(new)
    for leftover in ("-wal", "-shm"):
        target.with_name(target.name + leftover).unlink(missing_ok=True)
    fresh.replace(target)


def _open_log(place: Place) -> Database:
    if isinstance(place, PostgresqlPlace):
        # The driver is an extra, which a node over SQLite does without.
        from node.storage.postgresql import LOG, PostgresqlDatabase  # noqa: PLC0415

        return PostgresqlDatabase(place, LOG)
    # Before SQLite makes it, which would ask the umask.
    place.touch(mode=0o600)
    return SqliteDatabase(place)


class _Copying:
    def __init__(
        self, source: Snapshot, database: Database, schema: Schema, origin: Origin, end: int | None
    ) -> None:
        self._source = source
        self._database = database
        self._schema = schema
        self._origin = origin
        self._log = LogStore(database, schema)
        self._size = source.read_size()
        self._end = self._size if end is None else min(end, self._size)
        self._fresh: dict[tuple[int, int], bytes] = {}
        """Tiles of this copying, which are not to be read before it is committed."""

    def run(self) -> Copied:
        first = self._log.size
        tree = self._restore_tree(first)
        self._check_same(tree)
        height = self._copy(tree)
        self._read_back(first, tree)
        self._look_at_rest(tree)
        signed = self._check_signed(tree)
        return Copied(before=first, size=self._end, height=height, signed_size=signed)

    def _restore_tree(self, size: int) -> HashTree:
        partial = self._log.read_leaves(size - size % TILE_WIDTH, size) if size % TILE_WIDTH else []
        hashes = merkle.compute_leaf_hashes(partial)
        return HashTree.restore(size=size, read_tile=self._read_tile, partial=hashes)

    def _read_tile(self, level: int, index: int) -> bytes:
        return self._fresh.get((level, index)) or self._log.read_full_tile(level, index)

    def _check_same(self, tree: HashTree) -> None:
        """What is there already is the beginning of the source. Raises `Unusable`."""
        if tree.size > self._size:
            advice = "The ledger holds less than its copy: do not go on with it, see docs/how-to/recovery.md."
            raise Unusable("COPY_AHEAD", advice=advice, copy=tree.size, ledger=self._size)
        begin = tree.size - tree.size % TILE_WIDTH
        partial = [leaf for _, some in self._read_leaves(begin, tree.size) for leaf in some]
        there = HashTree.restore(
            size=tree.size,
            read_tile=self._get_source_tile,
            partial=merkle.compute_leaf_hashes(partial),
        )
        if there.root() != tree.root():
            advice = "The copy is of another history: keep both, and see docs/how-to/recovery.md."
            raise Unusable("COPY_OF_ANOTHER_HISTORY", advice=advice, size=tree.size)

    def _get_source_tile(self, level: int, index: int) -> bytes:
        data = self._source.read_tile(level, index, TILE_WIDTH)
        if data is None:
            raise Unverified("TILE_MISSING", level=level, index=index)
        return data

    def _read_leaves(self, first: int, end: int) -> Iterator[tuple[int, list[bytes]]]:
        """The source's leaves [first, end), cut at bundle borders, and where each part begins."""
        while first < end:
            index, skipped = divmod(first, TILE_WIDTH)
            width = min(TILE_WIDTH, end - index * TILE_WIDTH)
            leaves = decode_bundle(self._source.read_bundle(index, width) or b"")[:width]
            if len(leaves) < width:
                raise Unverified("LEAVES_MISSING", index=index * TILE_WIDTH + len(leaves), end=end)
            yield first, leaves[skipped:]
            first = index * TILE_WIDTH + width

    def _copy(self, tree: HashTree) -> int:
        """What is missing there is durable, all of it or nothing; the last block's height."""
        database, schema, first = self._database, self._schema, tree.size
        height = 0
        with database.begin() as connection:
            for place, leaves in self._read_leaves(first, self._end):
                database.insert(connection, schema.segment, [(place, pack(encode_bundle(leaves)))])
                tiles = self._extend(tree, leaves)
                database.insert(
                    connection, schema.tile, [(tile.level, tile.index, tile.data) for tile in tiles]
                )
            rows = [row for row in self._source.list_blocks() if row[0] < self._end]
            database.insert(connection, schema.block, [row for row in rows if row[0] >= first])
            if rows:
                height = rows[-1][1]
            database.run(connection, "DELETE FROM note")
            note = self._source.read_checkpoint()
            if note and self._end == self._size:
                database.insert(connection, schema.note, [(self._source.read_note_size(), note)])
        self._fresh.clear()
        return height

    def _extend(self, tree: HashTree, leaves: list[bytes]) -> list[FullTile]:
        """The tree has these leaves too; what became full is as the source has it. Raises `Unverified`."""
        tiles = tree.extend(merkle.compute_leaf_hashes(leaves))
        for tile in tiles:
            if self._get_source_tile(tile.level, tile.index) != tile.data:
                raise Unverified("TILE_DIFFERS", level=tile.level, index=tile.index)
            self._fresh[tile.level, tile.index] = tile.data
        return tiles

    def _look_at_rest(self, tree: HashTree) -> None:
        """The tree has the leaves that are not copied too, since the source's checkpoint is over them."""
        for _, leaves in self._read_leaves(self._end, self._size):
            self._extend(tree, leaves)

    def _read_back(self, first: int, tree: HashTree) -> None:
        """What was written reads back as what was hashed. Raises `InvariantBroken`."""
        log = LogStore(self._database, self._schema)
        if log.size != tree.size:
            raise InvariantBroken("READ_BACK_DIFFERS", expected=tree.size, found=log.size)
        for begin in range(first - first % TILE_WIDTH, tree.size, TILE_WIDTH):
            leaves = log.read_leaves(begin, min(tree.size, begin + TILE_WIDTH))
            hashes = merkle.compute_leaf_hashes(leaves)
            if len(hashes) == TILE_WIDTH:
                is_same = merkle.compute_root(hashes) == tree.node(TILE_LEVELS, begin // TILE_WIDTH)
            else:
                is_same = all(each == tree.node(0, index) for index, each in enumerate(hashes, begin))
            if not is_same:
                raise InvariantBroken("READ_BACK_DIFFERS", first=begin, leaves=len(leaves))

    def _check_signed(self, tree: HashTree) -> int:
        """The newest stored checkpoint is the log's own, over this tree. Raises `Unverified`."""
        note = self._source.read_checkpoint()
        if not note:
            raise Unverified("UNSIGNED", size=tree.size)
        checkpoint, _ = learn_stored_policies(self._source, self._origin).verify_signed(note)
        if not 0 < checkpoint.size <= tree.size:
            raise Unverified("CHECKPOINT_OF_ANOTHER_LOG", found=checkpoint.origin, size=checkpoint.size)
        root = merkle.compute_subtree_root(first=0, end=checkpoint.size, node=tree.node)
        if root != checkpoint.root:
            raise Unverified(
                "CHECKPOINT_DIFFERS", size=checkpoint.size, expected=checkpoint.root.hex(), found=root.hex()
            )
        return checkpoint.size
