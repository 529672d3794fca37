"""What one node promises holds for all its workers together: streams, webhooks, rates, nonces, figures."""

from __future__ import annotations

import asyncio

import httpx2
import pytest

from contracts.messages import Enrol
from ledger.errors import InvariantBroken
from node.api.limits import Rates
from tests.contracts.cast import FRESH, PETROL, member_id
from tests.node.api.desk import code_of
from tests.node.api.streaming import Client, list_visible
from tests.node.api.test_operating import read_figures
from tests.node.link.linked import TwiceLinkedDesk
from tests.node.link.spawned import wait_until

READS = 5


@pytest.fixture
def desk(tmp_path):
    desk = TwiceLinkedDesk(tmp_path, rates=Rates(transactions=0, messages=0, reads=READS), delivers=True)
    try:
        yield desk
    finally:
        desk.close()


def test_a_stream_hears_of_what_came_in_elsewhere_and_ends_with_the_node(desk):
    desk.trade()
    expected = list_visible(desk, f"participant:{PETROL}")
    clients = [Client(desk.url, desk.asks(f"participant:{PETROL}")) for _ in range(4)]
    for client in clients:
        assert [row["index"] for row in client.take(len(expected))] == expected
    taken = desk.must(PETROL, Enrol(member=member_id(78)))
    for client in clients:
        assert client.take(1)[0]["index"] == taken.index + 1
    desk.supervisor.should_exit = True
    for client in clients:
        end = client.next()
        assert (end.event, end.data) == ("end", '{"code":"STOPPING"}')
        client.close()


async def test_rates_are_one_for_all_workers(desk):
    asks = desk.asks("auditor")
    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(_get(desk.url, "/v1/parameters", asks)) for _ in range(READS * 10 + 12)]
    codes = sorted(each.result().status_code for each in asked)
    # Ten seconds' worth at once, whichever worker was asked, and what the seconds since have brought.
    assert READS * 10 <= codes.count(200) <= READS * 10 + 6
    assert set(codes) == {200, 429}


async def test_webhooks_are_managed_through_any_worker(desk):
    desk.trade()
    asks = desk.asks(f"participant:{FRESH}")
    wanted = {"url": "http://127.0.0.1:8009/hooks"}
    async with httpx2.AsyncClient(base_url=desk.url) as client:
        answer = await client.post("/v1/webhooks", json=wanted, headers=asks)
    made = answer.json()
    assert answer.status_code == 200, made
    assert made["secret"].startswith("whsec_")
    for _ in range(4):
        (row,) = (await _get(desk.url, "/v1/webhooks", asks)).json()["rows"]
        assert (row["id"], row["url"]) == (made["id"], wanted["url"])
    foreign = await _get(desk.url, f"/v1/webhooks/{made['id']}", desk.asks(f"participant:{PETROL}"))
    assert code_of(foreign) == "NOT_FOUND"
    async with httpx2.AsyncClient(base_url=desk.url) as client:
        refused = await client.post("/v1/webhooks", json={"url": "ftp://x"}, headers=asks)
        assert code_of(refused) == "BAD_REQUEST"
        assert (await client.delete(f"/v1/webhooks/{made['id']}", headers=asks)).status_code == 200
    assert (await _get(desk.url, "/v1/webhooks", asks)).json()["rows"] == []


async def test_figures_are_the_whole_nodes(desk):
    for _ in range(20):
        assert code_of(await _get(desk.url, "/nothing", {})) == "NOT_FOUND"
    key = ("commonpoint_refused_total", (("code", "NOT_FOUND"),))
    found: dict = {}
    # What the other worker counted is a second old at most.
    for _ in range(50):
        found = read_figures((await _get(desk.url, "/metrics", {})).text)
        if found.get(key) == 20:
            break
        await asyncio.sleep(0.1)
    assert found[key] == 20
    assert found["commonpoint_head_size", ()] == desk.core.head.size


def test_a_promise_that_a_worker_finds_broken_is_told_to_the_node(desk):
    desk.trade()
    with desk.core._chain.store.log._database.begin() as connection:
        connection.exec_driver_sql("DELETE FROM segment")
    assert httpx2.get(f"{desk.url}/v1/entries/12", headers=desk.asks("auditor")).status_code == 500
    wait_until(lambda: desk.broken)
    assert isinstance(desk.broken[0], InvariantBroken)
    assert desk.broken[0].code == "LEAVES_MISSING"


async def _get(url, path, headers):
    async with httpx2.AsyncClient(base_url=url, timeout=60) as client:
        return await client.get(path, headers=headers)
