"""A ledger with one validator is what a ledger with one sequencer is, to everybody who uses it."""

from __future__ import annotations

import os
import sys
import time

from ledger.leaves import BLOCK_LEAF_DECODER, BLOCK_START
from merchant_sdk.receipt import Receipt
from node.engine.cometbft.misbehaviour import Misbehaviour
from node.storage.store import open_store
from tests.contracts.cast import member_id
from tests.node.cli.conftest import cli, plain_environment  # noqa: F401 - fixtures
from tests.node.cometbft.validators import get_time
from tests.node.engine.town import RULEBOOK


def read_log(validator):
    """All leaves of a validator that is stopped."""
    store = open_store(validator.config.database, RULEBOOK)
    try:
        return store.log.read_leaves(0, store.log.size)
    finally:
        store.close()


def test_a_merchant_meets_nothing_new_and_an_idle_ledger_adds_nothing(make_validators, cli):  # noqa: F811
    alliance = make_validators(1)
    (validator,) = alliance.all
    # Of before it was started again.
    Misbehaviour(validator.directory / "cometbft").note([{"kind": "duplicate_vote", "engine_height": 3}])
    alliance.start()
    alliance.begin()
    assert "commonpoint_misbehaviour_total 1.0" in validator.ask("GET", "/metrics")[1]
    now = get_time()
    shop_policy = validator.config.policy

    with alliance.merchant(0) as shop:
        earned = shop.earn(member_id(7), "20.00", reference="A-1", occurred_at=now)
        again = shop.earn(member_id(7), "20.00", reference="A-1", occurred_at=now)
        spent = shop.redeem(member_id(7), 10, reference="B-1", without_code=True, occurred_at=now)
        receipt = earned.receipt()
        assert (earned.code, again.code, spent.code) == ("OK", "ALREADY_DONE", "OK")
        assert (earned.points, spent.balance) == (40, 30)
        assert Receipt.read(receipt.data, policy=shop_policy).index == earned.index

    if sys.platform == "linux":
        # The keeper, the node with its helpers, and CometBFT.
        classes = [os.sched_getscheduler(pid) for pid in validator.processes]
        assert len(classes) >= 3
        assert set(classes) == {os.SCHED_BATCH}

    before = validator.get_checkpoint()
    time.sleep(2)
    assert validator.get_checkpoint() == before
    validator.stop()

    blocks = [BLOCK_LEAF_DECODER.decode(leaf) for leaf in read_log(validator) if leaf.startswith(BLOCK_START)]
    heights = [(block.height, block.engine_height) for block in blocks]
    assert [height for height, _ in heights] == list(range(1, len(blocks) + 1))
    # Each block is certified by an engine's block after it that adds no leaf.
    assert all(engine > height for height, engine in heights[1:])
    status, said, _ = cli("verify", "--data", validator.directory)
    assert status == 0, said
