"""A hold's time: until just before its end it can be captured; then it goes back by itself; days pass."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from contracts.messages import Lapse
from ledger.errors import Refused
from ledger.outcome import Lot
from tests.contracts.alliance import Alliance, read_leaf
from tests.contracts.cast import (
    ANNA,
    BORIS,
    DAY_MILLIS,
    PETROL,
    START,
    TODAY,
)
from tests.contracts.orders import (
    WEEK_MILLIS,
    capture,
    exposure_of,
    release,
    set_aside,
)
from tests.contracts.purchases import spend


def lapses(alliance) -> list:
    """What the next block does by itself."""
    block = alliance.cut()
    return [read_leaf(leaf) for leaf in block.leaves if leaf.startswith(b'{"@type":"system"')]


#   milliseconds from the hold's end, what ends it, code
AT_THE_END = [
    (-1, capture, "OK"),
    (0, capture, "HOLD_FINAL"),
    (1, capture, "HOLD_FINAL"),
    (-1, release, "OK"),
    (0, release, "OK"),
    (1, release, "OK"),
]


@pytest.mark.parametrize(("late", "end", "code"), AT_THE_END)
def test_a_hold_is_captured_before_its_end_and_released_until_it_lapses(alliance, late, code, end):
    """START is no full minute, so the hold has not lapsed yet; it cannot be captured all the same."""
    alliance.earn(ANNA, 100)
    set_aside(alliance, PETROL, expires=START + 1_000)
    alliance.time = START + 1_000 + late
    assert alliance.time // 60_000 == START // 60_000
    assert end(alliance, PETROL).code == code
    assert bool(alliance.held(ANNA)) == (code != "OK")


#   where in its minute a hold ends: the lapse is due with the first full minute at or after it
MINUTES = [(-1, 0), (0, 0), (1, 60_000), (59_999, 60_000)]


@pytest.mark.parametrize(("past", "due"), MINUTES)
def test_a_hold_lapses_with_the_first_full_minute_at_or_after_its_end(alliance, past, due):
    minute = (START // 60_000 + 10) * 60_000
    alliance.earn(ANNA, 100)
    set_aside(alliance, PETROL, expires=minute + past)
    index = len(alliance.leaves) - 2
    alliance.time = minute + due - 1
    assert lapses(alliance) == []
    assert alliance.held(ANNA) != ()
    alliance.time = minute + due
    ((message, outcome),) = lapses(alliance)
    assert message == Lapse(hold="order", hold_day=TODAY, member=ANNA, program="leaf", sender=PETROL)
    assert (outcome.code, outcome.balance, outcome.points, outcome.original) == ("OK", 100, 100, index)
    assert outcome.released == [Lot(20_057, 5, 0, 100, "leaf-1", 0)]
    assert (alliance.held(ANNA), exposure_of(alliance)) == ((), 0)
    assert lapses(alliance) == []
    assert capture(alliance, PETROL).code == release(alliance, PETROL).code == "HOLD_FINAL"


def test_a_lapsed_holds_points_can_be_spent_in_the_very_block(alliance):
    alliance.earn(ANNA, 100)
    set_aside(alliance)
    alliance.wait(seconds=3_660)
    assert spend(alliance, reference="next").code == "OK"


def test_a_held_lot_does_not_expire_while_it_is_held(alliance):
    alliance.place(ANNA, "leaf", Lot(TODAY, 5, 0, 100, "leaf-1", 0))
    set_aside(alliance, PETROL, expires=START + WEEK_MILLIS)
    alliance.wait(days=3)
    assert lapses(alliance) == []
    assert alliance.points(ANNA) == 100
    outcome = capture(alliance, PETROL)
    assert (outcome.code, outcome.balance, outcome.expired) == ("OK", 0, UNSET)
    assert outcome.lots == [Lot(TODAY, 5, 0, 100, "leaf-1", 0)]


#   days after the hold: while the lot has its day, and after it
RELEASED = [(0, None), (1, [Lot(TODAY, 5, 0, 60, "leaf-1", 0)])]


@pytest.mark.parametrize(("days", "expired"), RELEASED)
def test_a_lot_released_after_its_day_lapses_at_once(alliance, days, expired):
    lots = [Lot(TODAY, 5, 0, 60, "leaf-1", 0), Lot(TODAY + 1, 5, 0, 60, "leaf-1", 0)]
    alliance.place(ANNA, "leaf", *lots)
    set_aside(alliance, PETROL, expires=START + WEEK_MILLIS)
    alliance.wait(days=days)
    outcome = release(alliance, PETROL)
    assert (outcome.code, outcome.points) == ("OK", 100)
    assert outcome.released == [lots[0], Lot(TODAY + 1, 5, 0, 40, "leaf-1", 0)]
    assert outcome.expired == (expired or UNSET)
    assert outcome.balance == alliance.points(ANNA) == (60 if expired else 120)
    assert alliance.get("tally", "leaf|expired") == (60 if expired else None)
    assert alliance.held(ANNA) == ()


def test_what_a_capture_leaves_over_lapses_where_its_day_has_passed(alliance):
    lots = [Lot(TODAY, 5, 0, 60, "leaf-1", 0), Lot(TODAY + 9, 5, 0, 60, "leaf-1", 0)]
    alliance.place(ANNA, "leaf", *lots)
    set_aside(alliance, PETROL, expires=START + WEEK_MILLIS)
    alliance.wait(days=1)
    outcome = capture(alliance, PETROL, points=50)
    assert outcome.lots == [Lot(TODAY, 5, 0, 50, "leaf-1", 0)]
    assert outcome.expired == [Lot(TODAY, 5, 0, 10, "leaf-1", 0)]
    assert outcome.released == [*outcome.expired, Lot(TODAY + 9, 5, 0, 40, "leaf-1", 0)]
    assert outcome.balance == alliance.points(ANNA) == 60
    assert alliance.get("tally", "leaf|expired") == 10


def test_a_lapse_after_the_lots_day_gives_nothing_back(alliance):
    alliance.place(ANNA, "leaf", Lot(TODAY, 5, 0, 100, "leaf-1", 0))
    set_aside(alliance, PETROL, expires=START + 2 * DAY_MILLIS)
    alliance.wait(days=2, seconds=60)
    ((_, outcome),) = lapses(alliance)
    assert (outcome.code, outcome.balance, outcome.points) == ("OK", 0, 100)
    assert outcome.expired == outcome.released == [Lot(TODAY, 5, 0, 100, "leaf-1", 0)]
    assert alliance.get("account", f"{ANNA}|leaf") is None


def test_lapses_and_expiries_go_in_order_of_their_minute_expiry_first(alliance):
    """A day ends at a full minute; a hold that ends at the same one comes after what expires."""
    midnight = (TODAY + 1) * DAY_MILLIS - 480 * 60_000
    alliance.place(BORIS, "leaf", Lot(TODAY, 5, 0, 7, "leaf-1", 0))
    alliance.place(ANNA, "leaf", Lot(TODAY, 5, 0, 7, "leaf-1", 0), Lot(TODAY + 1, 5, 0, 300, "leaf-1", 0))
    for reference, expires in (("c", midnight), ("b", midnight - 60_000), ("a", midnight + 1)):
        assert set_aside(alliance, PETROL, points=50, reference=reference, expires=expires).code == "OK"
    alliance.time = midnight + 60_000
    told = [
        (type(message).__name__, message.member, getattr(message, "hold", None))
        for message, _ in lapses(alliance)
    ]
    assert told == [
        ("Lapse", ANNA, "b"),
        ("Expire", BORIS, None),
        ("Lapse", ANNA, "c"),
        ("Lapse", ANNA, "a"),
    ]
    # The 7 that were held when their day ended came back too late.
    assert alliance.points(ANNA) == 300


def test_a_block_does_only_so_many_lapses_and_none_can_be_captured_meanwhile():
    alliance = Alliance(parameters={"due_entries_max": 1}).open()
    alliance.earn(ANNA, 300)
    for reference in ("a", "b"):
        set_aside(alliance, PETROL, reference=reference)
    alliance.wait(days=1)
    outcome = capture(alliance, PETROL, hold="b")
    assert outcome.code == "HOLD_FINAL"
    assert alliance.held(ANNA) == (Lot(20_057, 5, 0, 100, "leaf-1", 0),)
    alliance.cut()
    assert alliance.held(ANNA) == ()
    alliance.check()


def test_nobody_can_send_a_lapse(alliance):
    with pytest.raises(Refused, match="MALFORMED"):
        alliance.submit(PETROL, Lapse("o", TODAY, ANNA, "leaf", PETROL), purpose="govern")


#   days since the hold, code: what lies more than 1,000 days back is forgotten
MEMORY = [(999, "HOLD_FINAL"), (1_000, "HOLD_FINAL"), (1_001, "HOLD_UNKNOWN")]


@pytest.mark.parametrize("end", [capture, release])
@pytest.mark.parametrize(("days", "code"), MEMORY)
def test_a_final_hold_is_remembered_for_a_thousand_days(alliance, days, code, end):
    alliance.earn(ANNA, 100)
    set_aside(alliance, PETROL)
    release(alliance, PETROL)
    alliance.wait(days=days)
    assert end(alliance, PETROL).code == code
