"""The core of a node: what the API, the command line and the sandbox drive, whatever the engine.

`NodeCore.open` reads the genesis and the last fold, re-executes the rest of the log, and only then opens
intake. From then on `submit` admits, the engine orders, the chain decides and remembers, and every read
answers from what is committed.
"""

from __future__ import annotations

import time as wall_clock
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from ledger.errors import InvariantBroken, Refused
from ledger.executor import ExecutedBlock, Head
from ledger.genesis import Origin
from ledger.keys import Signer
from ledger.log.note import encode_vkey
from ledger.log.policy import format_policy
from ledger.log.tiles import TILE_WIDTH
from ledger.policy_chain import derive_policy
from ledger.transaction import Transaction, TransactionDecoder, Vetting, check_contents
from node.answers import Taken
from node.chain import ChainKeeper, Step
from node.engine.interface import Engine, EngineMaker
from node.engine.solo import SoloEngine
from node.engine.standing import find_engine
from node.mempool import Mempool
from node.readiness import Readiness
from node.startup import CheckHead, open_chain
from node.storage.place import Place
from node.vouching import Vouching


def get_system_time() -> int:
    """Milliseconds UTC of this machine."""
    return wall_clock.time_ns() // 1_000_000


def make_policy(origin: Origin) -> tuple[str, str]:
    """The genesis's first log key and the policy of epoch 0, which both follow from the genesis alone."""
    policy = derive_policy(origin)
    return encode_vkey(policy.logs[0].key), format_policy(policy).decode()


