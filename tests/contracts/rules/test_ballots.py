"""Ballots: organisations vote, each once and finally, and it passes with exactly enough weight."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from contracts.messages import Vote
from contracts.messages.actions import (
    ChangeParameter,
    Pause,
    SetPar,
    SetVotingRule,
    SuspendParticipant,
)
from contracts.messages.registry import AddKey
from ledger.errors import Refused
from ledger.genesis import Constitution, VotingRule
from ledger.outcome import Event
from tests.contracts.alliance import Alliance
from tests.contracts.cast import CINEMA, FRESH, OPERATOR, PETROL, PHARMACY, make_signer, public_of
from tests.contracts.council import (
    CONSTITUTION,
    EVERYBODY,
    RULES,
    WEIGHTS,
    configuration_of,
    decide,
    found,
    propose,
    vote,
)

FEE = ChangeParameter(parameter="accrual_fee_basis_points", value=7)


PAUSE = Pause(program="leaf")


@pytest.fixture
def council():
    """An alliance with a constitution; afterwards every sum still holds."""
    alliance = found()
    yield alliance
    alliance.check()


def test_an_organisation_votes_once_whichever_of_its_keys_signs(council):
    second = make_signer("second govern key")
    council.must(FRESH, AddKey(public_of(second), "govern"))
    propose(council, FEE)
    assert vote(council, FRESH, "no").code == "OK"
    council.signers[FRESH, "govern"] = second
    assert vote(council, FRESH, "yes").code == "ALREADY_VOTED"
    assert vote(council, FRESH, "no").code == "ALREADY_VOTED"
    record = council.get("proposal", "p")
    assert (record.no, record.yes) == ((FRESH,), ())


def test_two_ballots_of_one_organisation_in_one_block_count_once(council):
    second = make_signer("second govern key")
    council.must(PETROL, AddKey(public_of(second), "govern"))
    propose(council, FEE)
    first = council.sign(PETROL, Vote("yes", 0, "p"), Vote("yes", 0, "p"))
    council.signers[PETROL, "govern"] = second
    again = council.sign(PETROL, Vote("yes", 0, "p"))
    answers = council.cut(first, again).answers
    codes = [outcome.split(b'"')[3] for answer in answers for outcome in answer.outcomes]
    assert codes == [b"OK", b"ALREADY_VOTED", b"ALREADY_VOTED"]
    assert council.get("proposal", "p").state == "open", "30 of 100, however often"


def test_a_ballot_from_another_chain_is_refused(council):
    """Two alliances of the same name, members and keys: their genesis tells them apart."""
    other = Alliance(constitution=CONSTITUTION, parameters={"due_entries_max": 7}).open()
    propose(council, FEE)
    propose(other, FEE)
    ballot = other.sign(FRESH, Vote("yes", 0, "p"))
    assert other.cut(ballot).answers[0].refusal is None
    assert council.cut(ballot).answers[0].refusal.code == "WRONG_CHAIN"
    assert council.get("proposal", "p").yes == ()


#   action, who is for it: exactly enough, and the weight they bring
EXACT = [
    (FEE, (FRESH, PHARMACY), 60),
    (PAUSE, (PETROL,), 30),
    (SetVotingRule(6_000, "keys", 1), (FRESH, PETROL, CINEMA), 80),
    (SetPar(60_000, 60_000, "star", "star-1"), (FRESH, PHARMACY), 60),
]


@pytest.mark.parametrize(("action", "voters", "weight"), EXACT)
def test_it_passes_with_the_ballot_that_brings_enough_and_not_before(council, action, voters, weight):
    assert propose(council, action).code == "OK"
    for voter in voters[:-1]:
        outcome = vote(council, voter)
        assert (outcome.code, outcome.events) == ("OK", UNSET)
        assert council.get("proposal", "p").state == "open"
    height = council.height
    outcome = vote(council, voters[-1])
    record = council.get("proposal", "p")
    assert record.state == "passed"
    assert outcome.events == [Event(about="p", at=record.enacts_at, name="PROPOSAL_PASSED")]
    assert record.enacts_at == max(record.effective_height, height + record.notice_heights, height + 1)
    assert vote(council, EVERYBODY[-1]).code == "PROPOSAL_FINAL"
    assert weight == sum(WEIGHTS[name] for name in voters)


#   basis points asked, weight for it of 100, whether that is enough
AT_THE_LINE = [
    (5_001, 50, False),
    (6_000, 60, True),
    (6_001, 60, False),
    (7_000, 70, True),
    (7_001, 70, False),
]


@pytest.mark.parametrize(("basis_points", "weight", "passes"), AT_THE_LINE)
def test_weight_at_the_very_threshold_is_enough_and_a_basis_point_less_is_not(basis_points, weight, passes):
    rules = [
        VotingRule(basis_points if kind == "parameters" else rule[0], kind, rule[1])
        for kind, rule in RULES.items()
    ]
    voters = {50: (FRESH, CINEMA), 60: (FRESH, PHARMACY), 70: (FRESH, PETROL)}[weight]
    alliance = Alliance(
        constitution=Constitution(3, rules, PHARMACY, CONSTITUTION.voters)  # type: ignore[arg-type]
    ).open()
    propose(alliance, FEE)
    for voter in voters:
        vote(alliance, voter)
    assert (alliance.get("proposal", "p").state == "passed") == passes


def test_a_proposal_takes_what_the_strictest_of_its_actions_takes(council):
    propose(council, PAUSE, FEE, SetVotingRule(6_000, "keys", 1))
    record = council.get("proposal", "p")
    assert (record.approve_basis_points, record.notice_heights) == (7_500, 3)
    #   a parameter that is a price takes what prices take
    propose(council, ChangeParameter(parameter="par_floor_micros", value=9), name="floor")
    propose(council, ChangeParameter(parameter="rate_notice_heights", value=9), name="notice")
    assert {council.get("proposal", name).approve_basis_points for name in ("floor", "notice")} == {6_000}


def test_what_it_takes_is_fixed_when_it_is_made_and_falls_with_the_configuration(council):
    propose(council, FEE, name="old")
    assert decide(council, SetVotingRule(9_000, "parameters", 5)).code == "OK"
    assert configuration_of(council) == 1
    assert vote(council, FRESH, name="old").code == "CONFIGURATION_CHANGED"
    assert vote(council, FRESH, name="old", configuration=0).code == "CONFIGURATION_CHANGED"
    propose(council, FEE, name="new", effective_height=council.height + 5)
    assert council.get("proposal", "new").approve_basis_points == 9_000
    assert vote(council, FRESH, name="new", configuration=0).code == "CONFIGURATION_CHANGED"
    assert vote(council, FRESH, name="new").code == "OK"


def test_nobody_votes_for_an_organisation_but_itself(council):
    propose(council, FEE)
    assert vote(council, OPERATOR).code == "NOT_A_VOTER"
    with pytest.raises(Refused, match="WRONG_PURPOSE"):
        council.ask(FRESH, Vote("yes", 0, "p"), purpose="transact")


def test_a_suspended_organisation_keeps_its_vote(council):
    assert decide(council, SuspendParticipant(PETROL)).code == "OK"
    propose(council, FEE, name="q")
    assert vote(council, PETROL, name="q").code == "OK"
    assert propose(council, FEE, sender=PETROL, name="r").code == "PARTICIPANT_SUSPENDED"


def test_a_decision_is_not_hurried_by_those_who_vote_late(council):
    propose(council, SetVotingRule(6_000, "keys", 1), effective_height=council.height + 3)
    council.reach(council.height + 20)
    for voter in EVERYBODY[:3]:
        vote(council, voter)
    assert council.get("proposal", "p").enacts_at == council.height - 1 + 3
