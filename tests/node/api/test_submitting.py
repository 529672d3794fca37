"""Submitting.

The answer proves itself, comes once the block is durable, and is the same whenever it is asked for.
"""

from __future__ import annotations

import asyncio
from functools import partial

import httpx2
import msgspec
import pytest
from msgspec.structs import replace

from contracts.messages import MESSAGE_DECODER, Enrol
from ledger.codec import from_base64url
from ledger.leaves import compute_tag, encode_entry, encode_transaction_leaf
from ledger.log.merkle import compute_leaf_hashes, compute_root, verify_consistency, verify_range
from ledger.log.policy import parse_policy, verify_checkpoint
from ledger.transaction import TransactionDecoder
from node.api.transactions import encode_taken, prove
from tests.contracts.cast import FRESH, PETROL, member_id
from tests.node.api.desk import Desk, code_of
from tests.node.engine.town import RULEBOOK, run_threads

PATH = "/v1/transactions"


def prove_answer(
    desk, data: bytes, answer: httpx2.Response, *, trusted: tuple[int, bytes] | None = None
) -> None:
    """The answer proves, to who has the policy and their own signed bytes, that this is in the log."""
    told = msgspec.json.decode(answer.content, type=dict[str, msgspec.Raw])
    outcomes = [bytes(each) for each in msgspec.json.decode(told["outcomes"], type=list[msgspec.Raw])]
    height, index, time = (msgspec.json.decode(told[name], type=int) for name in ("height", "index", "time"))
    checkpoint = verify_checkpoint(
        parse_policy(desk.core.policy.encode()), msgspec.json.decode(told["checkpoint"], type=str)
    )
    sent = TransactionDecoder(RULEBOOK.message_type).decode(data)
    leaf = encode_transaction_leaf(sent.header_bytes, height=height, signature=sent.signature, time=time)
    entries = [
        encode_entry(message, outcome, compute_tag(leaf))
        for message, outcome in zip(sent.message_bytes, outcomes, strict=True)
    ]
    verify_range(
        first=index,
        leaves=compute_leaf_hashes([leaf, *entries]),
        size=checkpoint.size,
        proof=read_hashes(told["proof"]),
        root=checkpoint.root,
    )
    assert ("consistency" in told) == (trusted is not None)
    if trusted is not None:
        verify_consistency(
            old=trusted[0],
            old_root=trusted[1],
            new=checkpoint.size,
            new_root=checkpoint.root,
            proof=read_hashes(told["consistency"]),
        )


def read_hashes(raw: msgspec.Raw) -> list[bytes]:
    """The hashes of a proof."""
    return [from_base64url(text, size=32) for text in msgspec.json.decode(raw, type=list[str])]


@pytest.mark.parametrize("count", [1, 2, 300])
async def test_an_answer_proves_itself(desk, count):
    desk.trade()
    size = desk.core.head.size
    root = compute_root(compute_leaf_hashes(desk.core.read_leaves(0, size)))
    data = desk.sign(FRESH, *[Enrol(member=member_id(100 + number)) for number in range(count)])
    async with desk.client() as client:
        prove_answer(desk, data, await client.post(PATH, content=data))
        prove_answer(
            desk, data, await client.post(f"{PATH}?trusted_size={size}", content=data), trusted=(size, root)
        )


async def test_rejected_messages_are_recorded_and_answered(desk):
    desk.trade()
    good, known = desk.town.earn(50, points=5), desk.town.earn(1, points=1_000)
    other, unknown = desk.town.earn(1, points=9), desk.town.earn(51, member=404)
    data = desk.sign(FRESH, good, known, other, unknown)
    async with desk.client() as client:
        answer = await client.post(PATH, content=data)
    codes = [outcome["code"] for outcome in answer.json()["outcomes"]]
    assert codes == ["OK", "ALREADY_DONE", "REFERENCE_CONFLICT", "MEMBER_UNKNOWN"]
    prove_answer(desk, data, answer)


