"""Processes of one shop over one outbox: started, killed, and asked for what they wrote down."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import time
from collections import Counter
from pathlib import Path

from contracts.messages import Earn
from merchant_sdk import UnknownOutcome
from tests.merchant_sdk.genesis import get_system_time
from tests.merchant_sdk.harbour import BadRoad, reset_before

_names = itertools.count()


class Shops:
    """Starts shops over one outbox, and reads what they wrote down."""

    def __init__(self, harbour, member, nursery, folder: Path) -> None:
        self.harbour = harbour
        self.outbox = folder / "outbox.db"
        self.member = member
        self._nursery = nursery
        self._folder = folder

    def start(self, act: str, **plan) -> int:
        told = {
            "act": act,
            "chain": self.harbour.chain,
            "diary": str(self._folder / "diary"),
            "log": str(self._folder / "log"),
            "member": self.member,
            "outbox": str(self.outbox),
            "urls": [self.harbour.url],
            **plan,
        }
        return self._ask(told)["pid"]

    def wait(self, pid: int) -> int:
        return os.waitstatus_to_exitcode(self._ask({"wait": pid})["status"])

    def run(self, act: str, **plan) -> int:
        return self.wait(self.start(act, **plan))

    def wait_for(self, kind: str, count: int, before: int) -> None:
        """So many lines of this kind were written since the diary had this length."""
        while sum(line[0] == kind for line in self.diary[before:]) < count:
            time.sleep(0.002)

    def _ask(self, told):
        self._nursery.stdin.write(json.dumps(told) + "\n")
        self._nursery.stdin.flush()
        return json.loads(self._nursery.stdout.readline())

    @property
    def diary(self) -> list[list]:
        path = self._folder / "diary"
        # The last line may be in the middle of being written.
        lines = path.read_text().splitlines(keepends=True) if path.exists() else []
        return [json.loads(line) for line in lines if line.endswith("\n")]

    @property
    def log(self) -> str:
        return (self._folder / "log").read_text()

    def list_noted(self, kind: str) -> list[str]:
        return [name for line in self.diary if line[0] == kind for name in line[1:]]

    def count_done(self) -> Counter:
        """How often each of our orders was carried out."""
        done = Counter()
        for message, outcome in self.harbour.node.read_log():
            if outcome["code"] == "OK":
                done[message.get("reference")] += 1
        return done

    async def settle(self) -> None:
        """A shop comes back, flushes, and asks for everything again."""
        async with self.harbour.shop(outbox=self.outbox) as shop:
            assert {resent.error for resent in await shop.flush()} <= {None}
            assert shop.count_waiting() == 0
            assert shop._connection.outbox.count_queued("fresh") == 0


def name_orders(count: int) -> list[str]:
    """References that nobody used before."""
    first = next(_names)
    return [f"P-{first}-{number}" for number in range(count)]


def make_earnings(member: str, orders: list[str]) -> list[Earn]:
    """One point for each."""
    now = get_system_time()
    return [
        Earn(amount=1_000_000, member=member, occurred_at=now, program="fresh", reference=order)
        for order in orders
    ]


async def leave_open(shops, count: int) -> list[str]:
    """So many transactions whose fate is open, of one order each."""
    orders = name_orders(count)
    async with (
        BadRoad(shops.harbour.port) as road,
        shops.harbour.shop(road.url, outbox=shops.outbox) as shop,
    ):
        await shop.connect()
        road.faults = [reset_before] * count
        messages = make_earnings(shops.member, orders)
        told = await asyncio.gather(*(shop.submit([message]) for message in messages), return_exceptions=True)
        assert {type(error) for error in told} == {UnknownOutcome}
        assert shop.count_waiting() == count
    return orders


def check_in_order(shops, orders) -> None:
    """Each once, in the order given."""
    wanted = set(orders)
    met = [m["reference"] for m, out in shops.harbour.node.read_log() if m.get("reference") in wanted]
    assert met == orders
