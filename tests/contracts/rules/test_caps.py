"""No issuer owes more than it covers; it is told when it comes near, and its points go on at home."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from contracts.messages import AttestCover
from contracts.messages.actions import CapDebit
from contracts.rulebook import RULEBOOKS
from ledger.values import FOREVER
from tests.contracts.alliance import Alliance
from tests.contracts.cast import ANNA, CINEMA, CLARA, DAY_MILLIS, FRESH, OPERATOR, PETROL
from tests.contracts.ladder import Attempt, Ladder, every_row, fall_from
from tests.contracts.letters import make_nonce
from tests.contracts.orders import award, capture, refund, release, set_aside, set_cap
from tests.contracts.purchases import buy, convert, spend
from tests.contracts.windows import cover, decide, events_of, propose, settle

LADDERS = [
    Ladder(
        "attest_cover",
        lambda: Attempt(AttestCover, sender=OPERATOR, cover=5, expires=FOREVER, participant=FRESH, reserve=7),
        [
            ("NOT_TRUSTEE", lambda it: setattr(it, "sender", FRESH)),
            ("PARTICIPANT_UNKNOWN", lambda it: it.set(participant="nobody")),
        ],
    ),
]


@every_row(*LADDERS)
def test_cover_is_turned_down_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


#   cap, cover, code of spending 1,000,000 micros
LIMITS = [
    (None, None, "OK"),
    (None, 1_000_000, "OK"),
    (None, 999_999, "ISSUER_CAP"),
    (1_000_000, 2_000_000, "OK"),
    (999_999, 2_000_000, "ISSUER_CAP"),
    (1_000_000, 0, "ISSUER_CAP"),
]


@pytest.mark.parametrize(("cap", "covered", "code"), LIMITS)
@pytest.mark.parametrize("ask", [spend, set_aside])
def test_the_limit_is_the_smaller_of_cap_and_cover(alliance, ask, cap, covered, code):
    alliance.earn(ANNA, 100)
    if cap is not None:
        set_cap(alliance, FRESH, cap)
    if covered is not None:
        cover(alliance, FRESH, covered)
    assert ask(alliance, PETROL).code == code


def test_a_cover_that_has_expired_counts_as_nothing(alliance):
    alliance.earn(ANNA, 100)
    cover(alliance, FRESH, 10**9, days=1)
    assert spend(alliance, PETROL, points=10, reference="a").code == "OK"
    alliance.time += DAY_MILLIS - 1 - (alliance.time - alliance.executor.head.time)
    assert spend(alliance, PETROL, points=10, reference="b").code == "OK"
    alliance.time += 1
    assert spend(alliance, PETROL, points=10, reference="c").code == "ISSUER_CAP"
    cover(alliance, FRESH, 10**9)
    assert spend(alliance, PETROL, points=10, reference="c").code == "OK"


def test_a_partner_earns_out_of_its_cover_and_an_exchange_out_of_the_old_issuers(alliance):
    alliance.earn(ANNA, 100)
    cover(alliance, PETROL, 419_999)
    cover(alliance, FRESH, 979_999)
    assert buy(alliance, PETROL).code == "DEBIT_CAP"
    assert award(alliance, PETROL, points=40).code == "DEBIT_CAP"
    assert convert(alliance).code == "ISSUER_CAP"
    cover(alliance, PETROL, 420_000)
    cover(alliance, FRESH, 980_000)
    assert buy(alliance, PETROL).code == "OK"
    assert convert(alliance).code == "OK"


def test_at_the_cap_points_work_at_home_and_what_was_promised_is_kept(alliance):
    alliance.earn(ANNA, 500)
    assert spend(alliance, PETROL, reference="spent").code == "OK"
    assert set_aside(alliance, PETROL, reference="held").code == "OK"
    cover(alliance, FRESH, 0)
    assert spend(alliance, PETROL, points=1, reference="elsewhere").code == "ISSUER_CAP"
    assert spend(alliance, CINEMA, points=1, reference="elsewhere").code == "ISSUER_CAP"
    assert spend(alliance, reference="home").code == "OK"
    assert set_aside(alliance, reference="home-held").code == "OK"
    assert capture(alliance, PETROL, hold="held").code == "OK"
    assert refund(alliance, PETROL, original="spent").code == "OK"


@pytest.mark.parametrize("cap", [2_000_001, 2_000_000])
def test_a_cap_above_a_cover_that_stands_is_not_set(alliance, cap):
    code = "CAP_ABOVE_COVER" if cap > 2_000_000 else "OK"
    cover(alliance, FRESH, 2_000_000, days=1)
    assert propose(alliance, CapDebit(cap, FRESH))[1].code == code
    alliance.wait(days=1)
    assert decide(alliance, CapDebit(cap, FRESH)).code == "OK"
    assert alliance.get("exposure", FRESH).cap == cap


def debit(alliance, points, number):
    outcome = spend(alliance, PETROL, points=points, reference=f"d-{number}")
    return outcome.code, events_of(outcome)


#   points spent one after the other at 10,000 micros each, of 1,000,000 that may be owed; what is told
ALERTS = [
    [(49, None), (1, 50), (24, None), (1, 75), (14, None), (1, 90), (10, None)],
    [(50, 50), (25, 75), (15, 90), (10, None)],
    [(76, 75), (1, None), (23, 90)],
    [(95, 90), (5, None)],
    [(100, 90)],
]


@pytest.mark.parametrize("steps", ALERTS)
def test_who_comes_near_its_limit_is_told_once_each(alliance, steps):
    alliance.earn(ANNA, 200)
    set_cap(alliance, FRESH, 1_000_000)
    for number, (points, percent) in enumerate(steps):
        told = [] if percent is None else [(f"EXPOSURE_{percent}", FRESH)]
        assert debit(alliance, points, number) == ("OK", told)
    assert debit(alliance, 1, "more") == ("ISSUER_CAP", [])


def test_an_alert_comes_again_when_it_was_settled_meanwhile(alliance):
    alliance.earn(ANNA, 300)
    cover(alliance, FRESH, 1_000_000)
    assert debit(alliance, 60, 1) == ("OK", [("EXPOSURE_50", FRESH)])
    settle(alliance)
    assert debit(alliance, 49, 2) == ("OK", [])
    assert debit(alliance, 1, 3) == ("OK", [("EXPOSURE_50", FRESH)])
    assert debit(alliance, 51, 4) == ("ISSUER_CAP", [])
    assert debit(alliance, 50, 4) == ("OK", [("EXPOSURE_90", FRESH)])


def test_every_checked_debit_tells(alliance):
    """A hold, an exchange, a partner's earning and its award: each the one that reaches half."""
    alliance.earn(ANNA, 300)
    cover(alliance, FRESH, 2_000_000)
    assert events_of(set_aside(alliance, PETROL)) == [("EXPOSURE_50", FRESH)]
    assert events_of(release(alliance, PETROL)) == []
    assert events_of(convert(alliance, points=102, agreed={"nonce": make_nonce("x")})) == []
    assert events_of(convert(alliance, points=8, reference="y", agreed={"nonce": make_nonce("y")})) == [
        ("EXPOSURE_50", FRESH)
    ]
    cover(alliance, PETROL, 840_000)
    assert events_of(buy(alliance, PETROL)) == [("EXPOSURE_50", PETROL)]
    assert events_of(award(alliance, PETROL, points=20)) == [("EXPOSURE_75", PETROL)]


