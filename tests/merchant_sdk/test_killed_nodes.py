"""One of several nodes is killed in the middle of a hundred submissions: each is carried out exactly once,
and nobody reads less than what was written.
"""

from __future__ import annotations

import asyncio
import signal
import time

import pytest

from merchant_sdk import AsyncMerchant, NotSent, RefusedByNode, UnknownOutcome
from tests.contracts.cast import FRESH, make_signer, member_id
from tests.node.cli.conftest import MEMBER
from tests.node.cometbft.conftest import make_validators, program
from tests.node.follower.conftest import founded, leader
from tests.node.follower.test_cosigning import find_port

__all__ = ["founded", "leader", "make_validators", "program"]

COUNT = 100
AT_ONCE = 5
SECONDS = 240


class Till:
    """A shop that asks for each of its orders until it hears what came of it."""

    def __init__(self, shop: AsyncMerchant, member: str) -> None:
        self.shop = shop
        self.member = member
        self.done = 0
        self.troubles: list[type] = []
        self._end = time.monotonic() + SECONDS
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def carry_out(self, reference: str) -> int:
        """The balance after the order."""
        async with self._turn:
            while True:
                try:
                    result = await self.shop.earn(self.member, "5", reference)
                    break
                except (NotSent, RefusedByNode, UnknownOutcome) as error:
                    # Asked again under its reference, whatever became of it.
                    if time.monotonic() > self._end or not (error.may_retry or error.fate == "unknown"):
                        raise
                    self.troubles.append(type(error))
                    await asyncio.sleep(0.1)
            assert result.code == "OK"
            self.done += 1
            await self.check_reading(result.balance)
            return result.balance

    async def check_reading(self, balance: int) -> None:
        """Whoever answers knows of what was written; where none of them does, that is said."""
        try:
            points = (await self.shop.balance(self.member)).points
        except (NotSent, RefusedByNode) as error:
            if not error.may_retry:
                raise
        else:
            assert points >= balance

    async def wait_for(self, count: int) -> None:
        while self.done < count:
            assert time.monotonic() < self._end
            await asyncio.sleep(0.01)

    async def check_once_each(self, references: list[str], points: int) -> None:
        """Of each order there is one entry, and the member has what they come to."""
        for reference in references:
            assert [entry.code for entry in await self.shop.order(reference)] == ["OK"], reference
        assert (await self.shop.balance(self.member)).points == points
        assert self.shop.count_waiting() == 0


async def test_a_leader_killed_in_the_middle_and_started_again_has_taken_each_order_once(leader, tmp_path):
    port = str(find_port())
    led = leader.start("--port", port)
    follower = leader.follow(tmp_path / "follower", led.url)
    keys = {"transact": leader.keys, "till": leader.keys / "till.pem"}
    async with AsyncMerchant(
        "fresh",
        [follower.url, led.url],
        keys=keys,
        chain=leader.chain,
        program="leaf",
        retries=0,
        group_messages=1,
        outbox=tmp_path / "outbox.db",
    ) as shop:
        before = (await shop.balance(MEMBER)).points
        till = Till(shop, MEMBER)
        references = [f"K-{number}" for number in range(COUNT)]
        work = asyncio.gather(*map(till.carry_out, references))
        await till.wait_for(COUNT // 2)
        led.process.send_signal(signal.SIGKILL)
        await asyncio.to_thread(led.process.wait)
        # Some orders meet a leader that is not there, and the follower answers whoever only reads.
        assert till.done < COUNT
        await asyncio.sleep(0.5)
        await till.check_reading(before)
        await asyncio.to_thread(leader.start, "--port", port)
        balances = await work
        assert till.troubles
        assert sorted(balances) == [before + 5 * (number + 1) for number in range(COUNT)]
        for resent in await shop.flush():
            assert resent.error is None
        await till.check_once_each(references, before + 5 * COUNT)


@pytest.mark.full
async def test_a_validator_killed_in_the_middle_costs_no_order_and_doubles_none(make_validators, tmp_path):
    """Nobody starts it again: the other three go on, and the shop goes on with them."""
    alliance = make_validators(4)
    alliance.start()
    alliance.begin(members=1)
    keys = {purpose: make_signer(FRESH, purpose) for purpose in ("transact", "custody")}
    async with AsyncMerchant(
        FRESH,
        [each.url for each in alliance.all],
        keys=keys,
        chain=alliance.chain,
        program="leaf",
        group_messages=1,
        outbox=tmp_path / "outbox.db",
    ) as shop:
        till = Till(shop, member_id(0))
        references = [f"K-{number}" for number in range(COUNT)]
        work = asyncio.gather(*map(till.carry_out, references))
        await till.wait_for(COUNT // 2)
        alliance.all[0].kill()
        balances = await work
        points = min(balances)
        assert sorted(balances) == [points * (number + 1) for number in range(COUNT)]
        for resent in await shop.flush():
            assert resent.error is None
        await till.check_once_each(references, points * COUNT)
    alliance.wait_for_same_root(among=alliance.all[1:])
