"""A statement is the same whoever makes it, and pays everybody to the micro, now or with the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import floor
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.mechanics.statement import (
    WindowSums,
    compute_shares,
    compute_statement,
    hash_statement,
    make_statement,
)
from contracts.messages import SetBrandShares
from contracts.messages.settlement import BrandShare
from contracts.messages.statement import STATEMENT_DECODER, BrandUnits
from ledger.codec import decode
from ledger.errors import InvariantBroken
from tests.contracts.cast import CINEMA, FRESH, OPERATOR, PETROL
from tests.contracts.ladder import Attempt, Ladder, every_row, fall_from
from tests.contracts.windows import cut_window, get_record, read_statement, settle, trade

CHAIN = "small/" + "0" * 32
NAMES = ["ada", "bo", "cy", "di", "ed", "flo"]
REASONS = ["commission", "earn", "redeem"]

LADDERS = [
    Ladder(
        "set_brand_shares",
        lambda: Attempt(SetBrandShares, sender=FRESH, shares=[BrandShare("Corner", 1)]),
        [],
    ),
]


@every_row(*LADDERS)
def test_brand_shares_are_anybodys_to_set(ladder, row):
    fall_from(ladder, row)


micros = st.one_of(st.integers(1, 30), st.integers(1, 10**8), st.integers(1, 2**47))
pair = st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).filter(lambda names: names[0] != names[1])
rounding = st.sampled_from(NAMES).map(lambda name: (name, f"rounding:{name}", "rounding"))
line = st.one_of(st.tuples(pair, st.sampled_from(REASONS)).map(lambda row: (*row[0], row[1])), rounding)
shares = st.lists(st.tuples(st.sampled_from(["Bay", "Cove", "Dune"]), st.integers(1, 100)), max_size=4)


@st.composite
def carried(draw: Any) -> dict[str, int]:
    """What an earlier window left over: less than a unit each, nothing together."""
    left = draw(st.dictionaries(st.sampled_from(NAMES[:-1]), st.integers(-900, 900).filter(bool), max_size=4))
    rest = -sum(left.values())
    return {**left, **({NAMES[-1]: rest} if rest else {})}


def make_sums(
    *, lines: Any, brought: Any = None, carries: Any = None, unit: int = 10_000, brands: Any = None
) -> WindowSums:
    return WindowSums(
        chain=CHAIN,
        currency="CNY",
        window=7,
        first_height=11,
        last_height=29,
        closed_at=1_700_000_000_000,
        payment_unit_micros=unit,
        lines=lines,
        brought=brought or {},
        carries=carries or {},
        brands=brands or {},
        previous=None,
    )


def reckon(
    lines: Mapping[Any, int], brought: Mapping[Any, int], carries: Mapping[str, int], unit: int
) -> dict[str, tuple[int, int, int]]:
    """Who is owed what, is paid how many units and keeps which carry: from the page, in exact fractions."""
    names: set[str] = set(carries)
    owed: dict[str, Fraction] = {}
    for key, amount in [*lines.items(), *brought.items()]:
        payer, payee = key[0], key[1].split(":")[-1]
        names |= {payer, payee}
        owed[payer] = owed.get(payer, Fraction()) - amount
        owed[payee] = owed.get(payee, Fraction()) + amount
    found: dict[str, tuple[int, int, int]] = {}
    reached = Fraction()
    for name in sorted(names):
        amount = owed.get(name, Fraction()) + carries.get(name, 0)
        units = 0
        if amount:
            units = floor((reached + amount) / unit) - floor(reached / unit)
            reached += amount
        found[name] = (int(owed.get(name, Fraction())), units, int(amount - units * unit))
    return found


def pay_off(units: dict[str, int]) -> list[tuple[str, str, int]]:
    """The page's rule for transfers, looked up anew for each."""
    left, transfers = dict(units), []
    while min(left.values(), default=0) < 0:
        payer = min(sorted(left), key=lambda name: left[name])
        payee = max(sorted(left), key=lambda name: left[name])
        paid = min(-left[payer], left[payee])
        transfers.append((payer, payee, paid))
        left[payer] += paid
        left[payee] -= paid
    return transfers


