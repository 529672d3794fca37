"""Go's own implementations read what we write, and refuse what we refuse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ledger.keys import ORDER, SMALL_ORDER_ENCODINGS, SeedSigner
from ledger.log.merkle import (
    compute_consistency_proof,
    compute_inclusion_proof,
    compute_leaf_hashes,
    compute_range_proof,
    compute_root,
)
from ledger.log.note import (
    COSIGNATURE_V1,
    ED25519,
    VerifierKey,
    add_signature_lines,
    cosign,
    encode_vkey,
    sign_checkpoint,
    split_note,
)
from ledger.log.tiles import HashTree

VECTORS = Path(__file__).parents[1] / "vectors"
ORIGIN = "demo/0123456789abcdef0123456789abcdef"
LOG = SeedSigner(b"log".ljust(32))
WITNESS = SeedSigner(b"witness".ljust(32))
LEAVES = compute_leaf_hashes(b"%d" % number for number in range(700))
SIZES = (*range(1, 34), 255, 256, 257, 513, 700)


@pytest.fixture(scope="module")
def tree():
    tree = HashTree()
    tree.extend(LEAVES)
    return tree


def test_go_opens_our_checkpoint_and_leaves_the_witness_aside(logcheck):
    root = compute_root(LEAVES)
    note = sign_checkpoint(origin=ORIGIN, size=700, root=root, signer=LOG)
    line = cosign(body=split_note(note)[0], name="witness.example", time_seconds=1, signer=WITNESS)
    vkey = encode_vkey(VerifierKey(ORIGIN, ED25519, LOG.public))
    for text in (note, add_signature_lines(note, line)):
        done = logcheck("note", json.dumps({"vkey": vkey, "note": text}))
        assert (done.returncode, done.stdout) == (0, f"{ORIGIN}\n700\n{root.hex()}\n"), done.stderr


def test_go_refuses_a_changed_checkpoint_and_another_key(logcheck):
    note = sign_checkpoint(origin=ORIGIN, size=700, root=compute_root(LEAVES), signer=LOG)
    vkey = encode_vkey(VerifierKey(ORIGIN, ED25519, LOG.public))
    other = encode_vkey(VerifierKey(ORIGIN, ED25519, WITNESS.public))
    cosigner = encode_vkey(VerifierKey(ORIGIN, COSIGNATURE_V1, WITNESS.public))
    wrong = ((vkey, note.replace("\n700\n", "\n701\n")), (other, note), (cosigner, note), (vkey, note[:-1]))
    for key, text in wrong:
        done = logcheck("note", json.dumps({"vkey": key, "note": text}))
        assert (done.returncode, done.stdout) == (1, "")


def show(hashes):
    return [each.hex() for each in hashes]


def make_proofs(tree, sizes):
    roots = {size: compute_root(LEAVES[:size]).hex() for size in sizes}
    places = [(size, index) for size in sizes for index in sorted({0, size // 3, size // 2, size - 1})]
    pairs = [(new, old) for new in sizes for old in sizes if old <= new]
    ranges = [
        (size, first, end)
        for size, first in places
        for end in sorted({first + 1, (first + size + 1) // 2, size})
    ]
    return {
        "inclusion": [
            {
                "index": index,
                "size": size,
                "leaf": LEAVES[index].hex(),
                "root": roots[size],
                "proof": show(compute_inclusion_proof(index=index, size=size, node=tree.node)),
            }
            for size, index in places
        ],
        "consistency": [
            {
                "old": old,
                "new": new,
                "old_root": roots[old],
                "new_root": roots[new],
                "proof": show(compute_consistency_proof(old=old, new=new, node=tree.node)),
            }
            for new, old in pairs
        ],
        "range": [
            {
                "first": first,
                "size": size,
                "leaves": show(LEAVES[first:end]),
                "root": roots[size],
                "proof": show(compute_range_proof(first=first, end=end, size=size, node=tree.node)),
            }
            for size, first, end in ranges
        ],
    }


def test_go_believes_our_proofs(logcheck, tree):
    proofs = make_proofs(tree, SIZES)
    done = logcheck("proofs", json.dumps(proofs))
    assert done.stdout == " ".join(str(len(each)) for each in proofs.values()) + "\n", done.stderr


@pytest.mark.parametrize("kind", ["inclusion", "consistency", "range"])
def test_go_refuses_a_proof_that_was_changed(logcheck, tree, kind):
    """What makes the test above worth something: the program can say no."""
    proof = next(each for each in make_proofs(tree, (100, 257))[kind] if each["proof"])
    changed = {**proof, "proof": [proof["proof"][0][::-1], *proof["proof"][1:]]}
    done = logcheck("proofs", json.dumps({kind: [changed]}))
    assert done.returncode == 1
    assert logcheck("proofs", json.dumps({kind: [proof]})).returncode == 0


def test_go_has_the_verdict_of_the_pinned_rule_on_every_edge_case(logcheck):
    """The rule's own checks come first, as in ledger/keys.py; the arithmetic after them is Go's."""
    cases = json.loads((VECTORS / "ed25519.json").read_text())
    document = []
    for case in cases:
        signature = bytes.fromhex(case["signature"])
        reached = case["key_accepted"] and signature[:32] not in SMALL_ORDER_ENCODINGS
        reached = reached and int.from_bytes(signature[32:64], "little") < ORDER
        fields = {name: case[name] for name in ("name", "public", "text", "signature", "valid")}
        document.append({**fields, "reached": reached})
    assert sum(case["reached"] for case in document) > 50
    done = logcheck("signatures", json.dumps(document))
    assert done.stdout == f"{len(cases)}\n", done.stderr
