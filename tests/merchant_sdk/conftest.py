"""A village that has begun, served by the small node, by the real one, or by either."""

from __future__ import annotations

import pytest

from tests.merchant_sdk.notary import Notary
from tests.merchant_sdk.small_node import SmallNode
from tests.merchant_sdk.village import RealNode, Village


@pytest.fixture
async def village():
    """Served by the small node, which can be made to misbehave."""
    village = Village(SmallNode())
    await village.begin()
    return village


@pytest.fixture(params=["small node", "real node"])
async def any_village(request, tmp_path):
    """Served by the small node, and again by the real one."""
    if request.param == "small node":
        node = SmallNode()
        village = Village(node)
        await village.begin()
        yield village
        return
    node = RealNode(tmp_path)
    try:
        village = Village(node)
        await village.begin()
        yield village
    finally:
        node.core.stop()


@pytest.fixture
async def shop(village, tmp_path):
    """A shop with its outbox in a file, that sends nothing again by itself."""
    async with village.shop(outbox=tmp_path / "outbox.db", retries=0, program="fresh") as shop:
        yield shop


@pytest.fixture
async def member(shop, village):
    """A member of that shop."""
    member = await shop.enrol()
    village.road.sent.clear()
    return member


@pytest.fixture
async def notary():
    """A notary whose log has grown a little."""
    notary = Notary()
    for _ in range(3):
        await notary.grow()
    return notary
