"""Only what continues the history seen before is trusted, and a log that contradicts itself is found."""

from __future__ import annotations

import time

import msgspec
import pytest

from contracts.messages import Enrol
from ledger.keys import SeedSigner
from ledger.policy_chain import derive_policy
from merchant_sdk import Unverified, make_member_id
from merchant_sdk.origins import read_origin
from merchant_sdk.trust import REMEMBERED_MAX, Link
from tests.merchant_sdk.genesis import LOG
from tests.merchant_sdk.notary import MEMBERS, Notary, believe
from tests.merchant_sdk.small_node import SmallNode


async def test_an_honest_answer_is_believed_and_trusted_from_then_on(notary):
    trust = notary.trust()
    begun = trust.trusted_size
    assert begun == len(notary.node.origin.leaves)
    data = await notary.send([Enrol(member=member) for member in MEMBERS[:5]], begun)
    proven = trust.prove(notary.transaction, data)
    assert [msgspec.json.decode(outcome) for outcome in proven.outcomes] == [{"code": "OK"}] * 5
    assert believe(trust, notary, data, begun) is None
    assert trust.trusted_size == notary.node.tree.size
    assert trust.note == notary.node.checkpoint()


async def test_a_node_with_another_log_key_is_refused(notary):
    trust = notary.trust()
    notary.node.signer = SeedSigner(bytes(32))
    data = await notary.send([Enrol(member=MEMBERS[1])], trust.trusted_size)
    with pytest.raises(Unverified, match="LOG_SIGNATURE_MISSING") as caught:
        trust.prove(notary.transaction, data)
    assert caught.value.evidence["found"] == notary.node.checkpoint()


async def test_a_rewritten_history_is_found_with_both_notes(notary):
    trust = notary.trust()
    size = trust.trusted_size
    assert believe(trust, notary, await notary.send([Enrol(member=MEMBERS[0])], size), size) is None
    ours = trust.note
    # The same log key, the same chain, another history that is longer.
    other = Notary()
    for _ in range(20):
        await other.grow()
    data = await other.send([Enrol(member=MEMBERS[2])], trust.trusted_size)
    with pytest.raises(Unverified) as caught:
        believe(trust, other, data, trust.trusted_size)
    assert caught.value.code == "HISTORY_REWRITTEN"
    assert caught.value.evidence == {"found": other.node.checkpoint(), "trusted": ours}
    assert trust.note == ours


async def test_one_size_with_two_roots_is_found_with_both_notes():
    one, other = Notary(), Notary()
    for notary in (one, other):
        await notary.grow()
    assert one.node.tree.size == other.node.tree.size
    trust = one.trust()
    assert believe(trust, one, await one.again(trust.trusted_size), trust.trusted_size) is None
    with pytest.raises(Unverified) as caught:
        trust.accept(other.node.checkpoint())
    assert caught.value.code == "SPLIT_VIEW"
    assert caught.value.evidence == {"found": other.node.checkpoint(), "trusted": one.node.checkpoint()}


async def test_a_log_that_shrank_is_found(notary):
    trust = notary.trust()
    small = notary.node.checkpoint()
    await notary.grow()
    assert believe(trust, notary, await notary.again(trust.trusted_size), trust.trusted_size) is None
    error = trust.find_shrinkage(small)
    assert error.code == "LOG_SHRANK"
    assert error.evidence == {"found": small, "trusted": notary.node.checkpoint()}
    assert trust.find_shrinkage(notary.node.checkpoint()) is None


def link_proof(notary: Notary, link: Link) -> bytes:
    return msgspec.json.encode({"proof": notary.node.prove_consistency(link.old, link.new)})


async def test_answers_out_of_order_are_linked_into_one_history(notary):
    trust = notary.trust()
    begun = trust.trusted_size
    answers = []
    for _ in range(4):
        data = await notary.send([Enrol(member=make_member_id())], begun)
        answers.append((notary.transaction, data))
    sizes = []
    for number in (1, 3, 0, 2):
        transaction, data = answers[number]
        proven = trust.prove(transaction, data)
        note = proven.answer.checkpoint
        link = trust.accept(note, trusted_size=begun, proof=proven.answer.consistency)
        while link is not None:
            link = trust.accept_link(note, link, link_proof(notary, link))
        sizes.append(trust.trusted_size)
    last = notary.node.tree.size
    assert sizes == [sizes[0], last, last, last]
    assert trust.note == notary.node.checkpoint()


