"""Tiles as the specification has them, and a growing tree that never hands out a wrong node."""

from __future__ import annotations

import random

import pytest

from ledger.errors import InvariantBroken, Refused, Unverified
from ledger.log.merkle import (
    EMPTY_ROOT,
    compute_consistency_proof,
    compute_inclusion_proof,
    compute_leaf_hashes,
    compute_range_proof,
    compute_root,
    verify_consistency,
    verify_inclusion,
    verify_range,
)
from ledger.log.tiles import (
    LEAF_BYTES_MAX,
    TILE_BYTES,
    HashTree,
    decode_bundle,
    encode_bundle,
    entries_path,
    parse_tile_path,
    tile_path,
)

SIZE = 70_000
HASHES = compute_leaf_hashes(b"%d" % number for number in range(SIZE))
# Around full tiles of level 0 and 1, and at ends in between.
CORNERS = (1, 2, 3, 255, 256, 257, 511, 512, 513, 1000, 65_535, 65_536, 65_537, 65_791, 65_792, 65_793, SIZE)

#   arguments                path
PATHS = [
    ((0, 0), "tile/0/000"),
    ((0, 0, 1), "tile/0/000.p/1"),
    ((0, 999, 255), "tile/0/999.p/255"),
    ((0, 1067, 5), "tile/0/x001/067.p/5"),
    ((1, 1234067), "tile/1/x001/x234/067"),
    ((63, 1000000, 256), "tile/63/x001/x000/000"),
]

#   a spelling the specification does not have
WRONG_PATHS = [
    "",
    "/tile/0/000",
    "tile/0/000/",
    "tile/0/000\n",
    "tile/00/000",
    "tile/64/000",
    "tile/-1/000",
    "tile/0/0",
    "tile/0/0000",
    "tile/0/001/067",
    "tile/0/x001",
    "tile/0/x000/067",
    "tile/0/X001/067",
    "tile/0/٠٠٠",
    "tile/0/000.p/0",
    "tile/0/000.p/01",
    "tile/0/000.p/256",
    "tile/0/000.p/257",
    "tile/0/000.p/",
    "tile/0/000p/5",
    "tile/entry/000",
    "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
]


@pytest.fixture(scope="module")
def grown():
    """A tree of 70,000 leaves that grew in runs of all lengths, and its full tiles by level and index."""
    stored = {}
    tree = HashTree(lambda level, index: stored[level, index], cached_tiles=3)
    draw = random.Random(20_261)
    while tree.size < SIZE:
        run = HASHES[tree.size : tree.size + draw.choice((1, 2, 30, 255, 256, 257, 1000, 5000))]
        for tile in tree.extend(run):
            assert (tile.level, tile.index) not in stored
            stored[tile.level, tile.index] = tile.data
    return tree, stored


def restore(stored, size=SIZE, **options):
    partial = HASHES[size - size % 256 : size]
    return HashTree.restore(
        size=size, read_tile=lambda level, index: stored[level, index], partial=partial, **options
    )


@pytest.mark.parametrize(("arguments", "path"), PATHS)
def test_a_path_is_spelled_as_specified_and_read_back(arguments, path):
    assert tile_path(*arguments) == path
    level, index, width = parse_tile_path(path)
    assert (level, index, width) == (*arguments, 256)[:3]
    bundle = entries_path(*arguments[1:])
    assert bundle == path.replace(f"tile/{arguments[0]}/", "tile/entries/")
    assert parse_tile_path(bundle) == ("entries", index, width)


@pytest.mark.parametrize("path", WRONG_PATHS)
def test_any_other_spelling_of_a_path_is_refused(path):
    with pytest.raises(Refused) as refused:
        parse_tile_path(path)
    assert refused.value.code == "TILE_PATH"


@pytest.mark.parametrize("arguments", [(64, 0), (-1, 0), (0, -1), (0, 2**63), (0, 0, 0), (0, 0, 257)])
def test_no_path_is_made_for_a_tile_that_cannot_be(arguments):
    with pytest.raises(Refused):
        tile_path(*arguments)


def test_a_bundle_gives_back_its_leaves():
    leaves = [b"", b"a", b"x" * 300, bytes(LEAF_BYTES_MAX)]
    data = encode_bundle(leaves)
    assert data[:8] == b"\x00\x00\x00\x01a\x01\x2cx"
    assert decode_bundle(data) == leaves
    assert encode_bundle([]) == b""
    assert decode_bundle(b"") == []


def test_a_bundle_holds_no_more_leaves_than_a_tile_has():
    assert len(decode_bundle(bytes(2 * 256))) == 256
    for data in (bytes(2 * 257), bytes(16_000_000)):
        with pytest.raises(Unverified, match="BUNDLE_MALFORMED"):
            decode_bundle(data)


def test_a_leaf_too_large_for_a_bundle_is_refused():
    with pytest.raises(Refused) as refused:
        encode_bundle([b"a", bytes(LEAF_BYTES_MAX + 1)])
    assert refused.value.code == "LEAF_TOO_LARGE"


def test_a_bundle_cut_anywhere_but_between_leaves_is_refused():
    leaves = [b"one", b"", b"three"]
    data = encode_bundle(leaves)
    whole = {0: 0, 5: 1, 7: 2, 14: 3}
    for end in range(len(data) + 1):
        if end in whole:
            assert decode_bundle(data[:end]) == leaves[: whole[end]]
            continue
        with pytest.raises(Unverified) as unverified:
            decode_bundle(data[:end])
        assert unverified.value.code == "BUNDLE_MALFORMED"


