"""Shops that send purchases to an alliance while things go wrong, and the account that is taken afterwards:
one history at all, and in it, once, everything that anybody was told is done.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from ledger.leaves import TRANSACTION_LEAF_DECODER, TRANSACTION_START
from ledger.log.merkle import compute_leaf_hashes, compute_root
from node.audit.recorded import BlockReader, read_genesis_leaves
from node.audit.report import Report
from node.auditing import audit_data_dir
from node.config import Config, load_config
from node.startup import load_chain
from node.storage.store import open_store
from tests.contracts.cast import FRESH
from tests.node.cometbft.processes import SECONDS
from tests.node.cometbft.validators import Validator, Validators
from tests.node.engine.town import RULEBOOK

MEMBERS = 100
_AGAIN = frozenset({0, 429, 503})
"""No answer, too much, or not now."""


class Acknowledged(NamedTuple):
    """A transaction that some node has answered."""

    name: str
    answer: Any


class Load:
    """Senders that each send one purchase after the other, and the same bytes again where no answer came."""

    def __init__(self, alliance: Validators, *, senders: int, seed: int, pause_seconds: float = 0) -> None:
        self.alliance = alliance
        self.nodes: Sequence[Validator] = list(alliance.all)
        """Whom they ask; any of these, whichever comes to mind."""
        self.acknowledged: list[Acknowledged] = []
        self._lock = threading.Lock()
        self._seed = seed
        self._pause_seconds = pause_seconds
        self._ending = threading.Event()
        self._pool = ThreadPoolExecutor(senders)
        self._work = [self._pool.submit(self._send, number) for number in range(senders)]

    def end(self) -> None:
        """What was begun is answered."""
        self._ending.set()
        for work in self._work:
            work.result(2 * SECONDS)
        self._pool.shutdown()

    def wait_for(self, count: int) -> None:
        """Until so many are answered."""
        end = time.monotonic() + SECONDS
        while len(self.acknowledged) < count:
            for work in self._work:
                if work.done():
                    work.result()
            assert time.monotonic() < end, f"{len(self.acknowledged)} of {count} are answered"
            time.sleep(0.02)

    def wait_for_more(self, count: int) -> None:
        """Until so many are answered that have not been by now."""
        self.wait_for(len(self.acknowledged) + count)

    def send_to(self, node: Validator, name: str) -> Future[Acknowledged]:
        """A purchase that is brought to this node and to no other, however long it takes."""
        data = self.alliance.earn(name)
        work = ThreadPoolExecutor(1).submit(self._send_until_answered, name, data, [node], Random(name))
        work.add_done_callback(lambda done: done.exception() or self._note(done.result()))
        return work

    def _send(self, number: int) -> None:
        random = Random(f"{self._seed}-{number}")
        count = 0
        while not self._ending.is_set():
            count += 1
            name = f"load-{self._seed}-{number}-{count}"
            data = self.alliance.earn(name, count=random.randrange(1, 8), member=random.randrange(MEMBERS))
            self._note(self._send_until_answered(name, data, None, random))
            self._ending.wait(self._pause_seconds)

    def _note(self, found: Acknowledged) -> None:
        with self._lock:
            self.acknowledged.append(found)

    def _send_until_answered(
        self, name: str, data: bytes, nodes: Sequence[Validator] | None, random: Random
    ) -> Acknowledged:
        end = time.monotonic() + 2 * SECONDS
        while True:
            try:
                # Whichever node: a transaction is the same everywhere.
                node = random.choice(nodes or self.nodes)
                status, answer = node.ask("POST", "/v1/transactions", data, seconds=10)
            except OSError:
                status, answer = 0, None
            if status == 200:
                return Acknowledged(name, answer)
            assert status in _AGAIN, (status, answer)
            assert time.monotonic() < end, (status, answer)
            time.sleep(0.05)


def read_leaves(directory: Path) -> list[bytes]:
    """All leaves of a node that is stopped."""
    store = open_store(load_config(directory).database, RULEBOOK)
    try:
        return store.log.read_leaves(0, store.log.size)
    finally:
        store.close()


def check_solo_store(leaves: list[bytes], config: Config, folder: Path) -> None:
    """The recorded blocks, executed one by one over an empty SQLite store, come to the same root."""
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
        assert chain.compute_root() == compute_root(compute_leaf_hashes(leaves))
    finally:
        chain.close()
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


def check_found(node: Validator, acknowledged: list[Acknowledged]) -> None:
    """Asked by sender and id, this node says of each what was said before."""
    line = node.connect()
    try:
        for name, answer in acknowledged:
            line.request("GET", f"/v1/transactions/{FRESH}/{name}", headers=node.make_headers())
            found = json.loads(line.getresponse().read())
            assert (found["index"], found["outcomes"]) == (answer["index"], answer["outcomes"]), name
    except http.client.HTTPException as error:
        raise AssertionError(f"cut off at {name}") from error
    finally:
        line.close()


def audit(directory: Path) -> Report:
    """What `commonpoint verify` finds in the folder."""
    return audit_data_dir(directory, policy=None, chain=None, progress=lambda _done, _total: None)


def check_good(directory: Path) -> None:
    """The folder verifies."""
    report = audit(directory)
    assert report.is_good, report.first_bad


def end_and_compare(alliance: Validators, load: Load) -> list[bytes]:
    """The log that all have, with everything that was acknowledged in it once; each folder verifies."""
    load.end()
    size, _ = alliance.wait_for_same_root(least=max(each.answer["index"] for each in load.acknowledged) + 1)
    with ThreadPoolExecutor(len(alliance.all)) as pool:
        list(pool.map(lambda node: check_found(node, load.acknowledged), alliance.all))
        list(pool.map(Validator.stop, alliance.all))
    logs = [read_leaves(each.directory) for each in alliance.all]
    assert all(log == logs[0] for log in logs)
    assert len(logs[0]) == size
    check_once(logs[0], load.acknowledged)
    for each in alliance.all:
        check_good(each.directory)
    return logs[0]
