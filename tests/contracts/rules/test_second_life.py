"""A refund gives a lot past its day one grace, and never a second: no path makes an old point young.

The lot's last day is ten days ahead, so its grace of thirty days ends with the fortieth.
"""

from __future__ import annotations

import pytest
from msgspec import UNSET

from contracts.messages import OpenProgram, OpenSeries
from ledger.outcome import Lot
from tests.contracts.alliance import Alliance
from tests.contracts.cast import ANNA, BORIS, CINEMA, CLARA, DAY_MILLIS, FRESH, PETROL, TODAY
from tests.contracts.orders import capture, give, refund, release, set_aside
from tests.contracts.purchases import convert, spend

LAST_DAY = TODAY + 10
FIRST_LIFE = Lot(LAST_DAY, 5, 0, 100, "leaf-1", 0)
SECOND_LIFE = Lot(LAST_DAY + 30, 5, LAST_DAY, 100, "leaf-1", 0)

#   days from today, what comes back, what lapses at once
LIVES = [
    (0, [FIRST_LIFE], None),
    (10, [FIRST_LIFE], None),
    (11, [SECOND_LIFE], None),
    (40, [SECOND_LIFE], None),
    (41, None, [FIRST_LIFE]),
    (180, None, [FIRST_LIFE]),
]


@pytest.mark.parametrize("sender", [FRESH, PETROL])
@pytest.mark.parametrize(("days", "lots", "expired"), LIVES)
def test_a_lot_past_its_day_comes_back_once_until_its_grace_is_over(alliance, sender, days, lots, expired):
    alliance.place(ANNA, "leaf", FIRST_LIFE)
    spend(alliance, sender)
    alliance.wait(days=days)
    outcome = refund(alliance, sender)
    assert outcome.code == "OK"
    assert (outcome.lots, outcome.expired) == (lots or UNSET, expired or UNSET)
    assert outcome.balance == alliance.points(ANNA) == (100 if lots else 0)
    assert alliance.get("tally", "leaf|expired") == (100 if expired else None)
    # Who owed whom is undone all the same: the acceptor was paid for points it gave back.
    assert alliance.position(FRESH) == alliance.position(PETROL) == 0


def test_a_refund_that_lapses_at_once_is_refunded_all_the_same(alliance):
    alliance.place(ANNA, "leaf", FIRST_LIFE)
    spend(alliance, PETROL)
    alliance.wait(days=41)
    assert refund(alliance, PETROL, points=60, reference="a").expired == [
        Lot(LAST_DAY, 5, 0, 60, "leaf-1", 0)
    ]
    assert refund(alliance, PETROL, points=41, reference="b").code == "REFUND_ABOVE_ORIGINAL"
    assert refund(alliance, PETROL, points=40, reference="b").code == "OK"


@pytest.mark.parametrize(("grace", "days", "expires"), [(0, 11, None), (90, 100, 100), (90, 101, None)])
def test_how_long_the_grace_is_the_alliance_says(grace, days, expires):
    alliance = Alliance(parameters={"refund_grace_days": grace}).open()
    alliance.place(ANNA, "leaf", FIRST_LIFE)
    spend(alliance)
    alliance.wait(days=days)
    outcome = refund(alliance)
    told = [] if outcome.lots is UNSET else [lot.expires - TODAY for lot in outcome.lots]
    assert told == ([expires] if expires else [])
    alliance.check()


def test_parts_of_one_lot_may_have_different_lives(alliance):
    alliance.place(ANNA, "leaf", FIRST_LIFE)
    spend(alliance)
    told = []
    for days in (10, 1, 29, 1):  # its last day, the next, the last of its grace, past it
        alliance.wait(days=days)
        outcome = refund(alliance, points=10, reference=f"{alliance.time}")
        assert outcome.code == "OK"
        told.append((outcome.lots is not UNSET, outcome.expired is not UNSET))
    assert told == [(True, False), (True, False), (True, False), (False, True)]
    # The first part lapsed on the eleventh day, the second and third on the forty-first.
    assert alliance.get("tally", "leaf|expired") == 40
    assert alliance.points(ANNA) == 0


def revive(alliance, *, days=11):
    """Anna's lot is in its second life."""
    alliance.place(ANNA, "leaf", FIRST_LIFE)
    assert spend(alliance, PETROL).code == "OK"
    alliance.wait(days=days)
    assert refund(alliance, PETROL).lots == [SECOND_LIFE]


#   days from today of the second refund, what comes back, what lapses
SECOND = [(40, [SECOND_LIFE], UNSET), (41, UNSET, [SECOND_LIFE]), (70, UNSET, [SECOND_LIFE])]


