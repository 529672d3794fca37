"""A merchant keeps the policy file of its day and is started with it later, whatever the alliance has decided
before and since; and with it, a key that was retired by then is believed in nothing at all.
"""

from __future__ import annotations

import asyncio

import pytest

from ledger.keys import SeedSigner
from ledger.log.note import sign_checkpoint
from merchant_sdk import Receipt, Unverified
from tests.merchant_sdk.genesis import LOG
from tests.merchant_sdk.test_policies_kept import (
    NEXT,
    Backwards,
    decide,
    grow,
    make_text,
    reopen,
    village,
)

__all__ = ["village"]
LAST = SeedSigner(b"the log's last key, 32 bytes ...")


async def change_key(village, folder, signer):
    """The alliance gives the log this key; the node goes on with it."""
    await decide(village, make_text(village.chain, signer=signer))
    async with village.shop(retries=0) as shop:
        await shop.enrol()
    for _ in range(2_000):
        if village.node.core.failure is not None:
            break
        await asyncio.sleep(0.01)
    reopen(village, folder, signer)
    await grow(village)


async def trade(village, reference, **options):
    async with village.shop(program="fresh", **options) as shop:
        done = await shop.earn(await shop.enrol(), "45.60", reference=reference)
        receipt = await done.receipt()
        return receipt, await shop.policy()


async def test_a_stored_policy_serves_before_across_and_after_each_change(village, tmp_path):
    folder = tmp_path / "node"
    path = tmp_path / "outbox.db"
    before, first = await trade(village, "A-0", outbox=path)
    await change_key(village, folder, NEXT)
    between, second = await trade(village, "A-1")
    assert (before.epoch, between.epoch) == (0, 1)
    assert second == make_text(village.chain, signer=NEXT)
    # Anew, with the file of that day; and where an outbox remembers a time before it.
    for number, options in enumerate(({}, {"outbox": path}, {"outbox": tmp_path / "new.db"})):
        receipt, now = await trade(village, f"B-{number}", policy=second, **options)
        assert (receipt.epoch, now) == (1, second)
    await change_key(village, folder, LAST)
    third = make_text(village.chain, signer=LAST)
    kept = {"outbox": tmp_path / "new.db"}
    for number, (policy, options) in enumerate(
        [(first, {}), (second, {}), (second, kept), (second, kept), (third, {}), (third, kept), (None, {})]
    ):
        receipt, now = await trade(village, f"C-{number}", policy=policy, **options)
        assert (receipt.epoch, now) == (2, third), policy
    # Offline each receipt goes with the policy of its own epoch.
    for receipt, policy in ((before, first), (between, second)):
        assert Receipt.read(receipt.data, policy=policy).index == receipt.verify(policy).index
    with pytest.raises(Unverified, match="LOG_SIGNATURE_MISSING"):
        Receipt.read(before.data, policy=second)


async def test_whoever_was_given_a_policy_believes_no_key_from_before_it(village, tmp_path):
    await change_key(village, tmp_path / "node", NEXT)
    given = make_text(village.chain, signer=NEXT)
    village.road.node = Backwards(village.node)
    with pytest.raises(Unverified, match="LOG_SIGNATURE_MISSING"):
        async with village.shop(policy=given) as shop:
            await shop.connect()


async def test_a_retired_key_signs_nothing_later_for_a_client_that_knows(village, tmp_path):
    await change_key(village, tmp_path / "node", NEXT)
    async with village.shop() as shop:
        await shop.connect()
        trust = shop._connection._get_submitter().trust
        newest = trust.open(village.node.core.checkpoint)
        forged = sign_checkpoint(origin=village.chain, size=newest.size, root=newest.root, signer=LOG)
        with pytest.raises(Unverified, match="LOG_KEY_RETIRED"):
            trust.open(forged)
