"""Notes, checkpoints and cosignatures, to the letter of the specifications."""

from __future__ import annotations

import base64
import hashlib

import pytest

from ledger.errors import Refused, Unverified
from ledger.keys import SeedSigner
from ledger.log.note import (
    COSIGNATURE_V1,
    ED25519,
    NOTE_SIGNATURES_MAX,
    Checkpoint,
    VerifierKey,
    add_signature_lines,
    cosign,
    decode_vkey,
    encode_vkey,
    is_key_name,
    open_note,
    parse_checkpoint,
    sign_checkpoint,
    sign_note,
    split_note,
    verify_cosignature,
)

ORIGIN = "demo/0123456789abcdef0123456789abcdef"
ROOT = hashlib.sha256(b"root").digest()
LOG = SeedSigner(b"log".ljust(32))
WITNESS = SeedSigner(b"witness".ljust(32))
LOG_KEY = VerifierKey(ORIGIN, ED25519, LOG.public)
WITNESS_KEY = VerifierKey("witness.example/w1", COSIGNATURE_V1, WITNESS.public)
CHECKPOINT = sign_checkpoint(origin=ORIGIN, size=20_852_163, root=ROOT, signer=LOG)
BODY = split_note(CHECKPOINT)[0]
COSIGNED = add_signature_lines(
    CHECKPOINT, cosign(body=BODY, name=WITNESS_KEY.name, time_seconds=1_679_315_147, signer=WITNESS)
)


def get_code(call, *arguments, **options):
    with pytest.raises((Refused, Unverified)) as caught:
        call(*arguments, **options)
    return caught.value.code


def test_the_note_and_the_key_of_the_specification_are_read():
    vkey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
    text = (
        "This is an example message.\n\n\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ON"
        "ncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
    )
    key = decode_vkey(vkey)
    assert encode_vkey(key) == vkey
    opened = open_note(text, [key])
    assert opened.body == "This is an example message.\n"
    assert [signature.key for signature in opened.signatures] == [key]


def test_a_checkpoint_says_origin_size_and_root_under_the_logs_name():
    lines = CHECKPOINT.split("\n")
    assert lines[:4] == [ORIGIN, "20852163", base64.b64encode(ROOT).decode(), ""]
    assert lines[4].startswith(f"\u2014 {ORIGIN} ")
    assert lines[5:] == [""]
    opened = open_note(CHECKPOINT, [LOG_KEY])
    assert parse_checkpoint(opened.body) == Checkpoint(ORIGIN, 20_852_163, ROOT)
    assert opened.signatures[0].time_seconds is None


def test_a_cosignature_covers_the_text_and_its_second():
    assert verify_cosignature(COSIGNED, key=WITNESS_KEY) == 1_679_315_147
    raw = split_note(COSIGNED)[1][1][1]
    assert raw[4:12] == (1_679_315_147).to_bytes(8, "big")
    signed = b"cosignature/v1\ntime 1679315147\n" + BODY.encode()
    assert WITNESS.sign(signed) == raw[12:]
    opened = open_note(COSIGNED, [LOG_KEY, WITNESS_KEY])
    assert [signature.key for signature in opened.signatures] == [LOG_KEY, WITNESS_KEY]


def test_every_changed_bit_of_the_text_and_of_a_signature_is_refused():
    data = COSIGNED.encode()
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        text = bytes(changed).decode("utf-8", "surrogateescape")
        if text.startswith(BODY + "\n"):
            # In a line below. It may now be an unknown key's, which is left aside; the other still holds.
            try:
                opened = open_note(text, [LOG_KEY, WITNESS_KEY])
            except Unverified:
                continue
            assert len(opened.signatures) == 1
            assert opened.body == BODY
        else:
            assert get_code(open_note, text, [LOG_KEY, WITNESS_KEY]) in {
                "NOTE_MALFORMED",
                "NOTE_UNSIGNED",
                "SIGNATURE_INVALID",
            }


