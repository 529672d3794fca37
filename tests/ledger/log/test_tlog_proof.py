"""A proof in a file is checked offline, and any change to it is found."""

from __future__ import annotations

import base64

import pytest

from ledger.errors import Refused, Unverified
from ledger.keys import SeedSigner
from ledger.log.merkle import compute_inclusion_proof, compute_leaf_hashes
from ledger.log.note import (
    COSIGNATURE_V1,
    ED25519,
    Checkpoint,
    VerifierKey,
    add_signature_lines,
    cosign,
    sign_checkpoint,
    split_note,
)
from ledger.log.policy import Log, Policy, Witness
from ledger.log.tiles import HashTree
from ledger.log.tlog_proof import HASHES_MAX, format_tlog_proof, parse_tlog_proof, verify_tlog_proof

ORIGIN = "demo/0123456789abcdef0123456789abcdef"
LOG = SeedSigner(b"log".ljust(32))
WITNESS = SeedSigner(b"witness".ljust(32))
POLICY = Policy(
    (Log(VerifierKey(ORIGIN, ED25519, LOG.public)),),
    (Witness("w", VerifierKey("w.example", COSIGNATURE_V1, WITNESS.public)),),
    (),
    "w",
)
HASHES = compute_leaf_hashes(b"%d" % number for number in range(300))


def make_proof(index, size, **options):
    tree = HashTree()
    tree.extend(HASHES[:size])
    note = sign_checkpoint(origin=ORIGIN, size=size, root=tree.root(), signer=LOG)
    line = cosign(body=split_note(note)[0], name="w.example", time_seconds=5, signer=WITNESS)
    hashes = compute_inclusion_proof(index=index, size=size, node=tree.node)
    checkpoint = add_signature_lines(note, line)
    return format_tlog_proof(index=index, hashes=hashes, checkpoint=checkpoint, **options), tree.root()


PROOF = make_proof(73, 300)[0]
EXTRA = make_proof(73, 300, extra=b"\x00extra")[0]


def get_code(call, *arguments, **options):
    with pytest.raises((Refused, Unverified)) as caught:
        call(*arguments, **options)
    return caught.value.code


@pytest.mark.parametrize(
    ("index", "size"), [(0, 1), (0, 2), (1, 2), (73, 300), (255, 256), (256, 257), (299, 300)]
)
@pytest.mark.parametrize("extra", [None, b"", b"\x00anything\n\n"])
def test_a_proof_reads_back_and_is_believed_for_its_leaf_alone(index, size, extra):
    text, root = make_proof(index, size, extra=extra)
    proof, checkpoint = verify_tlog_proof(text, leaf=HASHES[index], policy=POLICY)
    assert checkpoint == Checkpoint(ORIGIN, size, root)
    assert (proof.leaf_index, proof.extra) == (index, extra)
    if size > 1:
        other = HASHES[(index + 1) % size]
        assert get_code(verify_tlog_proof, text, leaf=other, policy=POLICY) == "ROOT_MISMATCH"


def test_the_lines_stand_as_the_specification_shows_them():
    lines = EXTRA.split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1"
    assert lines[1] == "extra " + base64.b64encode(b"\x00extra").decode()
    assert lines[2] == "index 73"
    assert all(len(base64.b64decode(line)) == 32 for line in lines[3:12])
    assert lines[12:14] == ["", ORIGIN]


def test_every_changed_bit_of_a_proof_is_refused():
    """In a proof without an extra line, which nothing signs."""
    data = PROOF.encode()
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        text = bytes(changed).decode("utf-8", "surrogateescape")
        with pytest.raises(Unverified):
            verify_tlog_proof(text, leaf=HASHES[73], policy=POLICY)


HEAD, NOTE = PROOF.split("\n\n", 1)
FIRST, INDEX, *PATH = HEAD.split("\n")
MALFORMED = [
    "",
    NOTE,
    HEAD,
    HEAD + "\n",
    f"{HEAD}\n{NOTE}",
    f"{FIRST}\n\n{NOTE}",
    f"{FIRST} \n{INDEX}\n\n{NOTE}",
    f"c2sp.org/tlog-proof@v2\n{INDEX}\n\n{NOTE}",
    f"{FIRST}\r\n{INDEX}\n\n{NOTE}",
    f"{FIRST}\nindex 073\n\n{NOTE}",
    f"{FIRST}\nindex -1\n\n{NOTE}",
    f"{FIRST}\nindex  7\n\n{NOTE}",
    f"{FIRST}\nindex \u0667\n\n{NOTE}",
    f"{FIRST}\nindex 9223372036854775807\n\n{NOTE}",
    f"{FIRST}\nindex {'9' * 5000}\n\n{NOTE}",
    f"{FIRST}\n{INDEX}\nextra AA==\n\n{NOTE}",
    f"{FIRST}\nextra AA==\nextra AA==\n{INDEX}\n\n{NOTE}",
    f"{FIRST}\nextra AA=\n{INDEX}\n\n{NOTE}",
    f"{FIRST}\nextra AB==\n{INDEX}\n\n{NOTE}",
    f"{FIRST}\nextra  AA==\n{INDEX}\n\n{NOTE}",
    f"{FIRST}\nextra {'AAAA' * 30_000}\n{INDEX}\n\n{NOTE}",
    f"{FIRST}\n{INDEX}\n{PATH[0][:-4]}\n\n{NOTE}",
    f"{FIRST}\n{INDEX}\n{PATH[0]} \n\n{NOTE}",
    f"{FIRST}\n{INDEX}\n{base64.b64encode(bytes(31)).decode()}\n\n{NOTE}",
    "\n".join([FIRST, INDEX, *PATH[:1] * (HASHES_MAX + 1)]) + f"\n\n{NOTE}",
]


@pytest.mark.parametrize("text", MALFORMED, ids=range(len(MALFORMED)))
def test_what_is_not_a_proof_is_refused(text):
    assert get_code(parse_tlog_proof, text) == "TLOG_PROOF_MALFORMED"


def test_a_path_cut_or_lengthened_is_refused():
    for path in (PATH[:-1], [*PATH, PATH[0]]):
        text = "\n".join([FIRST, INDEX, *path]) + f"\n\n{NOTE}"
        assert get_code(verify_tlog_proof, text, leaf=HASHES[73], policy=POLICY) == "PROOF_LENGTH"


#   what is wrong,                          code, in the order of the checks
WRONG = [
    (lambda text: text.split("\n\n\u2014")[0] + "\n", "NOTE_MALFORMED"),
    (lambda text: text.replace(f"\n{ORIGIN}\n", "\nother\n"), "LOG_UNKNOWN"),
    (lambda text: text[: text.index("\u2014 w.example")], "QUORUM_NOT_MET"),
    (lambda text: text.replace("index 73", "index 300"), "OUT_OF_RANGE"),
    (lambda text: text.replace("index 73", "index 72"), "ROOT_MISMATCH"),
]


@pytest.mark.parametrize(("change", "code"), WRONG)
def test_a_proof_that_is_not_believed_says_why(change, code):
    assert get_code(verify_tlog_proof, change(PROOF), leaf=HASHES[73], policy=POLICY) == code


@pytest.mark.parametrize(
    "wrong", [{"index": -1}, {"index": 2**63}, {"hashes": [b"short"]}, {"hashes": [bytes(32)] * 64}]
)
def test_nothing_is_written_that_would_not_read_back(wrong):
    good = {"index": 0, "hashes": [], "checkpoint": NOTE}
    assert get_code(format_tlog_proof, **{**good, **wrong}) == "TLOG_PROOF_MALFORMED"
