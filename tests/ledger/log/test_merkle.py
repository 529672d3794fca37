"""Roots and proofs, exhaustive in trees of up to 64 leaves, against the recursion of the RFC."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from ledger.errors import Refused, Unverified
from ledger.log.merkle import (
    EMPTY_ROOT,
    compute_consistency_proof,
    compute_inclusion_proof,
    compute_leaf_hashes,
    compute_range_proof,
    compute_root,
    compute_subtree_root,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
    verify_range,
)
from scripts.reference import trees

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "merkle.json").read_text())
LEAVES = tuple(b"%d" % number for number in range(260))
HASHES = compute_leaf_hashes(LEAVES)
SIZES = range(1, 65)
CODES = {"HASH_LENGTH", "OUT_OF_RANGE", "PROOF_LENGTH", "ROOT_MISMATCH"}


def make_node(size):
    """Answers complete subtrees only, as tiles do."""
    rows = [HASHES[:size]]
    while len(rows[-1]) > 1:
        pairs = zip(rows[-1][::2], rows[-1][1::2], strict=False)
        rows.append([node_hash(left, right) for left, right in pairs])
    return lambda level, index: rows[level][index]


NODES = {size: make_node(size) for size in range(1, 260)}
ROOTS = {size: trees.root(LEAVES[:size]) for size in range(260)}


def is_refused(verify, **arguments):
    try:
        verify(**arguments)
    except Unverified as unverified:
        return unverified.code in CODES
    return False


def test_leaf_and_node_prefixes_are_those_of_rfc_6962():
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert leaf_hash(b"L123456").hex() == "395aa064aa4c29f7010acfe3f25db9485bbd4b91897b6ad7ad547639252b4d56"
    assert node_hash(b"N123", b"N456").hex() == (
        "aa217fe888e47007fa15edab33c2b492a722cb106c64667fc2b044444de66bbb"
    )
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_root_is_that_of_the_recursion():
    for size in range(260):
        assert compute_root(HASHES[:size]) == ROOTS[size]
        if size:
            assert compute_subtree_root(first=0, end=size, node=NODES[size]) == ROOTS[size]


def test_committed_roots_and_proofs_are_what_is_made_and_believed():
    assert {case["size"]: case["root"] for case in VECTORS["roots"]} == {
        case["size"]: compute_root(HASHES[: case["size"]]).hex() for case in VECTORS["roots"]
    }
    for case in VECTORS["inclusion"]:
        index, size = case["index"], case["size"]
        proof = compute_inclusion_proof(index=index, size=size, node=NODES[size])
        assert [each.hex() for each in proof] == case["proof"]
        verify_inclusion(leaf=HASHES[index], index=index, size=size, proof=proof, root=ROOTS[size])
    for case in VECTORS["consistency"]:
        old, new = case["old"], case["new"]
        proof = compute_consistency_proof(old=old, new=new, node=NODES[new])
        assert [each.hex() for each in proof] == case["proof"]
        verify_consistency(old=old, old_root=ROOTS[old], new=new, new_root=ROOTS[new], proof=proof)
    for case in VECTORS["range"]:
        first, end, size = case["first"], case["end"], case["size"]
        proof = compute_range_proof(first=first, end=end, size=size, node=NODES[size])
        assert [each.hex() for each in proof] == case["proof"]
        verify_range(first=first, leaves=HASHES[first:end], size=size, proof=proof, root=ROOTS[size])


def test_every_inclusion_proof_up_to_64_leaves_is_the_recursions_and_holds_for_its_leaf_alone():
    for size in SIZES:
        for index in range(size):
            proof = compute_inclusion_proof(index=index, size=size, node=NODES[size])
            assert proof == trees.path(index, LEAVES[:size])
            verify_inclusion(leaf=HASHES[index], index=index, size=size, proof=proof, root=ROOTS[size])
            for other in {0, index - 1, index + 1, size - 1} - {index}:
                place = {"index": other, "size": size, "proof": proof, "root": ROOTS[size]}
                assert is_refused(verify_inclusion, leaf=HASHES[index], **place)
                assert is_refused(verify_inclusion, leaf=HASHES[other], **{**place, "index": index})


def test_every_consistency_proof_up_to_64_leaves_is_the_recursions_and_holds_for_its_roots_alone():
    for new in SIZES:
        for old in range(new + 1):
            proof = compute_consistency_proof(old=old, new=new, node=NODES[new])
            assert proof == (trees.subproof(old, LEAVES[:new]) if old else [])
            verify_consistency(old=old, old_root=ROOTS[old], new=new, new_root=ROOTS[new], proof=proof)
            for other in {new - 1, new + 1, old} - {new}:
                roots = {"old_root": ROOTS[old], "new_root": ROOTS[other]}
                # From the empty tree everything follows, whatever the new root is.
                assert is_refused(verify_consistency, old=old, new=new, proof=proof, **roots) == (old > 0)
            for other in {old - 1, old + 1, new} - {-1, old}:
                roots = {"old_root": ROOTS[other], "new_root": ROOTS[new]}
                assert is_refused(verify_consistency, old=old, new=new, proof=proof, **roots)


def test_every_range_proof_up_to_64_leaves_is_the_recursions_and_holds_for_its_leaves_alone():
    for size in SIZES:
        for first, end in itertools.combinations(range(size + 1), 2):
            proof = compute_range_proof(first=first, end=end, size=size, node=NODES[size])
            assert proof == trees.outside(first, end, LEAVES[:size])
            leaves = HASHES[first:end]
            verify_range(first=first, leaves=leaves, size=size, proof=proof, root=ROOTS[size])
            shifted = HASHES[first + 1 : end + 1]
            assert is_refused(
                verify_range, first=first, leaves=shifted, size=size, proof=proof, root=ROOTS[size]
            )


def test_a_range_of_one_leaf_says_what_an_inclusion_proof_says():
    for size in SIZES:
        for index in range(size):
            one = compute_range_proof(first=index, end=index + 1, size=size, node=NODES[size])
            assert sorted(one) == sorted(compute_inclusion_proof(index=index, size=size, node=NODES[size]))


#   verify,            arguments that cannot be true of any tree,                                       code
IMPOSSIBLE = [
    (
        verify_inclusion,
        {"leaf": HASHES[0], "index": 0, "size": 0, "proof": [], "root": EMPTY_ROOT},
        "OUT_OF_RANGE",
    ),
    (
        verify_inclusion,
        {"leaf": HASHES[0], "index": -1, "size": 1, "proof": [], "root": HASHES[0]},
        "OUT_OF_RANGE",
    ),
    (
        verify_inclusion,
        {"leaf": HASHES[0], "index": 0, "size": 2**63, "proof": [], "root": HASHES[0]},
        "OUT_OF_RANGE",
    ),
    (
        verify_inclusion,
        {"leaf": b"short", "index": 0, "size": 1, "proof": [], "root": b"short"},
        "HASH_LENGTH",
    ),
    (
        verify_range,
        {"first": 0, "leaves": [], "size": 1, "proof": [HASHES[0]], "root": HASHES[0]},
        "OUT_OF_RANGE",
    ),
    (
        verify_range,
        {"first": -1, "leaves": HASHES[:2], "size": 1, "proof": [], "root": HASHES[0]},
        "OUT_OF_RANGE",
    ),
    (
        verify_range,
        {"first": 0, "leaves": [b"short"], "size": 1, "proof": [], "root": b"short"},
        "HASH_LENGTH",
    ),
    (
        verify_consistency,
        {"old": 2, "old_root": ROOTS[2], "new": 1, "new_root": ROOTS[1], "proof": []},
        "OUT_OF_RANGE",
    ),
    (
        verify_consistency,
        {"old": 0, "old_root": ROOTS[1], "new": 1, "new_root": ROOTS[1], "proof": []},
        "ROOT_MISMATCH",
    ),
    (
        verify_consistency,
        {"old": 1, "old_root": ROOTS[1], "new": 1, "new_root": ROOTS[2], "proof": []},
        "ROOT_MISMATCH",
    ),
]


@pytest.mark.parametrize(("verify", "arguments", "code"), IMPOSSIBLE)
def test_what_no_tree_can_show_is_refused_by_its_code(verify, arguments, code):
    with pytest.raises(Unverified) as unverified:
        verify(**arguments)
    assert unverified.value.code == code


@pytest.mark.parametrize(
    ("compute", "arguments"),
    [
        (compute_inclusion_proof, {"index": 3, "size": 3}),
        (compute_inclusion_proof, {"index": -1, "size": 3}),
        (compute_consistency_proof, {"old": 4, "new": 3}),
        (compute_consistency_proof, {"old": -1, "new": 3}),
        (compute_range_proof, {"first": 2, "end": 2, "size": 3}),
        (compute_range_proof, {"first": 2, "end": 4, "size": 3}),
        (compute_range_proof, {"first": -1, "end": 2, "size": 3}),
    ],
)
def test_a_proof_outside_the_tree_is_not_made(compute, arguments):
    with pytest.raises(Refused) as refused:
        compute(**arguments, node=NODES[3])
    assert refused.value.code == "OUT_OF_RANGE"
