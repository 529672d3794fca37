"""What comes out of an exchange, to the point, the micro and the day: nobody gains by going round."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from contracts.mechanics.terms import SeriesTerms
from contracts.messages import (
    AnnouncePar,
    OpenProgram,
    OpenSeries,
)
from contracts.rules.exchange import apportion, compute_exchange
from ledger.outcome import Leg, Lot
from ledger.values import NEVER
from tests.contracts.cast import (
    ANNA,
    CINEMA,
    CLARA,
    FRESH,
    PETROL,
    STRANGER,
    TODAY,
    grant,
)
from tests.contracts.purchases import convert

FEBRUARY_ENDS = 19_782  # 2024-02-29: three months on, the last day of `mile` earned today


#   offered, par_redeem, par_accrue, taken, received
EXACT = [
    (100, 10_000, 16_000, 100, 62),
    (99, 10_000, 16_000, 98, 61),
    (2, 10_000, 16_000, 2, 1),
    (1, 10_000, 16_000, 0, 0),
    (100, 10_000, 70_000, 98, 14),
    (1, 70_000, 10_500, 1, 6),
    (3, 30_000, 30_000, 3, 3),
    (10**9, 5_000_000, 5_000_000, 10**9, 10**9),
    (10**9, 1, 5_000_000, 10**9, 200),
    (999_999_999, 1, 5_000_000, 995_000_000, 199),
    (7, 3, 2, 7, 10),
]


@pytest.mark.parametrize(("offered", "par_redeem", "par_accrue", "taken", "received"), EXACT)
def test_what_comes_out_is_exact_and_no_more_is_taken_than_it_costs(
    offered, par_redeem, par_accrue, taken, received
):
    assert compute_exchange(points=offered, par_redeem=par_redeem, par_accrue=par_accrue) == (taken, received)
    assert 0 <= taken * par_redeem - received * par_accrue < par_redeem
    assert (received + 1) * par_accrue > offered * par_redeem


def test_the_old_issuer_pays_the_new_one_and_keeps_what_rounding_leaves(alliance):
    alliance.earn(ANNA, 250)
    outcome = convert(alliance, target="mile")
    assert (outcome.code, outcome.points, outcome.balance) == ("OK", 100, 150)
    assert outcome.lots == [Lot(20_057, 5, 0, 100, "leaf-1", 0)]
    assert outcome.received == [Lot(FEBRUARY_ENDS, 5, 0, 62, "mile-1", 0)]
    # 100 x 10,000 owed; 62 x 16,000 paid
    assert outcome.legs == [
        Leg(FRESH, 992_000, "exchange", PETROL),
        Leg(FRESH, 8_000, "rounding", f"rounding:{FRESH}"),
    ]
    assert alliance.position(FRESH) == -1_000_000
    assert alliance.position(f"rounding:{FRESH}") == 8_000
    tallies = {"leaf|exchanged.out": 100, "mile|exchanged.in": 62}
    assert {key: alliance.get("tally", key) for key in tallies} == tallies


def test_what_a_whole_number_of_points_does_not_need_stays_with_the_member(alliance):
    alliance.earn(ANNA, 100)
    outcome = convert(alliance)
    assert (outcome.points, outcome.balance) == (98, 2)
    # 98 x 10,000 = 14 x 70,000: nothing to round, so no rounding leg
    assert outcome.legs == [Leg(FRESH, 980_000, "exchange", CINEMA)]
    assert alliance.points(ANNA, "star") == 14


def test_consent_and_budgets_count_what_is_taken_not_what_is_offered(alliance):
    alliance.earn(ANNA, 100)
    alliance.must(FRESH, grant("exchange_out", "leaf", CINEMA, budget_day=98))
    alliance.must(CINEMA, grant("exchange_in", "star", FRESH, budget_day=14))
    assert convert(alliance, agreed={"points": 98}).code == "OK"
    assert alliance.get("grant", f"leaf|{CINEMA}|exchange_out").used_total == 98
    assert alliance.get("grant", f"star|{FRESH}|exchange_in").used_total == 14


#   lots taken as (day, points), points received, lots given as (day, points)
SHARES = [
    ([(10, 30), (20, 30), (30, 38)], 14, [(10, 4), (20, 4), (30, 6)]),
    ([(10, 1), (20, 1), (30, 1)], 2, [(20, 1), (30, 1)]),
    ([(10, 1), (20, 99)], 1, [(20, 1)]),
    ([(10, 50), (70, 25), (80, 25)], 10, [(10, 5), (60, 5)]),  # the target's own day is 60: they merge
    ([(10, 7)], 3, [(10, 3)]),
    ([(NEVER, 100)], 9, [(60, 9)]),
]


@pytest.mark.parametrize(("taken", "received", "given"), SHARES)
def test_each_source_lot_brings_its_cumulative_share_and_its_own_day(taken, received, given):
    target = SeriesTerms("t", 7, par_accrue=1, par_redeem=1, since=7, expires=60)
    lots = [Lot(day, 1, 0, points, "s", 0) for day, points in taken]
    assert apportion(lots, received, target) == [Lot(day, 7, 0, points, "t", 0) for day, points in given]


def test_a_share_stays_in_the_life_of_its_lot():
    """Of one last day but two lives: they do not merge, or the old one would be young again."""
    target = SeriesTerms("t", 7, par_accrue=1, par_redeem=1, since=7, expires=60)
    lots = [Lot(50, 1, 0, 10, "s", 0), Lot(50, 1, 20, 10, "s", 0), Lot(70, 1, 40, 10, "s", 0)]
    assert apportion(lots, 15, target) == [
        Lot(50, 7, 0, 5, "t", 0),
        Lot(50, 7, 20, 5, "t", 0),
        Lot(60, 7, 40, 5, "t", 0),
    ]


def test_source_lots_go_soonest_first_and_bring_their_days_along(alliance):
    for points in (30, 30, 40):
        alliance.earn(ANNA, points)
        alliance.wait(days=31)
    outcome = convert(alliance)
    assert outcome.lots == [
        Lot(20_057, 5, 0, 30, "leaf-1", 0),
        Lot(20_088, 5, 0, 30, "leaf-1", 0),
        Lot(20_119, 5, 0, 38, "leaf-1", 0),
    ]
    # The cinema's own points never lapse; these do, each with the lot it came from.
    assert outcome.received == [
        Lot(20_057, 5, 0, 4, "star-1", 0),
        Lot(20_088, 5, 0, 4, "star-1", 0),
        Lot(20_119, 5, 0, 6, "star-1", 0),
    ]


def test_a_point_is_never_young_again_by_exchange(alliance):
    """Leaf to star and back, ten months later: the supermarket's day of today would be far later."""
    alliance.earn(ANNA, 700)
    alliance.wait(days=300)
    alliance.must(FRESH, grant("exchange_out", "leaf", CINEMA), grant("exchange_in", "leaf", CINEMA))
    assert [lot.expires for lot in convert(alliance, points=700).received] == [20_057]
    back = convert(alliance, points=100, program="star", target="leaf", reference="back")
    assert back.received == [Lot(20_057, 5, 0, 666, "leaf-1", 0)]
    alliance.wait(days=20_058 - TODAY - 300)
    alliance.reach(alliance.height + 1)
    assert (alliance.points(ANNA), alliance.points(ANNA, "star")) == (0, 0)


