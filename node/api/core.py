"""The core as the API sees it: what can be asked of one running ledger, wherever it runs.

`node.core.NodeCore` is it in its own process; `node.link.remote_core.RemoteCore` asks it from a worker. An
API over either says the same, byte for byte. Taking a transaction in is no part of this: that is `Take`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from ledger.executor import Head
from ledger.genesis import Origin
from ledger.policy_steps import PolicyStep
from ledger.promise import Absence, Promise
from node.answers import Proofs, Taken

Take = Callable[[bytes], Awaitable[Taken]]
"""``await take(data)``: what came of a transaction, once its block is durable. Raises `Refused`."""


class Core(Protocol):
    """What the API asks of a ledger. Any thread, but where it is said otherwise."""

    chain: str
    origin: Origin
    policy: str
    vkey: str

    @property
    def head(self) -> Head:
        """Where the committed chain stands."""
        ...

    @property
    def checkpoint(self) -> str:
        """The newest signed checkpoint."""
        ...

    @property
    def is_ready(self) -> bool:
        """Whether intake is open."""
        ...

    @property
    def waiting(self) -> int:
        """How many transactions wait for a block: those of this process."""
        ...

    @property
    def now(self) -> int:
        """The ledger's time for whatever is asked now."""
        ...

    @property
    def witnessed(self) -> str | None:
        """The newest checkpoint known to satisfy, quorum and all, the policy for its size. Not on the event
        loop.
        """
        ...

    def find_rest(self) -> str | None:
        """Why a transaction sent now would not get into a block soon; None where it would. Not on the event
        loop.
        """
        ...

    def list_policy_steps(self) -> list[PolicyStep]:
        """What shows each policy after epoch 0, as far as a checkpoint hands over to it. Not on the event
        loop.
        """
        ...

    def promise(self, data: bytes) -> Promise:
        """The transaction is admitted and promised. Raises `Refused`. Not on the event loop."""
        ...

    def state_absence(self, sender: str, transaction_id: str) -> Absence:
        """Signed: there is no such transaction. Raises `Refused` ``NOT_FOUND``."""
        ...

    def find_transaction(self, sender: str, transaction_id: str) -> tuple[str, Taken] | None:
        """The digest of a transaction in the log and what came of it."""
        ...

    def prove(self, *, first: int, end: int, trusted_size: int | None) -> Proofs:
        """A range proof against the newest checkpoint. Raises `Refused` ``BAD_SIZES``."""
        ...

    def prove_entry(self, index: int) -> tuple[str, list[bytes]]:
        """The newest checkpoint and an inclusion proof to it. Raises `Refused` ``BAD_SIZES``."""
        ...

    def prove_consistency(self, old: int, new: int) -> list[bytes]:
        """A consistency proof between two sizes. Raises `Refused` ``BAD_SIZES``."""
        ...

    def get_record(self, table: str, key: str) -> Any:
        """A committed record, or None."""
        ...

    def list_records(self, table: str) -> list[tuple[str, Any]]:
        """Every record of a small table, in key order."""
        ...

    def read_leaves(self, first: int, end: int) -> list[bytes]:
        """The leaves [first, end)."""
        ...

    def find_block(self, index: int) -> tuple[int, int, int] | None:
        """Index of the block leaf that closes a leaf's block, its height and time; or None."""
        ...

    def read_tile(self, level: int, index: int, width: int) -> bytes | None:
        """A hash tile, full or partial, or None beyond the checkpoint."""
        ...

    def read_bundle(self, index: int, width: int) -> bytes | None:
        """An entry bundle, full or partial, or None beyond the checkpoint."""
        ...

    def find_packed_bundle(self, index: int, width: int) -> bytes | None:
        """The bundle as Zstandard frames one after the other, where this process has it in memory; else None.
        Also on the event loop.
        """
        ...

    def read_packed_bundle(self, index: int, width: int) -> bytes | None:
        """The same from the disk; None also where a row would have to be cut for it."""
        ...

    def find_history(self, member: str, program: str | None, before: int | None, limit: int) -> list[int]:
        """Indexes of the entries that concern a member, newest first."""
        ...

    def find_order(self, sender: str, reference: str) -> list[int]:
        """Indexes of a sender's entries that name a reference, oldest first."""
        ...
