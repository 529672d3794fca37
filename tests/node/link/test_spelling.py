"""Proofs that a worker spells are the proofs that the tree's own module makes, for every size and place."""

from __future__ import annotations

import random
from hashlib import sha256

import pytest

from ledger.codec import to_base64url
from ledger.log import merkle
from ledger.log.tiles import HashTree
from node.link.spelling import Spelling

HASHES = [sha256(str(number).encode()).digest() for number in range(5_000)]


def make_tree(size):
    tree = HashTree(cached_tiles=64)
    tree.extend(HASHES[:size])
    return tree


def spell(tree, first, end):
    proof = merkle.compute_range_proof(first=first, end=end, size=tree.size, node=tree.node)
    return b",".join(b'"%b"' % to_base64url(each).encode() for each in proof)


@pytest.mark.parametrize("size", [*range(1, 20), 31, 64, 65])
def test_every_range_of_a_small_tree(size):
    tree = make_tree(size)
    spelling = Spelling(tree, "checkpoint")
    for first in range(size):
        for end in range(first + 1, size + 1):
            assert spelling.spell_range(first, end) == spell(tree, first, end)


@pytest.mark.parametrize("size", [127, 129, 255, 256, 257, 1_000, 4_096, 4_999])
def test_ranges_of_larger_trees(size):
    tree = make_tree(size)
    spelling = Spelling(tree, "checkpoint")
    draw = random.Random(size)
    for _ in range(300):
        first, end = sorted(draw.sample(range(size + 1), 2))
        assert spelling.spell_range(first, end) == spell(tree, first, end)
