"""Rulebook and trust policy by vote: the next version from the next block, the next epoch from this one."""

from __future__ import annotations

import pytest

from contracts.messages.actions import SetRulebook, SetTrustPolicy
from contracts.rulebook import CURRENT_VERSION, RULEBOOKS
from ledger.errors import InvariantBroken
from ledger.log.note import COSIGNATURE_V1, ED25519, VerifierKey
from ledger.log.policy import Group, Log, Policy, Witness, format_policy
from tests.contracts.alliance import Alliance
from tests.contracts.cast import FRESH, OPERATOR, PETROL, make_signer
from tests.contracts.council import (
    CONSTITUTION,
    carry,
    come_to,
    configuration_of,
    decide,
    found,
    make_proposal,
    propose,
)
from tests.contracts.ladder import every_row, fall_from
from tests.contracts.motions import make_ladder


def make_policy(chain: str, *, witnesses: int = 2) -> str:
    """A policy for the log of a chain, with some witnesses of whom most must cosign."""
    log = Log(VerifierKey(chain, ED25519, make_signer("log").public))
    known = tuple(
        Witness(
            f"w{number}", VerifierKey(f"witness.example/{number}", COSIGNATURE_V1, make_signer(number).public)
        )
        for number in range(witnesses)
    )
    group = Group("most", witnesses // 2 + 1, tuple(witness.name for witness in known))
    return format_policy(Policy((log,), known, (group,), "most")).decode()


#   Each row breaks one more thing than the row below it.
LADDERS = [
    make_ladder(
        SetRulebook,
        lambda: {"version": CURRENT_VERSION + 1},
        [("RULEBOOK_NOT_AHEAD", lambda it: it.set(version=CURRENT_VERSION))],
    ),
    make_ladder(
        SetTrustPolicy,
        lambda: {"policy": ""},
        [("POLICY_MALFORMED", lambda it: it.set(policy=make_policy("other/" + "0" * 32)))],
        prepare=lambda it: it.set(policy=make_policy(it.alliance.chain)),
    ),
]


@every_row(*LADDERS)
def test_a_vote_about_trust_says_no_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


@pytest.fixture
def council():
    alliance = found()
    yield alliance
    alliance.check()


#   how far from the version in force
@pytest.mark.parametrize("step", [-1, 0, 2, 3])
def test_versions_are_taken_one_at_a_time(council, step):
    version = max(1, CURRENT_VERSION + step)
    assert propose(council, SetRulebook(version)).code == "RULEBOOK_NOT_AHEAD"


def test_the_block_after_is_executed_under_the_next_version():
    """A chain that began under version 1 goes on under version 2; its leaves say so."""
    alliance = Alliance(constitution=CONSTITUTION, version=1).open()
    height = carry(alliance, SetRulebook(2))
    enacted = come_to(alliance, height)
    assert enacted["p"].code == "OK"
    assert alliance.leaves[-1].count(b'"rulebook":1,') == 1, "the block in hand ends under the old one"
    assert (alliance.executor.version, configuration_of(alliance)) == (2, 1)
    alliance.earn("m_" + "0" * 25 + "1", 1)
    assert alliance.leaves[-1].count(b'"rulebook":2,') == 1
    assert propose(alliance, SetRulebook(2), name="q").code == "RULEBOOK_NOT_AHEAD"
    alliance.check()


def test_a_version_that_this_program_does_not_know_is_voted_in_all_the_same(council):
    """Every node must decide the same, so what it knows is asked only when the block comes."""
    unknown = max(RULEBOOKS) + 1
    assert decide(council, SetRulebook(unknown)).code == "OK"
    assert council.executor.version == unknown
    with pytest.raises(InvariantBroken, match="RULEBOOK_UNKNOWN"):
        council.cut(
            council.sign(FRESH, make_proposal(council, SetTrustPolicy(make_policy(council.chain)), name="q"))
        )


def test_two_versions_in_one_proposal_are_two_steps(council):
    both = SetRulebook(CURRENT_VERSION + 1), SetRulebook(CURRENT_VERSION + 2)
    assert propose(council, *both).code == "OK"
    assert propose(council, *both[::-1], name="q").code == "RULEBOOK_NOT_AHEAD"


def test_each_policy_is_the_next_epoch_from_its_height(council):
    texts = [make_policy(council.chain, witnesses=count) for count in (1, 3)]
    heights = []
    for number, text in enumerate(texts):
        heights.append(carry(council, SetTrustPolicy(text), name=f"p{number}"))
        assert come_to(council, heights[-1])[f"p{number}"].code == "OK"
    records = dict(council.state.list_records("trust"))
    assert list(records) == ["00000001", "00000002"]
    assert [(record.height, record.policy) for record in records.values()] == list(
        zip(heights, texts, strict=True)
    )


#   what is wrong with a policy's text
UNREADABLE = {
    "nothing in it": "\n",
    "no line feed": "quorum none",
    "no quorum": "witness w x\n",
    "no log": "quorum none\n",
    "prose": "we trust everybody\n",
}


@pytest.mark.parametrize("text", UNREADABLE.values(), ids=UNREADABLE)
def test_a_policy_that_cannot_be_read_is_none(council, text):
    assert propose(council, SetTrustPolicy(text)).code == "POLICY_MALFORMED"


def test_a_policy_may_name_other_logs_beside_this_one(council):
    mine, other = make_policy(council.chain), "other/" + "0" * 32
    line = format_policy(Policy.for_log(VerifierKey(other, ED25519, make_signer("x").public))).decode()
    assert propose(council, SetTrustPolicy(line.split("\n")[0] + "\n" + mine)).code == "OK"


def test_the_operator_alone_may_go_on_to_the_next_version_where_nobody_else_votes(alliance):
    assert decide(alliance, SetRulebook(CURRENT_VERSION + 1), voters=(OPERATOR,)).code == "OK"
    assert alliance.executor.version == CURRENT_VERSION + 1
    assert configuration_of(alliance) == 1
    assert PETROL not in dict(alliance.get("government", "government").voters)
