"""What was signed is stored before it is sent, and sent again as the very same bytes until it is known what
came of it.

A crash, a lost reply or a pulled plug therefore never makes a second order out of one. The outbox is a file
that several processes may share (`merchant_sdk.outbox_file`), or, without a path, memory that is gone with
the process. It also keeps what must not be forgotten with it: what is trusted (`merchant_sdk.outbox_trust`),
and the moment we gave to an order that came without one, so that the same call made again says the same.

    put ──▶ waiting ──▶ done         with the node's answer
               │  └───▶ ended        refused, withdrawn or signed anew: never to be sent again
               └──▶ released         nobody has it in hand; `claim` takes it up

    queue ──▶ carried ──▶ gone       with the transaction that carried it, once that is done
       ▲          └────── ended      a carrier that was turned away gives its messages back

Whoever puts or claims a transaction has it in hand. What a dead process had in hand is free at once, what a
living one had is free after its lease; and only who still has it in hand can end it. So nobody can say "it
was never sent" of bytes that another process has taken up meanwhile.

It sends nothing and verifies nothing: that is the client's business.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final

from merchant_sdk.outbox_file import Connection, OutboxFile
from merchant_sdk.outbox_orders import DATED_MILLIS, OutboxOrders
from merchant_sdk.outbox_trust import OutboxTrust, write_note
from merchant_sdk.owners import close_owner, is_alive, open_owner
from merchant_sdk.records import Dated, Pending, TrustedNote

LEASE_MILLIS: Final = 60_000
KEPT_MILLIS: Final = 7 * 86_400_000
"""How long a file keeps what is done."""
_PRUNE_EVERY: Final = 1_000
_END: Final = """UPDATE transactions SET state = ?, successor = ?
    WHERE sender = ? AND id = ? AND owner = ? AND state = 'waiting'"""
_RELEASE: Final = """UPDATE transactions SET lease_until = 0
    WHERE sender = ? AND id = ? AND owner = ? AND state = 'waiting'"""


def get_wall_time() -> int:
    """Milliseconds UTC of this machine: leases and clearing away, never the ledger's time."""
    return time.time_ns() // 1_000_000


