"""A points code says exactly what the member signed, and survives a QR."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.messages.consent_text import encode_consent
from ledger.codec import from_base64url
from ledger.keys import is_valid_signature
from merchant_sdk import InvalidRequest, PointsCode, Quote, Wallet
from merchant_sdk.base45 import ALPHABET, decode_base45, encode_base45

CHAIN = "village/" + "0" * 32
WALLET = Wallet(
    CHAIN,
    member="m_" + "0" * 26,
    seed=bytes(32),
    clock=lambda: 1_700_000_000_000,
    randomness=lambda size: bytes(range(size)),
)
QUOTE = Quote(
    program="fresh",
    series="2026",
    target="petrol",
    points=10,
    points_taken=10,
    points_received=5,
    least=5,
    rate_height=3,
    height=7,
)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"AB", "BB8"),
        (b"Hello!!", "%69 VD92EX0"),
        (b"base-45", "UJCLQE7W581"),
        (b"ietf!", "QED8WEX0"),
    ],
)
def test_base45_is_that_of_the_rfc(data, text):
    assert encode_base45(data) == text
    assert decode_base45(text) == data


@given(st.binary(max_size=200))
def test_base45_gives_every_byte_back(data):
    assert decode_base45(encode_base45(data)) == data


@given(st.text(alphabet=ALPHABET, max_size=12))
def test_base45_has_one_spelling(text):
    try:
        data = decode_base45(text)
    except InvalidRequest:
        return
    assert encode_base45(data) == text


@pytest.mark.parametrize("text", ["a", "A", "GGW", "::::", "::", "BB8a", "ÄÖÜ", "BB8\n"])
def test_what_is_not_base45_is_refused(text):
    with pytest.raises(InvalidRequest):
        decode_base45(text)


@pytest.mark.parametrize(
    "code",
    [
        WALLET.points_code("fresh", 500, "petrol"),
        WALLET.points_code("fresh", 500),
        WALLET.consent_for_exchange(QUOTE),
    ],
    ids=["for a shop", "for anyone", "for an exchange"],
)
def test_a_code_reads_back_as_what_was_signed(code):
    text = code.encode()
    assert set(text) <= set(ALPHABET)
    read = PointsCode.decode(text)
    assert read == code
    # What a scanner or a form put around it does no harm; what stands in it belongs to it.
    assert PointsCode.decode(f"  {text}\t\r\n") == code
    for number in (index for index, character in enumerate(text) if character == " "):
        with pytest.raises(InvalidRequest):
            PointsCode.decode(text[:number] + text[number + 1 :])
    signature = from_base64url(read.signature, size=64)
    signed = encode_consent(CHAIN, read.text)
    assert is_valid_signature(public=WALLET.signer.public, text=signed, signature=signature)


def test_a_code_is_the_canonical_text_with_its_signature():
    code = WALLET.points_code("fresh", 500, "petrol", seconds=90)
    data = decode_base45(str(code)).decode()
    assert data == (
        '{"@type":"consent","counterparty":"petrol","expires":1700000090000,'
        f'"key":"{WALLET.signer.key_id}","member":"m_00000000000000000000000000",'
        '"nonce":"AAECAwQFBgcICQoLDA0ODw","points":500,"program":"fresh","purpose":"redeem",'
        f'"signature":"{code.signature}"}}'
    )


@pytest.mark.parametrize(
    "edit",
    [
        lambda data: data.replace(b'"points":500', b'"points":5e2'),
        lambda data: data.replace(b'"points":500', b'"points":0'),
        lambda data: data.replace(b'"points":500', b'"points":500,"points":501'),
        lambda data: data.replace(b"consent", b"receipt"),
        lambda data: data.replace(b"{", b"{ ", 1),
        lambda data: data[:-1],
        lambda data: data[:0],
    ],
)
def test_what_is_not_a_points_code_is_refused(edit):
    data = decode_base45(WALLET.points_code("fresh", 500).encode())
    with pytest.raises(InvalidRequest):
        PointsCode.decode(encode_base45(edit(data)))


def test_what_could_never_be_accepted_is_not_signed():
    for program, points, acceptor in (("Fresh", 5, None), ("fresh", 0, None), ("fresh", 5, "x y")):
        with pytest.raises(InvalidRequest):
            WALLET.points_code(program, points, acceptor)


def test_a_seeded_wallet_makes_the_same_codes_twice():
    def make():
        numbers = iter(range(100))
        wallet = Wallet(CHAIN, clock=lambda: 5, randomness=lambda size: bytes([next(numbers)] * size))
        return wallet.member, wallet.public, str(wallet.points_code("fresh", 5)), wallet.choice("till_off")

    assert make() == make()


def test_two_codes_are_never_the_same():
    assert len({str(Wallet(CHAIN).points_code("fresh", 5)) for _ in range(20)}) == 20


def test_a_key_proves_that_it_is_held():
    key = WALLET.possession()
    assert key.public == WALLET.public
