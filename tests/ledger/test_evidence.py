"""Evidence: what two signed checkpoints, or a promise, show against a key, and what they do not."""

from __future__ import annotations

import random
from hashlib import sha256

import pytest

from ledger.codec import encode, to_base64url
from ledger.errors import Refused, Unverified
from ledger.evidence import (
    BrokenPromise,
    Contradiction,
    choose_proof_from,
    compute_both_roots,
    judge_evidence,
    read_evidence,
)
from ledger.genesis import Genesis, GenesisKey, GenesisParticipant, encode_genesis, read_genesis
from ledger.keys import SeedSigner
from ledger.leaves import compute_tag, encode_entry, encode_transaction_leaf
from ledger.log.merkle import compute_consistency_proof, compute_inclusion_proof, compute_root
from ledger.log.note import sign_checkpoint
from ledger.log.tiles import HashTree
from ledger.log.tlog_proof import format_tlog_proof
from ledger.promise import sign_absence, sign_promise
from ledger.receipt import Receipt
from ledger.transaction import Header

LOG = SeedSigner(b"log".ljust(32, b"."))
STRANGER = SeedSigner(b"stranger".ljust(32, b"."))
PUBLIC = to_base64url(LOG.public)
LEAVES = encode_genesis(
    Genesis(
        clock="system",
        currency="EUR",
        engine="solo",
        log_key=PUBLIC,
        name="town",
        operator="clearing",
        parameters=[],
        rulebook=1,
        time=1,
        utc_offset_minutes=0,
    ),
    [
        GenesisParticipant(
            keys=[GenesisKey(public=to_base64url(STRANGER.public), purpose="govern")],
            name=name.title(),
            participant=name,
        )
        for name in ("clearing", "fresh")
    ],
)
ORIGIN = read_genesis(LEAVES)
CHAIN = ORIGIN.chain
BASE = {"chain": CHAIN, "genesis": [leaf.decode() for leaf in LEAVES], "policies": []}


class Tree:
    """A log that begins with the genesis and goes on with leaves of its own."""

    def __init__(self, salt: str, shared: int = 3, size: int = 80) -> None:
        told = [*LEAVES, *(f"leaf {number}".encode() for number in range(3, shared))]
        told += [f"{salt} {number}".encode() for number in range(len(told), size)]
        self.hashes = [sha256(b"\0" + leaf).digest() for leaf in told]
        self.leaves = told
        self.tree = HashTree(None)
        self.tree.extend(self.hashes)

    def note(self, size: int, signer: SeedSigner = LOG) -> str:
        root = compute_root(self.hashes[:size])
        return sign_checkpoint(origin=CHAIN, size=size, root=root, signer=signer)

    def prove(self, old: int, new: int) -> list[str]:
        proof = compute_consistency_proof(old=old, new=new, node=self.tree.node)
        return [to_base64url(each) for each in proof]


ONE, OTHER = Tree("one"), Tree("other")


def contradict(*notes: str, proof: list[str] | None = None, proof_from: int = 0) -> Contradiction:
    return Contradiction(**BASE, notes=list(notes), proof=proof or [], proof_from=proof_from)


def judge(evidence: Contradiction | BrokenPromise, chain: str = CHAIN):
    # As a file would come back.
    return judge_evidence(read_evidence(encode(evidence) + b"\n"), chain=chain)


def test_both_roots_follow_from_one_proof_at_every_pair_of_sizes():
    for larger in range(4, 70):
        for smaller in range(3, larger):
            begin = choose_proof_from(smaller)
            proof = compute_consistency_proof(old=begin, new=larger, node=ONE.tree.node)
            expected = (compute_root(ONE.hashes[:smaller]), compute_root(ONE.hashes[:larger]))
            found = compute_both_roots(smaller=smaller, larger=larger, proof=proof)
            assert found == expected, (smaller, larger)


def test_a_proof_of_another_length_makes_no_roots():
    proof = compute_consistency_proof(old=21, new=67, node=ONE.tree.node)
    for wrong in ([], proof[:-1], proof[1:], [*proof, bytes(32)]):
        found = compute_both_roots(smaller=21, larger=67, proof=wrong)
        assert found is None or found[1] != compute_root(ONE.hashes[:67])


def test_two_roots_of_one_size_are_proven_against_the_key_that_signed_both():
    found = judge(contradict(ONE.note(30), OTHER.note(30)))
    assert (found.code, found.is_proven, found.is_one_of) == ("TWO_ROOTS", True, False)
    assert [key.public for key in found.against] == [LOG.public]


@pytest.mark.parametrize("smaller", [4, 8, 21, 32, 64])
def test_a_larger_tree_with_another_beginning_is_proven(smaller):
    begin = choose_proof_from(smaller)
    proof = OTHER.prove(begin, 70)
    found = judge(contradict(ONE.note(smaller), OTHER.note(70), proof=proof, proof_from=begin))
    assert (found.code, found.is_proven) == ("PREFIX_DIFFERS", True)


def test_a_tree_that_does_not_begin_with_the_genesis_is_proven():
    wrong = Tree("wrong")
    wrong.hashes[0] = bytes(32)
    wrong.tree = HashTree(None)
    wrong.tree.extend(wrong.hashes)
    evidence = contradict(wrong.note(40), proof=wrong.prove(3, 40), proof_from=3)
    assert judge(evidence).code == "GENESIS_REPLACED"


