"""A statement that somebody hands over is signed only if it follows from its own lines."""

from __future__ import annotations

import msgspec
import pytest

from contracts.messages.statement import STATEMENT_DECODER
from ledger.codec import encode
from ledger.errors import Unverified
from node.statements.checking import verify_statement
from tests.node.statements.conftest import read_kept


@pytest.mark.parametrize("number", range(1, 10))
def test_every_statement_of_the_ledger_follows_from_its_lines(alliance, number):
    data = read_kept(alliance, number)
    assert encode(verify_statement(data, chain=alliance.chain, window=number)) == data


def change_line(told):
    told["lines"][0]["micros"] = str(int(told["lines"][0]["micros"]) + 10**7)


def change_carry(told):
    told["positions"][0]["carry_before"] = "77"


def change_transfer(told):
    told["transfers"][0]["units"] += 1


def drop_transfer(told):
    del told["transfers"][-1]


def move_unit(told):
    told["positions"][0]["units"] += 1
    told["positions"][1]["units"] -= 1


def take_from_a_brand(told):
    brands = next(each["brands"] for each in told["positions"] if "brands" in each)
    brands[0]["units"] -= 1


def swap_lines(told):
    told["lines"].reverse()


FORGERIES = [
    (change_line, "positions"),
    (change_carry, "POSITIONS_NOT_ZERO"),
    (change_transfer, "transfers"),
    (drop_transfer, "transfers"),
    (move_unit, "positions"),
    (take_from_a_brand, "brands"),
    (swap_lines, "lines"),
]


@pytest.mark.parametrize(("forge", "part"), FORGERIES)
def test_each_change_is_found(alliance, forge, part):
    told = msgspec.json.decode(read_kept(alliance, 1))
    forge(told)
    data = encode(msgspec.convert(told, STATEMENT_DECODER.type))
    with pytest.raises(Unverified) as caught:
        verify_statement(data, chain=alliance.chain, window=1)
    assert caught.value.code == "STATEMENT_DOES_NOT_ADD_UP"
    assert part in str(caught.value.facts)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data + b" ",
        lambda data: data[:-1] + b',"x":1}',
        lambda data: data.replace(b'"window":1}', b'"window":2}'),
        lambda data: data.replace(b'"chain":"small/', b'"chain":"smell/'),
    ],
)
def test_bytes_that_are_not_this_windows_statement_are_refused(alliance, spoil):
    with pytest.raises(Unverified) as caught:
        verify_statement(spoil(read_kept(alliance, 1)), chain=alliance.chain, window=1)
    assert caught.value.code == "STATEMENT_MALFORMED"
