"""Limits over the API: each request counts for who made it, and nobody can use up another's."""

from __future__ import annotations

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from contracts.messages import Enrol
from node.access import parse_role
from node.api.app import make_app
from node.api.limits import (
    BURST_SECONDS,
    UNLIMITED,
)
from tests.contracts.cast import ANNA, FRESH, PETROL, make_signer, member_id
from tests.node.api.desk import Desk, code_of, problem_of
from tests.node.api.test_limits import SECOND, Nanoseconds


def limit(desk: Desk, **rates: int) -> Nanoseconds:
    """The desk's app limits these, and nothing else, on a clock of its own."""
    clock = Nanoseconds()
    desk.app = make_app(
        desk.core,
        tokens=desk.tokens,
        metrics=desk.metrics.__class__(),
        clock=desk.clock,
        rates=UNLIMITED._replace(**rates),
    )
    limits = desk.app._limits
    for buckets in (limits._transactions, limits._messages, limits._reads, limits._addresses):
        buckets._clock = clock
    return clock


async def test_a_sender_over_its_limit_waits_and_nobody_else_does(desk):
    clock = limit(desk, transactions=1)
    async with desk.client() as client:
        for number in range(BURST_SECONDS):
            data = desk.sign(FRESH, Enrol(member=member_id(number)))
            assert (await client.post("/v1/transactions", content=data)).status_code == 200
        late = desk.sign(FRESH, Enrol(member=member_id(77)))
        answer = await client.post("/v1/transactions", content=late)
        assert (answer.status_code, code_of(answer)) == (429, "BUSY")
        assert answer.headers["retry-after"] == "1"
        assert problem_of(answer)["limit"] == "transactions"
        height = desk.core.head.height
        other = desk.sign(PETROL, Enrol(member=member_id(78)))
        assert (await client.post("/v1/transactions", content=other)).status_code == 200
        assert desk.core.head.height == height + 1, "what was turned down is not in the log"
        clock.at += SECOND
        assert (await client.post("/v1/transactions", content=late)).json()["outcomes"] == [{"code": "OK"}]


async def test_messages_count_too_and_what_is_turned_down_costs_nothing(desk):
    clock = limit(desk, transactions=100, messages=10)

    def some(count, start):
        return desk.sign(FRESH, *[Enrol(member=member_id(start + number)) for number in range(count)])

    async with desk.client() as client:
        assert (await client.post("/v1/transactions", content=some(90, 0))).status_code == 200
        for _ in range(3):
            answer = await client.post("/v1/transactions", content=some(60, 1_000))
            assert (code_of(answer), answer.headers["retry-after"]) == ("BUSY", "5")
        assert (await client.post("/v1/transactions", content=some(10, 2_000))).status_code == 200
        clock.at += 6 * SECOND
        assert (await client.post("/v1/transactions", content=some(60, 1_000))).status_code == 200
        # One transaction is larger than the bucket: it goes when the bucket is full, and is paid off.
        clock.at += 60 * SECOND
        assert (await client.post("/v1/transactions", content=some(200, 3_000))).status_code == 200
        answer = await client.post("/v1/transactions", content=some(1, 4_000))
        assert (code_of(answer), answer.headers["retry-after"]) == ("BUSY", "11")


async def test_what_is_claimed_in_somebodys_name_costs_them_nothing(desk):
    limit(desk, transactions=1, messages=5, addresses=1)
    stranger = make_signer("a stranger's own key")
    async with desk.client(address="192.0.2.66") as client:
        own = desk.sign(FRESH, Enrol(member=member_id(1)))
        assert (await client.post("/v1/transactions", content=own)).status_code == 200
        for number in range(60):
            # A bad signature under a real key's id, an unknown key, half a transaction, and no sense at all.
            message = Enrol(member=member_id(100 + number))
            signed = desk.sign(FRESH, message)
            begin, text, rest = signed.partition(b'"signature":"')
            spoiled = begin + text + (b"AAAA" if rest[:4] != b"AAAA" else b"BBBB") + rest[4:]
            forged = [spoiled, desk.sign(FRESH, message, signer=stranger), signed[:-9], b"{}"]
            answers = [await client.post("/v1/transactions", content=data) for data in forged]
            codes = [code_of(answer) for answer in answers]
            assert codes == ["SIGNATURE_INVALID", "UNKNOWN_KEY", "MALFORMED", "MALFORMED"]
            # And the real thing, sent again by whoever saw it.
            assert (await client.post("/v1/transactions", content=own)).status_code == 200
        for number in range(BURST_SECONDS - 1):
            data = desk.sign(FRESH, Enrol(member=member_id(2 + number)))
            answer = await client.post("/v1/transactions", content=data)
            assert answer.status_code == 200, "all that is left is left for its owner"
        answer = await client.post("/v1/transactions", content=desk.sign(FRESH, Enrol(member=member_id(99))))
        assert code_of(answer) == "BUSY"