@pytest.mark.parametrize(("days", "lots", "expired"), SECOND)
def test_the_second_refund_of_a_revived_lot_gets_no_second_grace(alliance, days, lots, expired):
    revive(alliance)
    assert spend(alliance, PETROL, reference="again").lots == [SECOND_LIFE]
    alliance.wait(days=days - 11)
    outcome = refund(alliance, PETROL, original="again", original_day=TODAY + 11)
    assert (outcome.code, outcome.lots, outcome.expired) == ("OK", lots, expired)


@pytest.mark.parametrize(("days", "lots", "expired"), SECOND)
def test_nor_does_it_after_a_gift(alliance, days, lots, expired):
    revive(alliance)
    assert give(alliance).lots == [SECOND_LIFE]
    assert alliance.lots(BORIS) == (SECOND_LIFE,)
    told = {"member": BORIS, "consent": UNSET, "reference": "again"}
    assert spend(alliance, FRESH, **told).lots == [SECOND_LIFE]
    alliance.wait(days=days - 11)
    outcome = refund(alliance, member=BORIS, original="again", original_day=TODAY + 11)
    assert (outcome.code, outcome.lots, outcome.expired) == ("OK", lots, expired)


@pytest.mark.parametrize("days", [40, 41])
def test_nor_does_it_after_an_exchange(alliance, days):
    revive(alliance)
    life = Lot(LAST_DAY + 30, 5, LAST_DAY, 14, "star-1", 0)
    assert convert(alliance, recipient=CLARA).received == [life]
    told = {"member": CLARA, "points": 14, "program": "star", "reference": "again"}
    assert spend(alliance, CINEMA, **told).lots == [life]
    alliance.wait(days=days - 11)
    told = {"member": CLARA, "points": 14, "program": "star", "original": "again"}
    outcome = refund(alliance, CINEMA, original_day=TODAY + 11, **told)
    assert (outcome.lots, outcome.expired) == (([life], UNSET) if days == 40 else (UNSET, [life]))


@pytest.mark.parametrize("end", [capture, release])
def test_nor_does_it_after_a_hold(alliance, end):
    revive(alliance)
    expires = alliance.time + 6 * DAY_MILLIS
    alliance.wait(days=27)
    assert alliance.time > expires  # day 38; the hold spans the end of the second life, day 40
    told = {"expires": alliance.time + 6 * DAY_MILLIS, "reference": "held"}
    assert set_aside(alliance, PETROL, **told).lots == [SECOND_LIFE]
    alliance.wait(days=5)
    outcome = end(alliance, PETROL, hold="held", hold_day=TODAY + 38)
    assert outcome.code == "OK"
    if end is release:
        assert outcome.expired == [SECOND_LIFE]
    else:
        told = {"original": "held", "original_day": TODAY + 38, "original_type": "hold"}
        assert refund(alliance, PETROL, **told).expired == [SECOND_LIFE]
    assert alliance.points(ANNA) == 0


def test_two_lives_of_one_day_stay_two_lots(alliance):
    """In its second life a lot merges with nothing that is in its first: it would get another grace."""
    revive(alliance)
    alliance.place(ANNA, "leaf", Lot(LAST_DAY + 30, 5, 0, 7, "leaf-1", 0))
    assert alliance.lots(ANNA) == (Lot(LAST_DAY + 30, 5, 0, 7, "leaf-1", 0), SECOND_LIFE)
    outcome = spend(alliance, points=50, reference="both")
    assert [lot.original for lot in outcome.lots] == [0, LAST_DAY]


def test_a_target_that_lapses_sooner_does_not_win_a_grace_of_its_own(alliance):
    """Exchanged in its second life into points that lapse sooner: the day is the target's, the life stays."""
    alliance.must(FRESH, OpenProgram("Twig", "twig", 1_000_000))
    opens = alliance.height + 1
    alliance.must(FRESH, OpenSeries(opens, 1, 10_000, 10_000, "twig", "twig-1"))
    revive(alliance)
    # Day 11 is the 26th of November: the target's points lapse on the 31st of December, day 46.
    received = convert(alliance, target="twig", rate_height=opens).received
    assert received == [Lot(LAST_DAY + 30, opens, LAST_DAY, 100, "twig-1", 0)]
    assert spend(alliance, program="twig", reference="twig").code == "OK"
    alliance.wait(days=30)
    told = {"program": "twig", "original": "twig", "original_day": TODAY + 11}
    assert refund(alliance, **told).expired == received
