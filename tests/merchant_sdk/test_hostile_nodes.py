"""A node that lies, forgets or forks is found, and what it showed is kept as evidence."""

from __future__ import annotations

import asyncio

import pytest

from contracts.messages import Enrol
from ledger.keys import SeedSigner
from ledger.log.note import sign_checkpoint
from merchant_sdk import (
    Unverified,
    make_member_id,
)
from tests.merchant_sdk.road import change, meet, say
from tests.merchant_sdk.small_node import SmallNode
from tests.merchant_sdk.village import Village


async def test_a_tampered_answer_is_not_believed_and_kept_to_be_asked_again(village, shop, member):
    village.road.faults = [change(lambda told: told["outcomes"][0].update(points=500, balance=500))]
    with pytest.raises(Unverified) as caught:
        await shop.earn(member, "5", "A-1")
    assert caught.value.code == "ROOT_MISMATCH"
    assert caught.value.transaction_id
    assert not caught.value.may_retry
    (resent,) = await shop.flush()
    assert resent.results[0].points == 5


async def test_a_node_that_starts_anew_with_another_history_is_found(village, shop, member):
    await shop.earn(member, "5", "A-1")
    ours = shop._connection.outbox.load_note(shop.chain)
    other = Village(SmallNode())
    for _ in range(10):
        async with other.shop() as stranger:
            await stranger.enrol()
    village.road.node = other.node
    with pytest.raises(Unverified) as caught:
        await shop.enrol()
    assert caught.value.code == "HISTORY_REWRITTEN"
    (evidence,) = shop.list_evidence()
    assert evidence.code == "HISTORY_REWRITTEN"
    assert evidence.trusted == ours
    assert evidence.found == other.node.checkpoint()
    assert shop._connection.outbox.load_note(shop.chain) == ours


async def test_a_restart_remembers_what_was_trusted(village, shop, member, tmp_path):
    await shop.earn(member, "5", "A-1")
    await shop.close()
    # The node lost its last blocks and nobody told it: same keys, same chain, a shorter log.
    village.road.node = SmallNode()
    again = village.shop(outbox=tmp_path / "outbox.db", program="fresh")
    # Found before anything is given to it, and each time.
    for _ in range(2):
        with pytest.raises(Unverified) as caught:
            await again.enrol()
        assert (caught.value.code, caught.value.fate) == ("LOG_SHRANK", "not_sent")
        assert [each.code for each in again.list_evidence()] == ["LOG_SHRANK"]
        assert again.count_waiting() == 0
    await again.close()


async def test_a_node_that_forgets_while_we_are_connected_is_found_by_its_own_refusal(village, shop, member):
    await shop.earn(member, "5", "A-1")
    village.road.node = SmallNode()
    with pytest.raises(Unverified) as caught:
        await shop.enrol()
    assert (caught.value.code, caught.value.fate) == ("LOG_SHRANK", "refused")
    assert shop.count_waiting() == 0


async def test_a_node_of_another_ledger_is_refused_before_anything_is_signed():
    other = Village(SmallNode())
    other.node.origin = SmallNode(clock="simulated").origin
    shop = other.shop()
    with pytest.raises(Unverified, match="WRONG_CHAIN"):
        await shop.enrol()
    assert other.road.sent == []
    await shop.close()


async def test_a_checkpoint_of_another_key_is_refused(village, shop, member):
    def forge(told):
        tree = village.node.tree
        told["checkpoint"] = sign_checkpoint(
            origin=village.chain, size=tree.size, root=tree.root(), signer=SeedSigner(bytes(32))
        )

    village.road.faults = [change(forge)]
    with pytest.raises(Unverified, match="LOG_SIGNATURE_MISSING"):
        await shop.earn(member, "5", "A-1")
    assert len(shop.list_evidence()) == 1


async def test_a_place_in_history_that_cannot_be_checked_is_no_commitment(village, shop):
    """Two answers at once need a link between them; while it cannot be had, nothing is claimed."""
    village.road.faults = [meet(2)] * 2
    results = asyncio.gather(
        shop.submit([Enrol(member=make_member_id())]),
        shop.submit([Enrol(member=make_member_id())]),
        return_exceptions=True,
    )
    forward = village.node.handle_async_request

    async def without_links(request):
        if request.url.path == "/v1/consistency":
            return await say(503, "NOT_YET")(None)
        return await forward(request)

    village.node.handle_async_request = without_links
    outcomes = await results
    assert sorted(type(each).__name__ for each in outcomes) == ["UnknownOutcome", "list"]
    village.node.handle_async_request = forward
    (resent,) = await shop.flush()
    assert resent.results[0].is_ok


async def test_concurrent_answers_are_all_linked(village, shop):
    village.road.faults = [meet(25)] * 25
    results = await asyncio.gather(*(shop.submit([Enrol(member=make_member_id())]) for _ in range(25)))
    assert all(result[0].is_ok for result in results)
    assert shop._connection._submitter.trust.trusted_size == village.node.tree.size
