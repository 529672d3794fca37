"""What an issuer's points are worth is announced ahead, keeps floor and band, leaves nothing to wait for."""

from __future__ import annotations

import pytest

from contracts.messages import AnnouncePar, OpenProgram, OpenSeries
from tests.contracts.alliance import Alliance
from tests.contracts.cast import ANNA, CINEMA, FRESH, OPERATOR, PETROL, grant
from tests.contracts.ladder import Attempt, Ladder, every_row, fall_from
from tests.contracts.purchases import buy, convert, spend


def announce_many(it: Attempt) -> None:
    """As many announcements as may lie ahead, all before this one."""
    begin = it.alliance.height + 50
    pars = [AnnouncePar(begin + number, 10_500, 10_000, "leaf", "leaf-1") for number in range(32)]
    it.alliance.must(FRESH, *pars)
    it.set(effective_height=begin + 100)


def ask_for_the_last_height(it: Attempt) -> None:
    """The height for which an announcement stands already."""
    it.set(effective_height=it.alliance.get("series", "leaf|leaf-1").pars[-1].height)


def open_many(it: Attempt) -> None:
    """As many series as may lie ahead, all before this one, which is one height short of the notice."""
    begin = it.alliance.height + 100
    opened = [
        OpenSeries(begin + number, 12, 10_000, 10_000, "leaf", f"later-{number}") for number in range(32)
    ]
    it.alliance.must(FRESH, *opened)
    it.alliance.reach(it.alliance.height + 40)
    it.set(effective_height=it.alliance.height + 99)


def a_par() -> Attempt:
    """Within the band, after the notice. The floor is far below the band, so that both can be broken."""
    return Attempt(
        AnnouncePar,
        sender=FRESH,
        alliance=Alliance(parameters={"par_floor_micros": 20}).open(),
        effective_height=60,
        par_accrue=10_000,
        par_redeem=10_000,
        program="leaf",
        series="leaf-1",
    )


def a_series() -> Attempt:
    return Attempt(
        OpenSeries,
        sender=FRESH,
        alliance=Alliance(parameters={"rate_notice_heights": 100}).open(),
        effective_height=500,
        expiry_months=1,
        par_accrue=10_000,
        par_redeem=10_000,
        program="leaf",
        series="leaf-2",
    )


#   Each row breaks one more thing than the row below it. A par below the floor is outside the band too.
LADDERS = [
    Ladder(
        "open_program",
        lambda: Attempt(OpenProgram, sender=FRESH, name="New", program="new", spend_per_point=333_334),
        [("PROGRAM_EXISTS", lambda it: it.set(program="mile"))],
    ),
    Ladder(
        "open_series",
        a_series,
        [
            ("PROGRAM_UNKNOWN", lambda it: it.set(program="nowhere")),
            ("NOT_ISSUER", lambda it: setattr(it, "sender", PETROL)),
            ("SERIES_EXISTS", lambda it: it.set(series="leaf-1")),
            ("HEIGHT_NOT_AHEAD", lambda it: it.set(effective_height=it.alliance.height)),
            ("TOO_MANY_ANNOUNCED", open_many),
            ("NOTICE_TOO_SHORT", lambda it: it.set(effective_height=it.alliance.height + 99)),
            ("PAR_BELOW_FLOOR", lambda it: it.set(par_redeem=9_999, par_accrue=9_998)),
            ("PAR_ACCRUE_BELOW_REDEEM", lambda it: it.set(par_accrue=9_999)),
        ],
    ),
    Ladder(
        "announce_par",
        a_par,
        [
            ("PROGRAM_UNKNOWN", lambda it: it.set(program="nowhere")),
            ("NOT_ISSUER", lambda it: setattr(it, "sender", PETROL)),
            ("SERIES_UNKNOWN", lambda it: it.set(series="nope")),
            ("NOTICE_TOO_SHORT", lambda it: it.set(effective_height=it.alliance.height + 9)),
            ("PAR_NOT_IN_ORDER", ask_for_the_last_height),
            ("PAR_BELOW_FLOOR", lambda it: it.set(par_redeem=9, par_accrue=8)),
            ("PAR_OUTSIDE_BAND", lambda it: it.set(par_redeem=8_999, par_accrue=8_998)),
            ("PAR_ACCRUE_BELOW_REDEEM", lambda it: it.set(par_accrue=9_999)),
            ("TOO_MANY_ANNOUNCED", announce_many),
        ],
    ),
]


@every_row(*LADDERS)
def test_programs_are_turned_down_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


