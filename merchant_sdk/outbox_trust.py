"""What an outbox remembers of a log between two starts, so that nobody can begin with us anew: the checkpoint
trusted last, the trust policies that were accepted, the notes of a log that contradicted itself, and the
promises that were made to us and are not settled.

Policies are kept by what they began with (``anchor``): those that follow from a chain's genesis say nothing
to who was given a policy file by hand, and the other way round. Nothing is verified here.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Sequence
from typing import NamedTuple

from merchant_sdk.outbox_file import Connection, OutboxFile
from merchant_sdk.records import Evidence, Pending, TrustedNote


class HeldPromise(NamedTuple):
    """A signed intake promise, and the signed transaction it is about."""

    pending: Pending
    promise: bytes


class OutboxTrust(ABC):
    """The part of the outbox that knows what is trusted. Any thread may call."""

    _file: OutboxFile
    _clock: Callable[[], int]

    def load_note(self, chain: str) -> str | None:
        """The checkpoint of this chain that was trusted last, by any process of this outbox."""
        rows = self._file.read("SELECT note FROM checkpoints WHERE chain = ?", (chain,))
        return rows[0][0] if rows else None

    def save_note(self, trusted: TrustedNote) -> None:
        """The checkpoint is what is trusted now, unless a larger one is already."""
        with self._file.write(is_lazy=True) as write:
            write_note(write, trusted)

    def load_steps(self, chain: str, *, anchor: str) -> list[bytes]:
        """The steps to the policies that any process of this outbox has accepted, epoch 1 first."""
        rows = self._file.read(
            "SELECT step FROM policies WHERE chain = ? AND anchor = ? ORDER BY epoch", (chain, anchor)
        )
        return [row[0] for row in rows]

    def save_steps(self, chain: str, *, anchor: str, first: int, steps: Sequence[bytes]) -> None:
        """The steps to the policies of epoch ``first`` and after are known from now on; one that was known
        stays as it was.
        """
        rows = [(chain, anchor, epoch, step) for epoch, step in enumerate(steps, start=first)]
        # In the order of writing, on the same connection as the checkpoint: whoever finds a checkpoint that
        # a policy judges finds that policy too.
        with self._file.write(is_lazy=True) as write:
            write.executemany("INSERT OR IGNORE INTO policies VALUES (?, ?, ?, ?)", rows)

    def save_evidence(self, evidence: Evidence) -> None:
        """Both notes are kept, synced, until somebody looks; what is shown again is kept once."""
        with self._file.write() as write:
            known = "SELECT 1 FROM evidence WHERE code = ? AND found = ? AND trusted = ?"
            if write.execute(known, evidence).fetchone() is None:
                write.execute("INSERT INTO evidence VALUES (?, ?, ?, ?)", (self._clock(), *evidence))

    def list_evidence(self) -> list[Evidence]:
        """Every contradiction that was ever found, oldest first."""
        rows = self._file.read("SELECT code, found, trusted FROM evidence ORDER BY rowid")
        return [Evidence(*row) for row in rows]

    def save_promise(self, held: HeldPromise) -> None:
        """The promise is kept, synced, until it is settled. The first one for a transaction counts."""
        with self._file.write() as write:
            write.execute(
                "INSERT OR IGNORE INTO promises VALUES (?, ?, ?, ?, ?, ?)",
                (*held.pending, held.promise, self._clock()),
            )

    def list_promises(self, sender: str) -> list[HeldPromise]:
        """Every promise that is not settled, oldest first."""
        rows = self._file.read(
            "SELECT id, data, not_after, promise FROM promises WHERE sender = ? ORDER BY created, rowid",
            (sender,),
        )
        return [HeldPromise(Pending(sender, *row[:3]), row[3]) for row in rows]

    def settle_promise(self, pending: Pending) -> None:
        """Nothing is expected of it any more."""
        with self._file.write() as write:
            write.execute("DELETE FROM promises WHERE sender = ? AND id = ?", pending[:2])

    def list_unpromised(self, sender: str) -> list[Pending]:
        """Transactions whose fate is open and for which no promise is held, oldest first."""
        rows = self._file.read(
            "SELECT id, data, not_after FROM transactions AS open WHERE sender = ? AND state = 'waiting'"
            " AND NOT EXISTS (SELECT 1 FROM promises WHERE sender = open.sender AND id = open.id)"
            " ORDER BY created, rowid",
            (sender,),
        )
        return [Pending(sender, *row) for row in rows]


def write_note(write: Connection, trusted: TrustedNote) -> None:
    """The checkpoint is what is trusted now, unless a larger one is already: part of a larger change."""
    write.execute(
        "INSERT INTO checkpoints VALUES (?, ?, ?) ON CONFLICT (chain)"
        " DO UPDATE SET size = excluded.size, note = excluded.note WHERE excluded.size > size",
        trusted,
    )
