"""Messages without end: as many transactions as it takes, and nobody reads further ahead than they go."""

from __future__ import annotations

import pytest

from contracts.messages import Earn, Enrol
from merchant_sdk import (
    Merchant,
    UnknownOutcome,
    make_member_id,
)
from merchant_sdk.client.streaming import STREAM_IN_FLIGHT_MAX
from tests.merchant_sdk.crowd import count_messages, name_order
from tests.merchant_sdk.genesis import get_system_time, keys_of
from tests.merchant_sdk.road import lose_reply


def make_earnings(member, count, taken=None):
    for number in range(count):
        if taken is not None:
            taken.append(number)
        yield Earn(10**6, member, get_system_time(), "fresh", name_order())


async def test_messages_without_end_are_as_many_transactions_as_it_takes(any_village):
    async with any_village.shop(group_messages=50) as shop:
        member = await shop.enrol()
        any_village.road.sent.clear()
        messages = [*make_earnings(member, 120), Enrol(member=make_member_id()), *make_earnings(member, 5)]
        results = [result async for result in shop.submit_all(iter(messages))]
    assert [result.message for result in results] == messages
    assert {result.code for result in results} == {"OK"}
    # One key signs a transaction.
    assert sorted(count_messages(any_village.road.sent)) == [1, 5, 20, 50, 50]


def test_blocking_it_is_the_same(harbour):
    keys = keys_of("fresh")
    with Merchant("fresh", harbour.url, keys=keys, chain=harbour.chain, group_messages=50) as shop:
        member = shop.enrol()
        results = list(shop.submit_all(make_earnings(member, 120)))
        assert [result.points for result in results] == [1] * 120
        for result in shop.submit_all(make_earnings(member, 1_000)):
            assert result.points == 1
            break
        assert shop.count_waiting() == 0


async def test_whoever_makes_the_messages_is_held_back(village):
    taken = []
    async with village.shop(group_messages=10) as shop:
        member = await shop.enrol()
        async for _ in shop.submit_all(make_earnings(member, 1_000, taken)):
            assert len(taken) <= STREAM_IN_FLIGHT_MAX * 10 + 1
            break


async def test_what_goes_wrong_on_the_way_is_told_at_its_place(village):
    async with village.shop(group_messages=10, retries=0) as shop:
        member = await shop.enrol()
        village.road.faults = [None, lose_reply]
        messages, found = list(make_earnings(member, 100)), []

        async def import_all():
            async for result in shop.submit_all(messages):
                found.append(result)  # noqa: PERF401  # what came before the error counts

        with pytest.raises(UnknownOutcome):
            await import_all()
        assert len(found) == 10
        # What was under way is answered, and only the one is open.
        assert shop.count_waiting() == 1
        again = [result async for result in shop.submit_all(messages[len(found) :])]
    assert {result.is_ok for result in again} == {True}
    assert village.node.list_balances(member)[0]["points"] == 100
