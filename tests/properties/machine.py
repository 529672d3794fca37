"""The ledger under test: the project's executor, over a state in memory or over the real store on disk."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from contracts.mechanics.log_keys import find_log_keys, list_policies
from contracts.rulebook import RULEBOOKS
from ledger.codec import to_base64url
from ledger.errors import InvariantBroken
from ledger.executor import ExecutedBlock, Executor, apply_genesis, make_tables
from ledger.genesis import read_genesis
from ledger.keys import SeedSigner
from ledger.state import State
from ledger.transaction import Transaction, TransactionDecoder
from node import folding
from node.startup import load_chain
from node.storage.store import open_store
from tests.properties.model_values import canonical

RULEBOOK = RULEBOOKS[1]
Rows = list[tuple[str, Any]]


class Machine:
    """One chain in memory, as an auditor replays it."""

    def __init__(self, genesis: list[bytes]) -> None:
        self.origin = read_genesis(genesis)
        self.decoder = TransactionDecoder(RULEBOOK.message_type)
        self.open()

    def open(self) -> None:
        self.state = State(make_tables(RULEBOOK))
        apply_genesis(self.state, self.origin, RULEBOOK)
        self.state.commit()
        self.executor = Executor(state=self.state, origin=self.origin, rulebooks=RULEBOOKS)

    def decode(self, transactions: list[dict[str, Any]]) -> list[Transaction]:
        return [self.decoder.decode(canonical(transaction)) for transaction in transactions]

    def execute(self, time: int, transactions: list[dict[str, Any]]) -> ExecutedBlock:
        block = self.executor.execute_block(self.decode(transactions), time=time)
        if not block.is_empty:
            self.state.commit()
        return block

    def rows(self, table: str) -> Rows:
        return list(self.state.list_records(table))


class StoredMachine(Machine):
    """One chain on disk, folded in the background after every few blocks and restarted at times; and with
    another log key where the one it has is voted out.
    """

    def __init__(
        self, genesis: list[bytes], *, path: Path, log_seed: bytes, find_seed: Callable[[str], bytes]
    ) -> None:
        self.path = path
        self.signer = SeedSigner(log_seed)
        self.find_seed = find_seed
        self.signers = 1
        self.rng = Random(len(genesis))
        super().__init__(genesis)

    def open(self) -> None:
        self.store = open_store(self.path, RULEBOOK)
        self.chain = load_chain(self.store, origin=self.origin, signer=self.signer, on_step=str)

    def close(self) -> None:
        self.chain.close()
        self.store.close()

    def execute(self, time: int, transactions: list[dict[str, Any]]) -> ExecutedBlock:
        block = self.chain.make_block(self.decode(transactions), time=time)
        self.chain.fold_if_due()
        if self.rng.random() < 0.04:  # no last fold: the start re-executes what was only appended
            self.close()
            self.open()
        self.take_log_key()
        return block

    def take_log_key(self) -> None:
        """A node goes on with a key that may sign what comes next: one that may not does not start."""
        policies = list_policies(self.chain.reader)
        keys = find_log_keys(policies, self.origin, height=self.chain.head.height + 1)
        if self.signer.public in keys:
            return
        # The sequencer that has handed over is left its key for the block that it handed over with.
        with suppress(InvariantBroken):
            self.chain.check_signer()
        self.chain.begin_fold()
        self.close()
        self.signer = SeedSigner(self.find_seed(to_base64url(min(keys))))
        self.signers += 1
        self.open()

    def rows(self, table: str) -> Rows:
        self.chain.fold_all()
        return self.store.fold.list_records(table)


def remember_little(monkeypatch: Any) -> None:
    """A fold is due after few changes, and then all but the alliance's own tables comes from the database."""
    monkeypatch.setattr(folding, "FOLD_RECORDS_MAX", 40)
    monkeypatch.setattr(folding, "REMEMBERED_RECORDS_MAX", -1)
