"""Simulated chains.

Blocks are cut when the operator says so, at the time told, in an order that does not depend on arrival.
"""

from __future__ import annotations

import asyncio

import pytest

from contracts.messages import Enrol
from tests.contracts.cast import FRESH, PETROL, START, member_id
from tests.node.api.desk import Desk, code_of

PATH = "/v1/simulation/blocks"


@pytest.fixture
def told(tmp_path):
    """A desk whose chain is told the time."""
    desk = Desk(tmp_path, kind="simulated")
    try:
        yield desk
    finally:
        desk.close()


async def test_a_block_is_cut_of_everything_waiting_in_order_of_sender_and_id(told):
    sent = [
        told.town.sign(sender, name, Enrol(member=member_id(number)), not_after=START + 60_000)
        for number, (sender, name) in enumerate([(PETROL, "a"), (FRESH, "b"), (PETROL, "0"), (FRESH, "a")])
    ]
    asks = told.asks("operator")
    async with told.client() as client:
        waiting = [asyncio.create_task(client.post("/v1/transactions", content=each)) for each in sent]
        await told.until_waiting(len(sent))
        assert not any(each.done() for each in waiting)
        head = told.core.head
        answer = await client.post(PATH, json={"time": START + 5_000}, headers=asks)
        assert answer.json() == {
            "height": head.height + 1,
            "size": told.core.head.size,
            "transactions": 4,
        }
        answers = [(await each).json() for each in waiting]
    assert {each["time"] for each in answers} == {START + 5_000}
    first = head.size
    assert [each["index"] - first for each in answers] == [6, 2, 4, 0]


async def test_a_block_of_nothing_leaves_no_trace(told):
    async with told.client() as client:
        answer = await client.post(PATH, json={"time": START + 5_000}, headers=told.asks("operator"))
    assert answer.json() == {"height": 0, "size": told.core.head.size, "transactions": 0}


async def test_time_never_runs_backwards(told):
    async with told.client() as client:
        asks = told.asks("operator")
        answer = await client.post(PATH, json={"time": START - 1}, headers=asks)
        assert (answer.status_code, code_of(answer)) == (400, "TIME_BACKWARDS")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'{"time":-1}',
        b'{"time":1.5}',
        b'{"time":9007199254740992}',
        b'{"time":"1"}',
        b'{"time":null}',
        b'{"time":1,"more":1}',
        b"[" * 4_000,
        b'{"time":' + b"9" * 4_000 + b"}",
        b"\xff",
        b'{"time":true}',
    ],
)
async def test_a_time_that_is_none_cuts_nothing(told, body):
    async with told.client() as client:
        answer = await client.post(PATH, content=body, headers=told.asks("operator"))
        assert (answer.status_code, code_of(answer)) == (400, "MALFORMED")


async def test_only_the_operator_tells_the_time(told):
    async with told.client() as client:
        body = {"time": START + 5_000}
        assert code_of(await client.post(PATH, json=body)) == "UNAUTHENTICATED"
        for role in ("auditor", "follower", f"participant:{FRESH}", f"member:{member_id(1)}"):
            assert code_of(await client.post(PATH, json=body, headers=told.asks(role))) == "NOT_FOUND"
        answer = await client.post(PATH, content=b" " * 5_000, headers=told.asks("operator"))
        assert (answer.status_code, code_of(answer)) == (413, "TOO_LARGE")


async def test_a_chain_with_a_clock_of_its_own_has_no_such_route(desk):
    async with desk.client() as client:
        for headers in ({}, desk.asks("operator")):
            answer = await client.post(PATH, json={"time": START + 5_000}, headers=headers)
            assert (answer.status_code, code_of(answer)) == (404, "NOT_FOUND")
        assert PATH not in (await client.get("/openapi.json")).json()["paths"]


async def test_a_simulated_chain_says_so(told):
    async with told.client() as client:
        assert (await client.get("/v1/chain")).json()["clock"] == "simulated"
        assert PATH in (await client.get("/openapi.json")).json()["paths"]
