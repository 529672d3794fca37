"""Limits that a random history does not reach in a lifetime: accounts that begin right below them."""

from __future__ import annotations

import pytest

from tests.properties.model_values import BALANCE_MAX, LOTS_FROM_OTHERS_MAX, LOTS_MAX, NEVER, last_day
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


@pytest.mark.parametrize("kept", [LOTS_FROM_OTHERS_MAX - 1, LOTS_FROM_OTHERS_MAX, LOTS_MAX - 1])
def test_nobody_fills_half_of_another_account(pair, kept):
    other = next(name for name in pair.model.state.members if name != pair.member)
    pair.hold("fresh", [(NEVER, 2, "s0", 1_000)])
    pair.hold("fresh", [(30_000 + number, 2, "s0", 1) for number in range(kept)], member=other)
    expected = "OK" if kept < LOTS_FROM_OTHERS_MAX else "LOT_LIMIT"
    assert pair.give("fresh", 300, other) == expected


def test_more_of_what_another_account_has_is_welcome(pair):
    other = next(name for name in pair.model.state.members if name != pair.member)
    day = last_day(pair.model.block_at(pair.model.time).day, 12)
    pair.hold("fresh", [(day, 2, "s0", 1_000)])
    lots = [*((day - number, 2, "s0", 1) for number in range(59, 0, -1)), (day, 2, "s0", 1)]
    pair.hold("fresh", lots, member=other)
    assert pair.give("fresh", 300, other) == "OK"


def test_a_gift_does_not_overfill_an_account(pair):
    other = next(name for name in pair.model.state.members if name != pair.member)
    pair.hold("fresh", [(NEVER, 2, "s0", 1_000)])
    pair.hold("fresh", [(NEVER, 2, "s0", BALANCE_MAX - 5)], member=other)
    assert [pair.give("fresh", points, other) for points in (6, 5)] == ["BALANCE_LIMIT", "OK"]


@pytest.mark.parametrize("kept", [LOTS_MAX - 1, LOTS_MAX])
def test_who_agreed_to_receive_takes_sixty_four_lots(pair, kept):
    other = next(name for name in pair.model.state.members if name != pair.member)
    pair.hold("fresh", [(NEVER, 2, "s0", 1_000)])
    pair.hold("fresh.club", [(30_000 + number, 2, "s0", 1) for number in range(kept)], member=other)
    expected = "OK" if kept < LOTS_MAX else "LOT_LIMIT"
    assert pair.exchange("fresh", "fresh.club", 300, recipient=other) == expected
