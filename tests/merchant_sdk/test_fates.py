"""Refused, not sent or unknown: the error says which, it was true then and it stays true."""

from __future__ import annotations

import asyncio

import pytest

from merchant_sdk import NotSent, RefusedByNode, UnknownOutcome, make_member_id
from tests.merchant_sdk.genesis import keys_of
from tests.merchant_sdk.harbour import cut_answer, cut_request, hold_back, reset_after, reset_before, say
from tests.merchant_sdk.shops import name_orders

BUSY = say(429, b'{"code":"BUSY","status":429}')
KEY_NOT_VALID = say(401, b'{"code":"KEY_NOT_VALID","status":401}')


@pytest.fixture
async def shop(harbour, road, tmp_path):
    async with harbour.shop(road.url, outbox=tmp_path / "outbox.db") as shop:
        yield shop


@pytest.fixture
async def member(shop):
    return await shop.enrol()


async def test_nothing_listens_and_nothing_was_sent(harbour, road, tmp_path):
    async with harbour.shop(road.url, outbox=tmp_path / "outbox.db") as shop:
        member = await shop.enrol()
        seen = road.seen
        (reference,) = name_orders(1)
        await road.close()
        with pytest.raises(NotSent) as caught:
            await shop.earn(member, "5", reference)
        assert (caught.value.fate, caught.value.transaction_id) == ("not_sent", None)
        assert shop.count_waiting() == 0
    # Nor by anybody later: it is not in the outbox any more.
    async with harbour.shop(outbox=tmp_path / "outbox.db") as later:
        assert await later.flush() == []
    assert (road.seen - seen, harbour.list_outcomes(reference)) == (0, [])


@pytest.mark.parametrize("is_restarted", [False, True])
async def test_what_left_once_is_never_called_unsent_again(harbour, road, tmp_path, is_restarted):
    """Not in the next call, the next flush or the next process, although none of those reaches a node."""
    path = tmp_path / "outbox.db"
    (reference,) = name_orders(1)
    shop = harbour.shop(road.url, outbox=path)
    member = await shop.enrol()
    road.faults = [reset_before]
    with pytest.raises(UnknownOutcome) as caught:
        await shop.earn(member, "5", reference)
    if is_restarted:
        await shop.close()
        shop = await harbour.shop(road.url, outbox=path).connect()
    await road.close()
    with pytest.raises(UnknownOutcome) as again:
        await shop.earn(member, "5", reference)
    assert again.value.transaction_id == caught.value.transaction_id
    (resent,) = await shop.flush()
    assert (resent.error.fate, resent.transaction_id) == ("unknown", caught.value.transaction_id)
    await shop.close()
    async with harbour.shop(outbox=path) as later:
        assert [each.error for each in await later.flush()] == [None]
    assert harbour.list_outcomes(reference) == ["OK"]


async def test_a_refusal_after_a_lost_reply_settles_nothing_until_the_log_says_so(
    harbour, road, shop, member
):
    (reference,) = name_orders(1)
    road.faults = [reset_after, KEY_NOT_VALID, BUSY]
    for _ in range(3):
        with pytest.raises(UnknownOutcome):
            await shop.earn(member, "5", reference)
    assert (await shop.earn(member, "5", reference)).code == "OK"
    assert harbour.list_outcomes(reference) == ["OK"]


async def test_a_first_refusal_is_final_and_free(harbour, road, shop, member):
    (reference,) = name_orders(1)
    road.faults = [KEY_NOT_VALID]
    with pytest.raises(RefusedByNode) as caught:
        await shop.earn(member, "5", reference)
    assert (caught.value.fate, shop.count_waiting()) == ("refused", 0)
    assert harbour.list_outcomes(reference) == []


async def test_fifty_calls_at_once_through_a_bad_road_end_in_fifty_effects(harbour, road, tmp_path):
    faults = [
        reset_before,
        reset_after,
        say(502, is_taken=True),
        cut_answer(400),
        hold_back,
        cut_request(300),
    ]
    async with harbour.shop(road.url, outbox=tmp_path / "many.db") as shop:
        members = await asyncio.gather(*(shop.enrol(make_member_id()) for _ in range(50)))
        orders = list(zip(members, name_orders(50), strict=True))
        for round_ in range(3):
            road.faults = [faults[(round_ + number) % len(faults)] for number in range(10)]
            await asyncio.gather(
                *(shop.earn(member, "5", reference) for member, reference in orders), return_exceptions=True
            )
        road.faults = []
        results = await asyncio.gather(*(shop.earn(member, "5", reference) for member, reference in orders))
        assert all(result.is_ok for result in results)
        await shop.flush()
        assert shop.count_waiting() == 0
    for _, reference in orders:
        assert harbour.list_outcomes(reference).count("OK") == 1


async def test_a_till_that_lost_its_key_meanwhile_is_told_what_is_open(harbour, road, tmp_path):
    path = tmp_path / "outbox.db"
    (reference,) = name_orders(1)
    shop = harbour.shop(road.url, outbox=path)
    member = await shop.enrol()
    road.faults = [reset_before]
    with pytest.raises(UnknownOutcome):
        await shop.earn(member, "5", reference)
    await shop.close()
    harbour.ahead += 3_600_000
    async with harbour.shop(road.url, outbox=path, keys=keys_of("fresh", "custody")) as poorer:
        (resent,) = await poorer.flush()
        assert (resent.error.code, resent.error.fate) == ("CONFIGURATION", "unknown")
        assert poorer.count_waiting() == 1
    async with harbour.shop(road.url, outbox=path) as again:
        assert (await again.earn(member, "5", reference)).code == "OK"
    assert harbour.list_outcomes(reference) == ["OK"]
