"""The core as a worker has it: what the log's database holds it reads itself, proofs it makes from its own
copy of the tree, and for what only the core's memory knows it asks.

It satisfies `node.api.core.Core`. What blocks here (records, look-ups) is for threads, never for the event
loop, as with a core in the same process that reads its disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from contracts.rulebook import CURRENT
from ledger.codec import decode
from ledger.executor import Head, make_tables
from ledger.genesis import Origin, read_genesis
from ledger.log.note import parse_checkpoint, split_note
from ledger.log.tiles import TILE_WIDTH
from ledger.policy_steps import PolicyStep, read_steps
from ledger.promise import ABSENCE_DECODER, PROMISE_DECODER, Absence, Promise
from node.answers import Proofs, Taken
from node.http_signatures import NonceWindow
from node.link.line import Line
from node.link.tree_copy import TreeCopy
from node.link.wire import Setup
from node.storage.log import LogStore
from node.storage.place import parse_place
from node.storage.store import open_store
from node.witness.protocol import Reply

_REACH_ATTEMPTS_MAX: Final = 1_000
_SECONDS: Final = 30.0
"""So long an answer of the core may take before the asker hears of a fault."""


class RemoteCore:
    """One ledger, whose core is another process."""

    def __init__(self, line: Line, setup: Setup, *, clock: Callable[[], int]) -> None:
        self.origin: Origin = read_genesis(setup.genesis)
        self.chain = self.origin.chain
        self.policy = setup.policy
        self.vkey = setup.vkey
        self.is_ready = True
        self._line = line
        self._clock = clock
        self._log = _open_log(setup)
        self.tree = TreeCopy(self._log, setup.head, setup.checkpoint)
        tables = make_tables(CURRENT)
        self._records = {name: msgspec.msgpack.Decoder(kind | None) for name, kind in tables.items()}
        self._rows = {
            name: msgspec.msgpack.Decoder(list[tuple[str, kind]])  # type: ignore[valid-type]
            for name, kind in tables.items()
        }

    @property
    def head(self) -> Head:
        """Where the committed chain stands, as far as this process was told."""
        return self.tree.head

    @property
    def checkpoint(self) -> str:
        """The newest signed checkpoint, never older than one that was shown. Not on the event loop."""
        self.catch_up()
        return self.tree.checkpoint

    @property
    def waiting(self) -> int:
        """How many submissions of this process have no answer yet."""
        return self._line.waiting

    @property
    def now(self) -> int:
        """The ledger's time for whatever is asked now."""
        head = self.head.time
        return head if self.origin.settings.clock == "simulated" else max(head, self._clock())

    def call(self, name: str, *arguments: Any, kind: Any = Any) -> Any:
        """What a call comes to. Not on the event loop. Raises what the core raises."""
        return msgspec.msgpack.decode(self._line.call(name, *arguments).result(_SECONDS), type=kind)

    def catch_up(self) -> None:
        """Every block that anybody was told of by now is known here. Not on the event loop."""
        self._line.call("catch_up").result(_SECONDS)

    def _reach(self, size: int, *, is_certain: bool = True) -> None:
        """The head is of this size here too, where the core's is or, being ``is_certain``, is about to be: it
        moves a moment before its blocks are told.
        """
        for _ in range(_REACH_ATTEMPTS_MAX if is_certain else 1):
            if size <= self.head.size:
                return
            self.catch_up()

    def get_record(self, table: str, key: str) -> Any:
        """A committed record, or None."""
        return self._records[table].decode(self._line.call("record", table, key).result(_SECONDS))

    def list_records(self, table: str) -> list[tuple[str, Any]]:
        """Every record of a small table, in key order."""
        rows: list[tuple[str, Any]] = self._rows[table].decode(
            self._line.call("records", table).result(_SECONDS)
        )
        return rows

    @property
    def witnessed(self) -> str | None:
        """The newest checkpoint known to satisfy, quorum and all, the policy for its size."""
        note: str | None = self.call("witnessed", kind=str | None)
        if note is not None:
            self._reach(parse_checkpoint(split_note(note)[0]).size)
        return note

    def find_rest(self) -> str | None:
        """Why a transaction sent now would not get into a block soon: the core knows."""
        if not self.is_ready:
            return "intake is closed"
        reason: str | None = self.call("rest", kind=str | None)
        return reason

    def list_policy_steps(self) -> list[PolicyStep]:
        """What shows each policy after epoch 0, as far as a checkpoint hands over to it."""
        return read_steps(self.call("policies", kind=list[bytes]))

    def promise(self, data: bytes) -> Promise:
        """The transaction is admitted and promised. Raises `Refused`."""
        return decode(self.call("promise", data, kind=bytes), PROMISE_DECODER)

    def state_absence(self, sender: str, transaction_id: str) -> Absence:
        """Signed: there is no such transaction. Raises `Refused` ``NOT_FOUND``."""
        return decode(self.call("absence", sender, transaction_id, kind=bytes), ABSENCE_DECODER)

    def find_transaction(self, sender: str, transaction_id: str) -> tuple[str, Taken] | None:
        """The digest of a transaction in the log and what came of it."""
        kind = tuple[str, int, int, int, tuple[bytes, ...]] | None
        found = self.call("transaction", sender, transaction_id, kind=kind)
        if found is None:
            return None
        taken = Taken(*found[1:])
        self._reach(taken.index + 1 + len(taken.outcomes))
        return found[0], taken

    def find_history(self, member: str, program: str | None, before: int | None, limit: int) -> list[int]:
        """Indexes of the entries that concern a member, newest first."""
        found: list[int] = self.call("history", member, program, before, limit)
        self._reach(max(found, default=0) + 1)
        return found

    def find_order(self, sender: str, reference: str) -> list[int]:
        """Indexes of a sender's entries that name a reference, oldest first."""
        found: list[int] = self.call("order", sender, reference)
        self._reach(max(found, default=0) + 1)
        return found

    def prove(self, *, first: int, end: int, trusted_size: int | None) -> Proofs:
        """A range proof against the newest checkpoint. Raises `Refused` ``BAD_SIZES``."""
        return self.tree.prove(first=first, end=end, trusted_size=trusted_size)

    def prove_entry(self, index: int) -> tuple[str, list[bytes]]:
        """The newest checkpoint and an inclusion proof to it. Raises `Refused` ``BAD_SIZES``."""
        return self.tree.prove_entry(index)

    def prove_consistency(self, old: int, new: int) -> list[bytes]:
        """A consistency proof between two sizes. Raises `Refused` ``BAD_SIZES``."""
        return self.tree.prove_consistency(old, new)

    def read_tile(self, level: int, index: int, width: int) -> bytes | None:
        """A hash tile, full or partial, or None beyond the checkpoint."""
        self._reach((index * TILE_WIDTH + width) << (8 * level), is_certain=False)
        return self.tree.read_tile(level, index, width)

    def read_leaves(self, first: int, end: int) -> list[bytes]:
        """The leaves [first, end)."""
        return self._log.read_leaves(first, end)

    def find_block(self, index: int) -> tuple[int, int, int] | None:
        """Index of the block leaf that closes a leaf's block, its height and time; or None."""
        if not len(self.origin.leaves) <= index < self.head.size:
            return None
        return self._log.find_block(index)

    def read_bundle(self, index: int, width: int) -> bytes | None:
        """An entry bundle, full or partial, or None beyond the checkpoint."""
        end = index * TILE_WIDTH + width
        self._reach(end, is_certain=False)
        if end > self.head.size:
            return None
        return self._log.read_bundle(index, width)

    def find_packed_bundle(self, index: int, width: int) -> bytes | None:
        """The bundle as Zstandard frames, where this process has read it before; else None."""
        if index * TILE_WIDTH + width > self.head.size:
            return None
        return self._log.find_packed_bundle(index, width)

    def read_packed_bundle(self, index: int, width: int) -> bytes | None:
        """The same from the disk; None also where a row would have to be cut for it."""
        end = index * TILE_WIDTH + width
        self._reach(end, is_certain=False)
        if end > self.head.size:
            return None
        return self._log.read_packed_bundle(index, width)


