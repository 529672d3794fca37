"""The log on disk: whatever borders blocks and bundles have, the leaves come back as they went in."""

from __future__ import annotations

import random

import pytest
from sqlalchemy.exc import IntegrityError

from ledger.codec import to_base64url
from ledger.errors import InvariantBroken
from ledger.executor import ExecutedBlock, Head
from ledger.log.merkle import compute_leaf_hashes
from ledger.log.tiles import TILE_WIDTH, FullTile, HashTree, encode_bundle
from node.storage.store import open_store
from tests.node.engine.town import RULEBOOK

GENESIS = [b'{"@type":"genesis"}', b'{"@type":"genesis_participant"}']
#   block sizes that end before, on and after the borders of bundles
SIZES = {
    "single": [1] * 20,
    "small": [5, 3, 9, 1, 30],
    "to the border": [254, 256, 512],
    "over the border": [253, 2, 300, 211, 700],
    "large": [1500],
}


class WrittenLog:
    """A log of blocks with leaves of every length, as a chain appends them."""

    def __init__(self, make, place, sizes) -> None:
        self.make = make
        self.place = place
        self.store = open_store(place, RULEBOOK)
        self.log = self.store.log
        self.tree = HashTree()
        self.leaves = list(GENESIS)
        self.ends: list[int] = []
        self._draw = random.Random(5)
        self.log.append_genesis(GENESIS)
        self.tree.extend(compute_leaf_hashes(GENESIS))
        for size in sizes:
            self.append(size)

    def make_block(self, size: int) -> ExecutedBlock:
        height = len(self.ends) + 1
        leaves = [
            b'{"@type":"entry","message":"%b"}' % (b"x" * self._draw.choice((0, 1, 90, 400)))
            for _ in range(size - 1)
        ]
        leaves.append(b'{"@type":"block","height":%d}' % height)
        hashes = compute_leaf_hashes(leaves)
        first = len(self.leaves)
        head = Head(height, height * 10, first + size, to_base64url(hashes[-1]), 0, 0, 0)
        return ExecutedBlock(head, first, leaves, hashes, [], height * 10)

    def append(self, size: int) -> list[FullTile]:
        block = self.make_block(size)
        tiles = self.tree.extend(block.leaf_hashes)
        self.log.append(block, tiles)
        self.log.check_read_back(block.first, block.leaves)
        self.leaves += block.leaves
        self.ends.append(len(self.leaves) - 1)
        return tiles

    def reopen(self) -> None:
        self.store.close()
        self.store = open_store(self.place, RULEBOOK)
        self.log = self.store.log


@pytest.fixture(params=SIZES.values(), ids=SIZES)
def written(request, make, place):
    written = WrittenLog(make, place, request.param)
    yield written
    written.store.close()


@pytest.fixture
def small(make, place):
    written = WrittenLog(make, place, SIZES["over the border"])
    yield written
    written.store.close()


def test_leaves_come_back_as_they_went_in_whatever_is_asked_for(written):
    draw = random.Random(1)
    size = len(written.leaves)
    for _ in range(2):
        assert written.log.size == size
        assert written.log.read_leaves(0, size) == written.leaves
        for _ in range(60):
            first = draw.randrange(size)
            end = min(size, first + draw.choice((1, 2, 256, 257, 900)))
            assert written.log.read_leaves(first, end) == written.leaves[first:end]
            assert written.log.read_leaf(first) == written.leaves[first]
        written.reopen()


def test_what_is_not_there_is_never_made_up(written):
    size = len(written.leaves)
    for first, end in ((size, size + 1), (0, size + 1), (size - 1, size + 1)):
        with pytest.raises(InvariantBroken, match="LEAVES_MISSING"):
            written.log.read_leaves(first, end)


