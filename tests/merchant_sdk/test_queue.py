"""What is queued without a line is carried when there is one: each once, in order, in batches."""

from __future__ import annotations

from collections import Counter

import pytest

from contracts.messages import Enrol
from merchant_sdk import ConfigurationError, make_member_id
from tests.merchant_sdk.dying_shop import DONE
from tests.merchant_sdk.harbour import BadRoad, reset_before
from tests.merchant_sdk.shops import check_in_order, make_earnings, name_orders

QUEUED = 10_000


async def test_ten_thousand_queued_earnings_drain_in_batches_and_in_order(shops):
    orders = name_orders(QUEUED)
    offline = shops.harbour.shop("http://127.0.0.1:9", outbox=shops.outbox)
    for first in range(0, QUEUED, 100):
        messages = make_earnings(shops.member, orders[first : first + 100])
        await offline._connection.queue(messages)
    await offline.close()
    height = shops.harbour.node.core.head.height
    async with shops.harbour.shop(outbox=shops.outbox) as shop:
        resent = await shop.flush()
        assert [each.error for each in resent] == [None, None]
        codes = Counter(result.code for each in resent for result in each.results)
        assert codes == {"OK": QUEUED}
        assert shop._connection.outbox.count_queued("fresh") == 0
        assert await shop.flush() == []
    assert shops.harbour.node.core.head.height - height == 2
    check_in_order(shops, orders)


async def test_a_queue_waits_for_a_node_and_says_so(shops):
    orders = name_orders(3)
    assert shops.run("queue", references=orders) == DONE
    async with BadRoad(shops.harbour.port) as road, shops.harbour.shop(road.url, outbox=shops.outbox) as shop:
        await shop.connect()
        road.faults = [reset_before] * 2
        for _ in range(2):
            (resent,) = await shop.flush()
            assert (resent.error.fate, bool(resent.error.transaction_id)) == ("unknown", True)
            assert shop._connection.outbox.count_queued("fresh") == 3
        assert [each.error for each in await shop.flush()] == [None]
    check_in_order(shops, orders)


async def test_queueing_without_a_file_is_refused(harbour):
    async with harbour.shop() as shop:
        with pytest.raises(ConfigurationError, match="outbox in a file"):
            await shop._connection.queue([Enrol(member=make_member_id())])
