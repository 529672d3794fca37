"""One verification rule, whichever library does the arithmetic."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from nacl import bindings
from nacl.exceptions import BadSignatureError

from ledger.errors import InvariantBroken, Refused
from ledger.keys import (
    SMALL_ORDER_ENCODINGS,
    SeedSigner,
    check_library,
    check_public_key,
    is_valid_signature,
    key_id,
    signed_text,
)
from scripts.reference.ed25519 import SMALL_ORDER
from scripts.reference.edge_cases import PUBLISHED, read_published

VECTORS = Path(__file__).parents[1] / "vectors"
COLLECTIONS = Path(__file__).parents[2].parent / "shared" / "vectors"

CASES = json.loads((VECTORS / "ed25519.json").read_text())
VERDICTS = json.loads((VECTORS / "ed25519_published.json").read_text())


def is_key_accepted(public: bytes) -> bool:
    try:
        check_public_key(public)
    except Refused as refused:
        return refused.code != "KEY_REFUSED"
    return True


def is_accepted(public: bytes, text: bytes, signature: bytes) -> bool:
    """What a node does: the key is checked when it is registered, the signature afterwards."""
    return is_key_accepted(public) and is_valid_signature(public=public, text=text, signature=signature)


def open_with_openssl(signed: bytes, public: bytes) -> bytes:
    """As libsodium's `crypto_sign_open`, which it stands in for: the equation alone, checked by OpenSSL.

    Unlike libsodium it refuses no R for being of small order, so what the rule refuses is the rule's doing.
    """
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signed[:64], signed[64:])
    except InvalidSignature as invalid:
        raise BadSignatureError from invalid
    return signed[64:]


def is_accepted_with_openssl(public: bytes, text: bytes, signature: bytes) -> bool:
    """The same rule, with the arithmetic left to the other library."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bindings, "crypto_sign_open", open_with_openssl)
        return is_accepted(public, text, signature)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_every_edge_case_has_the_verdict_of_the_rule_in_both_libraries(case):
    public, text, signature = (bytes.fromhex(case[each]) for each in ("public", "text", "signature"))
    assert is_key_accepted(public) == case["key_accepted"]
    assert is_accepted(public, text, signature) == case["valid"]
    assert is_accepted_with_openssl(public, text, signature) == case["valid"]


def test_the_edge_cases_hold_every_class_and_both_verdicts():
    names = " ".join(case["name"] for case in CASES)
    for oddity in ("key of small", "key of mixed", "key not can", "R of small", "R of mixed", "R not can"):
        assert oddity in names
    assert "copy with S + 15 L" in names
    assert len({case["name"] for case in CASES}) == len(CASES)
    assert {(case["key_accepted"], case["valid"]) for case in CASES} == {
        (True, True),
        (True, False),
        (False, False),
    }


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_edge_cases_have_the_verdict_of_the_rule_in_both_libraries(name):
    file = COLLECTIONS / f"{name}.json"
    if not file.is_file():
        pytest.skip("the published collections are not beside this repository (../shared/vectors)")
    data = file.read_bytes()
    verdict = VERDICTS[name]
    assert hashlib.sha256(data).hexdigest() == verdict["sha256"], "other cases than those that were judged"
    cases = list(read_published(name, json.loads(data)))
    assert len(cases) == verdict["cases"]
    assert [number for number, *case in cases if is_accepted(*case)] == verdict["accepted"]
    assert [number for number, *case in cases if is_accepted_with_openssl(*case)] == verdict["accepted"]


def test_wycheproof_agrees_with_the_rule_about_what_is_valid():
    """Its own verdicts: nothing it calls valid is refused, and nothing it calls invalid is accepted."""
    file = COLLECTIONS / "ed25519-wycheproof.json"
    if not file.is_file():
        pytest.skip("the published collections are not beside this repository (../shared/vectors)")
    tests = [test for group in json.loads(file.read_text())["testGroups"] for test in group["tests"]]
    valid = [test["tcId"] for test in tests if test["result"] == "valid"]
    assert valid == VERDICTS["ed25519-wycheproof"]["accepted"]


