"""The constitution: lawful or no ledger begins with it; without one the operator decides alone."""

from __future__ import annotations

import pytest

from contracts.messages import SetParameter
from contracts.messages.actions import (
    AdmitParticipant,
    ChangeParameter,
    Pause,
    RemoveParticipant,
    SetVotingRule,
    SetWeight,
)
from contracts.messages.registry import ParticipantKey
from ledger.errors import InvalidBlock
from ledger.genesis import Constitution, Voter, VotingRule
from tests.contracts.alliance import Alliance
from tests.contracts.cast import CINEMA, FRESH, OPERATOR, PETROL, make_signer, public_of
from tests.contracts.council import (
    CONSTITUTION,
    carry,
    come_to,
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


#   what the operator may do by itself only where nobody else has a vote
BY_ITSELF = [
    SetParameter(10**6, "due_entries_max", 9),
    SetParameter(1, "no_such_thing", 9),
]


@pytest.mark.parametrize("sender", [OPERATOR, FRESH])
@pytest.mark.parametrize("message", BY_ITSELF)
def test_with_a_constitution_nobody_sets_anything_alone(council, sender, message):
    assert council.ask(sender, message).code == "VOTE_REQUIRED"


def test_without_a_constitution_the_operator_decides_alone_and_may_also_vote(alliance):
    assert alliance.get("government", "government") is None
    assert propose(alliance, FEE).code == "NOT_A_VOTER"
    assert propose(alliance, FEE, sender=OPERATOR).code == "OK"
    assert vote(alliance, OPERATOR).code == "OK"
    assert come_to(alliance, alliance.get("proposal", "p").enacts_at)["p"].code == "OK"
    assert alliance.get("government", "government") is None, "nothing about who decides has changed"
    alliance.must(OPERATOR, SetParameter(10**6, "due_entries_max", 9))


def test_who_gives_votes_away_no_longer_decides_alone(alliance):
    assert decide(alliance, SetWeight(FRESH, 1), voters=(OPERATOR,)).code == "OK"
    assert alliance.ask(OPERATOR, SetParameter(10**6, "due_entries_max", 9)).code == "VOTE_REQUIRED"
    assert propose(alliance, FEE, name="q").code == "OK"
    assert vote(alliance, OPERATOR, name="q").code == "OK"
    assert alliance.get("proposal", "q").state == "open", "without a constitution all of it takes all weight"
    assert vote(alliance, FRESH, name="q").code == "OK"
    assert alliance.get("proposal", "q").state == "passed"


def test_an_action_that_changes_nothing_about_who_decides_leaves_the_operator_alone(alliance):
    height = carry(alliance, SetVotingRule(10_000, "keys", 0), voters=(OPERATOR,))
    assert come_to(alliance, height)["p"].code == "OK"
    assert configuration_of(alliance) == 1
    alliance.must(OPERATOR, SetParameter(10**6, "due_entries_max", 9))


def bent(**fields):
    told = {name: getattr(CONSTITUTION, name) for name in CONSTITUTION.__struct_fields__}
    return Constitution(**{**told, **fields})


FEW = [rule for rule in CONSTITUTION.rules if rule.kind != "trust"]


#   what is wrong with a constitution
UNLAWFUL = {
    "a stranger votes": bent(voters=[*CONSTITUTION.voters, Voter("zzz", 1)]),
    "twice": bent(voters=[CONSTITUTION.voters[0], *CONSTITUTION.voters]),
    "out of order": bent(voters=CONSTITUTION.voters[::-1]),
    "without weight": bent(voters=[Voter(CINEMA, 0), *CONSTITUTION.voters[1:]]),
    "too few": bent(minimum_voters=5),
    "a kind is missing": bent(rules=FEW),
    "a kind twice": bent(rules=[*FEW, FEW[-1]]),
    "kinds out of order": bent(rules=CONSTITUTION.rules[::-1]),
    "a stranger as trustee": bent(trustee="zzz"),
    "half is enough": bent(rules=[*FEW, VotingRule(5_000, "trust", 0)]),
}


@pytest.mark.parametrize("constitution", UNLAWFUL.values(), ids=UNLAWFUL)
def test_no_ledger_begins_with_an_unlawful_constitution(constitution):
    with pytest.raises(InvalidBlock, match="GENESIS_CONSTITUTION"):
        Alliance(constitution=constitution)


def test_a_pause_may_take_as_little_as_a_basis_point():
    rules = [
        VotingRule(1 if rule.kind == "emergency" else 10_000, rule.kind, 0) for rule in CONSTITUTION.rules
    ]
    alliance = Alliance(constitution=bent(rules=rules)).open()
    assert decide(alliance, PAUSE, voters=(CINEMA,)).code == "OK"


def test_removing_oneself_leaves_no_fewer_voters_than_the_constitution_asks_for(council):
    """Four vote and three must: one may leave, the next may not, whether by removal or by weight."""
    assert decide(council, SetWeight(CINEMA, 0)).code == "OK"
    outcome = propose(council, RemoveParticipant(PETROL), sender=PETROL, name="q")
    assert outcome.code == "BELOW_MINIMUM_VOTERS"
    assert propose(council, SetWeight(PETROL, 0), sender=PETROL, name="q").code == "BELOW_MINIMUM_VOTERS"
    # Whoever takes the place must be there first.
    key = ParticipantKey(public_of(make_signer("bakery")), "govern")
    enter = AdmitParticipant([key], "Bakery", "bakery", 1)
    leave = SetWeight(PETROL, 0)
    assert propose(council, leave, enter, sender=PETROL, name="q").code == "BELOW_MINIMUM_VOTERS"
    assert propose(council, enter, leave, sender=PETROL, name="q").code == "OK"
