"""Trust policies that were accepted are accepted for good: a client that starts anew begins where it was, and
no node talks it back to keys that the alliance has retired.
"""

from __future__ import annotations

import asyncio

import httpx2
import msgspec
import pytest

from contracts.messages import Propose, Vote
from contracts.messages.actions import SetTrustPolicy
from ledger.keys import SeedSigner
from ledger.log.note import (
    COSIGNATURE_V1,
    VerifierKey,
    add_signature_lines,
    cosign,
    parse_checkpoint,
    sign_checkpoint,
    split_note,
)
from ledger.log.policy import Log, Policy, Witness, format_policy
from merchant_sdk import Unverified
from merchant_sdk.outbox import Outbox
from tests.merchant_sdk.genesis import LOG, get_system_time, keys_of
from tests.merchant_sdk.village import RealNode, Village

NEXT = SeedSigner(b"the log's next key, 32 bytes ...")
SIGNERS = [SeedSigner(bytes([number]) * 32) for number in (7, 8)]
KEYS = [VerifierKey(f"w{at}.example/w", COSIGNATURE_V1, each.public) for at, each in enumerate(SIGNERS)]


def make_text(chain: str, *, witness: int | None = None, signer: SeedSigner = LOG) -> str:
    log = Log(VerifierKey.for_log(chain, signer.public))
    if witness is None:
        return format_policy(Policy((log,), (), (), "none")).decode()
    return format_policy(Policy((log,), (Witness("w", KEYS[witness]),), (), "w")).decode()


async def decide(village: Village, text: str) -> None:
    """The operator, who decides alone, sets a policy; it is enacted with the next block."""
    core = village.node.core
    async with village.shop("op", keys=keys_of("op", "govern")) as operator:
        name = f"trust-{core.head.height}"
        proposal = Propose(
            actions=[SetTrustPolicy(text)],
            configuration=0,
            effective_height=core.head.height + 1,
            expires=get_system_time() + 600_000,
            proposal=name,
        )
        for message in (proposal, Vote("yes", 0, name)):
            assert [each.code for each in await operator.submit([message])] == ["OK"]


async def grow(village: Village) -> None:
    async with village.shop() as shop:
        await shop.enrol()


def bear_witness(village: Village, witness: int) -> None:
    core = village.node.core
    note = core.checkpoint
    line = cosign(
        body=split_note(note)[0], name=KEYS[witness].name, signer=SIGNERS[witness], time_seconds=1_700_000_000
    )
    core.add_cosignatures(add_signature_lines(note, line))


@pytest.fixture
async def village(tmp_path):
    """Served by the real node."""
    (tmp_path / "node").mkdir()
    village = Village(RealNode(tmp_path / "node"))
    try:
        await village.begin()
        yield village
    finally:
        village.node.core.stop()


def reopen(village: Village, folder, signer: SeedSigner) -> None:
    """The node stops and starts again with another log key."""
    village.node.core.stop()
    village.node = village.road.node = RealNode(folder, signer=signer)
    village.node.core.policies.keep_in(folder)


async def change_key(village: Village, folder) -> int:
    """The alliance retires the log's key; the last size that it may sign."""
    await decide(village, make_text(village.chain, signer=NEXT))
    # Enacted with the next block, whatever it holds: the sequencer signs that and stops.
    async with village.shop(retries=0) as shop:
        member = await shop.enrol()
    assert member
    for _ in range(2_000):
        if village.node.core.failure is not None:
            break
        await asyncio.sleep(0.01)
    assert village.node.core.failure.code == "LOG_KEY_RETIRED"
    size = village.node.core.head.size
    reopen(village, folder, NEXT)
    return size


async def test_a_policy_that_was_accepted_is_known_after_a_restart_and_not_asked_for(village, tmp_path):
    await decide(village, make_text(village.chain, witness=0))
    await grow(village)
    await grow(village)
    path = tmp_path / "outbox.db"
    async with village.shop(outbox=path) as shop:
        assert await shop.policy() == make_text(village.chain, witness=0)
    village.road.asked.clear()
    async with village.shop(outbox=path) as shop:
        assert await shop.policy() == make_text(village.chain, witness=0)
    assert "GET /v1/chain" in village.road.asked
    assert "GET /v1/policies" not in village.road.asked
    # Another outbox knows nothing of it, and asks.
    async with village.shop(outbox=tmp_path / "other.db") as shop:
        assert await shop.policy() == make_text(village.chain, witness=0)
    assert "GET /v1/policies" in village.road.asked