def test_the_fourteen_small_order_encodings_are_those_the_curve_has():
    assert len(SMALL_ORDER_ENCODINGS) == 14
    assert SMALL_ORDER_ENCODINGS == SMALL_ORDER


def test_every_single_bit_of_a_signature_counts():
    signer = SeedSigner(bytes(range(32)))
    text = signed_text(purpose="transaction", chain="demo/" + "0" * 32, body=b"{}")
    signature = signer.sign(text)
    assert is_valid_signature(public=signer.public, text=text, signature=signature)
    for bit in range(512):
        changed = bytearray(signature)
        changed[bit // 8] ^= 1 << bit % 8
        assert not is_valid_signature(public=signer.public, text=text, signature=bytes(changed))
    for bit in range(len(text) * 8):
        other = bytearray(text)
        other[bit // 8] ^= 1 << bit % 8
        assert not is_valid_signature(public=signer.public, text=bytes(other), signature=signature)


def test_a_public_key_that_is_too_short_is_answered_and_not_read_past():
    signer = SeedSigner(bytes(32))
    for length in (0, 31, 33):
        public = (signer.public * 2)[:length]
        assert not is_valid_signature(public=public, text=b"", signature=signer.sign(b""))


#   what                    key
REFUSED = [
    ("not 32 bytes", b"\x01" * 31),
    ("a point of small order", bytes(32)),
    ("a point of small order", (2**255 - 19).to_bytes(32, "little")),
    ("not the canonical encoding", (2**255 - 1).to_bytes(32, "little")),
    ("not a point of the prime-order subgroup", (2).to_bytes(32, "little")),
]


@pytest.mark.parametrize(("reason", "public"), REFUSED)
def test_a_refused_key_says_why(reason, public):
    with pytest.raises(Refused) as refused:
        check_public_key(public)
    assert refused.value.code == "KEY_REFUSED"
    assert refused.value.facts["reason"] == reason


def test_a_libsodium_that_decides_otherwise_is_found(monkeypatch):
    check_library()
    monkeypatch.setattr(bindings, "crypto_core_ed25519_is_valid_point", lambda _: True)
    with pytest.raises(InvariantBroken) as broken:
        check_library()
    assert broken.value.code == "ED25519_LIBRARY_DIFFERS"


def test_a_libsodium_that_multiplies_by_the_cofactor_is_found(monkeypatch):
    monkeypatch.setattr(bindings, "crypto_sign_open", lambda signed, _: signed[64:])
    with pytest.raises(InvariantBroken) as broken:
        check_library()
    assert broken.value.facts["signature refused"] is False


def test_signatures_are_those_of_rfc_8032():
    """Section 7.1, test 3: seed, public key, a text of two bytes, signature."""
    signer = SeedSigner(bytes.fromhex("c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"))
    public = bytes.fromhex("fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025")
    signature = bytes.fromhex(
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )
    assert signer.public == public
    assert signer.sign(b"\xaf\x82") == signature


def test_a_key_id_is_sixteen_hex_digits_under_its_own_prefix():
    signer = SeedSigner(bytes(32))
    expected = hashlib.sha256(b"commonpoint/key/v1\n" + signer.public).hexdigest()[:16]
    assert signer.key_id == key_id(signer.public) == expected


def test_what_is_signed_names_purpose_and_chain():
    assert (
        signed_text(purpose="consent", chain="demo/ab", body=b"x\ny")
        == b"commonpoint/consent/v1\ndemo/ab\nx\ny"
    )


def test_a_signer_never_shows_its_seed():
    seed = bytes(range(100, 132))
    signer = SeedSigner(seed)
    assert seed.hex() not in repr(signer)
    assert repr(signer) == f"SeedSigner(key_id='{signer.key_id}')"
    with pytest.raises(Refused):
        SeedSigner(seed[:31])
