"""A window is cut where it was said, by height or by days; what is in it is what came before, and no more."""

from __future__ import annotations

import pytest

from contracts.messages import Cut, CutWindow, Enact, Vote
from contracts.messages.actions import ChangeParameter
from ledger.outcome import Event
from tests.contracts.alliance import Alliance
from tests.contracts.cast import ANNA, CINEMA, DAY_MILLIS, FRESH, OPERATOR, PETROL, START
from tests.contracts.ladder import Attempt, Ladder, every_row, fall_from
from tests.contracts.orders import capture, refund, set_aside
from tests.contracts.purchases import spend
from tests.contracts.windows import (
    cut_window,
    events_of,
    get_record,
    propose,
    read_statement,
    read_system,
    settle,
    trade,
)


def let_windows_wait(it: Attempt) -> None:
    """As many are neither settled nor aborted as may be."""
    while cut_window(it.alliance) < 128:
        pass
    it.set(effective_height=it.alliance.height + 100)


#   Each row breaks one more thing than the row below it.
LADDERS = [
    Ladder(
        "cut_window",
        lambda: Attempt(CutWindow, sender=OPERATOR, effective_height=100),
        [
            ("NOT_OPERATOR", lambda it: setattr(it, "sender", FRESH)),
            ("HEIGHT_NOT_AHEAD", lambda it: it.set(effective_height=it.alliance.height)),
            ("TOO_MANY_WINDOWS", let_windows_wait),
        ],
    ),
]


@every_row(*LADDERS)
def test_cuts_are_turned_down_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


def lines_of(alliance, number=1):
    return {
        (line.source, line.destination, line.reason): int(line.micros)
        for line in read_statement(alliance, number).lines
    }


def test_a_window_ends_before_the_height_that_was_named(alliance):
    trade(alliance)
    alliance.must(OPERATOR, CutWindow(alliance.height + 3))
    assert spend(alliance, PETROL, points=1, reference="within").code == "OK"
    assert spend(alliance, PETROL, points=1, reference="within-too").code == "OK"
    first_of_next = alliance.height
    assert spend(alliance, PETROL, points=2, reference="after").code == "OK"
    record = get_record(alliance)
    assert (record.first_height, record.last_height, record.state) == (1, first_of_next - 1, "closed")
    message, outcome = read_system(alliance)[0]
    assert (message, outcome.statement) == (Cut(1), record.statement)
    assert outcome.events == [Event(about="1", name="WINDOW_CLOSED")]
    assert lines_of(alliance)[FRESH, PETROL, "redeem"] == 990_000 + 2 * 9_900
    cut_window(alliance)
    assert lines_of(alliance, 2) == {
        (FRESH, OPERATOR, "commission"): 200,
        (FRESH, PETROL, "redeem"): 19_800,
    }
    assert (get_record(alliance, 2).first_height, read_statement(alliance, 2).previous) == (
        first_of_next,
        record.statement,
    )


def test_a_later_word_replaces_an_earlier_one(alliance):
    alliance.must(OPERATOR, CutWindow(alliance.height + 2))
    alliance.must(OPERATOR, CutWindow(alliance.height + 5))
    alliance.reach(alliance.height + 4)
    assert get_record(alliance) is None
    alliance.reach(alliance.height + 1)
    assert get_record(alliance).last_height == alliance.height - 2


#   The genesis is of the morning of day 19,676; the chain's day begins at 16:00 UTC.
MIDNIGHT = 19_676 * DAY_MILLIS + DAY_MILLIS - 8 * 3_600_000


@pytest.mark.parametrize(
    ("days", "time", "is_cut"),
    [
        (1, START, False),
        (1, MIDNIGHT - 1, False),
        (1, MIDNIGHT, True),
        (7, MIDNIGHT + 6 * DAY_MILLIS - 1, False),
        (7, MIDNIGHT + 6 * DAY_MILLIS, True),
        (7, MIDNIGHT + 60 * DAY_MILLIS, True),
        (0, MIDNIGHT + 60 * DAY_MILLIS, False),
    ],
)
def test_a_window_ends_with_its_days(days, time, is_cut):
    alliance = Alliance(parameters={"window_days": days})
    alliance.time = time
    alliance.cut()
    record = get_record(alliance)
    assert (record is not None) == is_cut
    if record is not None:
        assert (record.opened_at, record.closed_at) == (START, time)
        assert (record.first_height, record.last_height, record.parties) == (1, 0, ())
        statement = read_statement(alliance)
        assert (statement.lines, statement.positions, statement.transfers) == ([], [], [])
    alliance.check()


