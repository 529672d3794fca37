"""Amounts are exact, or they are refused."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from merchant_sdk.amounts import Micros, format_micros, get_micros
from merchant_sdk.errors import InvalidRequest


@pytest.mark.parametrize(
    ("amount", "micros"),
    [
        ("0", 0),
        ("12", 12_000_000),
        ("12.34", 12_340_000),
        ("0.000001", 1),
        ("1000000000", 10**15),
        (Decimal("12.34"), 12_340_000),
        (Decimal("12.3400000000"), 12_340_000),
        (Decimal("1E+3"), 1_000_000_000),
        (Micros(12_340_000), 12_340_000),
    ],
)
def test_what_people_write_is_what_is_sent(amount, micros):
    assert get_micros(amount) == micros


@pytest.mark.parametrize(
    "amount",
    [
        12.34, 1.0, 12, True, None, b"12",
        "", ".5", "5.", "-1", "+1", "1e3", "1_000", "1,000", " 1", "1\n", "0.0000001", "1000000000.000001",
        "12345678901", "١٢", "NaN",
        Decimal("NaN"), Decimal("Infinity"), Decimal(-1), Decimal("0.0000001"), Decimal("1E+400000"),
        Micros(-1), Micros(10**15 + 1),
    ],
)  # fmt: skip
def test_what_is_not_an_exact_amount_is_refused(amount):
    with pytest.raises(InvalidRequest):
        get_micros(amount)


def test_a_float_is_told_why():
    with pytest.raises(InvalidRequest, match="a float is never exact"):
        get_micros(12.34)


@given(st.integers(0, 10**15))
def test_writing_and_reading_is_the_same_amount(micros):
    assert get_micros(format_micros(micros)) == micros
    assert get_micros(Decimal(micros).scaleb(-6)) == micros
    assert get_micros(Micros(micros)) == micros


@pytest.mark.parametrize(
    ("micros", "text"), [(0, "0.00"), (-1_200_000, "-1.20"), (1, "0.000001"), (12_345_678, "12.345678")]
)
def test_amounts_are_shown_as_people_write_them(micros, text):
    assert format_micros(micros) == text
