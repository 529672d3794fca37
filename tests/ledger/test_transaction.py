"""A transaction is taken up or refused, and refused for the earliest reason of docs/spec/messages.md."""

from __future__ import annotations

from hashlib import sha256

import msgspec
import pytest
from msgspec.structs import replace

from contracts.messages import Earn, Enrol, RevokeKey
from ledger.codec import encode, to_base64url
from ledger.errors import Refused
from ledger.keys import signed_text
from ledger.transaction import Header, Transaction, TransactionDecoder, compute_digest, sign_transaction
from tests.contracts.alliance import RULEBOOK, Alliance
from tests.contracts.cast import ANNA, FRESH, PETROL, START, make_signer, member_id
from tests.contracts.letters import sign_choice
from tests.contracts.messages_page import read_refused_codes
from tests.ledger.switching import BOTH, give_away

DECODER = TransactionDecoder(RULEBOOK.message_type)


class Draft:
    """A transaction on its way, and what has been broken about it so far; to a ledger whose version of the
    rules has none for gifts.
    """

    def __init__(self) -> None:
        self.alliance = Alliance(version=1, rulebooks=BOTH).open()
        self.alliance.must(FRESH, Earn(1, ANNA, START, "leaf", "before"), transaction_id="taken")
        self.signer = self.alliance.signers[FRESH, "transact"]
        self.messages: list = [Earn(1, ANNA, START, "leaf", "o-1")]
        self.header: dict = {"id": "mine", "sender": FRESH, "not_after": START + 1_000}
        self.after: list = []
        """What happens to the bytes once they are signed."""
        self.is_forged = False
        self.signed_as = {"chain": self.alliance.chain, "purpose": "transaction"}
        """What the signature says that it is for, before the header."""

    def set(self, **fields) -> None:
        self.header.update(fields)

    def send_as(self, sender: str, purpose: str) -> None:
        self.set(sender=sender)
        self.signer = self.alliance.signers[sender, purpose]

    def write(self) -> bytes:
        """Signed and spelled, with whatever is wrong about it."""
        bodies = [encode(message) for message in self.messages]
        known = {
            "chain": self.alliance.chain,
            "count": len(bodies),
            "digest": compute_digest([sha256(body).digest() for body in bodies]),
            "key": self.signer.key_id,
            **self.header,
        }
        header = Header(**known)
        signer = make_signer("thief") if self.is_forged else self.signer
        text = signed_text(**self.signed_as, body=encode(header))
        signature = to_base64url(signer.sign(text))
        data = b'{"header":%b,"messages":[%b],"signature":"%b"}' % (
            encode(header),
            b",".join(bodies),
            signature.encode(),
        )
        for change in self.after:
            data = change(data)
        return data

    def take(self) -> str:
        """``OK``, or the code for which it is refused: when it is read, or in its block."""
        try:
            transaction = DECODER.decode(self.write())
        except Refused as refused:
            return refused.code
        before = self.alliance.leaves.copy()
        refusal = self.alliance.cut(transaction).answers[0].refusal
        assert (refusal is None) or self.alliance.leaves == before, "a refusal leaves no leaf"
        return "OK" if refusal is None else refusal.code


def revoke(it: Draft) -> None:
    """The key with which it is signed is not valid any more."""
    it.alliance.must(FRESH, RevokeKey(it.signer.key_id))


def pad(data: bytes) -> bytes:
    return data + b" " * (2 * 1024 * 1024)


#   Each row breaks one more thing than the row below it. (None and too many, too late and too far ahead,
#   exclude each other: there the row above takes back what the row below did.)
ROWS = [
    ("TOO_LARGE", lambda it: it.after.append(pad)),
    ("MALFORMED", lambda it: it.after.append(lambda data: data.replace(b'"count":', b'"count":-'))),
    ("NOT_CANONICAL", lambda it: it.after.append(lambda data: data + b" ")),
    ("TOO_MANY_MESSAGES", lambda it: setattr(it, "messages", [Enrol(member=member_id(7))] * 8_193)),
    ("EMPTY", lambda it: setattr(it, "messages", [])),
    ("COUNT_MISMATCH", lambda it: it.set(count=9)),
    ("WRONG_CHAIN", lambda it: it.set(chain="other/" + "0" * 32)),
    ("DIGEST_MISMATCH", lambda it: it.set(digest="A" * 43)),
    ("EXPIRED", lambda it: it.set(not_after=START - 1)),
    ("NOT_AFTER_TOO_FAR", lambda it: it.set(not_after=START + 3_600_001)),
    ("UNKNOWN_KEY", lambda it: it.set(key="0123456789abcdef")),
    ("KEY_NOT_VALID", revoke),
    ("NOT_IN_FORCE", lambda it: it.messages.append(give_away())),
    ("WRONG_PURPOSE", lambda it: it.messages.append(Enrol(member=member_id(7)))),
    ("SIGNATURE_INVALID", lambda it: setattr(it, "is_forged", True)),
    ("ID_CONFLICT", lambda it: it.set(id="taken")),
]
CODES = [code for code, _ in ROWS]