class NodeCore(Vouching, Readiness):
    """One running ledger."""

    def __init__(
        self,
        chain: ChainKeeper,
        *,
        clock: Callable[[], int],
        is_told: bool | None = None,
        make_engine: EngineMaker | None = None,
    ) -> None:
        settings = chain.origin.settings
        self._chain = chain
        self._is_told = is_told if is_told is not None else settings.clock == "simulated"
        """Whether blocks are cut only when somebody says so, and at the time they say."""
        self._clock = clock
        self._mempool = Mempool(charge=self._charge)
        self._decoder = TransactionDecoder(chain.executor.rulebook.message_type)
        # Blocks of a chain that several validators keep are theirs to make: without them there is no engine,
        # but for the sequencer that handed over to them and makes none any more.
        standing = find_engine(chain.reader)
        if (standing is None) if make_engine is not None else (settings.engine != "solo"):
            raise InvariantBroken("ENGINE_DIFFERS", engine=settings.engine, switched=standing is not None)
        # Through this core, whose listeners are set later.
        hear: dict[str, Any] = {
            "on_failure": lambda: self.on_failure(),  # noqa: PLW0108
            "on_block": self._hear_block,
        }
        self._engine: Engine = (
            SoloEngine(chain, self._mempool, clock=None if self._is_told else clock, **hear)
            if make_engine is None
            else make_engine(chain, self._mempool, clock=clock, **hear)
        )
        self.origin = chain.origin
        self.chain = chain.origin.chain
        self.vkey, self.policy = make_policy(chain.origin)
        self.on_block: Callable[[float, ExecutedBlock], None] = lambda _seconds, _block: None
        """Called with each block and how long it took, before its senders are answered."""
        self.on_failure: Callable[[], None] = lambda: None
        """Called once if the engine has to stop: whoever runs the process ends it."""
        self.charge: Callable[[str, int], None] = lambda _sender, _messages: None
        """Called with sender and number of messages before a new transaction is taken whose signature
        verified; raises `Refused` where the sender has to wait. What is sent again is not new.
        """
        self._engine.start()

    @classmethod
    def open(
        cls,
        database: Place,
        *,
        genesis: Sequence[bytes],
        signer: Signer,
        clock: Callable[[], int] = get_system_time,
        on_step: Step = lambda _step: None,
        is_told: bool | None = None,
        is_apart: bool = False,
        is_warm: bool = False,
        make_engine: EngineMaker | None = None,
        check_head: CheckHead = lambda *_told: None,
    ) -> NodeCore:
        """The ledger in this database, made from ``genesis`` where the database is new.

        A simulated chain cuts blocks only when it `is_told`, unless that is said to be otherwise. With
        ``is_apart`` members' signatures are checked and folds written in processes of their own; they begin
        with the first work that is worth it, or at once where ``is_warm``.

        Raises `InvalidBlock`, `InvariantBroken` or `Unverified` where the log, its checkpoint and its
        re-execution do not agree.
        """
        chain = open_chain(
            database,
            genesis=genesis,
            signer=signer,
            on_step=on_step,
            is_apart=is_apart,
            is_warm=is_warm,
            check_head=check_head,
        )
        return cls(chain, clock=clock, is_told=is_told, make_engine=make_engine)

    @property
    def head(self) -> Head:
        """Where the committed chain stands."""
        return self._chain.head

    @property
    def checkpoint(self) -> str:
        """The newest signed checkpoint."""
        return self._chain.checkpoint

    @property
    def failure(self) -> InvariantBroken | None:
        """The promise over which the engine stopped; none while it runs, or where the fault was another."""
        failure = self._engine.failure
        return failure if isinstance(failure, InvariantBroken) else None

    @property
    def misbehaviour(self) -> int:
        """How often a validator was caught signing two blocks of one height."""
        return self._engine.misbehaviour

    @property
    def waiting(self) -> int:
        """How many transactions wait for a block."""
        return len(self._mempool)

    def submit(self, data: bytes) -> Future[Taken]:
        """Admit a transaction.

        Raises `Refused` at once, or the future does, in the order of docs/spec/messages.md.
        """
        transaction = self._decoder.decode(data)
        check_contents(transaction, chain=self.chain)
        return self.admit(transaction)

    def decode_vetted(self, data: bytes, vetting: Vetting) -> Transaction:
        """A transaction that a process of this node has decoded, and held to its chain and digest, before."""
        return self._decoder.decode_vetted(data, vetting)

    def admit(self, transaction: Transaction) -> Future[Taken]:
        """As `submit`, from where bytes, chain and digest are known to be right."""
        if not self._engine.is_open:
            raise Refused("STOPPING")
        header = transaction.header
        known = self._chain.find_transaction(header.sender, header.id)
        refusal: Refused | None = None
        if not self._is_repeat(transaction, known):
            try:
                # Nobody knows the time of a block that will be cut when it is told: there the block alone
                # judges how far ahead `not_after` lies.
                self._chain.check_intake(
                    transaction, time=header.not_after if self._is_told else self._clock()
                )
            except Refused as error:
                # The block that takes it may be in hand, or finished since we looked; and what was taken is
                # never refused. It is looked for in the order in which it moves.
                waiting = self._mempool.find(transaction)
                if waiting is not None and self._chain.is_signed_by_sender(transaction):
                    return waiting
                refusal = error
                known = self._chain.find_transaction(header.sender, header.id)
        if known is not None and self._is_repeat(transaction, known):
            done: Future[Taken] = Future()
            done.set_result(known[1])
            return done
        if refusal is not None:
            raise refusal
        if known is not None:
            raise Refused("ID_CONFLICT", id=header.id)
        return self._mempool.add(transaction)

    def _is_repeat(self, transaction: Transaction, known: tuple[str, Taken] | None) -> bool:
        """Whether its sender asks again for what is in the log, and so hears the first answer, however old.

        The signature is asked for, though the key may be revoked by now: an answer tells balances, and an id
        and a digest alone are no secret.
        """
        return (
            known is not None
            and known[0] == transaction.header.digest
            and self._chain.is_signed_by_sender(transaction)
        )

    def cut_block(self, time: int) -> Head:
        """One block of everything that waits, at the time told. Simulated chains only: else ``NOT_FOUND``."""
        if not self._is_told:
            raise Refused("NOT_FOUND")
        return self._engine.cut(time)

    def find_transaction(self, sender: str, transaction_id: str) -> tuple[str, Taken] | None:
        """The digest of a transaction in the log and what came of it."""
        return self._chain.find_transaction(sender, transaction_id)

    def get_record(self, table: str, key: str) -> Any:
        """A committed record, or None. Any thread."""
        return self._chain.reader.get(table, key)

    def list_records(self, table: str) -> list[tuple[str, Any]]:
        """Every record of a small table, in key order. Any thread."""
        return self._chain.reader.list_records(table)

    def read_leaves(self, first: int, end: int) -> list[bytes]:
        """The leaves [first, end)."""
        return self._chain.store.log.read_leaves(first, end)

    def find_block(self, index: int) -> tuple[int, int, int] | None:
        """Index of the block leaf that closes a leaf's block, its height and time.

        None for genesis leaves, which stand before the first block, and beyond the head.
        """
        if not len(self.origin.leaves) <= index < self.head.size:
            return None
        return self._chain.store.log.find_block(index)

    def read_tile(self, level: int, index: int, width: int) -> bytes | None:
        """A hash tile, full or partial, or None beyond the checkpoint."""
        return self._chain.read_tile(level, index, width)

    def read_bundle(self, index: int, width: int) -> bytes | None:
        """An entry bundle, full or partial, or None beyond the checkpoint."""
        if index * TILE_WIDTH + width > self.head.size:
            return None
        return self._chain.store.log.read_bundle(index, width)

    def find_packed_bundle(self, index: int, width: int) -> bytes | None:
        """The bundle as Zstandard frames, where it is in memory and not beyond the checkpoint; else None."""
        if index * TILE_WIDTH + width > self.head.size:
            return None
        return self._chain.store.log.find_packed_bundle(index, width)

    def read_packed_bundle(self, index: int, width: int) -> bytes | None:
        """The same from the disk; None also where a row would have to be cut for it."""
        if index * TILE_WIDTH + width > self.head.size:
            return None
        return self._chain.store.log.read_packed_bundle(index, width)

    def find_history(self, member: str, program: str | None, before: int | None, limit: int) -> list[int]:
        """Indexes of the entries that concern a member, newest first."""
        end = self.head.size if before is None else min(before, self.head.size)
        return self._chain.store.lookups.find_history(member, program=program, before=end, limit=limit)

    def find_order(self, sender: str, reference: str) -> list[int]:
        """Indexes of a sender's entries that name a reference, oldest first."""
        size = self.head.size
        return [
            index for index in self._chain.store.lookups.find_reference(sender, reference) if index < size
        ]

    def wait_for_height(self, height: int, timeout_seconds: float) -> bool:
        """Whether the head reached ``height`` in time."""
        return self._chain.wait_for_height(height, timeout_seconds=timeout_seconds)

    def close_intake(self) -> None:
        """What waits for a block is told to come again, and nothing more is taken; reads go on."""
        self._engine.close_intake()

    def stop(self) -> None:
        """Finish the block in hand, fold, store the checkpoint, close the database."""
        try:
            self._engine.stop()
        finally:
            self._chain.close()
            self._chain.store.close()

    @property
    def now(self) -> int:
        """The ledger's time for whatever is asked now: the clock's, or the head's where it has to be told."""
        head = self.head.time
        return head if self._is_told else max(head, self._clock())

    def _charge(self, sender: str, messages: int) -> None:
        self.disk.check()
        self.charge(sender, messages)