async def test_the_same_again_is_the_first_answer_under_todays_checkpoint(desk):
    desk.trade()
    data = desk.sign(FRESH, desk.town.earn(60))
    async with desk.client() as client:
        first = await client.post(PATH, content=data)
        desk.must(FRESH, desk.town.earn(61))
        desk.clock.at += 30 * 86_400_000
        again = await client.post(PATH, content=data)
    for name in ("height", "index", "outcomes", "time"):
        assert again.json()[name] == first.json()[name]
    assert again.json()["checkpoint"] != first.json()["checkpoint"]
    prove_answer(desk, data, again)


async def test_many_who_send_the_same_at_once_hear_the_same(desk):
    desk.trade()
    data = desk.sign(FRESH, desk.town.earn(70))
    async with desk.client() as client:
        heard = await asyncio.gather(*[client.post(PATH, content=data) for _ in range(20)])
    assert len({(answer.json()["index"], str(answer.json()["outcomes"])) for answer in heard}) == 1
    assert desk.core.find_order(FRESH, "order-fresh-market-70") == [heard[0].json()["index"] + 1]


async def test_in_a_crowd_everybody_hears_their_own_answer(desk):
    desk.trade()
    good = [desk.sign(FRESH, desk.town.earn(1_000 + number, points=number + 1)) for number in range(150)]
    late = [desk.sign(FRESH, desk.town.earn(5_000 + number), not_after=1) for number in range(20)]
    async with desk.client() as client:
        answers = await asyncio.gather(*[client.post(PATH, content=data) for data in [*good, *late, *good]])
    for number, (first, again) in enumerate(zip(answers[:150], answers[170:], strict=True)):
        assert first.json()["outcomes"][0]["points"] == number + 1
        assert again.json()["index"] == first.json()["index"]
        prove_answer(desk, good[number], first)
    assert {code_of(answer) for answer in answers[150:170]} == {"EXPIRED"}


def test_clients_with_event_loops_of_their_own_are_served_by_one_app(desk):
    desk.trade()
    sent = [
        [desk.sign(FRESH, desk.town.earn(7_000 + 100 * loop + n)) for n in range(40)] for loop in range(3)
    ]
    heard: list[list[httpx2.Response]] = [[] for _ in sent]

    def work(number: int) -> None:
        async def ask():
            async with desk.client() as client:
                return await asyncio.gather(*[client.post(PATH, content=data) for data in sent[number]])

        heard[number] = asyncio.run(ask())

    run_threads(*[partial(work, number) for number in range(3)])
    for transactions, answers in zip(sent, heard, strict=True):
        for data, answer in zip(transactions, answers, strict=True):
            prove_answer(desk, data, answer)


async def test_giving_up_a_request_takes_nothing_from_others_who_wait(tmp_path):
    desk = Desk(tmp_path, kind="simulated")
    try:
        data = desk.sign(FRESH, Enrol(member=member_id(1)))
        async with desk.client() as client:
            hasty = asyncio.create_task(client.post(PATH, content=data))
            patient = asyncio.create_task(client.post(PATH, content=data))
            await desk.until_waiting(1)
            hasty.cancel()
            await asyncio.sleep(0.05)
            desk.core.cut_block(desk.core.head.time)
            prove_answer(desk, data, await patient)
            with pytest.raises(asyncio.CancelledError):
                await hasty
    finally:
        desk.close()


async def test_a_transaction_is_looked_up_by_its_sender(desk):
    desk.trade()
    data = desk.town.sign(FRESH, "look:me_up.1", desk.town.earn(80), not_after=desk.clock() + 1_000)
    async with desk.client() as client:
        sent = await client.post(PATH, content=data)
        asks = desk.asks(f"participant:{FRESH}")
        found = await client.get(f"{PATH}/{FRESH}/look:me_up.1", headers=asks)
        assert found.content == sent.content
        prove_answer(desk, data, found)
        header = msgspec.json.decode(data)["header"]
        same = await client.get(f"{PATH}/{FRESH}/look:me_up.1?digest={header['digest']}", headers=asks)
        assert same.content == sent.content
        other = await client.get(f"{PATH}/{FRESH}/look:me_up.1?digest={'A' * 43}", headers=asks)
        assert (other.status_code, code_of(other)) == (409, "ID_CONFLICT")
        # To somebody else not even a conflict is told.
        foreign = desk.asks(f"participant:{PETROL}")
        hidden = await client.get(f"{PATH}/{FRESH}/look:me_up.1?digest={'A' * 43}", headers=foreign)
        assert code_of(hidden) == "NOT_FOUND"