class Outbox(OutboxOrders, OutboxTrust):
    """Signed transactions and what came of them, in a file or in memory. Any thread may call."""

    def __init__(
        self, path: str | os.PathLike[str] | None = None, *, clock: Callable[[], int] = get_wall_time
    ) -> None:
        self.is_durable = path is not None
        self.path = None if path is None else os.fspath(path)
        self._clock = clock
        self._ended = 0
        self._held: set[tuple[str, str]] = set()
        """What we have in hand: never claimed twice here, however long it takes."""
        self._file = OutboxFile(path)
        with self._file.write() as write:
            _prune(write, now=self._clock())
        self._owner = open_owner()

    def put(self, pending: Pending, dated: Iterable[Dated] = ()) -> bool:
        """The transaction is stored, and in this process's hands, before anything is sent."""
        rows = self._date(pending.sender, dated)
        with self._file.write() as write:
            self._insert(write, pending)
            write.executemany("INSERT OR REPLACE INTO dated VALUES (?, ?, ?, ?, ?, ?)", rows)
        return True

    def replace(self, old: Pending, anew: Pending) -> bool:
        """The same messages signed anew take the old one's place, if that was still in our hands."""
        with self._file.write() as write:
            if write.execute(_END, ("signed anew", anew.id, *self._mine(old))).rowcount == 0:
                return False
            self._insert(write, anew)
            write.execute(
                "UPDATE queue SET carrier = ? WHERE sender = ? AND carrier = ?", (anew.id, old.sender, old.id)
            )
        if old.id != anew.id:
            self._held.discard((old.sender, old.id))
        return True

    def mark_done(self, pending: Pending, *, answer: bytes, trusted: TrustedNote | None) -> None:
        """It is committed, and the checkpoint that proved it is what is trusted now."""
        self._held.discard((pending.sender, pending.id))
        with self._file.write(is_lazy=True) as write:
            if trusted is not None:
                write_note(write, trusted)
            key = (pending.sender, pending.id)
            write.execute("DELETE FROM queue WHERE sender = ? AND carrier = ?", key)
            if self.is_durable:
                write.execute(
                    "UPDATE transactions SET state = 'done', answer = ? WHERE sender = ? AND id = ?"
                    " AND state = 'waiting'",
                    (answer, *key),
                )
            self._clear(write, pending)

    def mark_ended(self, pending: Pending, *, why: str) -> int | None:
        """It will never be sent again: ``refused`` or ``withdrawn``. None where it is not ours to say.

        What it carried is in the queue again: so many messages.
        """
        with self._file.write() as write:
            if write.execute(_END, (why, None, *self._mine(pending))).rowcount == 0:
                return None
            key = (pending.sender, pending.id)
            back = write.execute("UPDATE queue SET carrier = NULL WHERE sender = ? AND carrier = ?", key)
            self._clear(write, pending)
        self._held.discard((pending.sender, pending.id))
        return back.rowcount

    def release(self, pending: Pending) -> None:
        """Nobody has it in hand: whoever claims next may."""
        self._held.discard((pending.sender, pending.id))
        with self._file.write() as write:
            write.execute(_RELEASE, self._mine(pending))

    def claim(
        self, sender: str, *, limit: int = 100, only: str | None = None, but_not: Collection[str] = ()
    ) -> list[Pending]:
        """Transactions that nobody living has in hand, oldest first, in this process's hands now."""
        now = self._clock()
        with self._file.write() as write:
            rows = write.execute(
                "SELECT id, not_after, owner, lease_until FROM transactions"
                " WHERE sender = ? AND state = 'waiting' ORDER BY created, rowid",
                (sender,),
            ).fetchall()
            wanted = (row for row in rows if row[0] not in but_not and only in (None, row[0]))
            free = [row for row in wanted if self._is_free(sender, row, now)][:limit]
            write.executemany(
                "UPDATE transactions SET owner = ?, lease_until = ? WHERE sender = ? AND id = ?",
                [(self._owner, now + LEASE_MILLIS, sender, row[0]) for row in free],
            )
            query = "SELECT data FROM transactions WHERE sender = ? AND id = ?"
            data = [write.execute(query, (sender, row[0])).fetchone()[0] for row in free]
        self._held.update((sender, row[0]) for row in free)
        return [Pending(sender, row[0], each, row[1]) for row, each in zip(free, data, strict=True)]

    def find(self, sender: str, transaction_id: str) -> Pending | None:
        """The signed bytes that stand for this id, unless it is known that they were never taken.

        Where they expired and were signed anew, those are the newer ones.
        """
        query = "SELECT data, not_after, state, successor FROM transactions WHERE sender = ? AND id = ?"
        while rows := self._file.read(query, (sender, transaction_id)):
            data, not_after, state, successor = rows[0]
            if successor is None:
                pending = Pending(sender, transaction_id, data, not_after)
                return pending if state in {"waiting", "done"} else None
            transaction_id = successor
        return None

    def find_answer(self, sender: str, transaction_id: str) -> bytes | None:
        """The node's answer to a transaction that is done and not yet cleared away."""
        query = "SELECT answer FROM transactions WHERE sender = ? AND id = ? AND state = 'done'"
        rows = self._file.read(query, (sender, transaction_id))
        return rows[0][0] if rows else None

    def list_moments(self, sender: str, orders: Iterable[tuple[str, str, str]]) -> list[int | None]:
        """The moments that these orders (kind, program, reference) were given within the last day, when they
        came without one.
        """
        since = self._clock() - DATED_MILLIS
        rows = self._file.read_each(
            "SELECT occurred_at FROM dated WHERE sender = ? AND kind = ? AND program = ? AND reference = ?"
            " AND created > ?",
            ((sender, *order, since) for order in orders),
        )
        return [None if row is None else row[0] for row in rows]

    def list_free(self, sender: str) -> list[Pending]:
        """Transactions that nobody living has in hand, oldest first, left where they are."""
        now = self._clock()
        rows = self._file.read(
            "SELECT id, not_after, owner, lease_until, data FROM transactions"
            " WHERE sender = ? AND state = 'waiting' ORDER BY created, rowid",
            (sender,),
        )
        return [Pending(sender, row[0], row[4], row[1]) for row in rows if self._is_free(sender, row, now)]

    def count_waiting(self, sender: str) -> int:
        """How many transactions are not known to be committed or refused."""
        query = "SELECT count(*) FROM transactions WHERE sender = ? AND state = 'waiting'"
        return int(self._file.read(query, (sender,))[0][0])

    def put_carrier(self, pending: Pending, numbers: Sequence[int]) -> bool:
        """As `put`, for the messages of these numbers, unless another process has drained meanwhile."""
        with self._file.write() as write:
            found = write.execute(
                "SELECT number, carrier FROM queue WHERE sender = ? ORDER BY number LIMIT ?",
                (pending.sender, len(numbers)),
            ).fetchall()
            if found != [(number, None) for number in numbers]:
                return False
            self._insert(write, pending)
            write.executemany(
                "UPDATE queue SET carrier = ? WHERE number = ?", [(pending.id, number) for number in numbers]
            )
        return True

    def close(self) -> None:
        """The file is closed; what waits stays for whoever opens it next."""
        close_owner(self._owner)
        self._file.close()

    def _insert(self, write: Connection, pending: Pending) -> None:
        now = self._clock()
        write.execute(
            "INSERT OR REPLACE INTO transactions VALUES (?, ?, ?, ?, ?, 'waiting', ?, ?, NULL, NULL)",
            (*pending, now, self._owner, now + LEASE_MILLIS),
        )
        self._held.add((pending.sender, pending.id))

    def _mine(self, pending: Pending) -> tuple[str, str, str]:
        return (pending.sender, pending.id, self._owner)

    def _clear(self, write: Connection, pending: Pending) -> None:
        if not self.is_durable:
            # Nobody can open this memory later, so nothing of it is kept.
            write.execute("DELETE FROM transactions WHERE sender = ? AND id = ?", pending[:2])
        self._ended += 1
        if self._ended % _PRUNE_EVERY == 0:
            _prune(write, now=self._clock())

    def _may_take_up(self, sender: str, transaction_id: str) -> bool:
        """Whether nobody living has it in hand."""
        if (sender, transaction_id) in self._held:
            return False
        query = "SELECT id, not_after, owner, lease_until FROM transactions WHERE sender = ? AND id = ?"
        return any(
            self._is_free(sender, row, self._clock())
            for row in self._file.read(query, (sender, transaction_id))
        )

    def _is_free(self, sender: str, row: Sequence[Any], now: int) -> bool:
        if (sender, row[0]) in self._held:
            return False
        return row[3] <= now or not is_alive(row[2])


def _prune(write: Connection, *, now: int) -> None:
    write.execute("DELETE FROM transactions WHERE state <> 'waiting' AND created < ?", (now - KEPT_MILLIS,))
    write.execute("DELETE FROM dated WHERE created < ?", (now - DATED_MILLIS,))