def test_lines_of_unknown_keys_are_left_aside():
    stranger = SeedSigner(b"stranger".ljust(32))
    line = cosign(body=BODY, name="stranger.example", time_seconds=1, signer=stranger)
    same_name = cosign(body=BODY, name=WITNESS_KEY.name, time_seconds=1, signer=stranger)
    text = add_signature_lines(COSIGNED, line + same_name)
    assert len(open_note(text, [LOG_KEY, WITNESS_KEY]).signatures) == 2
    assert get_code(open_note, text, [VerifierKey("nobody", ED25519, LOG.public)]) == "NOTE_UNSIGNED"
    assert get_code(open_note, text, []) == "NOTE_UNSIGNED"


def test_a_bad_line_of_a_known_key_spoils_the_whole_note():
    honest = split_note(COSIGNED)[1][1][1]
    bad = base64.b64encode(honest[:-1] + bytes([honest[-1] ^ 1])).decode()
    spoiled = CHECKPOINT + f"\u2014 {WITNESS_KEY.name} {bad}\n"
    assert get_code(open_note, spoiled, [LOG_KEY, WITNESS_KEY]) == "SIGNATURE_INVALID"
    assert len(open_note(spoiled, [LOG_KEY]).signatures) == 1
    # Also when the same key signed well on another line.
    assert get_code(open_note, COSIGNED + spoiled.split("\n", 5)[5], [WITNESS_KEY]) == "SIGNATURE_INVALID"


def test_a_line_signed_twice_counts_once():
    later = cosign(body=BODY, name=WITNESS_KEY.name, time_seconds=1_700_000_000, signer=WITNESS)
    opened = open_note(add_signature_lines(COSIGNED, later), [WITNESS_KEY])
    assert [signature.time_seconds for signature in opened.signatures] == [1_679_315_147]


def test_a_signature_of_one_kind_is_not_one_of_the_other():
    """The same key and name under the other type is another key, with another id."""
    as_log = VerifierKey(WITNESS_KEY.name, ED25519, WITNESS.public)
    assert as_log.note_id != WITNESS_KEY.note_id
    assert get_code(open_note, COSIGNED, [as_log]) == "NOTE_UNSIGNED"
    relabelled = base64.b64encode(as_log.note_id + split_note(COSIGNED)[1][1][1][4:]).decode()
    text = CHECKPOINT + f"\u2014 {WITNESS_KEY.name} {relabelled}\n"
    assert get_code(open_note, text, [as_log]) == "SIGNATURE_INVALID"


def test_two_known_keys_under_one_name_and_id_are_not_guessed_between():
    class Colliding(VerifierKey):
        note_id = LOG_KEY.note_id

    other = Colliding(ORIGIN, ED25519, WITNESS.public)
    assert get_code(open_note, CHECKPOINT, [LOG_KEY, other]) == "VKEY_AMBIGUOUS"
    assert open_note(CHECKPOINT, [LOG_KEY, LOG_KEY]).body == BODY


def test_the_text_ends_at_the_last_empty_line():
    text = sign_note("one\n\ntwo\n\n", name="n", signer=LOG)
    assert open_note(text, [VerifierKey("n", ED25519, LOG.public)]).body == "one\n\ntwo\n\n"


LINE = CHECKPOINT.split("\n")[4] + "\n"
ENCODED = LINE.split(" ")[2][:-1]
MALFORMED_NOTES = [
    "",
    "\n",
    BODY,
    BODY + "\n",
    BODY + LINE,
    CHECKPOINT[:-1],
    CHECKPOINT + "\n",
    CHECKPOINT + "x\n",
    CHECKPOINT.replace("\u2014", "-"),
    CHECKPOINT.replace(f" {ENCODED}", f"  {ENCODED}"),
    CHECKPOINT.replace(ENCODED, ENCODED.rstrip("=")),
    CHECKPOINT.replace(ENCODED, ENCODED + " "),
    CHECKPOINT.replace(ENCODED, "AAAA"),
    CHECKPOINT.replace(ENCODED, "%%%%"),
    CHECKPOINT.replace(ENCODED, ENCODED.replace("=", "", 1) + "\u00e9"),
    CHECKPOINT.replace(f"\u2014 {ORIGIN}", "\u2014 "),
    CHECKPOINT.replace(f"\u2014 {ORIGIN}", "\u2014 a+b"),
    CHECKPOINT.replace(f"\u2014 {ORIGIN}", "\u2014 a\u3000b"),
    CHECKPOINT.replace("\n", "\r\n"),
    CHECKPOINT.replace("2085", "\t2085"),
    CHECKPOINT.replace("2085", "\x002085"),
    CHECKPOINT.replace("2085", "\udc802085"),
    BODY + "\n" + LINE * (NOTE_SIGNATURES_MAX + 1),
    "x" * 1_000_000 + "\n\n" + LINE,
]


