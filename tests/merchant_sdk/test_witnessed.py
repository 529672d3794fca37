"""Receipts that witnesses have cosigned, and policies that are believed only under the one before."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from msgspec.structs import replace

from contracts.messages import Propose, Vote
from contracts.messages.actions import SetTrustPolicy
from ledger.keys import SeedSigner
from ledger.log.note import COSIGNATURE_V1, VerifierKey, add_signature_lines, cosign, split_note
from ledger.log.policy import Log, Policy, Witness, format_policy
from merchant_sdk import Receipt, RefusedByNode, Unverified
from merchant_sdk.errors import ConfigurationError
from tests.merchant_sdk.genesis import LOG, get_system_time, keys_of
from tests.merchant_sdk.village import RealNode, Village

WITNESS = SeedSigner(b"a witness's own key, 32 bytes...")
KEY = VerifierKey("witness.example/w1", COSIGNATURE_V1, WITNESS.public)


@pytest.fixture
async def real_village(tmp_path):
    """Served by the real node."""
    node = RealNode(tmp_path)
    try:
        village = Village(node)
        await village.begin()
        yield village
    finally:
        node.core.stop()


def make_text(chain: str) -> str:
    log = Log(VerifierKey.for_log(chain, LOG.public))
    return format_policy(Policy((log,), (Witness("w1", KEY),), (), "w1")).decode()


async def enact(village: Village, *texts: str) -> None:
    """The operator, who decides alone, sets policies; a block follows the one that enacts them."""
    core = village.node.core
    async with village.shop("op", keys=keys_of("op", "govern")) as operator:
        name = f"trust-{core.head.height}"
        proposal = Propose(
            actions=[SetTrustPolicy(text) for text in texts],
            configuration=0,
            effective_height=core.head.height + 1,
            expires=get_system_time() + 600_000,
            proposal=name,
        )
        for message in (proposal, Vote("yes", 0, name)):
            assert [each.code for each in await operator.submit([message])] == ["OK"]
    async with village.shop() as shop:
        await shop.enrol()
        await shop.enrol()


def bear_witness(village: Village) -> None:
    core = village.node.core
    note = core.checkpoint
    line = cosign(body=split_note(note)[0], name=KEY.name, signer=WITNESS, time_seconds=int(time.time()))
    core.add_cosignatures(add_signature_lines(note, line))


async def test_without_a_quorum_every_receipt_is_witnessed_at_once(real_village):
    async with real_village.shop() as shop:
        done = await shop.earn(await shop.enrol(), "45.60", reference="A-1", program="fresh")
        receipt = await done.receipt()
        assert receipt.is_witnessed
        assert (await receipt.wait_witnessed(0)).index == receipt.index


async def test_a_receipt_is_witnessed_when_the_quorum_in_force_has_cosigned(real_village):
    await enact(real_village, make_text(real_village.chain))
    async with real_village.shop() as shop:
        done = await shop.earn(await shop.enrol(), "45.60", reference="A-1", program="fresh")
        receipt = await done.receipt()
        assert receipt.epoch == 1
        assert not receipt.is_witnessed
        with pytest.raises(RefusedByNode, match="NOT_WITNESSED") as caught:
            await receipt.wait_witnessed(0.01)
        assert caught.value.may_retry
        waiting = asyncio.ensure_future(receipt.wait_witnessed(10))
        await asyncio.sleep(0.05)
        bear_witness(real_village)
        witnessed = await waiting
        text = await shop.policy()
    assert witnessed.is_witnessed
    assert (witnessed.index, witnessed.message) == (receipt.index, receipt.message)
    # Offline, with the policy file alone.
    kept = Receipt.read(witnessed.data, policy=text)
    assert kept.is_witnessed
    with pytest.raises(ConfigurationError):
        kept.wait_witnessed()
    with pytest.raises(Unverified, match="QUORUM_NOT_MET"):
        Receipt.read(receipt.data, policy=text)
    assert witnessed.verify() == witnessed


async def test_the_blocking_face_waits_as_well(real_village):
    await enact(real_village, make_text(real_village.chain))
    loop = asyncio.get_running_loop()

    def trade() -> Receipt:
        with real_village.blocking_shop(program="fresh") as shop:
            receipt = shop.earn(shop.enrol(), "45.60", reference="A-1").receipt()
            assert not receipt.is_witnessed
            threading.Timer(0.2, lambda: bear_witness(real_village)).start()
            return receipt.wait_witnessed(10)

    assert (await loop.run_in_executor(None, trade)).is_witnessed


async def test_a_policy_enacted_meanwhile_is_learned_with_the_next_meeting(real_village):
    async with real_village.shop() as shop:
        await shop.enrol()
        before = await shop.policy()
        await enact(real_village, make_text(real_village.chain))
        assert await shop.policy() == before
        # Nothing changes for who already trusts this log's key, until it meets a node anew.
        await shop.enrol()
    async with real_village.shop() as shop:
        assert await shop.policy() == make_text(real_village.chain)


async def test_a_policy_that_was_not_enacted_so_is_believed_by_nobody(real_village):
    await enact(real_village, make_text(real_village.chain))
    core = real_village.node.core
    (step,) = core.list_policy_steps()
    leaf = step.propose.leaf.replace("quorum w1", "quorum none")
    core.list_policy_steps = lambda: [replace(step, propose=replace(step.propose, leaf=leaf))]
    with pytest.raises(Unverified, match="ROOT_MISMATCH"):
        async with real_village.shop():
            pass
