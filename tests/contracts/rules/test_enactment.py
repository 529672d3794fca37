"""Enactment: at its height, before all else of the block, in order; all of a decision is done or nothing."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from contracts.messages.actions import (
    AdmitParticipant,
    ChangeParameter,
    Pause,
    Resume,
    SetVotingRule,
    SetWeight,
    SuspendParticipant,
)
from contracts.messages.governance import Enact
from contracts.messages.registry import ParticipantKey
from ledger.outcome import Event
from tests.contracts.cast import CINEMA, FRESH, OPERATOR, PETROL, PHARMACY, make_signer, public_of
from tests.contracts.council import (
    EVERYBODY,
    carry,
    come_to,
    configuration_of,
    decide,
    found,
    make_proposal,
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


#   what is enacted, whether voters, voting rules or rulebook are others then
CONFIGURING = [
    (AdmitParticipant([ParticipantKey(public_of(make_signer("b")), "govern")], "B", "bakery", 0), False),
    (AdmitParticipant([ParticipantKey(public_of(make_signer("b")), "govern")], "B", "bakery", 5), True),
    (SetWeight(OPERATOR, 5), True),
    (SetWeight(CINEMA, 10), True),
    (SetVotingRule(5_001, "parameters", 1), True),
    (SuspendParticipant(PETROL), False),
    (FEE, False),
    (PAUSE, False),
]


@pytest.mark.parametrize(("action", "changes"), CONFIGURING)
def test_the_configuration_counts_other_voters_rules_and_rulebooks(council, action, changes):
    assert decide(council, action).code == "OK"
    assert configuration_of(council) == changes


def test_one_enactment_is_one_configuration_however_many_actions_it_has(council):
    assert decide(council, SetWeight(OPERATOR, 5), SetWeight(CINEMA, 5), FEE).code == "OK"
    assert configuration_of(council) == 1
    assert council.get("government", "government").voters == (
        (CINEMA, 5),
        (OPERATOR, 5),
        (FRESH, 40),
        (PETROL, 30),
        (PHARMACY, 20),
    )


def test_a_decision_that_can_no_longer_be_done_fails_and_changes_nothing(council):
    pause_two = carry(council, FEE, Pause(program="mile"), PAUSE, name="both", effective_height=40)
    assert pause_two == 40
    assert decide(council, PAUSE, name="first").code == "OK"
    council.reach(40)
    before = council.records("head", "transaction", "proposal", "agenda")
    assert come_to(council, 40)["both"].code == "ALREADY_PAUSED"
    assert council.records("head", "transaction", "proposal", "agenda") == before
    assert council.get("proposal", "both").state == "failed"
    assert council.get("parameter", "accrual_fee_basis_points") is None
    assert council.get("halt", "halt").programs == ("leaf",)


def test_several_decisions_of_one_height_are_done_in_order_of_their_names(council):
    """Each over what the one before it did: the second configuration change falls with the first."""
    names = ("b-weight", "a-fee", "c-weight")
    actions = (SetWeight(CINEMA, 11), FEE, SetWeight(CINEMA, 12))
    for name, action in zip(names, actions, strict=True):
        assert carry(council, action, name=name, effective_height=60) == 60
    enacted = come_to(council, 60)
    assert list(enacted) == ["a-fee", "b-weight", "c-weight"]
    assert [outcome.code for outcome in enacted.values()] == ["OK", "OK", "CONFIGURATION_CHANGED"]
    assert dict(council.get("government", "government").voters)[CINEMA] == 11
    assert [council.get("proposal", name).state for name in sorted(names)] == ["enacted", "enacted", "failed"]


def test_an_earlier_height_comes_before_an_earlier_name(council):
    carry(council, ChangeParameter(parameter="due_entries_max", value=2), name="a", effective_height=61)
    carry(council, ChangeParameter(parameter="due_entries_max", value=1), name="b", effective_height=60)
    council.reach(60)
    council.cut()
    assert [message for message, _ in council.read_system()] == [Enact("b")]
    assert come_to(council, 61)["a"].code == "OK"
    assert council.get("parameter", "due_entries_max").changes[-1].value == 2


def test_what_was_decided_holds_for_the_first_message_of_its_block(council):
    height = carry(council, PAUSE)
    council.reach(height)
    transaction = council.sign(PHARMACY, make_proposal(council, Resume(program="leaf"), name="back"))
    block = council.cut(transaction)
    assert block.answers[0].outcomes[0].startswith(b'{"code":"OK"'), "it is paused, so it can be resumed"


def test_an_enactment_says_so_and_a_proposal_too(council):
    outcome = propose(council, FEE)
    assert outcome.events == [Event(about="p", name="PROPOSAL_MADE")]
    for voter in EVERYBODY[:2]:
        vote(council, voter)
    enacted = come_to(council, council.get("proposal", "p").enacts_at)["p"]
    assert enacted.events == [Event(about="p", name="PROPOSAL_ENACTED")]
    assert (enacted.legs, enacted.draws) == (UNSET, UNSET)
