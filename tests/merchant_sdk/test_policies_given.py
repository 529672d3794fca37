"""The chain of policies as a file: it verifies receipts of every epoch, without a network, and nothing more
is believed of it than of a single policy.
"""

from __future__ import annotations

import msgspec
import pytest

from merchant_sdk import ConfigurationError, Policies, Receipt, Unverified, Webhooks
from merchant_sdk.webhooks import sign_delivery
from node.access import Role
from node.api.entries import Found, encode_receipt
from node.feed import Feed
from node.webhooks.courier import encode_delivery
from tests.merchant_sdk.genesis import LOG
from tests.merchant_sdk.test_policies_kept import (
    NEXT,
    bear_witness,
    change_key,
    decide,
    grow,
    make_text,
    village,
)

__all__ = ["village"]
SECRET = "whsec_" + "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0ISEhISE="


async def trade(village, reference, **options):
    """A receipt of this moment, and what the merchant accepts by then."""
    async with village.shop(program="fresh", **options) as shop:
        done = await shop.earn(await shop.enrol(), "45.60", reference=reference)
        return await done.receipt(), await shop.policies(), await shop.policy()


@pytest.fixture
async def told(village, tmp_path):
    """Receipts of two epochs, with another log key in each; what a merchant accepted before and after."""
    before, first, text = await trade(village, "A-0")
    await change_key(village, tmp_path / "node")
    await grow(village)
    after, both, later = await trade(village, "A-1", outbox=tmp_path / "outbox.db")
    assert (before.epoch, after.epoch) == (0, 1)
    return {"before": before, "after": after, "first": first, "both": both, "texts": (text, later)}


async def test_receipts_of_every_epoch_hold_under_the_file_of_all_policies(told, tmp_path):
    path = tmp_path / "policies.json"
    path.write_text(told["both"].text)
    for receipt in (told["before"], told["after"]):
        for policy in (path.read_text(), path.read_bytes(), told["both"]):
            read = Receipt.read(receipt.data, policy=policy)
            assert (read.index, read.epoch, read.message) == (receipt.index, receipt.epoch, receipt.message)
            assert read.verify(policy) == read.verify() == read
    assert Policies.read(told["both"].text).text == told["both"].text
    # A single policy is what it was.
    for receipt, text in zip((told["before"], told["after"]), told["texts"], strict=True):
        assert Receipt.read(receipt.data, policy=text).index == receipt.index


async def test_what_does_not_know_the_later_policy_does_not_take_its_receipts(told):
    assert (told["first"].epoch, told["both"].epoch) == (0, 1)
    with pytest.raises(Unverified, match="LOG_SIGNATURE_MISSING"):
        Receipt.read(told["after"].data, policy=told["first"].text)
    # And what begins with the later one judges nothing from before it.
    _, later = told["texts"]
    begun = Policies(later, told["both"].known.steps)
    assert (begun.first_epoch, Policies.read(begun.text).first_epoch) == (1, 1)
    assert Receipt.read(told["after"].data, policy=begun).epoch == 1
    with pytest.raises(Unverified, match="POLICY_UNKNOWN"):
        Receipt.read(told["before"].data, policy=begun)


async def test_of_a_file_that_was_changed_nothing_is_believed(told):
    text = told["both"].text
    for change, found in [
        (lambda rows: rows["steps"][0].update(epoch=2), "POLICY_EPOCH"),
        (lambda rows: rows["steps"][0]["enact"].update(index=3), "POLICY_BLOCK"),
        (lambda rows: rows["steps"][0].update(checkpoint="x"), "NOTE_MALFORMED"),
    ]:
        rows = msgspec.json.decode(text)
        change(rows)
        with pytest.raises(Unverified, match=found):
            Policies.read(msgspec.json.encode(rows))
    for bad in ("{}", "{", text[:-10], text.replace('"epoch"', '"epoche"', 1)):
        with pytest.raises(ConfigurationError):
            Receipt.read(told["before"].data, policy=bad)


async def test_a_policy_to_which_an_alliance_comes_back_begins_where_it_began(village):
    receipt, first, text = await trade(village, "A-0")
    for each in (make_text(village.chain, witness=0), text):
        await decide(village, each)
        await grow(village)
        await grow(village)
        bear_witness(village, 0)
    await grow(village)
    _, all_of_them, now = await trade(village, "A-1")
    assert (first.epoch, all_of_them.epoch, now == text) == (0, 2, True)
    assert Policies.read(all_of_them.text).first_epoch == 0
    assert Receipt.read(receipt.data, policy=all_of_them.text).epoch == 0


def deliver(village):
    """What the node delivers of the newest earning."""
    core = village.node.core
    item = Feed(core).read(Role("participant", "fresh"), after=0).items[-1]
    checkpoint, proof = core.prove_entry(item.index)
    found = Found(item.index, item.leaf, item.transaction, item.concerned)
    epoch = core.policies.epoch
    return encode_delivery(item, encode_receipt(found, checkpoint=checkpoint, proof=proof, epoch=epoch))


async def test_webhooks_take_all_policies_and_those_that_the_outbox_learns(village, tmp_path):
    path = tmp_path / "outbox.db"
    _, policies, text = await trade(village, "A-0", outbox=path)
    hooks = [
        Webhooks(SECRET, policy=text, remember=path),
        Webhooks(SECRET, policy=policies.text, remember=path),
    ]
    alone = Webhooks(SECRET, policy=policies)

    def receive(each, body):
        return each.receive(body, sign_delivery(SECRET, body, delivery_id="wh_1"))

    for each in (*hooks, alone):
        assert receive(each, deliver(village)).receipt.epoch == 0
    await change_key(village, tmp_path / "node")
    await grow(village)
    body = deliver(village)
    for each in (*hooks, alone):
        # Nobody has shown it the policy yet.
        with pytest.raises(Unverified, match="LOG_SIGNATURE_MISSING"):
            receive(each, body)
    _, later, _ = await trade(village, "A-1", outbox=path)
    body = deliver(village)
    for each in hooks:
        assert (receive(each, body).receipt.epoch, receive(each, body).sender) == (1, "fresh")
    assert receive(Webhooks(SECRET, policy=later), body).receipt.epoch == 1
    with pytest.raises(Unverified, match="LOG_SIGNATURE_MISSING"):
        receive(alone, body)
    # Another file's policies are of no use to who was given one of their own.
    own = make_text(village.chain, witness=1, signer=LOG)
    with pytest.raises(Unverified):
        receive(Webhooks(SECRET, policy=own, remember=path), body)
    assert LOG.public != NEXT.public
    for each in (*hooks, alone):
        each.close()