async def test_a_fork_between_two_concurrent_answers_is_found(notary):
    """Both views continue what was trusted when the two were sent; they do not continue each other."""
    trust = notary.trust()
    begun = trust.trusted_size
    first = await notary.send([Enrol(member=MEMBERS[3])], begun)
    assert believe(trust, notary, first, begun) is None
    fork = Notary()
    for _ in range(9):
        await fork.grow()
    data = await fork.send([Enrol(member=MEMBERS[4])], begun)
    link = believe(trust, fork, data, begun)
    assert link == Link(trust.trusted_size, fork.node.tree.size)
    with pytest.raises(Unverified, match="HISTORY_REWRITTEN"):
        trust.accept_link(fork.node.checkpoint(), link, link_proof(fork, link))


async def test_a_link_that_was_overtaken_is_asked_for_anew(notary):
    trust = notary.trust()
    begun = trust.trusted_size
    notes = []
    for _ in range(3):
        await notary.grow()
        notes.append((notary.node.tree.size, notary.node.checkpoint()))
    (small, first), (middle, second), (large, third) = notes
    proof = notary.node.prove_consistency(begun, small)
    assert trust.accept(first, trusted_size=begun, proof=proof) is None
    link = trust.accept(third)
    assert link == Link(small, large)
    proof = notary.node.prove_consistency(small, middle)
    assert trust.accept(second, trusted_size=small, proof=proof) is None
    again = trust.accept_link(third, link, link_proof(notary, link))
    assert again == Link(middle, large)
    assert trust.accept_link(third, again, link_proof(notary, again)) is None
    assert trust.trusted_size == large


async def test_what_is_remembered_is_bounded_and_holds_what_is_trusted(notary):
    trust = notary.trust()
    for _ in range(REMEMBERED_MAX + 10):
        size = trust.trusted_size
        await notary.grow()
        assert believe(trust, notary, await notary.again(size), size) is None
    assert len(trust._known) == REMEMBERED_MAX
    assert trust.trusted_size in trust._known


async def test_a_note_kept_from_last_time_must_still_satisfy_the_policy(notary):
    note = notary.node.checkpoint()
    assert notary.trust(note).trusted_size == notary.node.tree.size
    with pytest.raises(Unverified):
        notary.trust(note.replace("\n", "\n1", 1))


def test_the_genesis_must_hash_to_the_pinned_chain():
    node = SmallNode()
    leaves = [leaf.decode() for leaf in node.origin.leaves]
    assert read_origin(leaves, chain=node.chain).chain == node.chain
    other = node.chain[:-1] + ("0" if node.chain[-1] != "0" else "1")
    with pytest.raises(Unverified, match="WRONG_CHAIN"):
        read_origin(leaves, chain=other)
    for wrong in ([], leaves[1:], leaves[:-1], [*leaves, leaves[-1]], ["{}"], [leaves[0] + " ", *leaves[1:]]):
        with pytest.raises(Unverified):
            read_origin(wrong, chain=node.chain)


def test_the_policy_follows_from_the_genesis():
    node = SmallNode()
    policy = derive_policy(node.origin)
    assert [log.key.public for log in policy.logs] == [LOG.public]
    assert policy.quorum == "none"


@pytest.mark.alone
async def test_an_answer_with_thirty_outcomes_is_verified_within_a_millisecond(notary):
    for _ in range(200):
        await notary.grow()
    seen = notary.node.checkpoint()
    size = notary.node.tree.size
    await notary.send([Enrol(member=member) for member in MEMBERS], size)
    spent = []
    for _ in range(20):
        # Another checkpoint each time, so that a signature is verified each time.
        data = await notary.again(size)
        trust = notary.trust(seen)
        begun = time.perf_counter()
        assert believe(trust, notary, data, size) is None
        spent.append(time.perf_counter() - begun)
        transaction = notary.transaction
        await notary.grow()
        notary.transaction = transaction
    assert min(spent) < 0.001