async def test_a_size_the_log_never_had_is_refused_before_anything_is_taken(desk):
    desk.trade()
    size = desk.core.head.size
    data = desk.sign(FRESH, desk.town.earn(90))
    async with desk.client() as client:
        for wrong in (0, size + 1, 2**53 - 1):
            answer = await client.post(f"{PATH}?trusted_size={wrong}", content=data)
            assert (answer.status_code, code_of(answer)) == (400, "BAD_SIZES")
        for wrong in ("x", "-1", "", "1e3", "1.0", "9" * 5_000, "%00"):
            answer = await client.post(f"{PATH}?trusted_size={wrong}", content=data)
            assert (answer.status_code, code_of(answer)) == (400, "BAD_REQUEST")
        for query in (f"trusted_size={size}&trusted_size={size}", f"trusted_size={size}&other=1", "other=1"):
            answer = await client.post(f"{PATH}?{query}", content=data)
            assert (answer.status_code, code_of(answer)) == (400, "BAD_REQUEST")
    assert desk.core.head.size == size


async def test_a_full_queue_takes_nothing_and_says_when_to_come_again(tmp_path, monkeypatch):
    monkeypatch.setattr("node.mempool.TRANSACTIONS_MAX", 2)
    desk = Desk(tmp_path, kind="simulated")
    try:
        data = [desk.sign(FRESH, Enrol(member=member_id(number))) for number in range(3)]
        async with desk.client() as client:
            taken = [asyncio.create_task(client.post(PATH, content=each)) for each in data[:2]]
            await desk.until_waiting(2)
            busy = await client.post(PATH, content=data[2])
            assert (busy.status_code, code_of(busy)) == (429, "BUSY")
            assert busy.headers["retry-after"] == "1"
            desk.core.cut_block(desk.core.head.time)
            assert {answer.status_code for answer in await asyncio.gather(*taken)} == {200}
            late = asyncio.create_task(client.post(PATH, content=data[2]))
            await desk.until_waiting(1)
            desk.core.cut_block(desk.core.head.time)
            assert (await late).status_code == 200
    finally:
        desk.close()


async def test_a_node_that_stops_says_so(tmp_path):
    desk = Desk(tmp_path, kind="simulated")
    data = [desk.sign(FRESH, Enrol(member=member_id(number))) for number in range(2)]
    async with desk.client() as client:
        waiting = asyncio.create_task(client.post(PATH, content=data[0]))
        await desk.until_waiting(1)
        await asyncio.to_thread(desk.core.stop)
        told = await waiting
        assert (told.status_code, code_of(told)) == (503, "STOPPING")


def test_the_answers_bytes_are_canonical(traded):
    desk, places = traded
    for trusted_size in (None, 1, desk.core.head.size):
        found = desk.core.find_transaction(FRESH, "desk-1")
        body = encode_taken(found[1], prove(desk.core, found[1], trusted_size))
        assert msgspec.json.encode(msgspec.json.decode(body), order="sorted") == body
        (leaf,) = desk.core.read_leaves(places.grant, places.grant + 1)
        assert msgspec.json.decode(leaf)["outcome"] in msgspec.json.decode(body)["outcomes"]


async def test_a_large_transaction_is_checked_beside_the_loop(desk):
    desk.trade()
    earns = [replace(desk.town.earn(number), reference=f"large-{number}") for number in range(2_000)]
    data = desk.sign(FRESH, *earns)
    assert len(data) > 200_000
    async with desk.client() as client:
        answer = await client.post(PATH, content=data)
    assert [outcome["code"] for outcome in answer.json()["outcomes"]] == ["OK"] * 2_000
    prove_answer(desk, data, answer)
    assert MESSAGE_DECODER.decode(msgspec.json.encode(earns[0])) == earns[0]
