"""A receipt is believed for what it shows, offline, and for nothing else."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import UNSET
from msgspec.structs import replace

from contracts.messages import Earn
from ledger.codec import encode
from ledger.errors import Refused, Unverified
from ledger.log.merkle import compute_inclusion_proof, leaf_hash
from ledger.log.note import ED25519, VerifierKey, sign_checkpoint
from ledger.log.policy import Log, Policy
from ledger.log.tiles import HashTree
from ledger.log.tlog_proof import format_tlog_proof
from ledger.outcome import Lot
from ledger.receipt import Receipt, read_receipt, verify_receipt
from tests.contracts.alliance import Alliance
from tests.contracts.cast import ANNA, FRESH, PETROL, START, TODAY, make_signer

LOG = make_signer("log")


def make_alliance() -> Alliance:
    """Two entries of one transaction, one of another, and one that a block wrote by itself."""
    alliance = Alliance().open()
    alliance.place(ANNA, "leaf", Lot(TODAY, 5, 0, 9, "leaf-1", 0))
    alliance.must(FRESH, Earn(10**6, ANNA, START, "leaf", "a"), Earn(10**6, ANNA, START, "leaf", "b"))
    alliance.must(PETROL, Earn(10**6, ANNA, START, "leaf", "c"))
    alliance.wait(days=1)
    alliance.cut()
    return alliance


ALLIANCE = make_alliance()
LEAVES = ALLIANCE.leaves
POLICY = Policy((Log(VerifierKey(ALLIANCE.chain, ED25519, LOG.public)),), (), (), "none")


def prove(index: int, leaves: list[bytes] = LEAVES) -> str:
    tree = HashTree()
    tree.extend([leaf_hash(leaf) for leaf in leaves])
    checkpoint = sign_checkpoint(origin=ALLIANCE.chain, size=len(leaves), root=tree.root(), signer=LOG)
    hashes = compute_inclusion_proof(index=index, size=len(leaves), node=tree.node)
    return format_tlog_proof(index=index, hashes=hashes, checkpoint=checkpoint)


def find(start: bytes, nth: int) -> int:
    return [index for index, leaf in enumerate(LEAVES) if leaf.startswith(b'{"@type":"' + start)][nth]


LAST = find(b"transaction", -1)
FIRST = find(b"transaction", -2)
SYSTEM = find(b"system", 0)


def make_receipt(index: int, transaction: int | None) -> Receipt:
    leaf = UNSET if transaction is None else LEAVES[transaction].decode()
    return Receipt(entry=LEAVES[index].decode(), epoch=0, proof=prove(index), transaction=leaf)


@pytest.mark.parametrize("number", [1, 2])
def test_a_receipt_shows_message_outcome_sender_and_place(number):
    receipt = read_receipt(encode(make_receipt(FIRST + number, FIRST)))
    found = verify_receipt(receipt, POLICY)
    assert found.leaf_index == FIRST + number
    assert found.transaction.header.sender == FRESH
    assert msgspec.json.decode(found.message)["reference"] == "ab"[number - 1]
    assert msgspec.json.decode(found.outcome)["points"] == 2
    assert found.checkpoint.size == len(LEAVES)


def test_what_a_block_did_by_itself_has_a_receipt_without_a_transaction():
    found = verify_receipt(make_receipt(SYSTEM, None), POLICY)
    assert found.transaction is None
    assert msgspec.json.decode(found.outcome)["points"] == 9


OTHER_LOG = Policy((Log(VerifierKey(ALLIANCE.chain, ED25519, make_signer("x").public)),), (), (), "none")
GOOD = make_receipt(FIRST + 1, FIRST)
#   what is wrong, the receipt, the policy
FALSE = [
    ("another outcome", replace(GOOD, entry=GOOD.entry.replace('"points":2', '"points":3')), POLICY),
    ("another entry", replace(GOOD, entry=LEAVES[FIRST + 2].decode()), POLICY),
    ("another place", replace(GOOD, proof=prove(FIRST + 2)), POLICY),
    ("another log", GOOD, OTHER_LOG),
    ("another transaction", make_receipt(FIRST + 1, LAST), POLICY),
    ("a changed transaction", replace(GOOD, transaction=GOOD.transaction.replace(FRESH, PETROL)), POLICY),
    ("no transaction", make_receipt(FIRST + 1, None), POLICY),
    ("a transaction beside a system entry", make_receipt(SYSTEM, FIRST), POLICY),
    ("a transaction leaf for an entry", make_receipt(FIRST, FIRST), POLICY),
    ("a block leaf for an entry", make_receipt(len(LEAVES) - 1, FIRST), POLICY),
    ("a genesis leaf for an entry", make_receipt(0, FIRST), POLICY),
    ("no proof", replace(GOOD, proof=""), POLICY),
]


@pytest.mark.parametrize(("receipt", "policy"), [row[1:] for row in FALSE], ids=[row[0] for row in FALSE])
def test_a_receipt_that_does_not_hold_is_not_believed(receipt, policy):
    with pytest.raises(Unverified):
        verify_receipt(receipt, policy)


#   leaves that no honest log holds, under a checkpoint that its key has signed all the same
STRANGE = [
    b"",
    b"{}",
    b'{"@type":"entry"}',
    b'{"@type":"entry","message":' + b"[" * 60_000,
    b'{"@type":"system","message":' + b"[" * 60_000,
    b'{"@type":"entry","message":'
    + b"[" * 30_000
    + b"]" * 30_000
    + b',"outcome":1,"tag":"'
    + b"A" * 22
    + b'"}',
]


@pytest.mark.parametrize("leaf", STRANGE, ids=range(len(STRANGE)))
def test_nothing_that_a_dishonest_log_signs_does_more_than_fail(leaf):
    text = leaf.decode()
    receipt = Receipt(entry=text or "  ", epoch=0, proof=prove(0, [leaf]), transaction=GOOD.transaction)
    with pytest.raises(Unverified):
        verify_receipt(receipt, POLICY)


NO_RECEIPTS = [
    b"",
    b"{}",
    b"[" * 200_000,
    encode(GOOD) + b" ",
    encode(GOOD).replace(b'"epoch":0', b'"epoch":-1'),
]


@pytest.mark.parametrize("data", NO_RECEIPTS, ids=range(5))
def test_what_is_no_receipt_is_refused(data):
    with pytest.raises(Refused):
        read_receipt(data)
