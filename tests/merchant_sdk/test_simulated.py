"""On a simulated chain the ledger's time is what counts, and an answer waits for its block."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from contracts.messages import Enrol
from ledger.transaction import TransactionDecoder
from merchant_sdk import make_member_id
from tests.merchant_sdk.genesis import START, keys_of
from tests.merchant_sdk.small_node import SmallNode
from tests.merchant_sdk.village import Village

HOUR = 3_600_000


@pytest.fixture
def village():
    return Village(SmallNode(clock="simulated"))


async def until_waiting(village, count):
    for _ in range(2_000):
        if len(village.node.waiting) == count:
            return
        await asyncio.sleep(0.001)
    pytest.fail("nothing arrived")


def header_of(data, village):
    return TransactionDecoder(village.node.rulebook.message_type).decode(data).header


async def test_an_answer_waits_for_its_block(village):
    async with village.shop() as shop:
        asked = asyncio.create_task(shop.submit([Enrol(member=make_member_id())]))
        await until_waiting(village, 1)
        assert not asked.done()
        village.node.cut(START + HOUR)
        (done,) = await asked
        assert (done.time, done.height) == (START + HOUR, 1)
        # From now on that is the time, until the next block.
        asked = asyncio.create_task(shop.submit([Enrol(member=make_member_id())]))
        await until_waiting(village, 1)
        assert header_of(village.road.sent[-1], village).not_after == START + 2 * HOUR
        village.node.cut(START + 2 * HOUR)
        assert (await asked)[0].is_ok


async def test_a_clock_of_ones_own_is_the_time(village):
    now = START + HOUR
    async with village.shop(clock=lambda: now) as shop:
        asked = asyncio.create_task(shop.submit([Enrol(member=make_member_id())]))
        await until_waiting(village, 1)
        assert header_of(village.road.sent[-1], village).not_after == now + HOUR
        village.node.cut(now)
        assert (await asked)[0].is_ok


async def test_a_seeded_shop_sends_the_same_bytes_twice(village):
    async def send(village):
        numbers = itertools.count()
        async with village.shop(
            clock=lambda: START,
            ids=lambda: f"t-{next(numbers)}",
            member_ids=lambda: f"m_{next(numbers):026d}",
        ) as shop:
            asked = asyncio.create_task(shop.enrol())
            await until_waiting(village, 1)
            village.node.cut(START)
            await asked
        return village.road.sent

    again = Village(SmallNode(clock="simulated"))
    assert await send(village) == await send(again)


async def test_transactions_of_one_hour_come_in_one_block_and_are_all_believed(village):
    async with village.shop() as fresh, village.shop("petrol", keys=keys_of("petrol", "custody")) as petrol:
        for hour in range(1, 30):
            asked = [
                asyncio.create_task(shop.submit([Enrol(member=make_member_id())]))
                for shop in (fresh, petrol)
                for _ in range(2)
            ]
            await until_waiting(village, 4)
            village.node.cut(START + hour * HOUR)
            results = await asyncio.gather(*asked)
            assert {result[0].height for result in results} == {hour}
    # All answers of a block come under one checkpoint, so no link between them was ever asked for.
    assert not [asked for asked in village.road.asked if "consistency" in asked]