def test_the_rows_stand_in_the_documented_order():
    assert read_refused_codes() == CODES


@pytest.mark.parametrize("row", range(len(ROWS) + 1), ids=[*CODES, "OK"])
def test_a_transaction_is_refused_for_the_earliest_reason(row):
    draft = Draft()
    for _, break_it in reversed(ROWS[row:]):
        break_it(draft)
    assert draft.take() == [*CODES, "OK"][row]


def fields_of(data: bytes) -> dict:
    return msgspec.json.decode(data)


#   how the bytes are spoiled, the code
SPOILED = [
    (lambda data: data[:-1], "MALFORMED"),
    (lambda data: data + b"}", "MALFORMED"),
    (lambda data: b" " + data, "NOT_CANONICAL"),
    (lambda data: data.replace(b'"header"', b'"messages":[],"header"', 1), "NOT_CANONICAL"),
    (lambda data: data.replace(b'"amount":1,', b'"amount":1,"amount":1,'), "NOT_CANONICAL"),
    (lambda data: data.replace(b'"amount":1,', b'"amount":2,"amount":1,'), "NOT_CANONICAL"),
    (lambda data: data.replace(b'"amount":1,', b""), "MALFORMED"),
    (lambda data: data.replace(b'"amount":1,', b'"amount":1.0,'), "MALFORMED"),
    (lambda data: data.replace(b'"amount":1,', b'"amount":true,'), "MALFORMED"),
    (lambda data: data.replace(b'"amount":1,', b'"amount":-1,'), "MALFORMED"),
    (lambda data: data.replace(b'"amount":1,', b'"amount":' + b"1" * 5_000 + b","), "MALFORMED"),
    (lambda data: data.replace(b'"o-1"', b'"\\ud800"'), "MALFORMED"),
    (lambda data: data.replace(b'"o-1"', b'"o-1\\n"'), "MALFORMED"),
    (lambda data: data.replace(b'"o-1"', b'"o\\u002d1"'), "NOT_CANONICAL"),
    (lambda data: data.replace(b'"o-1"', b"[" * 200_000), "MALFORMED"),
    (lambda data: data.replace(b'"@type":"earn"', b'"@type":"expire"'), "MALFORMED"),
    (lambda data: data.replace(b'"@type":"earn"', b'"@type":"gift"'), "MALFORMED"),
    (lambda data: data.replace(b'"@type":"earn",', b""), "MALFORMED"),
    (lambda data: data.replace(b'"count":1', b'"atomic":false,"count":1'), "MALFORMED"),
    (lambda data: data.replace(b'"count":1', b'"atomic":null,"count":1'), "MALFORMED"),
    (lambda data: data.replace(b'"count":1', b'"count":1,"extra":1'), "MALFORMED"),
    (lambda data: data.replace(b'"mine"', b'"m/ne"'), "MALFORMED"),
    (lambda data: data.replace(b'"mine"', b'""'), "MALFORMED"),
    (lambda data: data[:-3] + b'=="}', "MALFORMED"),
    (lambda data: b"[" + data + b"]", "MALFORMED"),
    (lambda _: b"", "MALFORMED"),
    (lambda _: b"[" * 200_000, "MALFORMED"),
    (lambda _: b'{"header":' * 100_000, "MALFORMED"),
    (lambda _: b"\x80" * 100, "MALFORMED"),
    (lambda _: b" " * (50 * 1024 * 1024), "TOO_LARGE"),
]


@pytest.mark.parametrize(("spoil", "code"), SPOILED)
def test_whatever_arrives_is_refused_with_a_stable_code(spoil, code):
    draft = Draft()
    draft.after.append(spoil)
    assert draft.take() == code


def test_a_second_spelling_of_the_signature_is_no_second_transaction():
    data = Draft().write()
    letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = letters.index(data[-3:-2])
    for other in range(64):
        if other != last and other >> 4 == last >> 4:  # the two bits that count are the same
            with pytest.raises(Refused, match="MALFORMED"):
                DECODER.decode(data[:-3] + letters[other : other + 1] + b'"}')


