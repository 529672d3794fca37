"""A village that has begun, served by the small node, by the real one, or by either."""

from __future__ import annotations

import pytest

from tests.merchant_sdk.village import RealNode, SmallNode, Village


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
