"""Who stands in a statement agrees with it or disputes lines of it; silence agrees when its time is over."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from contracts.messages import Abort, Confirm, Countersign, Propose, Vote
from contracts.messages.actions import Correction, ResolveDispute
from tests.contracts.alliance import Alliance
from tests.contracts.cast import CINEMA, FRESH, OPERATOR, PETROL, PHARMACY
from tests.contracts.ladder import Attempt, Ladder, every_row, fall_from
from tests.contracts.windows import (
    agree_all,
    cut_window,
    decide,
    events_of,
    get_record,
    propose,
    read_statement,
    read_system,
    sign,
    trade,
)

#   Lines of the window that `trade` leaves, in order: to the cinema, commission, to the petrol chain; earned.
AT_CINEMA, COMMISSION, AT_PETROL, EARNED = range(4)


def closed() -> Alliance:
    alliance = Alliance().open()
    trade(alliance)
    cut_window(alliance)
    return alliance


def a_dispute() -> Attempt:
    alliance = closed()
    return Attempt(
        Countersign,
        sender=FRESH,
        alliance=alliance,
        lines=[AT_PETROL],
        statement=get_record(alliance).statement,
        verdict="dispute",
        window=1,
    )


def speak_before(it: Attempt) -> None:
    sign(it.alliance, FRESH, lines=[COMMISSION])


def close_before(it: Attempt) -> None:
    for who in (CINEMA, OPERATOR, FRESH, PETROL):
        sign(it.alliance, who)


def a_resolution() -> Attempt:
    alliance = closed()
    sign(alliance, FRESH, lines=[AT_PETROL])
    return Attempt(
        Propose,
        sender=OPERATOR,
        alliance=alliance,
        actions=[ResolveDispute([Correction(PETROL, 1, FRESH)], FRESH, 1)],
        configuration=0,
        effective_height=alliance.height + 50,
        expires=alliance.time + 1_000,
        proposal="p",
    )


def resolve(it: Attempt, **fields: object) -> None:
    told = {"corrections": [Correction(PETROL, 1, FRESH)], "participant": FRESH, "window": 1}
    for action in it.fields["actions"]:
        told = {name: getattr(action, name) for name in told}
    it.set(actions=[ResolveDispute(**{**told, **fields})])


LADDERS = [
    Ladder(
        "countersign",
        a_dispute,
        [
            ("WINDOW_UNKNOWN", lambda it: it.set(window=2)),
            ("WINDOW_NOT_CLOSED", close_before),
            ("NOT_IN_WINDOW", lambda it: setattr(it, "sender", PHARMACY)),
            ("STATEMENT_DIFFERS", lambda it: it.set(statement="A" * 43)),
            ("LINE_UNKNOWN", lambda it: it.set(lines=[AT_PETROL, 4])),
            ("ALREADY_SIGNED", speak_before),
        ],
    ),
    Ladder(
        "action resolve_dispute",
        a_resolution,
        [
            ("WINDOW_UNKNOWN", lambda it: resolve(it, window=2)),
            ("NO_DISPUTE", lambda it: resolve(it, participant=PETROL)),
            ("PARTICIPANT_UNKNOWN", lambda it: resolve(it, corrections=[Correction("nobody", 1, FRESH)])),
        ],
    ),
]


@every_row(*LADDERS)
def test_signatures_are_turned_down_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


@pytest.fixture
def alliance():
    alliance = closed()
    yield alliance
    alliance.check()


#   who, what it says, which lines
WRONG_LINES = [
    (FRESH, "dispute", UNSET),
    (FRESH, "dispute", [AT_PETROL, COMMISSION]),
    (FRESH, "dispute", [AT_PETROL, AT_PETROL]),
    (FRESH, "dispute", [9_999_999]),
    (CINEMA, "dispute", [AT_CINEMA, AT_PETROL]),
    (OPERATOR, "dispute", [EARNED]),
    (FRESH, "agree", [AT_PETROL]),
]


@pytest.mark.parametrize(("who", "verdict", "lines"), WRONG_LINES)
def test_a_dispute_names_its_own_lines_and_an_agreement_none(alliance, who, verdict, lines):
    assert sign(alliance, who, lines=lines, verdict=verdict).code == "LINE_UNKNOWN"
    assert sign(alliance, CINEMA, lines=[AT_CINEMA]).code == "OK"
    assert sign(alliance, FRESH, lines=[AT_CINEMA, COMMISSION, AT_PETROL, EARNED]).code == "OK"


def test_a_window_is_confirmed_when_all_have_agreed(alliance):
    assert get_record(alliance).parties == (CINEMA, OPERATOR, FRESH, PETROL)
    for who in (CINEMA, PETROL, FRESH):
        outcome = sign(alliance, who)
        assert (outcome.code, outcome.events) == ("OK", UNSET)
    assert sign(alliance, FRESH).code == "ALREADY_SIGNED"
    assert sign(alliance, FRESH, lines=[AT_PETROL]).code == "ALREADY_SIGNED"
    assert events_of(sign(alliance, OPERATOR)) == [("WINDOW_CONFIRMED", "1")]
    record = get_record(alliance)
    assert (record.state, record.due_at) == ("confirmed", alliance.time + 604_800_000)


def test_a_dispute_that_is_withdrawn_is_an_agreement(alliance):
    assert sign(alliance, FRESH, lines=[AT_PETROL]).code == "OK"
    assert sign(alliance, FRESH, lines=[COMMISSION]).code == "ALREADY_SIGNED"
    for who in (CINEMA, OPERATOR, PETROL):
        assert sign(alliance, who).events is UNSET
    assert get_record(alliance).disputed == (FRESH,)
    assert events_of(sign(alliance, FRESH)) == [("WINDOW_CONFIRMED", "1")]
    assert get_record(alliance).agreed == (CINEMA, OPERATOR, FRESH, PETROL)


def test_silence_agrees_when_its_time_is_over(alliance):
    assert sign(alliance, CINEMA).code == "OK"
    due_at = get_record(alliance).due_at
    assert due_at == get_record(alliance).closed_at + 259_200_000
    alliance.time = due_at - 1
    alliance.cut()
    assert get_record(alliance).state == "closed"
    alliance.time = due_at + 60_000
    alliance.cut()
    ((message, outcome),) = read_system(alliance)
    assert (message, outcome.code) == (Confirm(1), "OK")
    assert events_of(outcome) == [("WINDOW_CONFIRMED", "1")]
    assert get_record(alliance).due_at == alliance.time + 604_800_000
    assert sign(alliance, PETROL).code == "WINDOW_NOT_CLOSED"


def test_a_dispute_stops_the_clock_until_it_is_withdrawn(alliance):
    assert sign(alliance, FRESH, lines=[AT_PETROL]).code == "OK"
    assert sign(alliance, CINEMA, lines=[AT_CINEMA]).code == "OK"
    alliance.wait(days=4)
    alliance.cut()
    ((message, outcome),) = read_system(alliance)
    assert (message, outcome.code, outcome.events) == (Confirm(1), "WINDOW_NOT_CONFIRMED", UNSET)
    alliance.check()
    # Who was silent has agreed, and cannot begin another dispute now.
    assert sign(alliance, PETROL, lines=[AT_PETROL]).code == "ALREADY_SIGNED"
    assert sign(alliance, PETROL).code == "ALREADY_SIGNED"
    assert sign(alliance, CINEMA).events is UNSET
    assert events_of(sign(alliance, FRESH)) == [("WINDOW_CONFIRMED", "1")]
    alliance.wait(days=6)
    alliance.cut()
    assert get_record(alliance).state == "confirmed"
    alliance.wait(days=1, seconds=60)
    alliance.cut()
    assert read_system(alliance)[0][0] == Abort(1)


def test_time_is_over_before_its_full_minute_has_come():
    """Between the two the clock's own entry is not due, but no silence can end in a dispute any more."""
    alliance = Alliance(parameters={"confirmation_seconds": 90}).open()
    alliance.wait(seconds=7)
    trade(alliance)
    cut_window(alliance)
    assert sign(alliance, FRESH, lines=[AT_PETROL]).code == "OK"
    alliance.wait(seconds=90)
    assert sign(alliance, PETROL, lines=[AT_PETROL]).code == "ALREADY_SIGNED"
    assert events_of(sign(alliance, FRESH)) == [("WINDOW_CONFIRMED", "1")]
    alliance.wait(seconds=60)
    assert alliance.cut().leaves == []
    alliance.check()


