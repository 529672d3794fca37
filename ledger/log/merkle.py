"""What is in the log stays in the log, and anybody can check it with a few hashes.

The tree is that of RFC 6962 section 2.1 over SHA-256. Three proofs are made and checked:

- *inclusion*: this leaf is at this index of the tree with this root; hashes from the leaf's sibling upwards;
- *consistency*: the tree with this root begins with the tree of that size and root; hashes as in RFC 6962
  2.1.2;
- *range*: these neighbouring leaves stand at [first, end) of the tree. The proof holds the roots of the
  largest subtrees outside the range that the tree's own recursion meets, from left to right. One proof serves
  a whole batch.

Provers ask for the roots of complete subtrees through ``node(level, index)``, the root of the 2**level leaves
from ``index * 2**level`` on; so they work from tiles and never see a leaf. Nothing here recurses on data or
uses floats, and nothing here decides which root to believe: that is what `note` and `policy` are for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from ledger.errors import Refused, Unverified

HASH_BYTES: Final = 32
SIZE_MAX: Final = 2**63 - 1
"""The largest tree that a checkpoint may state."""

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()
"""The root of the tree without leaves (RFC 6962 section 2.1)."""

Node = Callable[[int, int], bytes]
"""``node(level, index)``: the root of the complete subtree of 2**level leaves at that index."""

_sha256 = hashlib.sha256


def leaf_hash(leaf: bytes) -> bytes:
    """The hash of one leaf; its prefix keeps it from ever being taken for a node."""
    return _sha256(b"\x00" + leaf).digest()


def compute_leaf_hashes(leaves: Iterable[bytes]) -> list[bytes]:
    """`leaf_hash` of each leaf, in order."""
    return [_sha256(b"\x00" + leaf).digest() for leaf in leaves]


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two neighbouring subtrees."""
    return _sha256(b"\x01" + left + right).digest()


def compute_parents(hashes: Sequence[bytes]) -> list[bytes]:
    """The nodes one level up, over whole pairs; a last one without a partner is left out."""
    pairs = iter(hashes)
    return [_sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=False)]


def compute_root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root over all leaves, level by level; a node without a partner moves up as it is."""
    if not leaf_hashes:
        return EMPTY_ROOT
    level = leaf_hashes
    while len(level) > 1:
        parents = compute_parents(level)
        if len(level) & 1:
            parents.append(level[-1])
        level = parents
    return level[0]


def compute_subtree_root(*, first: int, end: int, node: Node) -> bytes:
    """The root over [first, end), where ``first`` is a multiple of the power of two that ``end - first`` fits
    in.

    A ragged subtree consists of complete ones, the larger to the left: one for each bit of its size.
    """
    complete: list[bytes] = []
    size = end - first
    while first < end:
        level = size.bit_length() - 1
        complete.append(node(level, first >> level))
        first += 1 << level
        size -= 1 << level
    root = complete.pop()
    while complete:
        root = node_hash(complete.pop(), root)
    return root


def _compute_right_siblings(*, index: int, level: int, size: int, node: Node, both: bool) -> list[bytes]:
    """Siblings on the way from the node (level, index) up: those to the right, or on ``both`` sides."""
    siblings: list[bytes] = []
    last = (size - 1) >> level
    while last:
        if index & 1:
            if both:
                siblings.append(node(level, index - 1))
        elif index < last:
            begin, end = (index + 1) << level, (index + 2) << level
            if end <= size:
                siblings.append(node(level, index + 1))
            else:
                siblings.append(compute_subtree_root(first=begin, end=size, node=node))
        index >>= 1
        last >>= 1
        level += 1
    return siblings


def compute_inclusion_proof(*, index: int, size: int, node: Node) -> list[bytes]:
    """The audit path of RFC 6962 section 2.1.1, from the leaf's sibling up."""
    if not 0 <= index < size <= SIZE_MAX:
        raise Refused("OUT_OF_RANGE", index=index, size=size)
    return _compute_right_siblings(index=index, level=0, size=size, node=node, both=True)


def compute_consistency_proof(*, old: int, new: int, node: Node) -> list[bytes]:
    """The consistency proof of RFC 6962 section 2.1.2. Empty from the empty tree and between equal sizes."""
    if not 0 <= old <= new <= SIZE_MAX:
        raise Refused("OUT_OF_RANGE", old=old, new=new)
    if old in (0, new):
        return []
    # The old tree ends with a complete subtree of as many leaves as its size's lowest set bit says.
    level = (old & -old).bit_length() - 1
    index = (old - 1) >> level
    proof = _compute_right_siblings(index=index, level=level, size=new, node=node, both=True)
    # Where that subtree is the whole old tree, the verifier knows its root already.
    return proof if index == 0 else [node(level, index), *proof]


def compute_range_proof(*, first: int, end: int, size: int, node: Node) -> list[bytes]:
    """The roots of the largest subtrees outside [first, end), from left to right."""
    if not 0 <= first < end <= size <= SIZE_MAX:
        raise Refused("OUT_OF_RANGE", first=first, end=end, size=size)
    # To the left: complete subtrees only, one for each bit of `first`, the largest leftmost.
    levels = range(first.bit_length() - 1, -1, -1)
    left = [node(level, (first >> level) - 1) for level in levels if first >> level & 1]
    return left + _compute_right_siblings(index=end - 1, level=0, size=size, node=node, both=False)