def test_capture_and_home_tell_nothing(alliance):
    alliance.earn(ANNA, 300)
    cover(alliance, FRESH, 1_000_000)
    assert events_of(set_aside(alliance, PETROL)) == [("EXPOSURE_90", FRESH)]
    assert capture(alliance, PETROL).events is UNSET
    assert spend(alliance, reference="home").events is UNSET


def test_version_1_tells_nobody():
    alliance = Alliance(version=1, rulebooks=RULEBOOKS).open()
    alliance.earn(ANNA, 100)
    set_cap(alliance, FRESH, 1_000_000)
    assert spend(alliance, PETROL).events is UNSET


def test_what_is_owed_never_passes_the_limit_and_settling_gives_room(alliance):
    """Whatever is taken, at once and in turn, over several windows of which some are not settled."""
    alliance.earn(ANNA, 5_000)
    alliance.earn(CLARA, 500, "mile")
    cover(alliance, FRESH, 900_000)
    taken = {"OK": 0, "ISSUER_CAP": 0}
    for number in range(90):
        ask = (spend, set_aside, spend)[number % 3]
        outcome = ask(alliance, (PETROL, CINEMA)[number % 2], points=3 + number % 17, reference=f"n-{number}")
        taken[outcome.code] += 1
        exposure = alliance.get("exposure", FRESH)
        owed = (alliance.get("debit", FRESH) or 0) - (exposure.relieved if exposure else 0)
        assert owed + (exposure.held if exposure else 0) <= 900_000
        if number % 30 == 29:
            settle(alliance)
    assert min(taken.values()) >= 20
