"""Validators by vote: whoever is no longer one is not waited for, and may become one again."""

from __future__ import annotations

from contracts.mechanics.governance_records import ValidatorSet
from contracts.messages import Propose, Vote
from contracts.messages.actions import ChainValidator, SetValidators
from ledger.codec import to_base64url
from ledger.transaction import sign_transaction
from node.engine.cometbft.validator_updates import list_updates
from tests.contracts.cast import OPERATOR, make_signer
from tests.node.cometbft.validators import get_time

KEYS = {name: to_base64url(make_signer(name, "consensus").public) for name in ("a", "b", "c", "other")}


def make_set(**powers: int) -> ValidatorSet:
    """So many votes each, each under its own key."""
    return ValidatorSet(7, tuple((name, power, KEYS[name]) for name, power in powers.items()))


def tell(before, after):
    """Each update as the name of its key and the power."""
    names = {make_signer(name, "consensus").public: name for name in KEYS}
    return {names[each.pub_key.ed25519]: each.power for each in list_updates(before, after)}


def test_cometbft_is_told_the_difference_and_nothing_else():
    assert tell(make_set(a=1, b=2), make_set(a=1, b=2)) == {}
    assert tell(make_set(a=1, b=2), make_set(a=1, b=3, c=4)) == {"b": 3, "c": 4}
    assert tell(make_set(a=1, b=2), make_set(b=2)) == {"a": 0}
    moved = ValidatorSet(8, (("a", 1, KEYS["other"]),))
    assert tell(make_set(a=1), moved) == {"a": 0, "other": 1}
    assert tell(None, None) == {}


def decide(alliance, *actions, name):
    """The operator, who alone votes, is for it; what follows is in the next block."""
    signer = alliance.all[0].config.open_signer("govern")
    height = alliance.all[0].ask("GET", "/v1/chain")[1]["height"]
    proposal = Propose(
        actions=list(actions),
        configuration=0,
        effective_height=height + 1,
        expires=get_time() + 600_000,
        proposal=name,
    )
    for number, message in enumerate((proposal, Vote(choice="yes", configuration=0, proposal=name))):
        transaction = sign_transaction(
            [message],
            chain=alliance.chain,
            sender=OPERATOR,
            transaction_id=f"{name}-{number}",
            not_after=get_time() + 300_000,
            signer=signer,
        )
        alliance.must(transaction.encode())


def test_a_validator_that_was_voted_out_is_not_waited_for_and_comes_back(make_validators):
    alliance = make_validators(2)
    alliance.start()
    alliance.begin(members=10)
    rows = [ChainValidator(each.participant, 10, each.consensus_key) for each in alliance.origin.validators]
    first, second = alliance.all
    stays = [row for row in rows if row.participant == OPERATOR]

    decide(alliance, SetValidators(stays), name="out")
    alliance.must(alliance.earn("a", members=10))
    alliance.must(alliance.earn("b", members=10))
    alliance.wait_for_same_root()
    second.stop()
    # Of two equal votes one is not enough: without the vote nothing would be decided any more.
    for number in range(3):
        alliance.must(alliance.earn(f"alone-{number}", members=10))
    alone = first.get_checkpoint()

    second.start()
    assert alliance.wait_for_same_root(least=alone[0]) == alone
    decide(alliance, SetValidators(rows), name="back")
    for number in range(4):
        alliance.must(alliance.earn(f"both-{number}", members=10), at=number % 2)
    alliance.wait_for_same_root(least=alone[0] + 8)
    for each in alliance.all:
        each.stop()
