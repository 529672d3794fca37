"""There is one way to write a value, and every other way is refused with a stable code."""

from __future__ import annotations

import json
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.codec import INTEGER_MAX, decode, encode, from_base64url, sha256, to_base64url
from ledger.errors import Refused
from ledger.genesis import GenesisKey, GenesisParameter, GenesisParticipant
from ledger.outcome import Event, Leg, Lot, Outcome

PARAMETER = msgspec.json.Decoder(GenesisParameter)
PARTICIPANT = msgspec.json.Decoder(GenesisParticipant)
OUTCOME = msgspec.json.Decoder(Outcome)
KEY = "A" * 43


def participant(name: str) -> GenesisParticipant:
    return GenesisParticipant(
        keys=[GenesisKey(public=KEY, purpose="govern")], name=name, participant="bakery"
    )


def write(name: str) -> bytes:
    """A participant whose name is spelled by hand."""
    key = f'{{"public":"{KEY}","purpose":"govern"}}'
    return f'{{"@type":"genesis_participant","keys":[{key}],"name":{name},"participant":"bakery"}}'.encode()


def jcs(value: object) -> bytes:
    """RFC 8785 for what we allow: sorted keys, shortest integers, the JSON escapes and no others."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


def code_of(data: bytes, decoder: msgspec.json.Decoder) -> str:
    try:
        decode(data, decoder)
    except Refused as refused:
        return refused.code
    return "OK"


def test_every_character_is_written_as_rfc_8785_writes_it():
    for number in range(sys.maxunicode + 1):
        if not 0xD800 <= number <= 0xDFFF and (number < 0x3000 or number % 251 == 0):
            assert encode(chr(number)) == jcs(chr(number))


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=64))
def test_a_name_comes_back_as_it_was(name):
    data = encode(participant(name))
    assert data == jcs({"@type": "genesis_participant", **msgspec.to_builtins(participant(name))})
    assert decode(data, PARTICIPANT).name == name


def test_structs_are_written_as_rfc_8785_writes_them():
    outcome = Outcome(
        balance=7,
        code="OK",
        events=[Event(about="m", at=1, name="AN_EVENT")],
        legs=[Leg("ab", 5, "earn", "cd")],
        lots=[Lot(1, 2, 0, 3, "sd", 0)],
        points=0,
    )
    assert encode(outcome) == jcs(msgspec.to_builtins(outcome))
    assert decode(encode(outcome), OUTCOME) == outcome
    assert b"first" not in encode(outcome), "what is absent is not written"


GOOD = b'{"name":"due_entries_max","value":1}'
#   what is wrong, the bytes, the code
TRAPS = [
    ("nothing", GOOD, "OK"),
    ("duplicate key, the same value", b'{"name":"due_entries_max","value":1,"value":1}', "NOT_CANONICAL"),
    ("duplicate key, the last wins", b'{"name":"due_entries_max","value":2,"value":1}', "NOT_CANONICAL"),
    ("other order", b'{"value":1,"name":"due_entries_max"}', "NOT_CANONICAL"),
    ("a space", b'{"name":"due_entries_max", "value":1}', "NOT_CANONICAL"),
    ("a line feed at the end", GOOD + b"\n", "NOT_CANONICAL"),
    ("white space before", b" \t\r\n" + GOOD, "NOT_CANONICAL"),
    ("a needless escape", b'{"name":"due_entries_m\\u0061x","value":1}', "NOT_CANONICAL"),
    ("an escaped key", b'{"n\\u0061me":"due_entries_max","value":1}', "NOT_CANONICAL"),
    ("a second value after it", GOOD + b"1", "MALFORMED"),
    ("a comment", GOOD + b"//", "MALFORMED"),
    ("a trailing comma", b'{"name":"due_entries_max","value":1,}', "MALFORMED"),
    ("an unknown key", b'{"name":"due_entries_max","value":1,"z":1}', "MALFORMED"),
    ("a missing key", b'{"name":"due_entries_max"}', "MALFORMED"),
    ("a float", b'{"name":"due_entries_max","value":1.5}', "MALFORMED"),
    ("a whole float", b'{"name":"due_entries_max","value":1.0}', "MALFORMED"),
    ("an exponent", b'{"name":"due_entries_max","value":1e0}', "MALFORMED"),
    ("true for 1", b'{"name":"due_entries_max","value":true}', "MALFORMED"),
    ("null", b'{"name":"due_entries_max","value":null}', "MALFORMED"),
    ("a number in quotes", b'{"name":"due_entries_max","value":"1"}', "MALFORMED"),
    ("a leading zero", b'{"name":"due_entries_max","value":01}', "MALFORMED"),
    ("a plus", b'{"name":"due_entries_max","value":+1}', "MALFORMED"),
    ("minus nothing", b'{"name":"due_entries_max","value":-0}', "NOT_CANONICAL"),
    ("below the bound", b'{"name":"due_entries_max","value":-1}', "MALFORMED"),
    ("the greatest", b'{"name":"due_entries_max","value":9007199254740991}', "OK"),
    ("one more", b'{"name":"due_entries_max","value":9007199254740992}', "MALFORMED"),
    ("2^64", b'{"name":"due_entries_max","value":18446744073709551616}', "MALFORMED"),
    ("2^64 + 1", b'{"name":"due_entries_max","value":18446744073709551617}', "MALFORMED"),
    ("4,300 digits", b'{"name":"due_entries_max","value":' + b"1" * 4_300 + b"}", "MALFORMED"),
    ("5,000 digits", b'{"name":"due_entries_max","value":' + b"1" * 5_000 + b"}", "MALFORMED"),
    ("a million digits", b'{"name":"due_entries_max","value":' + b"9" * 10**6 + b"}", "MALFORMED"),
    ("not a number", b'{"name":"due_entries_max","value":NaN}', "MALFORMED"),
    ("a huge exponent", b'{"name":"due_entries_max","value":1e999999999}', "MALFORMED"),
    ("a trailing line feed in a value", b'{"name":"due_entries_max\\n","value":1}', "MALFORMED"),
    ("nothing at all", b"", "MALFORMED"),
    ("an array", b"[]", "MALFORMED"),
    ("cut short", GOOD[:-1], "MALFORMED"),
    ("a byte order mark", b"\xef\xbb\xbf" + GOOD, "MALFORMED"),
    ("UTF-16", GOOD.decode().encode("utf-16-le"), "MALFORMED"),
    ("a zero byte at the end", GOOD + b"\x00", "MALFORMED"),
    ("200,000 arrays", b"[" * 200_000, "MALFORMED"),
    ("200,000 arrays for a value", b'{"name":' + b"[" * 200_000, "MALFORMED"),
    ("200,000 objects, closed", b'{"a":' * 200_000 + b"1" + b"}" * 200_000, "MALFORMED"),
    ("200,000 arrays under an unknown key", b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}", "MALFORMED"),
]


@pytest.mark.parametrize(("data", "code"), [row[1:] for row in TRAPS], ids=[row[0] for row in TRAPS])
def test_whatever_is_not_written_the_one_way_is_refused(data, code):
    assert code_of(data, PARAMETER) == code


#   how a name is spelled, the code
NAMES = [
    ('"é"'.encode(), "OK"),
    ('"😀"'.encode(), "OK"),
    (b'"\\"\\\\"', "OK"),
    ('"e\u0301"'.encode(), "OK"),  # another name than the one above: names are not folded
    (b'"\\u00e9"', "NOT_CANONICAL"),
    (b'"\\ud83d\\ude00"', "NOT_CANONICAL"),
    (b'"\\/"', "NOT_CANONICAL"),
    (b'"\\u0022"', "NOT_CANONICAL"),
    (b'"\\ud800"', "MALFORMED"),  # half a pair
    (b'"\\udc00"', "MALFORMED"),
    (b'"\\ud800\\u0041"', "MALFORMED"),
    (b'"\xed\xa0\x80"', "MALFORMED"),  # the same, as bytes that are no UTF-8
    (b'"\xff"', "MALFORMED"),
    (b'"\xc0\xaf"', "MALFORMED"),  # an overlong slash
    (b'"\xf4\x90\x80\x80"', "MALFORMED"),  # beyond Unicode
    (b'"\x00"', "MALFORMED"),
    (b'"\\u0000"', "MALFORMED"),
    (b'"a\\nb"', "MALFORMED"),
    (b'"\x7f"', "MALFORMED"),
    (b'"\xc2\x85"', "MALFORMED"),
    (b'""', "MALFORMED"),
    (b'"' + b"x" * 64 + b'"', "OK"),
    (b'"' + b"x" * 65 + b'"', "MALFORMED"),
]


@pytest.mark.parametrize(("name", "code"), NAMES)
def test_text_has_one_spelling_and_no_lone_surrogates(name, code):
    assert code_of(write("").replace(b'"name":,', b'"name":' + name + b","), PARTICIPANT) == code


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_refused_and_never_crash(data):
    assert code_of(data, OUTCOME) in {"MALFORMED", "NOT_CANONICAL"}


@given(st.integers(0, INTEGER_MAX))
def test_integers_keep_every_digit(value):
    data = encode(GenesisParameter(name="due_entries_max", value=value))
    assert json.loads(data)["value"] == value == decode(data, PARAMETER).value


def read(text: str, size: int) -> bytes | None:
    try:
        return from_base64url(text, size=size)
    except Refused:
        return None


@given(st.binary(max_size=70))
def test_base64url_has_one_spelling(data):
    text = to_base64url(data)
    assert "=" not in text
    assert from_base64url(text, size=len(data)) == data
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    if text:
        accepted = [
            found for letter in alphabet if (found := read(text[:-1] + letter, len(data))) is not None
        ]
        # Another last letter is other bytes, or it is refused: never the same bytes spelled again.
        assert len(set(accepted)) == len(accepted)


#   32 bytes spelled in other ways
ZEROS = "A" * 42
SPELLINGS = [ZEROS + "B", ZEROS + "A=", ZEROS, ZEROS + "AA", ZEROS + "+", ZEROS + "/", " " + ZEROS, ""]
SPELLINGS += [ZEROS + "\n", ZEROS + "é", "A" * 20 + "\n" + "A" * 23, "=" * 43, "\ud800" * 43]


@pytest.mark.parametrize("text", SPELLINGS)
def test_a_second_spelling_of_the_same_bytes_is_refused(text):
    with pytest.raises(Refused, match="MALFORMED"):
        from_base64url(text, size=32)


def test_sha256_is_that_of_fips_180_4():
    assert sha256(b"abc").hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
