"""One height for one answer: reads wait for it, and never mix two."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from contracts.messages import Enrol
from node.api import site
from tests.contracts.cast import ANNA, FRESH, PETROL
from tests.node.api.desk import code_of


async def test_a_read_waits_for_the_height_it_needs(desk, monkeypatch):
    monkeypatch.setattr(site, "MIN_HEIGHT_SECONDS", 30.0)  # a busy machine may stand still for two
    height = desk.core.head.height + 1
    async with desk.client() as client:
        asked = asyncio.create_task(client.get(f"/v1/chain?min_height={height}"))
        await asyncio.sleep(0.1)
        assert not asked.done()
        desk.core.submit(desk.sign(FRESH, Enrol(member=ANNA)))
        answer = await asked
        assert answer.json()["height"] == height
        monkeypatch.setattr(site, "MIN_HEIGHT_SECONDS", 0.2)
        late = await client.get(f"/v1/chain?min_height={height + 1}")
        assert (late.status_code, code_of(late)) == (503, "NOT_YET")
        assert late.headers["retry-after"] == "1"


async def test_a_crowd_of_waiting_reads_holds_up_nobody(desk):
    async with desk.client() as client:
        waiting = [asyncio.create_task(client.get("/v1/chain?min_height=99")) for _ in range(300)]
        await asyncio.sleep(0)
        answer = await client.get("/v1/chain")
        assert answer.status_code == 200
        assert {code_of(late) for late in await asyncio.gather(*waiting)} == {"NOT_YET"}


async def test_no_answer_is_of_two_heights(desk):
    desk.trade()
    stop = asyncio.Event()

    async def trade_on():
        number = 1_000
        while not stop.is_set():
            number += 1
            earn = replace(desk.town.earn(number, points=7, sender=PETROL), reference=f"on-{number}")
            await asyncio.wrap_future(desk.core.submit(desk.sign(PETROL, earn)))

    trading = asyncio.create_task(trade_on())
    seen = set()
    async with desk.client() as client:
        for _ in range(150):
            found = (await client.get("/v1/positions", headers=desk.asks("auditor"))).json()
            assert sum(int(row["net_micros"]) for row in found["rows"]) == 0
            seen.add((found["height"], str(found["rows"])))
    stop.set()
    await trading
    assert len({height for height, _ in seen}) == len(seen) > 3, "one height with two different answers"
