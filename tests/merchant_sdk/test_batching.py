"""Ordinary concurrent code gets the speed of large transactions, and loses nothing that a single call
promises.
"""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from contracts.messages import Earn
from merchant_sdk import (
    AsyncMerchant,
    ConfigurationError,
    Merchant,
    Receipt,
)
from merchant_sdk.client.grouping import GROUP_MESSAGES, IN_FLIGHT_MAX
from tests.merchant_sdk.crowd import count_messages, earn_many, name_order
from tests.merchant_sdk.genesis import get_system_time, keys_of
from tests.merchant_sdk.road import meet

# ---- against a node that listens -------------------------------------------------------------------------


async def test_two_thousand_calls_at_once_are_two_thousand_verified_receipts(harbour):
    async with harbour.shop() as shop:
        policy = await shop.policy()
        member = await shop.enrol()
        results = await earn_many(shop, member, 2_000)
        # The order is the log's: each has an entry, a balance and a place of its own.
        assert [result.points for result in results] == [1] * 2_000
        assert sorted(result.balance for result in results) == list(range(1, 2_001))
        assert len({result.index for result in results}) == 2_000
        assert len({result.transaction_id for result in results}) == 2
        for result in [*results[:3], *results[-3:]]:
            receipt = await result.receipt()
            assert Receipt.read(receipt.data, policy=policy).message == result.message
            assert receipt.transaction_id == result.transaction_id


def test_threads_get_it_too(harbour):
    with Merchant("fresh", harbour.url, keys=keys_of("fresh"), chain=harbour.chain, program="fresh") as shop:
        member = shop.enrol()

        def work(_):
            return [shop.earn(member, "1", name_order()) for _ in range(5)]

        with ThreadPoolExecutor(64) as tills:
            results = [done for each in tills.map(work, range(64)) for done in each]
    assert sorted(result.balance for result in results) == list(range(1, 321))
    transactions = {result.transaction_id for result in results}
    # How many fit into one is a matter of how fast the machine lets 64 threads ask: a few at the very least.
    assert len(transactions) <= 320 // 4


# ---- gathering -------------------------------------------------------------------------------------------


async def test_calls_at_once_are_one_transaction_of_up_to_a_thousand(village):
    async with village.shop(program="fresh") as shop:
        member = await shop.enrol()
        village.road.sent.clear()
        await earn_many(shop, member, 2 * GROUP_MESSAGES + 1)
    assert count_messages(village.road.sent) == [GROUP_MESSAGES, GROUP_MESSAGES, 1]


async def test_a_full_transaction_goes_while_others_are_under_way(village):
    async with village.shop(program="fresh", group_messages=10, group_seconds=1) as shop:
        member = await shop.enrol()
        village.road.sent.clear()
        # None is answered before three are there: had one waited for another, this would never end.
        village.road.faults = [meet(3)] * 3
        async with asyncio.timeout(5):
            results = await earn_many(shop, member, 30)
    assert [result.points for result in results] == [1] * 30
    assert count_messages(village.road.sent) == [10, 10, 10]


async def test_a_lone_call_does_not_wait(village):
    async with village.shop(program="fresh", group_seconds=1) as shop:
        member = await shop.enrol()
        begin = time.monotonic()
        for _ in range(5):
            await shop.earn(member, "1", name_order())
        assert time.monotonic() - begin < 1


async def test_nobody_waits_longer_than_the_bound(village):
    async with village.shop(program="fresh", group_seconds=0.05) as shop:
        member = await shop.enrol()
        village.road.sent.clear()
        released = asyncio.Event()

        async def stay_away(forward):
            await released.wait()
            return await forward()

        village.road.faults = [stay_away]
        slow = asyncio.create_task(shop.earn(member, "1", name_order()))
        await asyncio.sleep(0.01)
        begin = time.monotonic()
        quick = await shop.earn(member, "1", name_order())
        # The first is not answered yet, and the second waited for it no longer than it was told to.
        assert not slow.done()
        assert 0.04 < time.monotonic() - begin < 1
        released.set()
        assert {(await slow).balance, quick.balance} == {1, 2}


