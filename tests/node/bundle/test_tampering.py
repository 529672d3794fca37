"""A bundle of which any part was changed is refused, and the check that failed is named."""

from __future__ import annotations

import json
import random

import pytest

from ledger.codec import to_base64url
from ledger.errors import Unverified
from ledger.keys import SeedSigner
from node.bundle.verifying import verify_bundle
from tests.conftest import FULL

ELSEWHERE = "demo/" + "0" * 32


def spoil(made, change):
    """The bundle with one change, encoded again as canonically as before."""
    told = json.loads(made)
    change(told)
    text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode() + b"\n"


def replace_in(path, old, new):
    def change(told):
        *way, last = path
        place = told
        for step in way:
            place = place[step]
        assert old in place[last], place[last]
        place[last] = place[last].replace(old, new, 1)

    return change


PROOF = ("entries", 0, "proof")
#   what is changed, the check that finds it
CHANGES = [
    ("chain", lambda t: t.update(chain=ELSEWHERE), "WRONG_CHAIN"),
    ("a genesis leaf", replace_in(("genesis", 0), '"CNY"', '"EUR"'), "WRONG_CHAIN"),
    ("a genesis leaf gone", lambda t: t["genesis"].pop(), "WRONG_CHAIN"),
    (
        "points in an entry",
        replace_in(("entries", 0, "entry"), '"points":45', '"points":46'),
        "ROOT_MISMATCH",
    ),
    ("who sent it", replace_in(("entries", 0, "transaction"), '"petrol"', '"fresh0"'), "RECEIPT_TAG"),
    ("no transaction", lambda t: t["entries"][0].pop("transaction"), "RECEIPT_TRANSACTION"),
    (
        "the path",
        lambda t: t["entries"][0].update(proof=swap_lines(t["entries"][0]["proof"], 2, 3)),
        "ROOT_MISMATCH",
    ),
    ("the place", replace_in(PROOF, "index 30", "index 31"), "ROOT_MISMATCH"),
    ("the checkpoint's size", replace_in(PROOF, "\n57\n", "\n58\n"), "SIGNATURE_INVALID"),
    ("an extra line", replace_in(PROOF, "\nindex", "\nextra AAAA\nindex"), "RECEIPT_EXTRA"),
    ("the epoch", lambda t: t["entries"][0].update(epoch=1), "RECEIPT_EPOCH"),
    ("order of entries", lambda t: t["entries"].reverse(), "ENTRIES_OUT_OF_ORDER"),
    ("an entry twice", lambda t: t["entries"].insert(0, t["entries"][0]), "ENTRIES_OUT_OF_ORDER"),
    ("an entry gone", lambda t: t["entries"].pop(0), "TRANSACTION_UNNEEDED"),
    ("a message hash", lambda t: t["transactions"][0]["messages"].append("A" * 43), "DIGEST_MISMATCH"),
    ("a tag", lambda t: t["transactions"][0].update(tag="A" * 22), "DIGESTS_MISSING"),
    ("a transaction twice", lambda t: t["transactions"].append(t["transactions"][0]), "TRANSACTION_TWICE"),
    ("transactions' order", lambda t: t["transactions"].reverse(), "TRANSACTION_UNNEEDED"),
    ("no context", lambda t: t["context"].clear(), "TRANSACTION_UNNEEDED"),
    ("a registration gone", lambda t: (t["context"].pop(0), t["transactions"].pop(7)), "KEY_NOT_SHOWN"),
    (
        "a consent's text",
        replace_in(("consents", 0, "text"), '"points":300', '"points":301'),
        "CONSENT_TEXT_DIFFERS",
    ),
    ("a consent gone", lambda t: t["consents"].clear(), "CONSENT_TEXT_DIFFERS"),
    ("a consent elsewhere", lambda t: t["consents"][0].update(entry=30), "CONSENT_TEXT_DIFFERS"),
    ("the reference", lambda t: t.update(reference="O-9"), "ORDER_NOT_NAMED"),
    ("another part's", lambda t: t.update(reference="O-1.R1"), "ENTRY_OF_ANOTHER_ORDER"),
    ("whose order", lambda t: t.update(sender="fresh"), "ORDER_NOT_NAMED"),
    ("a key stated in vain", lambda t: t["stated"].append(state("petrol")), "STATED_KEYS_DIFFER"),
    ("a key under another id", lambda t: t["stated"].append(state("petrol", "0" * 16)), "STATED_KEY"),
    ("an unknown field", lambda t: t.update(note="believe me"), "BUNDLE_MALFORMED"),
    ("version", lambda t: t.update(version=2), "BUNDLE_MALFORMED"),
]


def swap_lines(text, one, other):
    lines = text.split("\n")
    lines[one], lines[other] = lines[other], lines[one]
    return "\n".join(lines)


def state(participant, key=None):
    signer = SeedSigner(b"?" * 32)
    public = to_base64url(signer.public)
    return {"key": key or signer.key_id, "participant": participant, "public": public, "purpose": "till"}


@pytest.mark.parametrize(("change", "check"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_whatever_part_is_changed_the_check_that_failed_is_named(made, evening, change, check):
    with pytest.raises(Unverified) as refused:
        verify_bundle(spoil(made, change), chain=evening.chain)
    assert refused.value.code == check


def test_a_forgery_of_the_maker_is_found_by_the_signature(made, evening):
    # Whoever keeps the log could put any message under any sender; the sender's signature they cannot make.
    told = json.loads(made)
    told["transactions"][0]["messages"] = ["A" * 43]
    with pytest.raises(Unverified) as refused:
        verify_bundle(spoil(made, lambda t: t.update(told)), chain=evening.chain)
    assert refused.value.code == "DIGEST_MISMATCH"


def test_any_byte_that_is_changed_is_found(made, evening):
    seeded = random.Random(4)
    places = range(len(made)) if FULL else seeded.sample(range(len(made)), 250)
    for place in places:
        spoiled = bytearray(made)
        spoiled[place] ^= 1 << seeded.randrange(8)
        with pytest.raises(Unverified):
            verify_bundle(bytes(spoiled), chain=evening.chain)


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_file_that_was_cut_off_is_bad(made, evening, cut):
    with pytest.raises(Unverified) as refused:
        verify_bundle(made[:cut], chain=evening.chain)
    assert refused.value.code == "BUNDLE_MALFORMED"
