"""An alliance decides by the verbs of its merchants, in the sandbox as in earnest."""

from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from contracts.mechanics.government import get_kind as get_kind_by_the_rules
from contracts.messages.actions import Action, ChangeParameter, Pause, Resume
from ledger.genesis import VotingKind
from merchant_sdk import (
    AlreadyExists,
    NotEntitled,
    NotFound,
    PausedError,
    ProposalError,
    RejectedByLedger,
    UnknownToLedger,
    Unverified,
)
from merchant_sdk.government import get_kind
from node.sandbox import OPERATOR, make_constitution, sandbox

FEES = ChangeParameter(parameter="commission_basis_points", value=250)


@pytest.fixture
def alliance():
    with sandbox(constitution=make_constitution()) as alliance:
        yield alliance


@pytest.fixture
def shops(alliance):
    return {name: alliance.merchant(name, program=name, retries=0) for name in alliance.merchants}


def vote(shops, proposal, *, yes=(), no=()):
    """The events of the last ballot."""
    done = [shops[name].vote(proposal, "yes") for name in yes]
    done += [shops[name].vote(proposal, "no") for name in no]
    return [event.name for event in done[-1].events]


def test_a_rate_changes_by_vote_at_its_height_and_not_before(alliance, shops):
    fresh = shops["fresh"]
    government = fresh.government()
    assert [(each.participant, each.weight) for each in government.voters] == [
        (name, 1) for name in sorted(alliance.merchants)
    ]
    assert government.trustee == OPERATOR
    made = fresh.propose([FEES], proposal="fees-1")
    assert [event.name for event in made.events] == ["PROPOSAL_MADE"]
    assert vote(shops, "fees-1", yes=["fresh", "petrol"], no=["cinema"]) == []
    asked = fresh.proposal("fees-1")
    assert (asked.state, asked.yes, asked.no) == ("open", ("fresh", "petrol"), ("cinema",))
    assert (asked.weight_for, asked.weight_all, asked.enacts_at) == (2, 4, None)
    assert vote(shops, "fees-1", yes=["pharmacy"]) == ["PROPOSAL_PASSED"]
    passed = fresh.proposal("fees-1")
    assert passed.state == "passed"
    height = alliance.pass_blocks(max(0, passed.enacts_at - alliance.core.head.height - 1))
    assert (height or passed.enacts_at - 1) == passed.enacts_at - 1
    assert fresh.proposal("fees-1").state == "passed"
    alliance.pass_blocks()
    assert fresh.proposal("fees-1").state == "enacted"
    enacted = [entry for entry in shops["cinema"].events() if entry.kind == "enact"]
    assert [(entry.code, entry.height, entry.outcome.events[0].name) for entry in enacted] == [
        ("OK", passed.enacts_at, "PROPOSAL_ENACTED")
    ]


def test_a_proposal_falls_due_no_sooner_than_its_notice_allows():
    with sandbox(constitution=make_constitution(notice_heights=12)) as alliance:
        fresh = alliance.merchant("fresh", program="fresh")
        made = fresh.propose([FEES])
        found = fresh.proposal(made.message.proposal)
        assert found.effective_height >= made.height + 12
        assert found.notice_heights == 12
        with pytest.raises(RejectedByLedger, match="NOTICE_TOO_SHORT"):
            fresh.propose([FEES], effective_height=made.height + 5)


def test_a_pause_is_heard_at_the_till_and_ends_by_vote(alliance, shops):
    fresh, petrol = shops["fresh"], shops["petrol"]
    member = fresh.enrol()

    def decide(action, name):
        fresh.propose([action], proposal=name)
        vote(shops, name, yes=["fresh", "petrol", "cinema"])
        alliance.pass_blocks(6)

    decide(Pause(program="fresh"), "stop")
    assert fresh.government().halt.programs == ("fresh",)
    with pytest.raises(PausedError) as caught:
        fresh.earn(member, "10", "A-1")
    assert (caught.value.code, caught.value.fate, caught.value.may_retry) == (
        "PROGRAM_PAUSED",
        "refused",
        True,
    )
    assert petrol.earn(petrol.enrol(), "10", "P-1").points == 10
    decide(Resume(program="fresh"), "go-on")
    assert fresh.earn(member, "10", "A-1").points == 10