def test_a_bundle_full_or_partial_is_what_the_specification_says(written):
    size = len(written.leaves)
    for index in range(-(-size // TILE_WIDTH)):
        first = index * TILE_WIDTH
        there = min(TILE_WIDTH, size - first)
        for width in {1, 2, 77, there - 1, there} - {0}:
            if width <= there:
                expected = encode_bundle(written.leaves[first : first + width])
                assert written.log.read_bundle(index, width) == expected
        if there < TILE_WIDTH:
            assert written.log.read_bundle(index, there + 1) is None
            assert written.log.read_bundle(index) is None
    beyond = size // TILE_WIDTH + 1
    for index, width in ((beyond, 1), (-1, 1), (0, 0), (0, -1), (0, TILE_WIDTH + 1)):
        assert written.log.read_bundle(index, width) is None


def test_no_row_crosses_the_border_of_a_bundle_and_rows_are_never_rewritten(small):
    rows = read_rows(small)
    assert all(first // TILE_WIDTH == (first + count - 1) // TILE_WIDTH for first, count, _ in rows)
    small.append(400)
    assert read_rows(small)[: len(rows)] == rows


def read_rows(written) -> list[tuple[int, int, bytes]]:
    rows = written.make.read(written.place, "SELECT first, data FROM segment ORDER BY first")
    ends = [row[0] for row in rows[1:]] + [len(written.leaves)]
    return [(first, end - first, data) for (first, data), end in zip(rows, ends, strict=True)]


def test_every_full_tile_is_stored_with_the_block_that_filled_it(written):
    stored = {(level, index): data for level, index, data in written.log.list_tiles()}
    tree = HashTree()
    expected = {
        (tile.level, tile.index): tile.data for tile in tree.extend(compute_leaf_hashes(written.leaves))
    }
    assert stored == expected
    for (level, index), data in expected.items():
        assert written.log.read_tile(level, index) == data == written.log.read_full_tile(level, index)
    assert written.log.read_tile(0, len(written.leaves)) is None
    with pytest.raises(InvariantBroken, match="TILE_MISSING"):
        written.log.read_full_tile(0, len(written.leaves))


def test_a_tile_that_is_about_to_be_stored_can_be_read_already(small):
    block = small.make_block(600)
    tiles = small.tree.extend(block.leaf_hashes)
    assert tiles
    small.log.hold(tiles)
    assert [small.log.read_full_tile(tile.level, tile.index) for tile in tiles] == [
        tile.data for tile in tiles
    ]


def test_each_leaf_is_in_the_block_that_ends_next(written):
    for number, last in enumerate(written.ends):
        first = written.ends[number - 1] + 1 if number else len(GENESIS)
        for index in {first, (first + last) // 2, last}:
            assert written.log.find_block(index) == (last, number + 1, (number + 1) * 10)
    assert written.log.find_block(len(written.leaves)) is None
    assert [row[0] for row in written.log.list_blocks()] == written.ends


def test_a_block_goes_to_the_end_of_the_log_and_nowhere_else(small):
    block = small.make_block(5)
    rows = read_rows(small)
    for first in (block.first - 1, block.first + 1, 0):
        with pytest.raises(InvariantBroken, match="APPEND_OUT_OF_PLACE"):
            small.log.append(block._replace(first=first), [])
    assert read_rows(small) == rows


def test_of_a_block_that_fails_halfway_nothing_is_there(small):
    rows, blocks, size = read_rows(small), small.log.list_blocks(), small.log.size
    level, index, data = next(small.log.list_tiles())
    # The tile is there already: its row, the last of the block to be written, is refused.
    with pytest.raises(IntegrityError):
        small.log.append(small.make_block(300), [FullTile(level, index, data)])
    assert (read_rows(small), small.log.list_blocks(), small.log.size) == (rows, blocks, size)
    small.append(300)
    assert small.log.read_leaves(0, small.log.size) == small.leaves


def test_what_does_not_read_back_is_told(small):
    block = small.make_block(10)
    small.log.append(block, [])
    small.log.check_read_back(block.first, block.leaves)
    wrong = [*block.leaves[:-1], block.leaves[-1][:-1] + b"!"]
    with pytest.raises(InvariantBroken, match="READ_BACK_DIFFERS"):
        small.log.check_read_back(block.first, wrong)


def test_there_is_one_checkpoint_the_newest(small):
    assert small.log.read_note() is None
    for size in (5, 9):
        small.log.write_note(size, f"note of {size}")
        assert small.log.read_note() == (size, f"note of {size}")
    small.reopen()
    assert small.log.read_note() == (9, "note of 9")