def par(alliance, accrue, redeem, *, ahead=10, issuer=FRESH, series="leaf-1", program="leaf"):
    return alliance.ask(issuer, AnnouncePar(alliance.height + ahead, accrue, redeem, program, series)).code


def series(
    alliance, name, *, ahead=10, accrue=10_000, redeem=10_000, months=12, program="leaf", issuer=FRESH
):
    message = OpenSeries(alliance.height + ahead, months, accrue, redeem, program, name)
    return alliance.ask(issuer, message).code


def test_the_first_series_needs_no_notice_and_every_later_one_does(alliance):
    alliance.must(FRESH, OpenProgram("New", "new", 1_000_000))
    assert series(alliance, "first", ahead=0, program="new") == "HEIGHT_NOT_AHEAD"
    assert series(alliance, "first", ahead=1, program="new") == "OK"
    assert series(alliance, "second", ahead=9, program="new") == "NOTICE_TOO_SHORT"
    assert series(alliance, "second", ahead=10, program="new") == "OK"
    # The next opens after the one that is announced.
    assert series(alliance, "third", ahead=9, program="new") == "HEIGHT_NOT_AHEAD"
    assert series(alliance, "third", ahead=10, program="new") == "OK"


def test_a_series_id_is_the_programs_own(alliance):
    assert series(alliance, "mile-1") == "OK"
    assert series(alliance, "mile-1", ahead=20) == "SERIES_EXISTS"


def test_there_is_no_devaluation_in_small_steps(alliance):
    """The band is measured from the opening par, ten per cent below it at most, however many steps."""
    for redeem, code in [
        (15_000, "OK"),
        (14_250, "OK"),
        (13_500, "OK"),
        (13_499, "PAR_OUTSIDE_BAND"),
        (12_150, "PAR_OUTSIDE_BAND"),
    ]:
        assert par(alliance, 16_000, redeem, issuer=PETROL, program="mile", series="mile-1") == code
        alliance.reach(alliance.height + 12)


def test_the_bands_edge_is_rounded_in_favour_of_who_holds_points():
    alliance = Alliance(parameters={"par_band_basis_points": 333, "par_floor_micros": 1}).open()
    # 15,000 less 3.33 % is 14,500.5
    assert par(alliance, 16_000, 14_500, issuer=PETROL, program="mile", series="mile-1") == "PAR_OUTSIDE_BAND"
    assert par(alliance, 16_000, 14_501, issuer=PETROL, program="mile", series="mile-1") == "OK"


def test_points_already_earned_keep_their_worth_when_a_cheaper_series_opens(alliance):
    alliance.must(CINEMA, grant("redeem", "star", FRESH))
    alliance.earn(ANNA, 100, "star")
    opens = alliance.height + 10
    assert series(alliance, "cheap", program="star", issuer=CINEMA) == "OK"
    alliance.reach(opens)
    alliance.earn(ANNA, 100, "star")
    legs = spend(alliance, program="star", points=200).legs
    assert sum(leg.micros for leg in legs) == 100 * 70_000 + 100 * 10_000


def test_par_redeem_may_not_rise_above_what_a_point_costs_today(alliance):
    # In force now: accrue 10,500, redeem 10,000.
    assert par(alliance, 12_000, 10_501) == "PAR_ACCRUE_BELOW_REDEEM"
    assert par(alliance, 12_000, 10_500) == "OK"


def test_no_par_accrue_may_fall_below_a_rise_that_is_announced(alliance):
    assert par(alliance, 10_500, 10_400, ahead=30) == "OK"
    # Announcements stand in order of height, so none can be slipped in before it.
    assert par(alliance, 10_300, 10_000, ahead=20) == "PAR_NOT_IN_ORDER"
    assert par(alliance, 10_300, 10_300, ahead=40) == "OK"
    assert par(alliance, 10_200, 10_300, ahead=50) == "PAR_ACCRUE_BELOW_REDEEM"


def test_a_rise_is_announced_only_when_points_already_cost_as_much(alliance):
    dearer = alliance.height + 10
    assert par(alliance, 20_000, 10_000) == "OK"
    alliance.reach(dearer - 1)
    assert par(alliance, 20_000, 20_000) == "PAR_ACCRUE_BELOW_REDEEM"
    assert alliance.height == dearer
    assert par(alliance, 20_000, 20_000) == "OK"