class Backwards:
    """A node whose operator goes on with the retired key: the same log, as if no policy had been decided."""

    def __init__(self, node: RealNode) -> None:
        self._node = node

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._node.handle_async_request(request)
        data = await answer.aread()
        path = request.url.path
        if path == "/checkpoint":
            head = parse_checkpoint(split_note(data.decode())[0])
            data = sign_checkpoint(origin=head.origin, size=head.size, root=head.root, signer=LOG).encode()
        elif path == "/v1/chain":
            data = msgspec.json.encode({**msgspec.json.decode(data), "epoch": 0})
        elif path == "/v1/policies":
            shown = msgspec.json.decode(data)
            data = msgspec.json.encode({**shown, "policies": shown["policies"][:1]})
        return httpx2.Response(answer.status_code, content=data, headers={"content-type": "application/json"})


async def test_no_node_talks_a_client_back_to_a_key_that_was_retired(village, tmp_path):
    path = tmp_path / "outbox.db"
    size = await change_key(village, tmp_path / "node")
    async with village.shop(outbox=path) as shop:
        assert await shop.policy() == make_text(village.chain, signer=NEXT)
    # What it trusts is the last that the retired key has signed: by itself that would not tell.
    stored = Outbox(path)
    assert parse_checkpoint(split_note(stored.load_note(village.chain))[0]).size == size
    stored.close()
    await grow(village)
    honest, village.road.node = village.node, Backwards(village.node)
    with pytest.raises(Unverified) as caught:
        async with village.shop(outbox=path) as shop:
            await shop.connect()
    assert caught.value.code == "LOG_KEY_RETIRED"
    # Who never heard of the change has nothing to hold against it: only a pinned head and its policies do.
    async with village.shop(outbox=tmp_path / "fresh.db") as shop:
        await shop.connect()
    village.road.node = honest
    async with village.shop(outbox=path) as shop:
        assert (await shop.enrol()).startswith("m_")


async def test_what_was_kept_and_is_no_longer_what_it_was_is_not_begun_without(village, tmp_path):
    await decide(village, make_text(village.chain, witness=0))
    await grow(village)
    await grow(village)
    path = tmp_path / "outbox.db"
    async with village.shop(outbox=path) as shop:
        await shop.connect()
    outbox = Outbox(path)
    with outbox._file.write() as write:
        (step,) = write.execute("SELECT step FROM policies").fetchone()
        spoiled = step.replace(b"quorum w", b"quorum x", 1)
        assert spoiled != step
        write.execute("UPDATE policies SET step = ?", (spoiled,))
    outbox.close()
    with pytest.raises(Unverified, match="POLICY_MALFORMED"):
        async with village.shop(outbox=path) as shop:
            await shop.connect()


async def test_policies_under_a_policy_file_of_ones_own_are_kept_apart(village, tmp_path):
    await decide(village, make_text(village.chain, witness=0))
    await grow(village)
    await grow(village)
    path = tmp_path / "outbox.db"
    async with village.shop(outbox=path) as shop:
        await shop.connect()
    own = make_text(village.chain, witness=1)
    # Nobody of that file has handed over to the alliance's policy.
    with pytest.raises(Unverified, match="QUORUM_NOT_MET"):
        async with village.shop(outbox=path, policy=own) as shop:
            await shop.connect()
    async with village.shop(outbox=path) as shop:
        assert (await shop.enrol()).startswith("m_")


async def test_who_waits_for_witnesses_while_the_alliance_chooses_others_gets_what_those_cosigned(village):
    await decide(village, make_text(village.chain, witness=0))
    await grow(village)
    await grow(village)
    async with village.shop(program="fresh") as shop:
        done = await shop.earn(await shop.enrol(), "45.60", reference="A-1")
        receipt = await done.receipt()
        assert (receipt.epoch, receipt.is_witnessed) == (1, False)
        waiting = asyncio.ensure_future(receipt.wait_witnessed(60))
        await decide(village, make_text(village.chain, witness=1))
        await grow(village)
        await grow(village)
        # The old witnesses hand over, and have no say in what comes after.
        bear_witness(village, 0)
        assert [step.epoch for step in village.node.core.list_policy_steps()] == [1, 2]
        assert not waiting.done()
        bear_witness(village, 1)
        witnessed = await waiting
        assert (witnessed.epoch, witnessed.is_witnessed, witnessed.index) == (2, True, receipt.index)
        assert await shop.policy() == make_text(village.chain, witness=1)
        # The receipt of before is as it was.
        assert (receipt.epoch, receipt.is_witnessed) == (1, False)


async def test_a_receipt_is_waited_for_across_a_change_of_the_logs_key(village, tmp_path):
    async with village.shop(program="fresh") as shop:
        done = await shop.earn(await shop.enrol(), "45.60", reference="A-1")
        receipt = await done.receipt()
        await change_key(village, tmp_path / "node")
        await grow(village)
        later = await receipt.wait_witnessed(60)
        assert (receipt.epoch, later.epoch, later.index) == (0, 1, receipt.index)
        assert later.verify() == later
        assert (await shop.earn(await shop.enrol(), "45.60", reference="A-2")).code == "OK"