def test_no_round_trip_gains_a_point(alliance):
    alliance.earn(ANNA, 700)
    assert convert(alliance, points=700).points == 700
    assert alliance.points(ANNA, "star") == 100
    back = convert(alliance, points=100, program="star", target="leaf", reference="back")
    assert (back.points, alliance.points(ANNA)) == (100, 666)
    # 100 x 70,000 owed, 666 x 10,500 paid, the rest is the cinema's rounding
    assert [leg.micros for leg in back.legs] == [6_993_000, 7_000]


def test_only_the_series_named_is_taken(alliance):
    alliance.earn(ANNA, 70)
    opens = alliance.height + 10
    alliance.must(FRESH, OpenSeries(opens, 1, 20_000, 20_000, "leaf", "leaf-2"))
    alliance.reach(opens)
    alliance.earn(ANNA, 70)
    assert [lot.series for lot in alliance.lots(ANNA)] == ["leaf-2", "leaf-1"]
    assert convert(alliance, points=105, reference="too-many").code == "INSUFFICIENT_POINTS"
    outcome = convert(alliance, points=70, reference="first-series")
    assert outcome.lots == [Lot(20_057, 5, 0, 70, "leaf-1", 0)]
    # The second is worth twice as much, and its rate holds from the height at which it opened.
    assert convert(alliance, points=70, series="leaf-2", reference="old-quote").code == "QUOTE_EXPIRED"
    outcome = convert(alliance, points=70, series="leaf-2", rate_height=opens, reference="second-series")
    assert [lot.points for lot in outcome.received] == [20]


