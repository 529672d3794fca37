"""A flood of what is small, and what unpacks to a hundred times its size: the work and the memory that a
proposer or a sender can make others spend are bounded.
"""

from __future__ import annotations

import resource
import time
import tracemalloc

import pytest

from contracts.messages import Earn, Propose
from contracts.messages.actions import SetTrustPolicy
from ledger.transaction import sign_transaction
from node.engine.cometbft import known
from node.engine.cometbft.application import REFUSED
from node.engine.cometbft.home import BLOCK_BYTES_MAX
from node.engine.cometbft.injected import encode_time, encode_wake
from node.engine.cometbft.packing import pack
from node.mempool import BLOCK_MESSAGES_MAX
from tests.conftest import FULL
from tests.contracts.cast import FRESH, START, make_signer, member_id
from tests.node.cometbft.test_application import config, open_asker, town  # noqa: F401 - fixtures
from tests.node.cometbft.test_attacks import ACCEPT, DAY, REJECT, asker, forge, judge  # noqa: F401

GOVERN = make_signer(FRESH, "govern")


def make_large(town, number: int, *, count: int = 8_000) -> bytes:  # noqa: F811
    """A transaction of many messages that are alike, so that it packs to little."""
    messages = [
        Earn(amount=10**8, member=member_id(1), occurred_at=START, program="leaf", reference=f"r{number}")
    ] * count
    return sign_transaction(
        messages,
        chain=town.chain,
        sender=FRESH,
        transaction_id=f"large-{number}",
        not_after=START + 3_000_000,
        signer=make_signer(FRESH, "transact"),
    ).encode()


def test_a_block_that_unpacks_to_a_hundred_times_its_size_is_not_read_to_its_end(asker, town):  # noqa: F811
    """As many packed transactions as CometBFT lets into a block: an honest proposer stops at the bound on
    messages, so whoever votes stops there too.
    """
    packed = pack(make_large(town, 0))
    assert len(packed) < 40_000
    assert BLOCK_BYTES_MAX // len(packed) > 40
    count = BLOCK_BYTES_MAX // len(packed) if FULL else 12
    block = [encode_time(asker.clock.at), *(pack(make_large(town, number)) for number in range(count))]
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    assert judge(asker, *block) == REJECT
    # One alone is read whatever it holds.
    assert judge(asker, block[0], pack(make_large(town, 99, count=8_192)), name=b"one") == ACCEPT
    honest = asker.ask("prepare_proposal", txs=block[1:], max_tx_bytes=BLOCK_BYTES_MAX).txs
    assert 1 < len(honest) <= 1 + BLOCK_MESSAGES_MAX // 8_000
    assert judge(asker, *honest, name=b"honest") == ACCEPT
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000
    assert time.process_time() - began < 20


def test_large_messages_that_pack_to_little_are_bounded_too(asker, town):  # noqa: F811
    """One message a transaction, each as large as a proposal may be."""
    note = "x" * 12_000
    actions = [SetTrustPolicy(policy=note)]
    block = []
    for number in range(2_000):
        message = Propose(
            actions=actions, configuration=0, effective_height=9, expires=START + DAY, proposal=f"p{number}"
        )
        block.append(pack(town.sign(FRESH, f"p-{number}", message, signer=GOVERN)))
    assert sum(map(len, block)) < BLOCK_BYTES_MAX
    began = time.process_time()
    assert judge(asker, encode_time(asker.clock.at), *block) == REJECT
    honest = asker.ask("prepare_proposal", txs=block, max_tx_bytes=BLOCK_BYTES_MAX).txs
    assert 1_000 < len(honest) < 2_000
    assert judge(asker, *honest, name=b"honest") == ACCEPT
    assert time.process_time() - began < 15


@pytest.mark.parametrize("kind", ["wakes", "braces", "copies", "times"])
def test_a_million_tiny_transactions_are_judged_before_the_next_round(asker, town, kind):  # noqa: F811
    """More than CometBFT lets into a block, and still no reason to stand still."""
    now = asker.clock.at
    tiny = {
        "wakes": encode_wake(asker.ask("info").last_block_height + 1),
        "braces": b"{}",
        "copies": town.sign(FRESH, "t-1", town.earn(2)),
        "times": encode_time(now),
    }[kind]
    began = time.process_time()
    assert judge(asker, encode_time(now), *[tiny] * 1_000_000) == REJECT
    assert time.process_time() - began < 15
    assert asker.ask("info").last_block_height > 0


def test_a_flood_of_small_ones_takes_no_more_memory_than_is_meant(asker, town, monkeypatch):  # noqa: F811
    """Forged ones too are remembered, so that they are turned down quickly; the oldest give way."""
    monkeypatch.setattr(known, "KNOWN_BYTES_MAX", 1024 * 1024)
    flood = [forge(town.sign(FRESH, f"f-{number}", town.earn(number))) for number in range(2_500)]
    tracemalloc.start()
    for data in flood:
        assert asker.ask("check_tx", tx=data).code == REFUSED
    asker.heard.refused.clear()
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert taken < 2 * 1024 * 1024


def test_a_call_to_wake_up_stands_once_in_a_block(asker):  # noqa: F811
    wake = encode_wake(asker.ask("info").last_block_height + 1)
    assert judge(asker, encode_time(asker.clock.at), wake, name=b"once") == ACCEPT
    assert judge(asker, encode_time(asker.clock.at), wake, wake, name=b"twice") == REJECT
