"""The log on disk: leaves first, and durable before anybody hears of them.

`append` writes a block's leaves, its place and the tiles it filled in one database transaction: that is the
commit. A crash before it leaves nothing of the block, a crash after it leaves all. What was appended is read
back against its hashes before a checkpoint is signed over it. Leaves are kept as they stand in C2SP entry
bundles, packed where that saves room (`node.storage.packing`), so serving one is a concatenation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlalchemy import Connection

from ledger.errors import InvariantBroken, Unverified
from ledger.executor import ExecutedBlock
from ledger.leaves import BLOCK_START
from ledger.log.merkle import compute_leaf_hashes
from ledger.log.tiles import TILE_LEVELS, TILE_WIDTH, FullTile, HashTree, decode_bundle, encode_bundle
from node.storage.database import Database
from node.storage.newest import NewestRows
from node.storage.packing import make_frame, pack, unpack
from node.storage.schema import Schema


class LogStore:
    """Segments, tiles, blocks and the newest checkpoint."""

    def __init__(self, database: Database, schema: Schema) -> None:
        self._database = database
        self._schema = schema
        self._ask = database.ask
        self._run = database.run
        self.size = self._read_size()
        """Leaves that are durable."""
        self.newest = NewestRows()
        """Rows that were appended or served last."""
        self._held: dict[tuple[int, int], bytes] = {}
        self._cut: tuple[list[bytes], list[tuple[int, bytes]]] = [], []
        """The leaves that were appended last, and how they were cut: till they are read back."""

    def append_genesis(self, leaves: Sequence[bytes]) -> None:
        """The leaves before the first block are durable."""
        with self._database.begin() as connection:
            self._write_leaves(connection, 0, leaves)
            self._write_tiles(connection, HashTree().extend(compute_leaf_hashes(leaves)))
        self.size = len(leaves)

    def hold(self, tiles: Sequence[FullTile]) -> None:
        """These tiles are about to be appended, and can be read from now on."""
        self._held = {(tile.level, tile.index): tile.data for tile in tiles}

    def append(self, block: ExecutedBlock, tiles: Sequence[FullTile]) -> None:
        """The block is durable, or this raises and the node stops.

        It must: SQLite would accept the next block after a failed sync.
        """
        self.append_blocks([block], tiles)

    def append_blocks(self, blocks: Sequence[ExecutedBlock], tiles: Sequence[FullTile]) -> None:
        """These neighbouring blocks are durable together, or none of them is: as `append`."""
        end = self.size
        for block in blocks:
            if block.first != end:
                raise InvariantBroken("APPEND_OUT_OF_PLACE", expected=end, found=block.first)
            end = block.head.size
        with self._database.begin() as connection:
            leaves = [leaf for block in blocks for leaf in block.leaves]
            cut, rows = self._write_leaves(connection, self.size, leaves)
            self._cut = leaves, cut
            for block in blocks:
                self._run(
                    connection,
                    "INSERT INTO block (last, height, time) VALUES (?, ?, ?)",
                    block.head.size - 1,
                    block.head.height,
                    block.time,
                )
            self._write_tiles(connection, tiles)
        self.size = end
        for place, (first, row) in enumerate(rows, start=1):
            self.newest.add(first=first, end=rows[place][0] if place < len(rows) else end, row=row)

    def check_read_back(self, first: int, leaves: Sequence[bytes]) -> None:
        """What was appended reads back as the very bytes whose hashes are about to be signed.

        Raises `InvariantBroken`.
        """
        end = first + len(leaves)
        rows = self._ask(
            "SELECT first, data FROM segment WHERE first >= ? AND first < ? ORDER BY first", first, end
        ).all()
        try:
            found = [(row[0], unpack(row[1])) for row in rows]
        except Unverified as error:
            raise InvariantBroken("READ_BACK_DIFFERS", first=first, reason=error.code) from None
        appended, cut = self._cut
        self._cut = [], []
        # What was cut for the append is cut no second time, where it is of these very leaves.
        if found != (cut if leaves == appended else list(_cut(first, leaves))):
            raise InvariantBroken("READ_BACK_DIFFERS", first=first, leaves=len(leaves))

    def cut_torn_tail(self, *, genesis_size: int, signed_size: int) -> int:
        """Leaves after the last block leaf go, and it is said how many; never below a signed checkpoint.

        One database transaction a block cannot tear; a file copied while it was written can.
        """
        with self._database.begin() as connection:
            row = self._run(connection, "SELECT max(last) FROM block").one()
            whole = genesis_size if row[0] is None else row[0] + 1
            if row[0] is not None and not self.read_leaf(row[0]).startswith(BLOCK_START):
                raise InvariantBroken("BLOCK_LEAF_MISSING", index=row[0])
            if whole < signed_size:
                raise InvariantBroken("LOG_BEHIND_CHECKPOINT", size=whole, signed=signed_size)
            torn = self.size - whole
            if torn > 0:
                first_bundle = whole - whole % TILE_WIDTH
                kept = self.read_leaves(first_bundle, whole)
                self._run(connection, "DELETE FROM segment WHERE first >= ?", first_bundle)
                self._write_leaves(connection, first_bundle, kept)
                for level in range(TILE_LEVELS):
                    # The tiles of this level that span a leaf from ``whole`` on.
                    self._run(
                        connection,
                        "DELETE FROM tile WHERE level = ? AND position >= ?",
                        level,
                        whole >> (TILE_LEVELS * (level + 1)),
                    )
        self.size = whole
        return max(torn, 0)

    def read_leaf(self, index: int) -> bytes:
        """One leaf."""
        return self.read_leaves(index, index + 1)[0]

    def read_leaves(self, first: int, end: int) -> list[bytes]:
        """The leaves [first, end), which must be there."""
        start = self._segment_start(first)
        rows = self._ask(
            "SELECT first, data FROM segment WHERE first >= ? AND first < ? ORDER BY first", start, end
        ).all()
        leaves: list[bytes] = []
        for position, data in rows:
            if position != start + len(leaves):
                raise InvariantBroken("LEAVES_MISSING", index=start + len(leaves), found=position)
            leaves += decode_bundle(unpack(data))
        if start + len(leaves) < end:
            raise InvariantBroken("LEAVES_MISSING", index=start + len(leaves), end=end)
        return leaves[first - start : end - start]

    def read_bundle(self, index: int, width: int = TILE_WIDTH) -> bytes | None:
        """An entry bundle as it is served, or None beyond the log."""
        first = index * TILE_WIDTH
        if not 1 <= width <= TILE_WIDTH or index < 0 or first + width > self.size:
            return None
        found = self.newest.find(index, width)
        if found is not None:
            return b"".join(map(unpack, found))
        rows = self._ask(
            "SELECT data FROM segment WHERE first >= ? AND first < ? ORDER BY first", first, first + width
        ).all()
        data = b"".join(unpack(row[0]) for row in rows)
        return (
            data
            if first + TILE_WIDTH <= self.size and width == TILE_WIDTH
            else encode_bundle(decode_bundle(data)[:width])
        )

    def find_packed_bundle(self, index: int, width: int) -> bytes | None:
        """An entry bundle as Zstandard frames one after the other, where it is in memory; else None."""
        rows = self.newest.find(index, width)
        return None if rows is None else b"".join(map(make_frame, rows))

    def read_packed_bundle(self, index: int, width: int) -> bytes | None:
        """The same from the disk, and remembered. None beyond the log, and where no block ends there: a row
        would have to be cut.
        """
        first, size = index * TILE_WIDTH, self.size
        end = first + width
        if not 1 <= width <= TILE_WIDTH or index < 0 or end > size:
            return None
        rows = self._ask(
            "SELECT first, data FROM segment WHERE first >= ? AND first < ? ORDER BY first", first, end
        ).all()
        if end != size and width != TILE_WIDTH and not self._is_row_start(end):
            return None
        ends = [*(row[0] for row in rows[1:]), end]
        for (begin, row), until in zip(rows, ends, strict=True):
            self.newest.add(first=begin, end=until, row=row)
        return b"".join(make_frame(row[1]) for row in rows)

    def read_tile(self, level: int, index: int) -> bytes | None:
        """A full hash tile, or None."""
        row = self._ask("SELECT data FROM tile WHERE level = ? AND position = ?", level, index).one_or_none()
        return None if row is None else bytes(row[0])

    def read_full_tile(self, level: int, index: int) -> bytes:
        """A full hash tile that must be there."""
        data = self._held.get((level, index)) or self.read_tile(level, index)
        if data is None:
            raise InvariantBroken("TILE_MISSING", level=level, index=index)
        return data

    def list_tiles(self) -> Iterator[tuple[int, int, bytes]]:
        """Every stored tile: level, position, data."""
        for row in self._ask("SELECT level, position, data FROM tile"):
            yield row[0], row[1], row[2]

    def find_block(self, index: int) -> tuple[int, int, int] | None:
        """Index of the first block leaf from ``index`` on, its height and its time; or None."""
        row = self._ask(
            "SELECT last, height, time FROM block WHERE last >= ? ORDER BY last LIMIT 1", index
        ).one_or_none()
        return None if row is None else (row[0], row[1], row[2])

    def list_blocks(self) -> list[tuple[int, int, int]]:
        """Every block: index of its leaf, height, time."""
        rows = self._ask("SELECT last, height, time FROM block ORDER BY last").all()
        return [(row[0], row[1], row[2]) for row in rows]

    def write_note(self, size: int, text: str) -> None:
        """The newest signed checkpoint, which replaces the one before."""
        with self._database.begin() as connection:
            self._run(connection, "DELETE FROM note")
            self._run(connection, "INSERT INTO note (size, text) VALUES (?, ?)", size, text)

    def read_note(self) -> tuple[int, str] | None:
        """The newest stored checkpoint and its size."""
        row = self._ask("SELECT size, text FROM note ORDER BY size DESC LIMIT 1").one_or_none()
        return None if row is None else (row[0], row[1])

    def _write_leaves(
        self, connection: Connection, first: int, leaves: Sequence[bytes]
    ) -> tuple[list[tuple[int, bytes]], list[tuple[int, bytes]]]:
        """Cut at bundle borders, so that a bundle is whole rows. How they were cut, and the rows that keep
        them: index, bytes.
        """
        cut = list(_cut(first, leaves))
        rows = [(place, pack(bundle)) for place, bundle in cut]
        self._database.insert(connection, self._schema.segment, rows)
        return cut, rows

    def _write_tiles(self, connection: Connection, tiles: Sequence[FullTile]) -> None:
        rows = [(tile.level, tile.index, tile.data) for tile in tiles]
        self._database.insert(connection, self._schema.tile, rows)

    def _is_row_start(self, index: int) -> bool:
        """Whether a row begins with this leaf."""
        return self._ask("SELECT first FROM segment WHERE first = ?", index).one_or_none() is not None

    def _segment_start(self, index: int) -> int:
        """Where the row that holds this leaf begins."""
        row = self._ask("SELECT max(first) FROM segment WHERE first <= ?", index).one()
        if row[0] is None:
            raise InvariantBroken("LEAVES_MISSING", index=index)
        return int(row[0])

    def _read_size(self) -> int:
        row = self._ask("SELECT first, data FROM segment ORDER BY first DESC LIMIT 1").one_or_none()
        return 0 if row is None else row[0] + len(decode_bundle(unpack(row[1])))


def _cut(first: int, leaves: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    """The leaves from ``first`` on as parts of bundles, none of them across a border: index, bytes."""
    position = 0
    while position < len(leaves):
        room = TILE_WIDTH - (first + position) % TILE_WIDTH
        yield first + position, encode_bundle(leaves[position : position + room])
        position += room