async def test_the_same_transaction_on_many_lines_counts_once(tmp_path):
    desk = Desk(tmp_path, kind="simulated")
    try:
        limit(desk, transactions=1)
        async with desk.client() as client:
            data = desk.sign(FRESH, Enrol(member=member_id(1)))
            calls = [asyncio.ensure_future(client.post("/v1/transactions", content=data)) for _ in range(40)]
            await desk.until_waiting(1)
            await asyncio.sleep(0.05)
            desk.core.cut_block(desk.core.head.time)
            assert {answer.status_code for answer in await asyncio.gather(*calls)} == {200}
            assert desk.app._limits._transactions.find_wait(FRESH, BURST_SECONDS - 1) == 0
            assert desk.app._limits._transactions.find_wait(FRESH, BURST_SECONDS) > 0
    finally:
        desk.close()


async def test_reads_count_for_the_token_and_for_no_other(desk):
    clock = limit(desk, reads=1)
    async with desk.client(address="192.0.2.66") as client:
        anna, auditor = desk.asks(f"member:{ANNA}"), desk.asks("auditor")
        for _ in range(BURST_SECONDS):
            assert code_of(await client.get(f"/v1/members/{ANNA}", headers=anna)) == "NOT_FOUND"
        for path in (f"/v1/members/{ANNA}", "/v1/chain", "/checkpoint", "/nothing/here", "/v1/entries/1"):
            answer = await client.get(path, headers=anna)
            assert (answer.status_code, problem_of(answer)["limit"]) == (429, "reads")
        assert (await client.get("/v1/participants", headers=auditor)).status_code == 200
        assert (await client.get("/v1/chain")).status_code == 200
        # A fresh token of the same role is no fresh start.
        desk.clock.at += 1_000
        assert code_of(await client.get("/v1/chain", headers=desk.asks(f"member:{ANNA}"))) == "BUSY"
        clock.at += SECOND
        assert (await client.get("/v1/chain", headers=anna)).status_code == 200


async def test_each_key_of_a_participant_reads_for_itself(desk):
    limit(desk, reads=1)
    role = parse_role(f"participant:{FRESH}")
    keys = [make_signer(FRESH, purpose).key_id for purpose in ("till", "transact")]
    tokens = [desk.tokens.issue(role, seconds=60, key=key)[0] for key in keys]
    asks = [{"authorization": f"Bearer {token}"} for token in tokens]
    async with desk.client() as client:
        for _ in range(BURST_SECONDS):
            assert (await client.get("/v1/programs", headers=asks[0])).status_code == 200
        assert code_of(await client.get("/v1/programs", headers=asks[0])) == "BUSY"
        assert (await client.get("/v1/programs", headers=asks[1])).status_code == 200


async def test_without_a_good_token_the_address_counts(desk):
    clock = limit(desk, addresses=1)
    bad = {"authorization": "Bearer AAAA.BBBB"}
    twice = [("authorization", desk.asks("auditor")["authorization"])] * 2
    async with desk.client(address="192.0.2.66") as client, desk.client(address="192.0.2.67") as other:
        for headers in [bad, None, twice, {"authorization": "Basic x"}, None] * (BURST_SECONDS // 5):
            assert (await client.get("/v1/chain", headers=headers)).status_code == 200
        for headers in (bad, None, twice):
            answer = await client.get("/v1/chain", headers=headers)
            assert (answer.status_code, problem_of(answer)["limit"]) == (429, "addresses")
        assert code_of(await client.post("/v1/tokens", content=b"{}")) == "BUSY"
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.get("/v1/chain", headers=desk.asks("auditor"))).status_code == 200
        data = desk.sign(FRESH, Enrol(member=member_id(1)))
        assert (await client.post("/v1/transactions", content=data)).status_code == 200
        assert (await other.get("/v1/chain")).status_code == 200
        clock.at += SECOND
        assert (await client.get("/v1/chain")).status_code == 200
    async with desk.client() as here:
        for _ in range(BURST_SECONDS * 3):
            assert (await here.get("/v1/chain")).status_code == 200


async def test_who_was_told_to_wait_is_counted_by_which_limit(desk):
    limit(desk, reads=1, addresses=1)
    async with desk.client(address="192.0.2.66") as client, desk.client() as here:
        for _ in range(BURST_SECONDS + 3):
            await client.get("/v1/chain")
        for _ in range(BURST_SECONDS + 2):
            await client.get("/v1/chain", headers=desk.asks("auditor"))
        text = (await here.get("/metrics")).text
    found = {
        next(iter(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "commonpoint_limited_total"
    }
    assert found == {"transactions": 0, "messages": 0, "reads": 2, "addresses": 3}
    assert 'commonpoint_refused_total{code="BUSY"} 5.0' in text
