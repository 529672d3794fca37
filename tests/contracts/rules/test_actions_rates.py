"""Pars by vote: below the band, from the height of the enactment, and the opening is still what counts."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from contracts.mechanics.records import Change, Parameter, Pars
from contracts.mechanics.terms import get_series_terms
from contracts.messages import AnnouncePar, OpenSeries
from contracts.messages.actions import ChangeParameter, SetPar
from tests.contracts.cast import ANNA, CINEMA, FRESH, PETROL, grant
from tests.contracts.council import carry, come_to, decide, found, propose
from tests.contracts.ladder import every_row, fall_from
from tests.contracts.motions import make_ladder
from tests.contracts.orders import capture, set_aside
from tests.contracts.purchases import convert, spend

HIGH_FLOOR = Parameter((Change(0, 70_001),))
FIELDS = {"par_accrue": 60_000, "par_redeem": 60_000, "program": "star", "series": "star-1"}

#   Each row breaks one more thing than the row below it.
LADDERS = [
    make_ladder(
        SetPar,
        lambda: dict(FIELDS),
        [
            ("PROGRAM_UNKNOWN", lambda it: it.set(program="nowhere")),
            ("SERIES_UNKNOWN", lambda it: it.set(series="star-9")),
            ("PAR_BELOW_FLOOR", lambda it: it.alliance.put("parameter", "par_floor_micros", HIGH_FLOOR)),
            ("PAR_RISE_NEEDS_NO_VOTE", lambda it: it.set(par_redeem=70_000)),
            ("PAR_ACCRUE_BELOW_REDEEM", lambda it: it.set(par_accrue=59_999)),
        ],
    ),
]


@every_row(*LADDERS)
def test_a_vote_about_a_par_says_no_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


@pytest.fixture
def council():
    alliance = found()
    yield alliance
    alliance.check()


def fall(par_redeem, *, par_accrue=None, program="star", series="star-1"):
    return SetPar(par_accrue or par_redeem, par_redeem, program, series)


def announce(alliance, par_redeem, *, ahead=10):
    message = AnnouncePar(alliance.height + ahead, 70_000, par_redeem, "star", "star-1")
    return alliance.ask(CINEMA, message).code


def test_a_par_falls_below_the_band_by_vote_and_its_holders_are_paid_the_new_one(council):
    council.earn(ANNA, 100, "star")
    council.must(CINEMA, grant("redeem", "star", FRESH))
    assert spend(council, FRESH, program="star", points=10, reference="before").code == "OK"
    assert announce(council, 62_999) == "PAR_OUTSIDE_BAND"
    height = carry(council, fall(50_000))
    council.reach(height - 1)
    owed = council.get("debit", CINEMA)
    assert come_to(council, height)["p"].code == "OK"
    assert spend(council, FRESH, program="star", points=10, reference="after").code == "OK"
    assert (owed, council.get("debit", CINEMA)) == (700_000, 1_200_000)
    assert council.get("series", "star|star-1").pars == (
        Pars(5, 70_000, 70_000),
        Pars(height, 50_000, 50_000),
    )


def test_the_band_is_measured_from_the_opening_also_after_a_vote(council):
    """Nobody walks a par down in small steps, and a vote gives its issuer no new beginning."""
    assert announce(council, 63_000) == "OK"
    council.reach(council.height + 10)
    assert announce(council, 62_999) == "PAR_OUTSIDE_BAND", "a tenth below the opening, in however many steps"
    assert decide(council, fall(40_000, par_accrue=70_000)).code == "OK"
    for par in (39_999, 40_000, 36_000, 62_999):
        assert announce(council, par) == "PAR_OUTSIDE_BAND"
    assert announce(council, 63_000) == "OK", "back into the band its issuer may"


def test_steps_below_the_band_each_take_a_vote(council):
    for number, par in enumerate((62_000, 61_000, 60_000)):
        assert announce(council, par) == "PAR_OUTSIDE_BAND"
        assert decide(council, fall(par), name=f"step-{number}").code == "OK"


def test_what_the_issuer_announced_for_later_is_void(council):
    assert announce(council, 65_000, ahead=200) == "OK"
    assert decide(council, fall(50_000, par_accrue=70_000)).code == "OK"
    assert [pars.redeem for pars in council.get("series", "star|star-1").pars] == [70_000, 50_000]
    assert announce(council, 66_000, ahead=20) == "OK", "and what comes after it has room again"


def test_a_quote_from_before_the_vote_is_dead(council):
    """Whoever was asked for the old rates is asked again: across a rate height nothing is exchanged."""
    council.earn(ANNA, 1_000)
    old = council.get("series", "leaf|leaf-1").pars[-1].height
    assert convert(council, points=70, rate_height=old, reference="before").code == "OK"
    assert decide(council, fall(50_000)).code == "OK"
    new = council.get("series", "star|star-1").pars[-1].height
    assert convert(council, points=70, rate_height=old, reference="across").code == "QUOTE_EXPIRED"
    outcome = convert(council, points=70, rate_height=new, reference="after")
    assert (outcome.code, old < new) == ("OK", True)


def test_a_hold_settles_at_its_own_par_whatever_is_voted(council):
    council.must(CINEMA, grant("redeem", "star", FRESH))
    council.earn(ANNA, 100, "star")
    assert set_aside(council, FRESH, program="star", points=10).code == "OK"
    assert decide(council, fall(50_000)).code == "OK"
    assert capture(council, FRESH, program="star", points=10).code == "OK"
    assert council.get("debit", CINEMA) == 700_000


def test_a_series_that_is_not_open_yet_opens_at_the_voted_par(council):
    height = council.height + 40
    council.must(CINEMA, OpenSeries(height, 0, 80_000, 75_000, "star", "star-2"))
    assert decide(council, fall(60_000, series="star-2")).code == "OK"
    council.reach(height)
    outcome = council.earn(ANNA, 1, "star")
    assert outcome.lots[0].series == "star-2"
    context = council.executor.context(time=council.time)
    assert get_series_terms(council.state, context, "star", "star-2").par_redeem == 60_000


def test_of_two_votes_for_one_height_the_later_name_holds(council):
    carry(council, fall(60_000), name="a", effective_height=50)
    carry(council, fall(50_000), name="b", effective_height=50)
    assert [outcome.code for outcome in come_to(council, 50).values()] == ["OK", "OK"]
    assert council.get("series", "star|star-1").pars[1:] == (Pars(50, 50_000, 50_000),)


def test_a_par_that_would_not_fall_needs_no_vote_and_gets_none(council):
    for par in (70_000, 70_001, 10**6):
        assert propose(council, fall(par)).code == "PAR_RISE_NEEDS_NO_VOTE"
    assert propose(council, fall(69_999, par_accrue=69_999)).code == "OK"


def test_only_voters_let_a_par_fall(council):
    assert propose(council, fall(50_000), sender=PETROL).code == "OK", "any of them may propose it"
    assert announce(council, 50_000) == "PAR_OUTSIDE_BAND", "and its issuer alone may not"


def test_a_par_that_a_vote_lets_fall_does_not_come_back_above_what_points_then_cost(council):
    """Buy at the fallen price, wait for the announced rise, spend: the vote voids the rise, and a new one
    that would pay for waiting is refused.
    """
    rise = AnnouncePar(council.height + 30, 20_000, 10_400, "leaf", "leaf-1")
    council.must(FRESH, rise)
    assert propose(council, SetPar(6_000, 5_000, "leaf", "leaf-1")).code == "PAR_BELOW_FLOOR"
    decide(council, ChangeParameter(parameter="par_floor_micros", value=1_000), name="floor")
    assert decide(council, SetPar(6_000, 5_000, "leaf", "leaf-1"), name="fall").code == "OK"
    assert [pars.redeem for pars in council.get("series", "leaf|leaf-1").pars] == [10_000, 5_000]
    again = replace(rise, effective_height=council.height + 30)
    assert council.ask(FRESH, again).code == "PAR_ACCRUE_BELOW_REDEEM"