def test_a_dispute_is_decided_by_vote_and_corrected_in_the_open_window(alliance):
    assert sign(alliance, FRESH, lines=[AT_PETROL]).code == "OK"
    for who in (CINEMA, OPERATOR, PETROL):
        assert sign(alliance, who).code == "OK"
    before = read_statement(alliance)
    corrections = [
        Correction(PETROL, 300_000, FRESH),
        Correction(FRESH, 7, FRESH),
        Correction(PETROL, 1, OPERATOR),
    ]
    outcome = decide(alliance, ResolveDispute(corrections, FRESH, 1))
    assert events_of(outcome)[0] == ("WINDOW_CONFIRMED", "1")
    assert [(leg.source, leg.micros, leg.reason, leg.destination) for leg in outcome.legs] == [
        (PETROL, 300_000, "correction", FRESH),
        (PETROL, 1, "correction", OPERATOR),
    ]
    assert read_statement(alliance) == before
    assert alliance.get("owed", f"{PETROL}|{FRESH}|correction") == 300_000
    cut_window(alliance)
    lines = read_statement(alliance, 2).lines
    assert [(line.source, line.reason, line.micros) for line in lines] == [
        (PETROL, "correction", "1"),
        (PETROL, "correction", "300000"),
    ]


def test_before_its_time_is_over_a_decided_dispute_waits_for_the_others(alliance):
    assert sign(alliance, FRESH, lines=[AT_PETROL]).code == "OK"
    outcome = decide(alliance, ResolveDispute([], FRESH, 1))
    assert [name for name, _ in events_of(outcome)] == ["PROPOSAL_ENACTED"]
    assert get_record(alliance).state == "closed"
    # It was decided for good: no second dispute by the same party.
    assert sign(alliance, FRESH, lines=[AT_PETROL]).code == "ALREADY_SIGNED"
    for who in (CINEMA, OPERATOR):
        assert sign(alliance, who).events is UNSET
    assert events_of(sign(alliance, PETROL)) == [("WINDOW_CONFIRMED", "1")]