def _open_log(setup: Setup) -> LogStore:
    """The log on disk, of which this process only ever reads."""
    log = open_store(parse_place(setup.database), CURRENT, is_reader=True).log
    log.size = setup.head.size
    return log


class RemoteNonces(NonceWindow):
    """One window for the whole node, in the core."""

    def __init__(self, core: RemoteCore) -> None:
        super().__init__()
        self._core = core

    def use(self, key_id: str, nonce: str, *, now_seconds: int) -> None:
        """The nonce is spent. Raises `Refused`: ``NONCE_USED`` or ``BUSY``."""
        self._core.call("nonce", key_id, nonce, now_seconds)


class RemoteDesk:
    """The webhooks' desk in the core's process (`node.api.webhook_desk.Desk`)."""

    def __init__(self, core: RemoteCore) -> None:
        self._core = core

    def register(self, owner: str, url: str, types: Sequence[str], after: int | None) -> dict[str, Any]:
        """A new endpoint, with its secret."""
        return self._ask("register", owner, url, list(types), after)

    def list_rows(self, owner: str) -> dict[str, Any]:
        """All there are, as ``rows``."""
        return self._ask("list_rows", owner)

    def show(self, owner: str, endpoint: str) -> dict[str, Any]:
        """One of them."""
        return self._ask("show", owner, endpoint)

    def remove(self, owner: str, endpoint: str) -> dict[str, Any]:
        """It is no more."""
        return self._ask("remove", owner, endpoint)

    def restart(self, owner: str, endpoint: str, after: int | None) -> dict[str, Any]:
        """It is enabled, and goes on."""
        return self._ask("restart", owner, endpoint, after)

    def _ask(self, name: str, *arguments: Any) -> dict[str, Any]:
        found: dict[str, Any] = self._core.call("webhook", name, *arguments)
        return found


class RemoteWitness:
    """The witness's desk in the core's process (`node.witness.app.Desk`)."""

    def __init__(self, core: RemoteCore) -> None:
        self._core = core

    def add_checkpoint(self, data: bytes) -> Reply:
        """The answer to a submission."""
        return Reply(*self._core.call("witness_add", data, kind=tuple[int, str, str]))

    def read_checkpoint(self, origin_hash: str) -> str | None:
        """The newest cosigned checkpoint of a log, or None."""
        note: str | None = self._core.call("witness_read", origin_hash, kind=str | None)
        return note