def test_a_tree_has_the_tiles_the_specification_counts(grown):
    """For its example of 70,000 leaves: 273 and 1 full tiles, partial ones of 112, 17 and 1."""
    tree, stored = grown
    assert sorted(stored) == [*((0, index) for index in range(273)), (1, 0)]
    assert {len(data) for data in stored.values()} == {TILE_BYTES}
    assert stored[0, 100] == b"".join(HASHES[25_600:25_856])
    assert stored[1, 0][:32] == compute_root(HASHES[:256])
    assert tree.tile(0, 273, 112) == b"".join(HASHES[273 * 256 :])
    assert tree.tile(1, 1, 17)[-32:] == compute_root(HASHES[272 * 256 : 273 * 256])
    assert tree.tile(2, 0, 1) == compute_root(HASHES[:65_536])
    for level, index, width in (
        (0, 273, 113),
        (1, 1, 18),
        (2, 0, 2),
        (3, 0, 1),
        (64, 0, 1),
        (0, -1, 1),
        (0, 0, 0),
    ):
        with pytest.raises(Refused):
            tree.tile(level, index, width)


def test_a_partial_tile_stays_what_it_was_when_the_tree_grows(grown):
    tree, stored = grown
    assert tree.tile(0, 100) == stored[0, 100]
    assert tree.tile(0, 100, 7) == stored[0, 100][: 7 * 32]
    assert tree.tile(1, 0, 200) == stored[1, 0][: 200 * 32]


def test_a_tree_grown_or_restored_to_any_size_has_the_root_of_its_leaves(grown):
    _, stored = grown
    tree = HashTree()
    assert (tree.size, tree.root()) == (0, EMPTY_ROOT)
    for size in (*range(1, 520), *CORNERS[9:]):
        tree.extend(HASHES[tree.size : size])
        assert tree.size == size
        if size in CORNERS or size % 37 == 0:
            root = compute_root(HASHES[:size])
            assert tree.root() == root
            assert restore(stored, size).root() == root


def test_a_restored_tree_grows_on_as_if_it_had_never_stopped(grown):
    tree, stored = grown
    for size in (0, *CORNERS):
        again = restore(stored, size)
        tiles = again.extend(HASHES[size:])
        assert again.root() == tree.root()
        complete = {(level, index) for level, index in stored if (index + 1) << (8 * level + 8) <= size}
        assert {(tile.level, tile.index): tile.data for tile in tiles} == {
            place: data for place, data in stored.items() if place not in complete
        }


def test_proofs_from_tiles_are_believed_wherever_they_lie(grown):
    tree, _ = grown
    root = tree.root()
    draw = random.Random(7)
    for index in (*(size - 1 for size in CORNERS), *(draw.randrange(SIZE) for _ in range(60))):
        proof = compute_inclusion_proof(index=index, size=SIZE, node=tree.node)
        verify_inclusion(leaf=HASHES[index], index=index, size=SIZE, proof=proof, root=root)
        end = min(SIZE, index + draw.randrange(1, 700))
        proof = compute_range_proof(first=index, end=end, size=SIZE, node=tree.node)
        verify_range(first=index, leaves=HASHES[index:end], size=SIZE, proof=proof, root=root)
        old = index + 1
        proof = compute_consistency_proof(old=old, new=SIZE, node=tree.node)
        verify_consistency(old=old, old_root=compute_root(HASHES[:old]), new=SIZE, new_root=root, proof=proof)


def test_a_node_that_is_not_complete_is_not_answered(grown):
    tree, _ = grown
    for level, index in ((0, SIZE), (4, SIZE // 16), (17, 0), (-1, 0), (0, -1)):
        with pytest.raises(InvariantBroken) as broken:
            tree.node(level, index)
        assert broken.value.code == "NODE_NOT_COMPLETE"


@pytest.mark.parametrize("place", [(0, 7), (1, 0)])
def test_a_flipped_bit_in_a_stored_tile_is_found_before_a_proof_is_made_of_it(grown, place):
    _, stored = grown
    draw = random.Random(11)
    for _ in range(8):
        bit = draw.randrange(TILE_BYTES * 8)
        changed = bytearray(stored[place])
        changed[bit // 8] ^= 1 << bit % 8
        tree = restore(stored)
        tree._read_tile = lambda level, index, bad=bytes(changed): (
            bad if (level, index) == place else stored[level, index]
        )
        with pytest.raises(InvariantBroken) as broken:
            compute_inclusion_proof(index=7 * 256 + 3, size=SIZE, node=tree.node)
        assert broken.value.code == "TILE_CORRUPT"


@pytest.mark.parametrize("data", [b"", bytes(TILE_BYTES - 32)])
def test_a_tile_that_is_not_full_stops_the_tree(grown, data):
    _, stored = grown
    tree = restore(stored)
    tree._read_tile = lambda _level, _index: data
    with pytest.raises(InvariantBroken) as broken:
        tree.node(0, 0)
    assert broken.value.code == "TILE_MISSING"


def test_a_tree_without_a_place_to_read_from_says_so():
    tree = HashTree(cached_tiles=1)
    tree.extend(HASHES[:1024])
    tree.node(0, 1023)
    with pytest.raises(InvariantBroken) as broken:
        tree.node(0, 0)
    assert broken.value.code == "TILE_MISSING"


def test_a_tree_is_not_restored_from_another_number_of_leaves(grown):
    _, stored = grown
    for partial in (HASHES[256:299], HASHES[256:301]):
        with pytest.raises(InvariantBroken) as broken:
            HashTree.restore(size=300, read_tile=lambda *place: stored[place], partial=partial)
        assert broken.value.code == "TREE_SIZE"


def test_the_memory_for_tiles_is_bounded(grown):
    tree, _ = grown
    for index in range(0, SIZE, 1000):
        tree.node(0, index)
        assert len(tree._cache) <= 3
    assert sum(map(len, tree._edge)) < 3 * 512
