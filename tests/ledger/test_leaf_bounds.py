"""No leaf is ever larger than the log can keep: the worst of every kind is built and measured.

An entry's leaf is the message, the outcome and the tag. The largest message that a decoder lets in and the
largest outcome that any rule can give are made from the bounds in the types themselves, so a wider field or a
longer list shows here before it stops a node.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import msgspec
import pytest
from msgspec import UNSET
from msgspec import inspect as wire

from contracts.messages import Admit, Enrol, Message, OpenProgram, OpenSeries, Propose, SystemMessage
from contracts.messages.governance import ACTIONS_BYTES_MAX
from contracts.messages.registry import ParticipantKey
from contracts.messages.reject_codes import REJECT_CODES
from ledger.codec import encode
from ledger.genesis import Genesis, GenesisParticipant
from ledger.leaves import BlockLeaf, TransactionLeaf, encode_entry, encode_system_entry
from ledger.outcome import Lot, Outcome
from ledger.transaction import TransactionDecoder
from ledger.values import LEAF_BYTES_MAX, LOTS_MAX
from tests.contracts.alliance import RULEBOOK, Alliance, read_leaf
from tests.contracts.cast import (
    ANNA,
    DAY_MILLIS,
    FRESH,
    OPERATOR,
    PETROL,
    START,
    TODAY,
    grant,
    make_signer,
    member_id,
    public_of,
)
from tests.contracts.orders import award, capture, give, refund, release, return_goods, set_aside, set_policy
from tests.contracts.purchases import buy, convert, spend

TAG = b"A" * 22
WIDEST = "\U0010ffff"
"""Four bytes of UTF-8; a quotation mark, with its backslash, is two."""


def widest(kind: wire.Type) -> bytes:
    """The most bytes that a value of this type can take, as canonical JSON of that length."""
    if isinstance(kind, wire.Metadata):
        return widest(kind.type)
    if isinstance(kind, wire.UnionType):
        return max((widest(part) for part in kind.types), key=len)
    if isinstance(kind, wire.IntType):
        return str(kind.le).encode() if len(str(kind.le)) >= len(str(kind.ge)) else str(kind.ge).encode()
    if isinstance(kind, wire.BoolType):
        return b"false"
    if isinstance(kind, wire.LiteralType):
        return max((encode(value) for value in kind.values), key=len)
    if isinstance(kind, wire.StrType):
        assert kind.max_length is not None
        is_free = kind.pattern is not None and "[^" in kind.pattern
        return b'"' + (WIDEST if is_free else "x").encode() * kind.max_length + b'"'
    if isinstance(kind, wire.ListType):
        assert kind.max_length is not None
        return b"[" + b",".join([widest(kind.item_type)] * kind.max_length) + b"]"
    if isinstance(kind, wire.StructType):
        return widest_struct(kind)
    raise AssertionError(f"no bound known for {kind}")


def widest_struct(kind: wire.StructType) -> bytes:
    parts = [widest(field.type) for field in kind.fields]
    if kind.array_like:
        return b"[" + b",".join(parts) + b"]"
    names = [f'"{field.encode_name}":'.encode() for field in kind.fields]
    tag = [f'"{kind.tag_field}":"{kind.tag}"'.encode()] if kind.tag is not None else []
    fields = tag + [name + part for name, part in zip(names, parts, strict=True)]
    return b"{" + b",".join(fields) + b"}"


def type_of(struct: Any) -> wire.StructType:
    found = wire.type_info(struct)
    assert isinstance(found, wire.StructType)
    return found


MESSAGES = {kind.__struct_config__.tag: kind for kind in get_args(Message)}
OUTCOME = widest_struct(type_of(Outcome))


def test_the_widest_outcome_is_wider_than_any_rule_can_give():
    """Four lists of 64 lots, 23 legs, 16 events, 80 draws at once, every number and name at its longest."""
    assert OUTCOME.count(b"[") == 4 * LOTS_MAX + 7
    assert len(OUTCOME) > 4 * LOTS_MAX * 100
    longest = max(map(len, REJECT_CODES))
    assert longest < 64


@pytest.mark.parametrize("name", sorted(MESSAGES))
def test_the_worst_entry_of_every_message_fits(name):
    message = widest_struct(type_of(MESSAGES[name]))
    if name == "propose":
        # Each action at its widest would be too much: together they are held to a size of their own.
        actions = next(field for field in type_of(Propose).fields if field.name == "actions")
        message = message.replace(widest(actions.type), b"x" * ACTIONS_BYTES_MAX)
    assert len(encode_entry(message, OUTCOME, TAG)) <= LEAF_BYTES_MAX


@pytest.mark.parametrize("kind", get_args(SystemMessage))
def test_the_worst_system_entry_fits(kind):
    message = widest_struct(type_of(kind))
    assert len(encode_system_entry(message, OUTCOME)) <= LEAF_BYTES_MAX


@pytest.mark.parametrize("kind", [TransactionLeaf, BlockLeaf, Genesis, GenesisParticipant])
def test_the_worst_of_every_other_leaf_fits(kind):
    assert len(widest_struct(type_of(kind))) <= LEAF_BYTES_MAX


def test_the_construction_is_at_least_as_wide_as_what_is_written():
    """The widest of a kind, decoded again where its patterns allow, and every leaf of a small alliance."""
    alliance = Alliance().open()
    alliance.earn(ANNA, 5)
    widths = {b"block": BlockLeaf, b"transaction": TransactionLeaf}
    for leaf in alliance.leaves:
        for start, kind in widths.items():
            if leaf.startswith(b'{"@type":"' + start):
                assert len(leaf) <= len(widest_struct(type_of(kind)))


@pytest.mark.parametrize("name", ["admit", "open_program"])
def test_the_most_generous_names_are_taken_and_kept(name):
    """Names of 64 characters of four bytes each, of 64 quotation marks: the longest a leaf has to carry."""
    alliance = Alliance().open()
    for number, letter in enumerate((WIDEST, '"', "\\", "é")):
        keys = [
            ParticipantKey(public_of(make_signer(letter, key)), "govern" if key == 0 else "custody")
            for key in range(16)
        ]
        message: Any = (
            Admit(keys, letter * 64, f"{number}" + "z" * 62)
            if name == "admit"
            else OpenProgram(letter * 64, f"{number}" + "z" * 62, 10**12)
        )
        assert alliance.ask(OPERATOR if name == "admit" else FRESH, message).code == "OK"
        leaf = alliance.leaves[-2]
        assert letter in msgspec.json.decode(leaf)["message"]["name"]
        assert len(leaf) <= LEAF_BYTES_MAX


LONG = ["a" * 63, "b" * 63]
REFERENCE = "r" * 64


@pytest.fixture
def crowded() -> Iterator[Alliance]:
    """Anna has 64 lots of a program and series with the longest of names; half lapse in three days."""
    alliance = Alliance().open()
    for program in LONG:
        opened = [
            OpenProgram("x", program, 10**12),
            OpenSeries(alliance.height + 1, 0, 10_000, 10_000, program, program),
        ]
        alliance.must(FRESH, *opened)
    alliance.must(FRESH, grant("redeem", LONG[0], PETROL))
    lives = [(TODAY + last, TODAY + last - 1 - number) for last in (2, 40) for number in range(32)]
    lives[0] = (TODAY + 2, 0)
    lots = [Lot(expires, 8, original, 10**7, LONG[0], 0) for expires, original in lives]
    alliance.place(ANNA, LONG[0], *lots)
    yield alliance
    alliance.check()
    longest = max(map(len, alliance.leaves))
    assert 3_000 < longest <= LEAF_BYTES_MAX


ALL = {"points": 64 * 10**7, "program": LONG[0], "reference": REFERENCE}


def test_the_longest_exchange_is_taken_and_kept(crowded):
    """64 lots of the longest-named series become 64 of the other; the log keeps every one of them."""
    told = {**ALL, "target": LONG[1], "series": LONG[0]}
    opened = crowded.get("series", f"{LONG[1]}|{LONG[1]}").opened
    outcome = convert(crowded, rate_height=opened, **told)
    assert (outcome.code, len(outcome.lots), len(outcome.received)) == ("OK", 64, 64)


def test_the_longest_capture_is_taken_and_kept(crowded):
    """One lot is captured; of the 63 that go back, 31 have lapsed meanwhile."""
    assert set_aside(crowded, PETROL, **ALL, expires=START + 6 * DAY_MILLIS).code == "OK"
    crowded.wait(days=3)
    outcome = capture(crowded, PETROL, hold=REFERENCE, points=10**7 + 1, program=LONG[0])
    counts = (len(outcome.lots), len(outcome.released), len(outcome.expired))
    assert (outcome.code, counts) == ("OK", (2, 63, 31))


def test_the_longest_release_and_the_longest_lapse_are_kept(crowded):
    for reference, end in (("a", release), ("b", None)):
        told = {**ALL, "points": 32 * 10**7, "reference": reference}
        assert set_aside(crowded, PETROL, **told, expires=START + 6 * DAY_MILLIS).code == "OK"
        if end is not None:
            crowded.wait(days=3)
            outcome = end(crowded, PETROL, hold=reference, program=LONG[0])
            assert (len(outcome.released), len(outcome.expired)) == (32, 32)
    crowded.wait(days=7)
    crowded.cut()
    _, outcome = read_leaf(crowded.blocks[-1].leaves[0])
    assert (len(outcome.released), outcome.expired is UNSET) == (32, True)


def test_the_longest_refund_is_kept(crowded):
    """32 lots come back as they were; of the others, half in their first life get a grace, the rest lapse."""
    assert len(spend(crowded, PETROL, **ALL).lots) == 64
    crowded.wait(days=3)
    told = {"points": 64 * 10**7, "program": LONG[0], "original": REFERENCE}
    outcome = refund(crowded, PETROL, **told)
    assert (outcome.code, len(outcome.lots), len(outcome.expired)) == ("OK", 33, 31)
    assert len(outcome.legs) == 2


def test_the_longest_gift_and_the_longest_return_are_kept(crowded):
    assert give(crowded, **{**ALL, "points": 32 * 10**7}).code == "OK"
    told = {"amount": 10**15, "program": LONG[0]}
    assert buy(crowded, **told).points == 1_000
    assert len(return_goods(crowded, **told).lots) == 1
    set_policy(crowded, program=LONG[0])
    told = {"points": 32 * 10**7, "amount": 1, "program": LONG[0], "reference": "award"}
    assert award(crowded, **told).code == "OK"
    assert spend(crowded, **{**ALL, "reference": "all"}).code == "OK"
    crowded.place(ANNA, LONG[0], *[Lot(TODAY + 9 + n, 8, 0, 10**7, LONG[0], 0) for n in range(32)])
    told = {"amount": 1, "original": "award", "original_type": "award", "program": LONG[0]}
    outcome = return_goods(crowded, **told)
    assert (outcome.code, sum(lot.points for lot in outcome.lots)) == ("OK", 32 * 10**7)
    assert len(outcome.lots) == 32


def test_the_most_generous_transaction_is_taken_whole():
    """8,192 messages in one transaction and one block: every leaf of it as small as ever."""
    alliance = Alliance().open()
    messages = [Enrol(member=member_id(10_000 + number)) for number in range(8_192)]
    block = alliance.cut(alliance.sign(FRESH, *messages))
    assert len(block.leaves) == 8_194
    assert max(map(len, block.leaves)) < 1_000
    assert (
        TransactionDecoder(RULEBOOK.message_type)
        .decode(alliance.sign(FRESH, *messages).encode())
        .header.not_after
        == START + 600_000
    )
