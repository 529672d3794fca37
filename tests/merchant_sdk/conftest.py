"""A village that has begun, served by the small node, by the real one, or by either."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.merchant_sdk.harbour import BadRoad, Harbour
from tests.merchant_sdk.notary import Notary
from tests.merchant_sdk.shops import Shops
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


@pytest.fixture(scope="module")
def harbour(tmp_path_factory):
    """A village with a real node that listens."""
    with Harbour(tmp_path_factory.mktemp("harbour")) as harbour:
        yield harbour


@pytest.fixture
async def road(harbour):
    """A bad road to it."""
    async with BadRoad(harbour.port) as road:
        yield road


@pytest.fixture(scope="session")
def nursery(repository):
    """One process in which everything is loaded, and of which those to be killed are forked."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.merchant_sdk.dying_shop"],
        cwd=repository,
        env={**os.environ, "PYTHONPATH": str(repository)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process
    process.stdin.close()
    process.wait(60)
    process.stdout.close()


@pytest.fixture
async def shops(harbour, nursery, tmp_path):
    """Processes of one shop, over one outbox."""
    async with harbour.shop() as shop:
        return Shops(harbour, await shop.enrol(), nursery, tmp_path)