def test_what_cannot_be_voted_on_says_why(alliance, shops):
    fresh, petrol = shops["fresh"], shops["petrol"]
    fresh.propose([FEES], proposal="fees-1")
    assert fresh.vote("fees-1", "no").code == "OK"
    with pytest.raises(ProposalError, match="ALREADY_VOTED"):
        fresh.vote("fees-1", "yes")
    with pytest.raises(NotEntitled, match="NOT_PROPOSER"):
        petrol.cancel_proposal("fees-1")
    assert fresh.cancel_proposal("fees-1").code == "OK"
    with pytest.raises(ProposalError, match="PROPOSAL_FINAL"):
        petrol.vote("fees-1", "yes")
    with pytest.raises(AlreadyExists, match="PROPOSAL_EXISTS"):
        petrol.propose([FEES], proposal="fees-1")
    with pytest.raises(NotEntitled, match="NOT_A_VOTER"):
        alliance.merchant(OPERATOR).propose([FEES])
    with pytest.raises(NotEntitled, match="VOTE_REQUIRED"):
        alliance.merchant(OPERATOR).set_debit_cap("fresh", "5")
    with pytest.raises(UnknownToLedger, match="PROPOSAL_UNKNOWN"):
        petrol.cancel_proposal("none")
    with pytest.raises(NotFound):
        petrol.vote("none", "yes")
    assert [each.proposal for each in fresh.proposals()] == ["fees-1"]
    assert list(fresh.proposals("open")) == []


def test_nobody_votes_on_another_proposal_than_the_log_has(shops):
    fresh, petrol = shops["fresh"], shops["petrol"]
    fresh.propose([FEES], proposal="fees-1")
    read = petrol.proposal("fees-1")
    worse = ChangeParameter(parameter="commission_basis_points", value=2_000)
    for altered in (
        {"actions": (worse,)},
        {"proposer": "cinema"},
        {"configuration": 1},
        {"expires": read.expires + 1},
        {"effective_height": read.effective_height + 1},
        {"proposal": "fees-2"},
        {"index": read.index - 1},
    ):
        with pytest.raises(Unverified):
            petrol.vote(msgspec.structs.replace(read, **altered), "yes")
    assert petrol.proposal("fees-1").yes == ()
    assert petrol.vote(read, "yes").code == "OK"


async def test_an_event_loop_has_the_same_verbs(alliance):
    async with alliance.async_merchant("fresh", program="fresh") as fresh:
        made = await fresh.propose([FEES])
        name = made.message.proposal
        await fresh.vote(await fresh.proposal(name), "yes")
        assert [each.yes async for each in fresh.proposals("open")] == [("fresh",)]
        assert (await fresh.windows()).open.window == 1


def test_every_action_is_of_the_kind_that_the_rules_say():
    kinds = set()
    for action in get_args(Action):
        # The kind is a matter of the type alone, but for a parameter that is a rate.
        if action is ChangeParameter:
            continue
        made = action(*[None] * len(action.__struct_fields__))
        assert get_kind(made) == get_kind_by_the_rules(made)
        kinds.add(get_kind(made))
    for name in ("rate_notice_heights", "par_floor_micros", "window_days"):
        made = ChangeParameter(parameter=name, value=1)
        assert get_kind(made) == get_kind_by_the_rules(made)
        kinds.add(get_kind(made))
    assert kinds == set(get_args(VotingKind))


def test_without_a_constitution_the_operator_decides_alone():
    with sandbox() as alliance:
        operator = alliance.merchant(OPERATOR)
        assert [voter.participant for voter in operator.government().voters] == [OPERATOR]
        operator.propose([FEES], proposal="fees-1")
        assert [event.name for event in operator.vote("fees-1", "yes").events] == ["PROPOSAL_PASSED"]
        assert operator.set_debit_cap("fresh", "5").code == "OK"
