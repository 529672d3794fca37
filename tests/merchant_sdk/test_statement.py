"""A statement is taken only as its canonical bytes, and agreed to only where it adds up.

Statements are made by the ledger's own arithmetic, from windows drawn with fixed seeds; the SDK's is another.
"""

from __future__ import annotations

import random

import msgspec
import pytest

from contracts.mechanics.statement import WindowSums, hash_statement, make_statement
from ledger.codec import encode
from merchant_sdk import Statement, Unverified
from tests.conftest import FULL

CHAIN = "statements/" + "0" * 32
NAMES = [f"shop-{number:02d}" for number in range(12)]
WINDOWS = 400 if FULL else 40


def draw_windows(seed: int, count: int, *, unit: int = 10_000) -> list[bytes]:
    """Statements of consecutive windows of one alliance, each carrying on from the one before."""
    dice = random.Random(seed)
    made: list[bytes] = []
    carries: dict[str, int] = {}
    for number in range(1, count + 1):
        lines = {}
        for _ in range(dice.randrange(0, 40)):
            one, other = dice.sample(NAMES, 2)
            other = f"rounding:{one}" if dice.random() < 0.1 else other
            lines[one, other, dice.choice(("redeem", "earn", "commission"))] = dice.randrange(1, 10**9)
        brought = {}
        if number > 2 and dice.random() < 0.5:
            one, other = dice.sample(NAMES, 2)
            brought[one, other, number - 2] = dice.randrange(1, 10**6) * unit
        data = make_statement(
            WindowSums(
                chain=CHAIN,
                currency="CNY",
                window=number,
                first_height=number * 10 - 9,
                last_height=number * 10,
                closed_at=number,
                payment_unit_micros=unit,
                lines=lines,
                brought=brought,
                carries=carries,
                brands={NAMES[0]: [("North", 2), ("South", 1)]},
                previous=hash_statement(made[-1]) if made else None,
            )
        )
        made.append(data)
        positions = msgspec.json.decode(data)["positions"]
        carries = {each["participant"]: int(each["carry_after"]) for each in positions}
        carries = {name: carry for name, carry in carries.items() if carry}
    return made


@pytest.mark.parametrize("unit", [1, 10_000, 999_983])
def test_what_the_ledger_states_is_found_right(unit):
    previous = None
    for data in draw_windows(unit, WINDOWS, unit=unit):
        found = Statement.read(data)
        assert found.hash == hash_statement(data)
        found.verify()
        found.verify(previous)
        assert found.previous == (previous.hash if previous else None)
        previous = found


def change(data: bytes, alter) -> Statement:
    """The statement as somebody altered it, in canonical bytes again."""
    told = msgspec.json.decode(data)
    alter(told)
    return Statement.read(encode(told))


def add(place, name, micros):
    """One more or less in a sum that is written in decimal."""

    def alter(told):
        row = told[place][0]
        row[name] = str(int(row[name]) + micros)

    return alter


def move_a_unit(told):
    for row, change_by in zip(told["positions"][:2], (1, -1), strict=True):
        unit = told["payment_unit_micros"]
        row["units"] += change_by
        row["carry_after"] = str(int(row["carry_after"]) - change_by * unit)


def pay_somebody_else(told):
    first = told["transfers"][0]
    first["to"] = next(
        each["participant"]
        for each in told["positions"]
        if each["participant"] not in (first["from"], first["to"])
    )


@pytest.mark.parametrize(
    ("alter", "part"),
    [
        (add("lines", "micros", 1), "net"),
        (lambda told: told["lines"].reverse(), "lines"),
        (lambda told: told["lines"].pop(), "net"),
        (lambda told: told["lines"].append(told["lines"][-1]), "lines"),
        (add("positions", "net", 1), "net"),
        (add("positions", "carry_before", 1), "carry_before"),
        (add("positions", "carry_after", 10_000), "carry_after"),
        (move_a_unit, "units"),
        (lambda told: told["positions"].pop(), "positions"),
        (lambda told: told["positions"].reverse(), "positions"),
        (lambda told: told["transfers"].pop(), "transfers"),
        (lambda told: told["transfers"].reverse(), "transfers"),
        (pay_somebody_else, "transfers"),
        (lambda told: told.update(payment_unit_micros=20_000), "units"),
    ],
)
def test_whatever_was_altered_in_a_statement_is_found(alter, part):
    data = next(each for each in draw_windows(7, 9) if len(msgspec.json.decode(each)["transfers"]) > 2)
    with pytest.raises(Unverified) as caught:
        change(data, alter).verify()
    assert (caught.value.code, caught.value.facts["part"]) == ("STATEMENT_WRONG", part)


def test_a_split_among_brands_makes_up_the_whole():
    def alter(told):
        split = next(each["brands"] for each in told["positions"] if "brands" in each)
        split[0]["units"] += 1

    data = next(each for each in draw_windows(3, 20) if b'"brands"' in each)
    with pytest.raises(Unverified, match="brands"):
        change(data, alter).verify()


def test_a_statement_carries_on_from_the_one_before_and_from_no_other():
    made = [Statement.read(data) for data in draw_windows(5, 6)]
    for one, other in ((1, 4), (4, 2), (3, 3)):
        with pytest.raises(Unverified) as caught:
            made[other].verify(made[one])
        assert caught.value.code == "STATEMENT_WRONG"

    def forget(told):
        del told["previous"]

    with pytest.raises(Unverified, match="previous"):
        change(made[2].data, forget).verify(made[1])
    with pytest.raises(Unverified, match="previous"):
        change(made[0].data, lambda told: told.update(first_height=2)).verify()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data + b"\n",
        lambda data: data.replace(b'","', b'", "', 1),
        lambda data: data.replace(b'"window":', b'"widow":'),
        lambda data: data[:-1],
        lambda data: b"\xff" + data,
        lambda _: b"[" * 100_000,
    ],
)
def test_other_bytes_than_the_canonical_ones_are_no_statement(spoil):
    with pytest.raises(Unverified) as caught:
        Statement.read(spoil(draw_windows(1, 3)[-1]))
    assert caught.value.code == "STATEMENT_MALFORMED"


def test_a_participant_finds_its_own_lines_position_and_payments():
    found = Statement.read(next(each for each in draw_windows(9, 9) if each.count(b"rounding:") > 0))
    for name in NAMES:
        lines = found.lines_of(name)
        for line in lines:
            told = found.content.lines[line.place]
            assert (line.payer, line.payee, line.reason) == (told.source, told.destination, told.reason)
            assert name in (line.payer, line.payee.removeprefix("rounding:"))
        owed = sum(line.micros for line in lines if line.payee.removeprefix("rounding:") == name)
        owes = sum(line.micros for line in lines if line.payer == name)
        brought = sum(
            int(each.micros) * ((each.destination == name) - (each.source == name))
            for each in found.content.brought
        )
        position = found.position_of(name)
        assert (int(position.net) if position else 0) == owed - owes + brought
        paid = found.transfers_of(name)
        assert sum(
            each.units * ((each.destination == name) - (each.source == name)) for each in paid.values()
        ) == (position.units if position else 0)