@pytest.mark.parametrize("text", MALFORMED_NOTES, ids=range(len(MALFORMED_NOTES)))
def test_what_is_not_a_note_is_refused(text):
    assert get_code(open_note, text, [LOG_KEY]) == "NOTE_MALFORMED"


def test_sixteen_signatures_and_more_are_read():
    assert open_note(BODY + "\n" + LINE * NOTE_SIGNATURES_MAX, [LOG_KEY]).signatures


ENCODED_ROOT = base64.b64encode(ROOT).decode()
MALFORMED_CHECKPOINTS = [
    "",
    "\n\n\n",
    f"{ORIGIN}\n7\n",
    f"{ORIGIN}\n7\n{ENCODED_ROOT}",
    f"\n7\n{ENCODED_ROOT}\n",
    f"{ORIGIN}\n\n{ENCODED_ROOT}\n",
    f"{ORIGIN}\n7\n\n{ENCODED_ROOT}\n",
    f"{ORIGIN}\n7\n{ENCODED_ROOT}\n\n",
    f"{ORIGIN}\n7\n{ENCODED_ROOT}\nextension\n\n",
    f"{ORIGIN}\n07\n{ENCODED_ROOT}\n",
    f"{ORIGIN}\n00\n{ENCODED_ROOT}\n",
    f"{ORIGIN}\n+7\n{ENCODED_ROOT}\n",
    f"{ORIGIN}\n-7\n{ENCODED_ROOT}\n",
    f"{ORIGIN}\n 7\n{ENCODED_ROOT}\n",
    f"{ORIGIN}\n7_0\n{ENCODED_ROOT}\n",
    f"{ORIGIN}\n\u0667\n{ENCODED_ROOT}\n",
    f"{ORIGIN}\n9223372036854775808\n{ENCODED_ROOT}\n",
    f"{ORIGIN}\n{'9' * 5000}\n{ENCODED_ROOT}\n",
    f"{ORIGIN}\n7\n{ENCODED_ROOT[:-1]}\n",
    f"{ORIGIN}\n7\n{ENCODED_ROOT.replace('=', '')}\n",
    f"{ORIGIN}\n7\n{base64.b64encode(ROOT[:31]).decode()}\n",
    f"{ORIGIN}\n7\n{base64.urlsafe_b64encode(bytes([251]) * 32).decode()}\n",
]


@pytest.mark.parametrize("body", MALFORMED_CHECKPOINTS, ids=range(len(MALFORMED_CHECKPOINTS)))
def test_what_is_not_a_checkpoint_is_refused(body):
    assert get_code(parse_checkpoint, body) == "CHECKPOINT_MALFORMED"


def test_spare_bits_of_base64_do_not_give_a_root_a_second_spelling():
    spelling = ENCODED_ROOT[:-2] + chr(ord(ENCODED_ROOT[-2]) + 1) + "="
    assert base64.b64decode(spelling) == ROOT
    assert get_code(parse_checkpoint, f"{ORIGIN}\n7\n{spelling}\n") == "CHECKPOINT_MALFORMED"


def test_extension_lines_change_nothing_a_checkpoint_says():
    body = f"{ORIGIN}\n0\n{ENCODED_ROOT}\nanything\nelse\n"
    assert parse_checkpoint(body) == Checkpoint(ORIGIN, 0, ROOT)
    assert parse_checkpoint(f"{ORIGIN}\n{2**63 - 1}\n{ENCODED_ROOT}\n").size == 2**63 - 1