def verify_inclusion(*, leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """The leaf with the hash ``leaf`` is at ``index`` of the tree of ``size`` leaves and this root.

    Raises `Unverified`: ``OUT_OF_RANGE``, ``HASH_LENGTH``, ``PROOF_LENGTH``, ``ROOT_MISMATCH``.
    """
    if not 0 <= index < size <= SIZE_MAX:
        raise Unverified("OUT_OF_RANGE", index=index, size=size)
    _check_hashes((leaf, root, *proof))
    given = iter(proof)
    found, position, last, taken = leaf, index, size - 1, 0
    while last:
        if position & 1 or position < last:
            sibling = next(given, None)
            if sibling is None:
                raise Unverified("PROOF_LENGTH", expected=f"more than {taken}", found=len(proof))
            taken += 1
            found = node_hash(sibling, found) if position & 1 else node_hash(found, sibling)
        position >>= 1
        last >>= 1
    if taken != len(proof):
        raise Unverified("PROOF_LENGTH", expected=taken, found=len(proof))
    _check_root(expected=root, found=found)


def verify_consistency(
    *, old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """The tree of ``new`` leaves begins with the very tree of ``old`` leaves (RFC 9162 section 2.1.4.2).

    Raises `Unverified`: ``OUT_OF_RANGE`` (which is how a cut-off tail shows), ``HASH_LENGTH``,
    ``PROOF_LENGTH``, ``ROOT_MISMATCH``.
    """
    if not 0 <= old <= new <= SIZE_MAX:
        raise Unverified("OUT_OF_RANGE", old=old, new=new)
    _check_hashes((old_root, new_root, *proof))
    if old in (0, new):
        if proof:
            raise Unverified("PROOF_LENGTH", expected=0, found=len(proof))
        _check_root(expected=old_root, found=new_root if old == new else EMPTY_ROOT)
        return
    position, last = old - 1, new - 1
    while position & 1:
        position >>= 1
        last >>= 1
    hashes = [*proof] if position else [old_root, *proof]
    if not hashes:
        raise Unverified("PROOF_LENGTH", expected="more than 0", found=0)
    old_found = new_found = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise Unverified("PROOF_LENGTH", expected="fewer", found=len(proof))
        if position & 1 or position == last:
            old_found, new_found = node_hash(sibling, old_found), node_hash(sibling, new_found)
            while position and not position & 1:
                position >>= 1
                last >>= 1
        else:
            new_found = node_hash(new_found, sibling)
        position >>= 1
        last >>= 1
    if last:
        raise Unverified("PROOF_LENGTH", expected="more", found=len(proof))
    _check_root(expected=old_root, found=old_found)
    _check_root(expected=new_root, found=new_found)


def verify_range(
    *, first: int, leaves: Sequence[bytes], size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """The leaves with these hashes stand side by side from ``first`` on in the tree of ``size`` and this
    root.

    Raises `Unverified`: ``OUT_OF_RANGE``, ``HASH_LENGTH``, ``PROOF_LENGTH``, ``ROOT_MISMATCH``.
    """
    end = first + len(leaves)
    if not 0 <= first < end <= size <= SIZE_MAX:
        raise Unverified("OUT_OF_RANGE", first=first, end=end, size=size)
    _check_hashes((root, *leaves, *proof))
    left_count = first.bit_count()
    expected = left_count + _count_right_siblings(index=end - 1, size=size)
    if len(proof) != expected:
        raise Unverified("PROOF_LENGTH", expected=expected, found=len(proof))
    left, right = list(proof[:left_count]), iter(proof[left_count:])
    row: Sequence[bytes] = leaves
    low, high, last = first, end - 1, size - 1
    while last:
        before = [left.pop()] if low & 1 else []
        after = [next(right)] if not high & 1 and high < last else []
        if before or after:
            row = [*before, *row, *after]
        parents = compute_parents(row)
        if len(row) & 1:
            # The last node of a level with an odd number of nodes moves up as it is.
            parents.append(row[-1])
        row = parents
        low >>= 1
        high >>= 1
        last >>= 1
    _check_root(expected=root, found=row[0])


def _count_right_siblings(*, index: int, size: int) -> int:
    count, last = 0, size - 1
    while last:
        count += not index & 1 and index < last
        index >>= 1
        last >>= 1
    return count


def _check_hashes(hashes: Iterable[bytes]) -> None:
    # A hash of another length would move the border between left and right and let two trees share a root.
    for each in hashes:
        if len(each) != HASH_BYTES:
            raise Unverified("HASH_LENGTH", expected=HASH_BYTES, found=len(each))


def _check_root(*, expected: bytes, found: bytes) -> None:
    if expected != found:
        raise Unverified("ROOT_MISMATCH", expected=expected.hex(), found=found.hex())