def test_what_agrees_or_proves_nothing_is_not_proven():
    rng = random.Random(7)
    noise = [to_base64url(rng.randbytes(32)) for _ in ONE.prove(21, 70)]
    told = [
        ("SAME_TREE", contradict(ONE.note(30), ONE.note(30))),
        ("CONSISTENT", contradict(ONE.note(21), ONE.note(70), proof=ONE.prove(21, 70), proof_from=21)),
        ("CONSISTENT", contradict(ONE.note(64), ONE.note(70), proof=ONE.prove(63, 70), proof_from=63)),
        # A proof that fails is no proof of the contrary: anybody can write one.
        ("PROOF_INCONCLUSIVE", contradict(ONE.note(21), ONE.note(70), proof=noise, proof_from=21)),
        ("PROOF_INCONCLUSIVE", contradict(ONE.note(21), OTHER.note(70), proof=[], proof_from=21)),
        (
            "PROOF_INCONCLUSIVE",
            contradict(ONE.note(64), OTHER.note(70), proof=OTHER.prove(64, 70), proof_from=64),
        ),
    ]
    for code, evidence in told:
        found = judge(evidence)
        assert (found.code, found.is_proven) == (code, False)


def test_a_file_with_anything_wrong_in_it_shows_nothing():
    forged = contradict(ONE.note(30), OTHER.note(30, signer=STRANGER))
    with pytest.raises(Unverified, match="LOG_SIGNATURE_MISSING"):
        judge(forged)
    with pytest.raises(Unverified, match="WRONG_CHAIN"):
        judge(contradict(ONE.note(30), OTHER.note(30)), chain="town/" + "0" * 32)
    with pytest.raises(Unverified, match="EVIDENCE_ORDER"):
        judge(contradict(ONE.note(31), OTHER.note(30)))
    data = encode(contradict(ONE.note(30), OTHER.note(30)))
    for wrong in (data[:-1], data + b" ", data.replace(b'"notes":', b'"notes": '), b"{}", b""):
        with pytest.raises(Refused):
            read_evidence(wrong)


def make_header(name: str = "t1") -> Header:
    return Header(
        chain=CHAIN,
        count=1,
        digest=to_base64url(sha256(b"digest").digest()),
        id=name,
        key="0" * 16,
        not_after=9_000,
        sender="clearing",
    )


def absent(name: str = "t1", *, time: int, signer: SeedSigner = LOG):
    return sign_absence(
        chain=CHAIN, sender="clearing", transaction_id=name, height=5, size=50, time=time, signer=signer
    )


def test_a_promise_and_a_later_signed_absence_are_proven_against_the_key():
    promise = sign_promise(make_header(), by=5_000, signer=LOG)
    found = judge(BrokenPromise(**BASE, promise=promise, absence=absent(time=5_001)))
    assert (found.code, found.is_proven, found.is_one_of) == ("NEVER_TAKEN", True, False)
    assert found.facts["by"] == 5_000
    kept = judge(BrokenPromise(**BASE, promise=promise, absence=absent(time=5_000)))
    assert (kept.code, kept.is_proven) == ("KEPT", False)


def test_a_promise_proves_nothing_with_another_absence_or_another_key():
    promise = sign_promise(make_header(), by=5_000, signer=LOG)
    wrong = [
        ("EVIDENCE_OF_ANOTHER", {"promise": promise, "absence": absent("t2", time=6_000)}),
        ("LOG_KEY_UNKNOWN", {"promise": promise, "absence": absent(time=6_000, signer=STRANGER)}),
        (
            "LOG_KEY_UNKNOWN",
            {
                "promise": sign_promise(make_header(), by=1, signer=STRANGER),
                "absence": absent(time=6_000),
            },
        ),
        ("EVIDENCE_INCOMPLETE", {"promise": promise}),
    ]
    for code, fields in wrong:
        with pytest.raises(Unverified) as caught:
            judge(BrokenPromise(**BASE, **fields))
        assert caught.value.code == code


def test_a_transaction_taken_later_than_promised_is_proven_by_its_receipt():
    promise = sign_promise(make_header(), by=5_000, signer=LOG)
    for time, code in ((5_001, "TAKEN_LATE"), (5_000, "KEPT")):
        transaction = encode_transaction_leaf(encode(make_header()), height=3, signature="A" * 86, time=time)
        entry = encode_entry(b'{"@type":"x"}', b'{"code":"OK"}', compute_tag(transaction))
        tree = HashTree(None)
        hashes = [sha256(b"\0" + leaf).digest() for leaf in (*LEAVES, transaction, entry)]
        tree.extend(hashes)
        note = sign_checkpoint(origin=CHAIN, size=5, root=compute_root(hashes), signer=LOG)
        receipt = Receipt(
            entry=entry.decode(),
            epoch=0,
            proof=format_tlog_proof(
                index=4,
                hashes=compute_inclusion_proof(index=4, size=5, node=tree.node),
                checkpoint=note,
            ),
            transaction=transaction.decode(),
        )
        found = judge(BrokenPromise(**BASE, promise=promise, receipt=receipt))
        assert (found.code, found.is_proven) == (code, code == "TAKEN_LATE")
