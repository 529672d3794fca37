"""Limits that a random history does not reach in a lifetime: accounts that begin right below them."""

from __future__ import annotations

import pytest

from tests.properties.model_values import BALANCE_MAX, LOTS_MAX, NEVER
from tests.properties.pair import Pair


@pytest.fixture
def pair() -> Pair:
    return Pair()


def test_an_account_is_full_at_its_last_point(pair):
    pair.hold("dust", [(NEVER, 2, "s0", BALANCE_MAX - 5)])
    assert [pair.earn("dust", points) for points in (6, 5, 1)] == ["BALANCE_LIMIT", "OK", "BALANCE_LIMIT"]


def test_an_exchange_does_not_overfill_an_account(pair):
    pair.hold("fresh", [(NEVER, 2, "s0", 1_000)])
    pair.hold("fresh.club", [(NEVER, 2, "s0", BALANCE_MAX - 5)])
    assert pair.exchange("fresh", "fresh.club", 30) == "BALANCE_LIMIT"
    assert pair.exchange("fresh", "fresh.club", 6) == "OK"


@pytest.mark.parametrize("kept", [LOTS_MAX - 1, LOTS_MAX])
def test_an_account_takes_sixty_four_lots_and_no_more(pair, kept):
    pair.hold("dust", [(30_000 + number, 2, "s0", 1) for number in range(kept)])
    expected = "OK" if kept < LOTS_MAX else "LOT_LIMIT"
    assert pair.earn("dust", 1) == expected


@pytest.mark.parametrize("kept", [LOTS_MAX - 1, LOTS_MAX])
def test_an_exchange_counts_lots_as_earning_does(pair, kept):
    pair.hold("fresh", [(NEVER, 2, "s0", 1_000)])
    pair.hold("fresh.club", [(30_000 + number, 2, "s0", 1) for number in range(kept)])
    assert pair.exchange("fresh", "fresh.club", 300) == ("OK" if kept < LOTS_MAX else "LOT_LIMIT")


def test_a_full_account_still_takes_more_of_what_it_has(pair):
    pair.hold("dust", [*((30_000 + number, 2, "s0", 1) for number in range(63)), (NEVER, 2, "s0", 1)])
    assert pair.earn("dust", 7) == "OK"
