"""Four organisations keep one ledger: what any of them acknowledges stands in all of them, once, whatever is
killed meanwhile.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from ledger.leaves import TRANSACTION_LEAF_DECODER, TRANSACTION_START
from ledger.log.merkle import compute_leaf_hashes, compute_root
from node.audit.recorded import BlockReader, read_genesis_leaves
from node.config import Config, load_config
from node.startup import load_chain
from node.storage.store import open_store
from tests.node.cometbft.validators import SECONDS, Validators
from tests.node.engine.town import RULEBOOK

MEMBERS = 100


class Acknowledged(NamedTuple):
    """A transaction that some node has answered."""

    name: str
    answer: Any


class Load:
    """Senders that each send one purchase after the other, and the same bytes again where no answer came."""

    def __init__(self, alliance: Validators, *, senders: int, seed: int) -> None:
        self.alliance = alliance
        self.acknowledged: list[Acknowledged] = []
        self._lock = threading.Lock()
        self._seed = seed
        self._ending = threading.Event()
        self._pool = ThreadPoolExecutor(senders)
        self._work = [self._pool.submit(self._send, number) for number in range(senders)]

    def end(self) -> None:
        """What was begun is answered."""
        self._ending.set()
        for work in self._work:
            work.result(SECONDS)
        self._pool.shutdown()

    def wait_for(self, count: int) -> None:
        """Until so many are answered."""
        end = time.monotonic() + SECONDS
        while len(self.acknowledged) < count:
            assert time.monotonic() < end, f"{len(self.acknowledged)} of {count} are answered"
            time.sleep(0.02)

    def _send(self, number: int) -> None:
        random = Random(f"{self._seed}-{number}")
        count = 0
        while not self._ending.is_set():
            count += 1
            name = f"load-{number}-{count}"
            data = self.alliance.earn(name, count=random.randrange(1, 8), member=random.randrange(MEMBERS))
            answer = self._send_until_answered(data, random)
            with self._lock:
                self.acknowledged.append(Acknowledged(name, answer))

    def _send_until_answered(self, data: bytes, random: Random) -> Any:
        end = time.monotonic() + SECONDS
        while True:
            try:
                # Whichever node: a transaction is the same everywhere.
                node = random.choice(self.alliance.all)
                status, answer = node.ask("POST", "/v1/transactions", data, seconds=10)
            except OSError:
                status, answer = 0, None
            if status == 200:
                return answer
            assert status in (0, 503, 429), (status, answer)
            assert time.monotonic() < end, (status, answer)
            time.sleep(0.05)


def read_leaves(directory) -> list[bytes]:
    store = open_store(load_config(directory).database, RULEBOOK)
    try:
        return store.log.read_leaves(0, store.log.size)
    finally:
        store.close()


def check_once(leaves: list[bytes], acknowledged: list[Acknowledged]) -> None:
    """Each stands in the log where it was said to, and nowhere else."""
    found = [
        (TRANSACTION_LEAF_DECODER.decode(leaf).header.id, index)
        for index, leaf in enumerate(leaves)
        if leaf.startswith(TRANSACTION_START)
    ]
    assert max(Counter(name for name, _ in found).values()) == 1
    places = dict(found)
    assert [places[each.name] for each in acknowledged] == [each.answer["index"] for each in acknowledged]


@pytest.fixture
def alliance(make_validators):
    made = make_validators(4)
    made.start()
    made.begin(members=MEMBERS)
    return made


def end_and_compare(alliance: Validators, load: Load) -> list[bytes]:
    """The log that all four have, with everything that was acknowledged in it once."""
    load.end()
    size, _ = alliance.wait_for_same_root(least=max(each.answer["index"] for each in load.acknowledged))
    for each in alliance.all:
        each.stop()
    logs = [read_leaves(each.directory) for each in alliance.all]
    assert logs[0] == logs[1] == logs[2] == logs[3]
    assert len(logs[0]) == size
    check_once(logs[0], load.acknowledged)
    return logs[0]


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


@pytest.mark.full
def test_ten_kills_of_any_of_them_lose_nothing(alliance):
    random = Random(7)
    load = Load(alliance, senders=8, seed=2)
    for _ in range(10):
        load.wait_for(len(load.acknowledged) + random.randrange(10, 40))
        victim = random.choice(alliance.all)
        os.kill(getattr(victim, random.choice(("application", "cometbft"))), signal.SIGKILL)
    load.wait_for(len(load.acknowledged) + 40)
    end_and_compare(alliance, load)