@pytest.mark.parametrize("wait", [0, 4, 7])
def test_no_waiting_for_an_announced_rise_gains(alliance, wait):
    """Star to leaf while a rise of leaf is announced, back to star when it has come: no star more.

    Had the rise been announced at the old price of 10,500, a thousand stars would have become 1,333.
    """
    alliance.must(FRESH, grant("exchange_in", "leaf", CINEMA))
    dearer = alliance.height + 10
    assert par(alliance, 14_000, 10_000) == "OK"
    alliance.reach(dearer)
    risen = alliance.height + 10
    assert par(alliance, 14_000, 14_000) == "OK"
    alliance.reach(alliance.height + wait)
    alliance.earn(ANNA, 1_000, "star")
    enter = convert(alliance, points=1_000, program="star", target="leaf", rate_height=dearer, reference="in")
    assert (enter.code, alliance.points(ANNA)) == ("OK", 5_000)
    alliance.reach(risen)
    assert convert(alliance, points=5_000, rate_height=risen, reference="out").code == "OK"
    assert alliance.points(ANNA, "star") == 1_000
    assert dict(alliance.state.list_records("position")) == {CINEMA: 0, FRESH: 0}


def test_pars_are_the_opening_ones_until_an_announced_height_and_then_the_new(alliance):
    alliance.earn(ANNA, 1_000)
    assert par(alliance, 11_000, 9_500) == "PAR_BELOW_FLOOR"
    effective = alliance.height + 10
    assert par(alliance, 11_000, 10_100) == "OK"
    seen = []
    for number in range(effective - 3, effective + 2):
        alliance.reach(number)
        seen.append(
            sum(leg.micros for leg in spend(alliance, PETROL, points=1, reference=f"o-{number}").legs)
        )
    assert seen == [10_000, 10_000, 10_000, 10_100, 10_100]


def test_an_announcement_before_a_series_opens_is_for_after_its_opening(alliance):
    assert series(alliance, "leaf-2", ahead=20, accrue=12_000, redeem=11_000) == "OK"
    assert par(alliance, 12_000, 12_000, ahead=15, series="leaf-2") == "PAR_NOT_IN_ORDER"
    assert par(alliance, 12_000, 12_000, ahead=25, series="leaf-2") == "OK"


def test_spend_per_point_is_the_programs_for_good(alliance):
    alliance.must(OPERATOR, OpenProgram("Three", "three", 333_334))
    assert series(alliance, "first", ahead=1, program="three", issuer=OPERATOR) == "OK"
    assert buy(alliance, OPERATOR, program="three", amount=1_000_002).points == 3
    assert alliance.ask(OPERATOR, OpenProgram("Three", "three", 10**6)).code == "PROGRAM_EXISTS"


#   32 changes ahead, the first of them ten heights from now
AHEAD = [
    lambda height, _: AnnouncePar(height, 10_500, 10_000, "leaf", "leaf-1"),
    lambda height, number: OpenSeries(height, 12, 10_000, 10_000, "leaf", f"later-{number}"),
]


@pytest.mark.parametrize("make", AHEAD)
def test_room_for_announcements_comes_back_with_time(alliance, make):
    first = alliance.height + 10
    alliance.must(FRESH, *[make(first + number, number) for number in range(32)])
    assert alliance.ask(FRESH, make(first + 40, 40)).code == "TOO_MANY_ANNOUNCED"
    alliance.reach(first)
    assert alliance.ask(FRESH, make(first + 40, 40)).code == "OK"
    assert alliance.ask(FRESH, make(first + 41, 41)).code == "OK"
    assert alliance.ask(FRESH, make(first + 42, 42)).code == "OK"


def test_what_is_past_is_dropped_and_what_holds_stays(alliance):
    """However often prices and series change, the records stay short and the terms are those announced."""
    for number in range(12):
        alliance.must(
            FRESH, AnnouncePar(alliance.height + 10, 10_500 + number, 10_000 + number, "leaf", "leaf-1")
        )
        alliance.reach(alliance.height + 10)
    record = alliance.get("series", "leaf|leaf-1")
    assert (len(record.pars), record.pars[0].redeem, record.pars[-1].redeem) == (3, 10_000, 10_011)
    assert buy(alliance, PETROL).legs[0].micros == 40 * 10_511
    for number in range(5):
        alliance.must(FRESH, OpenSeries(alliance.height + 10, 12, 20_000, 20_000, "leaf", f"later-{number}"))
        alliance.reach(alliance.height + 10)
    assert len(alliance.get("program", "leaf").series) == 2
    assert [lot.series for lot in buy(alliance, reference="new").lots] == ["later-4"]
    # A series that is not issued any more is spent at its own par, and its id stays taken.
    assert [leg.micros for leg in spend(alliance, PETROL, points=40).legs] == [396_436, 4_004]
    assert series(alliance, "leaf-1") == "SERIES_EXISTS"