def test_a_second_spelling_is_malformed_before_it_is_not_canonical():
    data = Draft().write()
    assert data.endswith(b'"}')
    with pytest.raises(Refused, match="MALFORMED"):
        DECODER.decode(data[:-3] + (b"B" if data[-3:-2] != b"B" else b"C") + b'"} ')


def test_every_base64url_value_of_a_message_has_one_spelling():
    """A nonce is 128 bits in 22 letters: the last has four bits to spare, and they must be nought."""
    chain = "small/" + "0" * 32
    draft = Draft()
    for last, code in [("A", "OK"), ("Q", "OK"), ("w", "OK"), ("B", "MALFORMED"), ("_", "MALFORMED")]:
        nonce = "A" * 21 + last
        letter = sign_choice(chain, make_signer("a"), ANNA, "till_off", expires=START, nonce=nonce)
        draft.set(id=f"t-{last}")
        draft.messages = [letter]
        assert draft.take() == code, last


def test_the_limits_are_taken_exactly():
    draft = Draft()
    draft.send_as(FRESH, "custody")
    draft.messages = [Enrol(member=member_id(1_000 + number)) for number in range(8_192)]
    assert draft.take() == "OK"
    draft = Draft()
    room = 2 * 1024 * 1024 - len(draft.write())
    draft.after.append(lambda data: data + b" " * room)
    assert draft.take() == "NOT_CANONICAL"
    draft.after.append(lambda data: data + b" ")
    assert draft.take() == "TOO_LARGE"


def test_a_key_signs_for_its_own_participant_only():
    draft = Draft()
    draft.set(sender=PETROL)
    assert draft.take() == "UNKNOWN_KEY"


def test_one_message_beyond_the_keys_purpose_refuses_all():
    draft = Draft()
    draft.messages.append(RevokeKey("0" * 16))
    assert draft.take() == "WRONG_PURPOSE"
    draft.send_as(FRESH, "govern")
    assert draft.take() == "WRONG_PURPOSE"


#   what is changed in the header after it was signed
@pytest.mark.parametrize(
    "fields",
    [{"id": "other"}, {"not_after": START + 2_000}, {"atomic": True}],
    ids=lambda fields: next(iter(fields)),
)
def test_the_signature_covers_the_whole_header(fields):
    draft = Draft()
    transaction = DECODER.decode(draft.write())
    changed = Transaction(
        header=replace(transaction.header, **fields),
        messages=transaction.messages,
        message_bytes=transaction.message_bytes,
        signature=transaction.signature,
    )
    assert draft.alliance.cut(changed).answers[0].refusal.code == "SIGNATURE_INVALID"
    assert draft.alliance.cut(transaction).answers[0].refusal is None


#   what else the very same header was signed for
@pytest.mark.parametrize(
    "told",
    [
        {"purpose": "consent"},
        {"purpose": "choice"},
        {"purpose": "possession"},
        {"chain": "other/" + "0" * 32},
    ],
    ids=lambda told: next(iter(told.values())),
)
def test_a_signature_of_the_same_bytes_for_another_purpose_or_chain_is_none(told):
    draft = Draft()
    draft.signed_as |= told
    assert draft.take() == "SIGNATURE_INVALID"


def test_a_signature_found_good_is_good_for_its_key_only():
    transaction = DECODER.decode(Draft().write())
    own, other = (to_base64url(make_signer(FRESH, purpose).public) for purpose in ("transact", "govern"))
    transaction.verify_signature(own)
    assert transaction.verified_by == own
    with pytest.raises(Refused, match="SIGNATURE_INVALID"):
        transaction.verify_signature(other)


def test_the_digest_is_made_of_the_hashes_of_the_messages():
    bodies = [b"one", b"two"]
    hashes = [sha256(body).digest() for body in bodies]
    assert compute_digest(hashes) == to_base64url(sha256(hashes[0] + hashes[1]).digest())


def test_what_is_signed_is_written_as_it_arrived():
    signed = sign_transaction(
        [Earn(1, ANNA, START, "leaf", "o")],
        atomic=True,
        chain="small/" + "0" * 32,
        not_after=START,
        sender=FRESH,
        signer=make_signer(FRESH, "transact"),
        transaction_id="mine",
    )
    read = DECODER.decode(signed.encode())
    assert read.encode() == signed.encode()
    assert read.header == signed.header
    assert read.messages == signed.messages
    assert fields_of(signed.encode())["header"]["atomic"] is True