async def test_callers_who_were_answered_together_are_sent_together_again(village):
    async with village.shop(program="fresh", group_seconds=1) as shop:
        member = await shop.enrol()
        village.road.sent.clear()

        async def till():
            for _ in range(10):
                await shop.earn(member, "1", name_order())
                # A little to do between two customers.
                for _ in range(3):
                    await asyncio.sleep(0)

        await asyncio.gather(*(till() for _ in range(20)))
    assert count_messages(village.road.sent) == [20] * 10


async def test_one_message_a_transaction_where_that_is_wanted(village):
    async with village.shop(program="fresh", group_messages=1) as shop:
        member = await shop.enrol()
        village.road.sent.clear()
        await earn_many(shop, member, 20)
    assert count_messages(village.road.sent) == [1] * 20


@pytest.mark.parametrize("options", [{"group_messages": 0}, {"group_messages": 8193}, {"group_seconds": -1}])
def test_a_grouping_that_cannot_be_is_a_configuration_error(village, options):
    with pytest.raises(ConfigurationError, match="group_messages 1 to 8192"):
        village.blocking_shop(**options)


async def test_no_more_than_so_many_are_under_way(village):
    async with village.shop(program="fresh", group_messages=2) as shop:
        member = await shop.enrol()
        under_way, most = 0, 0

        async def count(forward):
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0.01)
            under_way -= 1
            return await forward()

        village.road.faults = [count] * 30
        await earn_many(shop, member, 60)
    assert most == IN_FLIGHT_MAX


async def test_an_atomic_order_travels_alone(village):
    async with village.shop(program="fresh") as shop:
        member = await shop.enrol()
        village.road.sent.clear()
        pair = [Earn(10**6, member, get_system_time(), "fresh", name_order()) for _ in range(2)]
        single, results = await asyncio.gather(
            shop.earn(member, "1", name_order()), shop.submit(pair, atomic=True)
        )
    assert sorted(count_messages(village.road.sent)) == [1, 2]
    assert {result.transaction_id for result in results} != {single.transaction_id}


# ---- the end ---------------------------------------------------------------------------------------------


async def test_closing_sends_what_still_gathers(village):
    shop = village.shop(program="fresh", group_seconds=1)
    member = await shop.enrol()
    village.road.faults = [meet(2)] * 2
    first = asyncio.create_task(shop.earn(member, "1", name_order()))
    await asyncio.sleep(0.01)
    gathering = [asyncio.create_task(shop.earn(member, "1", name_order())) for _ in range(5)]
    await asyncio.sleep(0.01)
    await shop.close()
    assert [result.points for result in await asyncio.gather(first, *gathering)] == [1] * 6
    with pytest.raises(ConfigurationError, match="closed"):
        await shop.earn(member, "1", name_order())


def test_threads_that_call_while_it_closes_are_answered_or_told(harbour):
    shop = Merchant("fresh", harbour.url, keys=keys_of("fresh"), chain=harbour.chain, program="fresh")
    member = shop.enrol()
    told = []

    def work():
        try:
            while True:
                told.append(shop.earn(member, "1", name_order()).points)
        except ConfigurationError as error:
            told.append(error.detail)

    tills = [threading.Thread(target=work) for _ in range(16)]
    for till in tills:
        till.start()
    while len(told) < 64:
        time.sleep(0.001)
    shop.close()
    for till in tills:
        till.join(10)
        assert not till.is_alive()
    assert told.count("this merchant is closed") == 16
    assert set(told) == {1, "this merchant is closed"}


def test_another_event_loop_needs_a_merchant_of_its_own(harbour):
    shop = AsyncMerchant("fresh", harbour.url, keys=keys_of("fresh"), chain=harbour.chain, program="fresh")
    member = asyncio.run(shop.enrol())
    with pytest.raises(ConfigurationError, match="another event loop"):
        asyncio.run(shop.earn(member, "1", name_order()))
