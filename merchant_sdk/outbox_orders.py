"""Which orders stand in the outbox: in signed transactions whose fate is open, and in the queue.

An order is looked for by its name (`merchant_sdk.order_names`): the file is searched for the bytes that name
it, and only what holds them is read. In the queue an order stands once, however often it is written down.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from merchant_sdk.errors import InvalidRequest
from merchant_sdk.order_names import OrderName, decode_order, get_name
from merchant_sdk.outbox_file import Connection, OutboxFile
from merchant_sdk.records import Dated, Pending

DATED_MILLIS: Final = 86_400_000
"""How long the moment given to an order is remembered: a day, as long as its reference is looked up for
certain.
"""

_WAITING: Final = "SELECT id FROM transactions WHERE sender = ? AND state = 'waiting' ORDER BY created, rowid"


class Stored(NamedTuple):
    """A transaction as it stands in the file."""

    pending: Pending
    state: str
    """``waiting``, ``done``, ``refused``, ``withdrawn`` or ``signed anew``."""
    answer: bytes | None
    """The node's, once it is done."""


class OutboxOrders(ABC):
    """The part of the outbox that knows orders. Any thread may call."""

    _file: OutboxFile
    _clock: Callable[[], int]

    def find_transactions(self, sender: str, name: OrderName) -> list[Stored]:
        """Every transaction kept that may hold this order, oldest first, in whatever state."""
        rows = self._file.read(
            "SELECT id, data, not_after, state, answer FROM transactions"
            " WHERE sender = ? AND instr(data, ?) > 0 ORDER BY created, rowid",
            (sender, name.needle),
        )
        return [Stored(Pending(sender, row[0], row[1], row[2]), row[3], row[4]) for row in rows]

    def find_open(self, sender: str, name: OrderName, *, but_in_hand: bool = False) -> list[Pending]:
        """Transactions whose fate is open and that may hold this order, oldest first.

        With ``but_in_hand`` those only that nobody living has in hand.
        """
        found = []
        for each in self.list_open_ids(sender, but_in_hand=but_in_hand):
            rows = self._file.read(
                "SELECT data, not_after FROM transactions"
                " WHERE sender = ? AND id = ? AND state = 'waiting' AND instr(data, ?) > 0",
                (sender, each, name.needle),
            )
            found += [Pending(sender, each, *row) for row in rows]
        return found

    def list_open_ids(self, sender: str, *, but_in_hand: bool = False) -> list[str]:
        """Transactions whose fate is open, oldest first; with ``but_in_hand`` as in `find_open`."""
        ids = [row[0] for row in self._file.read(_WAITING, (sender,))]
        return [each for each in ids if self._may_take_up(sender, each)] if but_in_hand else ids

    def find_queued(self, sender: str, name: OrderName) -> str | None:
        """The transaction that carries this order from the queue, empty while none does; None: not queued."""
        query = "SELECT message, carrier FROM queue WHERE sender = ? AND instr(message, ?) > 0"
        for message, carrier in self._file.read(query, (sender, name.needle)):
            found = decode_order(message)
            if found is None or name.is_of(found):
                return carrier or ""
        return None

    def queue(self, sender: str, messages: Sequence[bytes], dated: Iterable[Dated] = ()) -> None:
        """The messages are stored, synced, behind all that were queued before; the next drain signs them.

        One that waits already waits once. Raises `InvalidRequest`, and queues none, where one waits under the
        same number and says something else.
        """
        now = self._clock()
        rows = self._date(sender, dated)
        with self._file.write() as write:
            for message in messages:
                if not _is_queued(write, sender, message):
                    write.execute(
                        "INSERT INTO queue (sender, message, created) VALUES (?, ?, ?)",
                        (sender, message, now),
                    )
            write.executemany("INSERT OR REPLACE INTO dated VALUES (?, ?, ?, ?, ?, ?)", rows)

    def list_queued(self, sender: str, *, limit: int) -> list[tuple[int, bytes]]:
        """The first of the queue that no transaction carries yet: number and message.

        None while some carrier is open: the queue keeps its order, whichever process drains it.
        """
        if self._file.read("SELECT 1 FROM queue WHERE sender = ? AND carrier IS NOT NULL LIMIT 1", (sender,)):
            return []
        query = "SELECT number, message FROM queue WHERE sender = ? ORDER BY number LIMIT ?"
        return self._file.read(query, (sender, limit))

    def count_queued(self, sender: str) -> int:
        """How many queued messages are not known to be committed or turned down."""
        return int(self._file.read("SELECT count(*) FROM queue WHERE sender = ?", (sender,))[0][0])

    def _date(self, sender: str, dated: Iterable[Dated]) -> list[tuple[Any, ...]]:
        now = self._clock()
        return [(sender, *each, now) for each in dated]

    @abstractmethod
    def _may_take_up(self, sender: str, transaction_id: str) -> bool:
        """Whether nobody living has it in hand: for the whole outbox to say, which knows its owners."""


def _is_queued(write: Connection, sender: str, message: bytes) -> bool:
    wanted = decode_order(message)
    name = None if wanted is None else get_name(wanted)
    if name is None:
        return False
    query = "SELECT message FROM queue WHERE sender = ? AND instr(message, ?) > 0"
    for (waiting,) in write.execute(query, (sender, name.needle)).fetchall():
        if waiting == message:
            return True
        found = decode_order(waiting)
        if found is None or not name.is_of(found):
            continue
        # After a day the same number may be another order's, as the ledger sees it too.
        if abs(_get_moment(found) - _get_moment(wanted)) < DATED_MILLIS:
            raise InvalidRequest(
                "something else waits under this number already: give this order a number of its own",
                reference=name.number,
                program=name.program,
            )
    return False


def _get_moment(message: Any) -> int:
    moment: int = getattr(message, "occurred_at", 0)
    return moment