def split(units: int, told: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """The page's rule for brands, one unit at a time."""
    whole = sum(parts for _, parts in told)
    rows = [[brand, floor(Fraction(units * parts, whole))] for brand, parts in told]
    left = units - sum(count for _, count in rows)
    for row in rows:
        if left:
            row[1] += 1
            left -= 1
    return [(brand, count) for brand, count in rows]


@given(
    lines=st.dictionaries(line, micros, max_size=24),
    brought=st.dictionaries(
        st.tuples(pair, st.integers(1, 6)).map(lambda row: (*row[0], row[1])), micros, max_size=5
    ),
    carries=carried(),
    unit=st.sampled_from([1, 7, 1_000, 10_000, 1_000_000]),
    brands=st.dictionaries(st.sampled_from(NAMES), shares, max_size=6),
    chance=st.randoms(use_true_random=False),
)
def test_a_statement_is_what_the_page_says(unit, brands, chance, **rows):
    lines, brought, carries = rows["lines"], rows["brought"], rows["carries"]
    told = make_sums(lines=lines, brought=brought, carries=carries, unit=unit, brands=brands)
    statement = compute_statement(told)
    expected = reckon(lines, brought, carries, unit)
    found = {one.participant: (int(one.net), one.units, int(one.carry_after)) for one in statement.positions}
    assert list(found) == sorted(found)
    assert found == expected
    assert sum(units for _, units, _ in found.values()) == 0
    assert sum(carry for _, _, carry in found.values()) == 0
    assert all(abs(carry) < unit for _, _, carry in found.values())
    paid = [(one.source, one.destination, one.units) for one in statement.transfers]
    assert paid == pay_off({name: units for name, (_, units, _) in expected.items()})
    assert len(paid) <= max(len(found) - 1, 0)
    for position in statement.positions:
        wanted = brands.get(position.participant) if position.units > 0 else None
        if not wanted:
            assert position.brands is msgspec.UNSET
        else:
            assert [(one.brand, one.units) for one in position.brands] == split(position.units, wanted)
            assert sum(one.units for one in position.brands) == position.units

    # Whoever finds the same sums in another order makes the same bytes, and they can be read back.
    data = make_statement(told)
    again = {name: dict(chance.sample(list(table.items()), len(table))) for name, table in rows.items()}
    assert make_statement(make_sums(**again, unit=unit, brands=brands)) == data
    assert decode(data, STATEMENT_DECODER) == statement
    assert hash_statement(data) != hash_statement(data + b" ")


@given(amount=st.integers(0, 2**60), claims=st.lists(st.integers(1, 2**60), min_size=1, max_size=9))
def test_a_loss_is_shared_by_claims_and_nothing_of_it_is_lost(amount, claims):
    shared = compute_shares(amount, claims)
    assert sum(shared) == amount
    for share, claim in zip(shared, claims, strict=True):
        assert abs(share - Fraction(amount * claim, sum(claims))) < 1


def test_what_does_not_sum_to_zero_is_no_statement():
    with pytest.raises(InvariantBroken, match="POSITIONS_NOT_ZERO"):
        make_statement(make_sums(lines={}, carries={"ada": 1}))


def test_sums_beyond_what_json_readers_agree_on_are_exact():
    told = make_sums(lines={("ada", "bo", "redeem"): 2**60 + 1, ("cy", "bo", "earn"): 2**61 + 1})
    statement = decode(make_statement(told), STATEMENT_DECODER)
    assert [one.net for one in statement.positions] == [
        str(-(2**60) - 1),
        str(3 * 2**60 + 2),
        str(-(2**61) - 1),
    ]
    assert sum(int(one.carry_after) + one.units * 10_000 - int(one.net) for one in statement.positions) == 0


def test_the_bytes_are_those_of_the_page():
    told = make_sums(
        lines={
            ("ada", "bo", "redeem"): 123_456,
            ("bo", "rounding:bo", "rounding"): 9,
            ("cy", "ada", "earn"): 30_000,
        },
        brought={("cy", "bo", 6): 20_000},
        carries={"ada": 4_000, "di": -4_000},
        brands={"bo": [("Bay", 2), ("Cove", 1)]},
    )
    told = msgspec.structs.replace(told, previous="A" * 43)
    assert make_statement(told).decode() == (
        '{"@type":"statement","brought":[{"from":"cy","micros":"20000","to":"bo","window":6}],'
        '"chain":"small/00000000000000000000000000000000","closed_at":1700000000000,"currency":"CNY",'
        '"first_height":11,"last_height":29,"lines":['
        '{"from":"ada","micros":"123456","reason":"redeem","to":"bo"},'
        '{"from":"bo","micros":"9","reason":"rounding","to":"rounding:bo"},'
        '{"from":"cy","micros":"30000","reason":"earn","to":"ada"}],"payment_unit_micros":10000,"positions":['
        '{"carry_after":"544","carry_before":"4000","net":"-93456","participant":"ada","units":-9},'
        '{"brands":[{"brand":"Bay","units":10},{"brand":"Cove","units":4}],'
        '"carry_after":"3456","carry_before":"0","net":"143456","participant":"bo","units":14},'
        '{"carry_after":"0","carry_before":"0","net":"-50000","participant":"cy","units":-5},'
        '{"carry_after":"-4000","carry_before":"-4000","net":"0","participant":"di","units":0}],'
        '"previous":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","transfers":['
        '{"from":"ada","to":"bo","units":9},{"from":"cy","to":"bo","units":5}],"window":7}'
    )


def test_carries_go_from_window_to_window(alliance):
    alliance.must(FRESH, SetBrandShares([BrandShare("Corner", 2), BrandShare("Hall", 1)]))
    carries: dict[str, int] = {}
    paid = 0
    for number in range(1, 4):
        trade(alliance, number)
        assert settle(alliance) == number
        statement = read_statement(alliance, number)
        for position in statement.positions:
            name = position.participant
            assert int(position.carry_before) == carries.get(name, 0)
            carries[name] = int(position.carry_after)
            paid += position.units * (name == CINEMA)
        assert dict(alliance.state.list_records("carry")) == {
            name: left for name, left in carries.items() if left
        }
    assert paid * 10_000 + carries[CINEMA] == 3 * 495_000 == alliance.position(CINEMA)


def test_brands_get_their_parts_of_what_their_house_is_paid(alliance):
    alliance.must(PETROL, SetBrandShares([BrandShare("Pump", 2), BrandShare("Wash", 1)]))
    alliance.must(FRESH, SetBrandShares([BrandShare("Corner", 1)]))
    alliance.must(CINEMA, SetBrandShares([BrandShare("Old", 1)]))
    alliance.must(CINEMA, SetBrandShares([]))
    trade(alliance)
    cut_window(alliance)
    by_name = {one.participant: one for one in read_statement(alliance).positions}
    assert by_name[PETROL].brands == [BrandUnits("Pump", 38), BrandUnits("Wash", 19)]
    assert {name for name, one in by_name.items() if one.brands is not msgspec.UNSET} == {PETROL}
    assert [by_name[name].units for name in (CINEMA, OPERATOR, FRESH, PETROL)] == [49, 2, -108, 57]
    assert get_record(alliance).parties == (CINEMA, OPERATOR, FRESH, PETROL)