@pytest.mark.parametrize(
    "wrong",
    [{"origin": "a b"}, {"origin": ""}, {"origin": "a\n"}, {"size": -1}, {"size": 2**63}, {"root": b""}],
)
def test_nothing_is_signed_that_is_not_a_checkpoint(wrong):
    good = {"origin": ORIGIN, "size": 1, "root": ROOT, "signer": LOG}
    assert get_code(sign_checkpoint, **{**good, **wrong}) == "CHECKPOINT_MALFORMED"


def test_nothing_is_signed_that_is_not_a_note():
    for body in ("no line feed", "tab\t\n", "\ud800\n"):
        assert get_code(sign_note, body, name="n", signer=LOG) == "NOTE_MALFORMED"
    assert get_code(sign_note, "text\n", name="a b", signer=LOG) == "NOTE_MALFORMED"
    assert get_code(cosign, body=BODY, name="a+b", time_seconds=1, signer=WITNESS) == "NOTE_MALFORMED"
    assert get_code(cosign, body=BODY, name="w", time_seconds=2**63, signer=WITNESS) == "NOTE_MALFORMED"
    assert get_code(cosign, body="x\n", name="w", time_seconds=1, signer=WITNESS) == "CHECKPOINT_MALFORMED"
    assert get_code(add_signature_lines, CHECKPOINT, "rubbish") == "NOTE_MALFORMED"


def test_a_key_that_does_not_cosign_has_no_second_to_answer():
    assert get_code(verify_cosignature, CHECKPOINT, key=LOG_KEY) == "VKEY_MALFORMED"
    assert get_code(verify_cosignature, CHECKPOINT, key=WITNESS_KEY) == "NOTE_UNSIGNED"


def make_vkey(name=ORIGIN, kind=ED25519, public=LOG.public, key_id=None):
    key = VerifierKey(name, kind, public)
    return f"{name}+{key_id or key.note_id.hex()}+{base64.b64encode(bytes([kind]) + public).decode()}"


#   line                                        code
WRONG_VKEYS = [
    ("", "VKEY_MALFORMED"),
    (ORIGIN, "VKEY_MALFORMED"),
    (make_vkey() + "\n", "VKEY_MALFORMED"),
    (make_vkey(name=""), "VKEY_MALFORMED"),
    (make_vkey(name="a b"), "VKEY_MALFORMED"),
    (make_vkey(key_id="00000000"), "VKEY_MALFORMED"),
    (make_vkey(key_id=LOG_KEY.note_id.hex().upper() + "x"), "VKEY_MALFORMED"),
    (make_vkey(kind=2), "VKEY_MALFORMED"),
    (make_vkey(kind=6, public=bytes(1312)), "VKEY_MALFORMED"),
    (make_vkey(public=LOG.public[:31]), "VKEY_MALFORMED"),
    (make_vkey(public=b""), "VKEY_MALFORMED"),
    (f"{ORIGIN}+{LOG_KEY.note_id.hex()}+", "VKEY_MALFORMED"),
    (make_vkey(public=bytes(32)), "KEY_REFUSED"),
    (make_vkey(public=(2).to_bytes(32, "little")), "KEY_REFUSED"),
]


@pytest.mark.parametrize(("line", "code"), WRONG_VKEYS, ids=range(len(WRONG_VKEYS)))
def test_what_is_not_a_fit_verifier_key_is_refused(line, code):
    assert get_code(decode_vkey, line) == code


def test_verifier_keys_of_both_kinds_read_back():
    for key in (LOG_KEY, WITNESS_KEY):
        assert decode_vkey(encode_vkey(key)) == key


def test_key_names_are_what_the_specification_allows():
    assert all(map(is_key_name, (ORIGIN, "a", "witness.example/w1", "\u901a\u5206/1", "\u2014")))
    wrong = ("", "a b", "a\u00a0b", "a\u2003b", "a+b", "a\n", "a\x85b", "a\x1fb", "\ud800")
    assert not any(map(is_key_name, wrong))