#   who changes a price between the quote and the exchange, with which message
CHANGES = [
    (FRESH, ("leaf", "leaf-1", 11_000, 10_000)),
    (CINEMA, ("star", "star-1", 80_000, 70_000)),
]


@pytest.mark.parametrize(("issuer", "change"), CHANGES)
def test_a_quote_dies_at_the_next_rate_height(alliance, issuer, change):
    alliance.earn(ANNA, 1_000)
    program, series, accrue, redeem = change
    effective = alliance.height + 10
    alliance.must(issuer, AnnouncePar(effective, accrue, redeem, program, series))
    alliance.reach(effective - 1)
    assert convert(alliance, reference="last-block").code == "OK"
    assert alliance.height == effective
    assert convert(alliance, reference="old-quote").code == "QUOTE_EXPIRED"
    assert convert(alliance, rate_height=effective, reference="new-quote").code == "OK"
    assert convert(alliance, rate_height=effective + 1, reference="not-yet").code == "QUOTE_EXPIRED"


def test_two_programs_of_one_issuer_need_no_grant_and_make_no_debt(alliance):
    alliance.must(FRESH, OpenProgram("Twig", "twig", 1_000_000))
    alliance.must(FRESH, OpenSeries(alliance.height + 1, 0, 30_000, 30_000, "twig", "twig-1"))
    alliance.earn(ANNA, 100)
    outcome = convert(alliance, points=10, target="twig", rate_height=alliance.height - 1)
    # 10 x 10,000 = 3 x 30,000 + 10,000: what a point of leaf leaves over is taken only if it buys something
    assert (outcome.points, outcome.legs) == (9, UNSET)
    assert outcome.received == [Lot(20_057, alliance.height - 2, 0, 3, "twig-1", 0)]


@pytest.mark.parametrize(("points", "code"), [(10**9, "OK"), (10**9 + 1, "AMOUNT_TOO_LARGE")])
def test_one_exchange_brings_a_billion_points_at_most(alliance, points, code):
    """One point of gold is worth five hundred of dust."""
    for program, par in (("gold", 5_000_000), ("dust", 10_000)):
        opened = OpenSeries(alliance.height + 1, 0, par, par, program, f"{program}-1")
        alliance.must(FRESH, OpenProgram(program, program, 1_000_000), opened)
    alliance.place(ANNA, "gold", Lot(NEVER, alliance.height, 0, 3_000_000, "gold-1", 0))
    told = {"points": -(-points // 500), "program": "gold", "target": "dust"}
    outcome = convert(alliance, rate_height=alliance.height, **told)
    assert outcome.code == code


def test_points_can_be_delivered_to_another_member(alliance):
    alliance.earn(ANNA, 100)
    assert convert(alliance, recipient=CLARA).code == "OK"
    assert (alliance.points(ANNA, "star"), alliance.points(CLARA, "star")) == (0, 14)
    assert convert(alliance, recipient=STRANGER, reference="b").code == "MEMBER_UNKNOWN"