def test_days_are_counted_from_the_cut_before_and_one_block_cuts_once():
    alliance = Alliance(parameters={"window_days": 7}).open()
    alliance.wait(days=30)
    alliance.cut()
    assert [type(message) for message, _ in read_system(alliance)] == [Cut]
    alliance.wait(days=6)
    alliance.cut()
    assert get_record(alliance, 2) is None
    alliance.wait(days=1)
    alliance.cut()
    assert get_record(alliance, 2).opened_at == get_record(alliance, 1).closed_at
    assert get_record(alliance, 2).first_height == get_record(alliance, 1).last_height + 1


def test_a_window_that_nobody_stands_in_is_settled_by_the_clock(alliance):
    number = cut_window(alliance)
    alliance.wait(days=4)
    alliance.cut()
    assert events_of(read_system(alliance)[0][1]) == [("WINDOW_CONFIRMED", "1"), ("WINDOW_SETTLED", "1")]
    assert get_record(alliance, number).state == "settled"


def test_a_hold_settles_in_the_window_of_its_capture(alliance):
    alliance.earn(ANNA, 100)
    assert set_aside(alliance, PETROL).code == "OK"
    cut_window(alliance)
    assert lines_of(alliance) == {}
    assert alliance.get("exposure", FRESH).held == 1_000_000
    assert capture(alliance, PETROL).code == "OK"
    cut_window(alliance)
    assert lines_of(alliance, 2) == {
        (FRESH, OPERATOR, "commission"): 10_000,
        (FRESH, PETROL, "redeem"): 990_000,
    }


def test_a_refund_after_the_cut_goes_into_the_open_window(alliance):
    alliance.earn(ANNA, 100)
    assert spend(alliance, PETROL).code == "OK"
    settle(alliance)
    before = read_statement(alliance)
    assert refund(alliance, PETROL).code == "OK"
    assert read_statement(alliance) == before
    cut_window(alliance)
    assert lines_of(alliance, 2) == {
        (OPERATOR, FRESH, "commission_return"): 10_000,
        (PETROL, FRESH, "redeem_return"): 990_000,
    }


def test_a_window_over_many_entries_is_the_sum_of_them(alliance):
    alliance.earn(ANNA, 5_000)
    legs: dict[tuple[str, str, str], int] = {}
    for number in range(120):
        acceptor = (PETROL, CINEMA)[number % 2]
        outcome = spend(alliance, acceptor, points=1 + number % 13, reference=f"s-{number}")
        for leg in outcome.legs:
            key = (leg.source, leg.destination, leg.reason)
            legs[key] = legs.get(key, 0) + leg.micros
    cut_window(alliance)
    assert lines_of(alliance) == legs


def test_what_a_block_enacts_before_it_cuts_is_known_to_the_cut(alliance):
    trade(alliance)
    name, _ = propose(alliance, ChangeParameter(parameter="payment_unit_micros", value=100_000))
    alliance.must(OPERATOR, CutWindow(alliance.height + 2))
    alliance.must(OPERATOR, Vote("yes", 0, name))
    alliance.cut()
    assert [type(message) for message, _ in read_system(alliance)] == [Enact, Cut]
    assert get_record(alliance).unit_micros == 100_000


def test_no_block_but_the_one_that_cuts_writes_anything_of_a_window(alliance):
    tables = ("window", "stated", "carry", "brought", "statement", "open_window")
    trade(alliance)
    assert {name: alliance.state.list_records(name) for name in tables} == {name: [] for name in tables}


def test_settling_lets_nobody_owe_what_is_settled(alliance):
    trade(alliance)
    settle(alliance)
    for name, debit in alliance.state.list_records("debit"):
        assert alliance.get("exposure", name).relieved == debit
    trade(alliance, 1)
    assert alliance.get("debit", FRESH) - alliance.get("exposure", FRESH).relieved == 1_500_000
