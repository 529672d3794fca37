"""Not one bit of a proof, a root, a leaf or an index can be changed without the proof being refused.

The size of a tree is signed together with its root. A proof alone does not bind it, in RFC 6962 either: trees
of different sizes can hold a leaf at the end of the very same path. So where sizes are changed below, exactly
those are let through whose recursion gives the same formula, and each is worked out symbolically beside it.
"""

from __future__ import annotations

import itertools

from ledger.errors import Unverified
from ledger.log.merkle import (
    SIZE_MAX,
    compute_leaf_hashes,
    verify_consistency,
    verify_inclusion,
    verify_range,
)
from scripts.reference import trees

LEAVES = tuple(b"%d" % number for number in range(9))
HASHES = compute_leaf_hashes(LEAVES)
ROOTS = [trees.root(LEAVES[:size]) for size in range(10)]
CODES = {"HASH_LENGTH", "OUT_OF_RANGE", "PROOF_LENGTH", "ROOT_MISMATCH"}


def is_refused(verify, **arguments):
    try:
        verify(**arguments)
    except Unverified as unverified:
        return unverified.code in CODES
    return False


def flip_each_bit(data):
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def change_each(hashes):
    """The list with one bit of one hash changed, for every bit of every hash."""
    for place, each in enumerate(hashes):
        for changed in flip_each_bit(each):
            yield [*hashes[:place], changed, *hashes[place + 1 :]]


def rearrange(proof):
    """The list with a hash lost, doubled, swapped with its neighbour, moved over its border, or added."""
    for place in range(len(proof)):
        yield [*proof[:place], *proof[place + 1 :]]
        yield [*proof[: place + 1], *proof[place:]]
    for place in range(len(proof) - 1):
        yield [*proof[:place], proof[place + 1], proof[place], *proof[place + 2 :]]
        joined = proof[place] + proof[place + 1]
        yield [*proof[:place], joined[:31], joined[31:], *proof[place + 2 :]]
        yield [*proof[:place], joined, *proof[place + 2 :]]
    yield [*proof, bytes(32)]
    yield [bytes(32), *proof]


def flip_each_number_bit(number):
    return [number ^ 1 << bit for bit in range(64)]


def describe_range(first, end, size, at=0):
    """What a verifier computes, as a formula: which hash of the proof and which leaf stand where."""
    if at + size <= first or end <= at:
        return "outside"
    if size == 1:
        return at - first
    k = trees.split(size)
    return describe_range(first, end, k, at), describe_range(first, end, size - k, at + k)


def describe_consistency(old, size, taken, *, whole=True):
    """The two roots a verifier computes, as formulas over the hashes of the proof in their order."""
    if old == size:
        known = "old root" if whole else next(taken)
        return known, known
    k = trees.split(size)
    if old <= k:
        old_formula, new_formula = describe_consistency(old, k, taken, whole=whole)
        return old_formula, (new_formula, next(taken))
    old_formula, new_formula = describe_consistency(old - k, size - k, taken, whole=False)
    left = next(taken)
    return (left, old_formula), (left, new_formula)


def test_every_changed_bit_of_an_inclusion_proof_is_refused():
    for size in range(1, 10):
        for index in range(size):
            proof = trees.path(index, LEAVES[:size])
            good = {"leaf": HASHES[index], "index": index, "size": size, "proof": proof, "root": ROOTS[size]}
            verify_inclusion(**good)
            for changed in itertools.chain(change_each(proof), rearrange(proof)):
                assert is_refused(verify_inclusion, **{**good, "proof": changed})
            for name in ("leaf", "root"):
                for changed in flip_each_bit(good[name]):
                    assert is_refused(verify_inclusion, **{**good, name: changed})
            for changed in flip_each_number_bit(index):
                assert is_refused(verify_inclusion, **{**good, "index": changed})
            for changed in flip_each_number_bit(size):
                place = (index, index + 1)
                fits = index < changed <= SIZE_MAX
                same = fits and describe_range(*place, changed) == describe_range(*place, size)
                assert is_refused(verify_inclusion, **{**good, "size": changed}) != same


def test_every_changed_bit_of_a_consistency_proof_is_refused():
    for new in range(1, 10):
        for old in range(1, new + 1):
            proof = trees.subproof(old, LEAVES[:new])
            good = {"old": old, "new": new, "old_root": ROOTS[old], "new_root": ROOTS[new], "proof": proof}
            verify_consistency(**good)
            formulas = describe_consistency(old, new, itertools.count())
            for changed in itertools.chain(change_each(proof), rearrange(proof)):
                assert is_refused(verify_consistency, **{**good, "proof": changed})
            for name in ("old_root", "new_root"):
                for changed in flip_each_bit(good[name]):
                    assert is_refused(verify_consistency, **{**good, name: changed})
            for name in ("old", "new"):
                for changed in flip_each_number_bit(good[name]):
                    sizes = {"old": old, "new": new, name: changed}
                    same = (
                        0 < sizes["old"] <= sizes["new"] <= SIZE_MAX
                        and describe_consistency(sizes["old"], sizes["new"], itertools.count()) == formulas
                    )
                    assert is_refused(verify_consistency, **{**good, name: changed}) != same


def test_every_changed_bit_of_a_range_proof_is_refused():
    for size in range(1, 8):
        for first, end in itertools.combinations(range(size + 1), 2):
            proof = trees.outside(first, end, LEAVES[:size])
            leaves = HASHES[first:end]
            good = {"first": first, "leaves": leaves, "size": size, "proof": proof, "root": ROOTS[size]}
            verify_range(**good)
            for changed in itertools.chain(change_each(proof), rearrange(proof)):
                assert is_refused(verify_range, **{**good, "proof": changed})
            for changed in itertools.chain(change_each(leaves), rearrange(leaves)):
                assert is_refused(verify_range, **{**good, "leaves": changed})
            for changed in flip_each_bit(ROOTS[size]):
                assert is_refused(verify_range, **{**good, "root": changed})
            for changed in flip_each_number_bit(first):
                assert is_refused(verify_range, **{**good, "first": changed})
            for changed in flip_each_number_bit(size):
                fits = end <= changed <= SIZE_MAX
                same = fits and describe_range(first, end, changed) == describe_range(first, end, size)
                assert is_refused(verify_range, **{**good, "size": changed}) != same
