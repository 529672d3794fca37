"""Keys by vote: an organisation that lost them, also to a thief, gets others."""

from __future__ import annotations

import pytest

from contracts.messages import AddKey, Earn, RevokeKey
from contracts.messages.actions import (
    RecoverKeys,
)
from contracts.messages.registry import ParticipantKey
from ledger.errors import Refused
from tests.contracts.cast import (
    ANNA,
    FRESH,
    PETROL,
    make_signer,
    public_of,
)
from tests.contracts.council import carry, decide, found
from tests.contracts.ladder import every_row, fall_from
from tests.contracts.motions import make_ladder
from tests.contracts.purchases import buy
from tests.contracts.rules.test_registry import SMALL

NEW, OTHER = make_signer("bakery"), make_signer("bakery too")
TILL = make_signer(PETROL, "till")


def key(signer=NEW, purpose="govern") -> ParticipantKey:
    return ParticipantKey(public_of(signer), purpose)


#   Each row breaks one more thing than the row below it.
LADDERS = [
    make_ladder(
        RecoverKeys,
        lambda: {"add": [key()], "participant": PETROL, "revoke": [make_signer(PETROL, "govern").key_id]},
        [
            ("PARTICIPANT_UNKNOWN", lambda it: it.set(participant="nobody")),
            ("KEY_REFUSED", lambda it: it.set(add=[ParticipantKey(SMALL, "till")])),
            ("KEY_EXISTS", lambda it: it.set(add=[key(purpose="till"), key(purpose="till")])),
            ("KEY_UNKNOWN", lambda it: it.set(revoke=[make_signer(FRESH, "till").key_id, TILL.key_id])),
            ("LAST_GOVERN_KEY", lambda it: it.set(add=[key(purpose="till")])),
        ],
    ),
]


@every_row(*LADDERS)
def test_a_vote_about_keys_says_no_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


@pytest.fixture
def council():
    alliance = found()
    yield alliance
    alliance.check()


def test_recovered_keys_count_from_the_next_height_and_the_lost_ones_no_longer(council):
    lost = [make_signer(PETROL, purpose).key_id for purpose in ("govern", "transact")]
    action = RecoverKeys([key(NEW), key(OTHER, "transact")], PETROL, lost)
    assert decide(council, action).code == "OK"
    with pytest.raises(Refused, match="KEY_NOT_VALID"):
        council.ask(PETROL, AddKey(public_of(make_signer("thief")), "govern"))
    council.signers[PETROL, "govern"], council.signers[PETROL, "transact"] = NEW, OTHER
    assert buy(council, PETROL).code == "OK"
    at_the_till = Earn(10**6, ANNA, council.time, "leaf", "till")
    assert council.ask(PETROL, at_the_till, purpose="till").code == "OK", "not among the lost"
    assert council.ask(PETROL, RevokeKey(NEW.key_id)).code == "LAST_GOVERN_KEY"


def test_a_thief_who_adds_keys_to_the_last_block_is_left_with_none(council):
    """Nobody could name in a proposal the keys that are added while it waits; where none is named all end."""
    thief = make_signer("thief")
    height = carry(council, RecoverKeys([key(NEW)], PETROL, []))
    council.reach(height - 1)
    council.must(PETROL, AddKey(public_of(thief), "govern"))
    one_more = council.sign(PETROL, AddKey(public_of(make_signer("thief again")), "govern"))
    council.signers[PETROL, "govern"] = thief
    with_the_new = council.sign(PETROL, AddKey(public_of(make_signer("and again")), "govern"))
    answers = council.cut(one_more, with_the_new).answers
    assert [answer.refusal.code for answer in answers] == ["KEY_NOT_VALID"] * 2
    council.signers[PETROL, "govern"] = NEW
    assert council.ask(PETROL, AddKey(public_of(OTHER), "transact")).code == "OK"
    assert council.get("participant", PETROL).govern_keys == 1