def test_after_its_time_the_last_decision_confirms(alliance):
    assert sign(alliance, FRESH, lines=[AT_PETROL]).code == "OK"
    assert sign(alliance, PETROL, lines=[EARNED]).code == "OK"
    alliance.wait(days=4)
    alliance.cut()
    first = decide(alliance, ResolveDispute([], PETROL, 1))
    assert events_of(first)[:-1] == []
    second = decide(alliance, ResolveDispute([], FRESH, 1))
    assert events_of(second)[:-1] == [("WINDOW_CONFIRMED", "1")]


@pytest.mark.parametrize(("is_in_time", "code"), [(True, "NO_DISPUTE"), (False, "OK")])
def test_what_was_withdrawn_before_can_no_longer_be_decided(alliance, is_in_time, code):
    """With the last ballot it still can be; in the block of the enactment that comes before what is said."""
    assert sign(alliance, FRESH, lines=[AT_PETROL]).code == "OK"
    name, outcome = propose(alliance, ResolveDispute([Correction(PETROL, 5, FRESH)], FRESH, 1))
    assert outcome.code == "OK"
    ballot = alliance.sign(OPERATOR, Vote("yes", 0, name))
    told = Countersign(statement=get_record(alliance).statement, verdict="agree", window=1)
    withdrawal = alliance.sign(FRESH, told)
    alliance.cut(*([ballot, withdrawal] if is_in_time else [ballot]))
    alliance.cut(*([] if is_in_time else [withdrawal]))
    assert read_system(alliance)[0][1].code == code
    assert (alliance.get("owed", f"{PETROL}|{FRESH}|correction") or 0) == 5 * (not is_in_time)
    assert get_record(alliance).agreed == (FRESH,)


def test_everybody_can_sign_every_window_by_itself(alliance):
    trade(alliance, 1)
    assert cut_window(alliance) == 2
    agree_all(alliance, 2)
    assert (get_record(alliance, 1).state, get_record(alliance, 2).state) == ("closed", "confirmed")
    agree_all(alliance, 1)
