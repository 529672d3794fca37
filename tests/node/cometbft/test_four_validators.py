"""Four organisations keep one ledger: what any of them acknowledges stands in all of them, once, whatever is
killed meanwhile.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from ledger.log.merkle import compute_leaf_hashes, compute_root
from node.audit.recorded import BlockReader, read_genesis_leaves
from node.config import Config
from node.startup import load_chain
from node.storage.store import open_store
from tests.node.cometbft.load import MEMBERS, Load, end_and_compare
from tests.node.engine.town import RULEBOOK


@pytest.fixture
def alliance(make_validators):
    made = make_validators(4)
    made.start()
    made.begin(members=MEMBERS)
    return made


def replay_in_a_solo_store(leaves: list[bytes], config: Config, folder: Path) -> bytes:
    """The root that the recorded blocks come to, executed one by one over an empty SQLite store."""
    folder.mkdir()
    store = open_store(folder / "ledger.db", RULEBOOK)
    chain = load_chain(
        store, origin=config.origin, signer=config.open_signer("log"), on_step=lambda _step: None
    )
    iterator = iter(leaves)
    _, ahead = read_genesis_leaves(iterator)
    blocks = BlockReader(
        iterator, ahead=ahead, size=chain.head.size, height=0, message_type=RULEBOOK.message_type
    )
    try:
        for block in blocks:
            closing = block.closing
            executed = chain.executor.execute_block(
                block.transactions, time=closing.time, engine_height=closing.engine_height
            )
            chain.commit(executed, block.transactions, chain.hash_block(executed))
        return chain.compute_root()
    finally:
        chain.close()
        store.close()


def test_four_have_one_history_whatever_is_killed_and_a_solo_store_comes_to_its_root(alliance, tmp_path):
    load = Load(alliance, senders=8, seed=1)
    load.wait_for(100)
    for whom in ("application", "cometbft"):
        os.kill(getattr(alliance.all[1], whom), signal.SIGKILL)
        load.wait_for(len(load.acknowledged) + 60)
    leaves = end_and_compare(alliance, load)
    root = compute_root(compute_leaf_hashes(leaves))
    assert replay_in_a_solo_store(leaves, alliance.all[0].config, tmp_path / "solo") == root
