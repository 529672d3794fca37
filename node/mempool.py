"""The mempool: what was admitted and waits for a block, bounded, each transaction once.

Two submissions of the same transaction share one answer; the same id with other content is turned down at
once. When the pool is full nothing more is taken and the sender hears `BUSY`: what was acknowledged is never
dropped to make room.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from time import monotonic
from typing import Final, NamedTuple

from ledger.errors import Refused
from ledger.transaction import Transaction
from node.answers import Taken

TRANSACTIONS_MAX: Final = 20_000
MESSAGES_MAX: Final = 400_000
BLOCK_MESSAGES_MAX: Final = 16_384
"""A block takes whole transactions up to about this many messages."""


class Waiting(NamedTuple):
    """A transaction and who waits for its answer."""

    transaction: Transaction
    future: Future[Taken]
    since: float
    """When it came, by a clock that only goes forward."""


class Mempool:
    """Admitted transactions in order of arrival."""

    def __init__(self, *, charge: Callable[[str, int], None] = lambda _sender, _messages: None) -> None:
        self._charge = charge
        self._waiting: dict[tuple[str, str], Waiting] = {}
        self._in_block: dict[tuple[str, str], Waiting] = {}
        self._messages = 0
        self._condition = threading.Condition()
        self._closed: Refused | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, transaction: Transaction) -> Future[Taken]:
        """The future of the answer. Raises `Refused`: ``ID_CONFLICT``, ``BUSY``, or why intake is closed."""
        header = transaction.header
        key = (header.sender, header.id)
        with self._condition:
            if self._closed is not None:
                # One error raised again and again would gather the frames of everybody who ever met it.
                raise Refused(self._closed.code, **self._closed.facts)
            same = self._waiting.get(key) or self._in_block.get(key)
            if same is not None:
                if same.transaction.header.digest != header.digest:
                    raise Refused("ID_CONFLICT", id=header.id)
                return same.future
            if len(self._waiting) >= TRANSACTIONS_MAX or self._messages + header.count > MESSAGES_MAX:
                raise Refused("BUSY", waiting=len(self._waiting))
            self._charge(header.sender, header.count)
            waiting = Waiting(transaction, Future(), monotonic())
            # Running, so it cannot be cancelled: whoever gives up takes the answer from nobody who asked
            # the same, and the engine never meets a future that is done already.
            waiting.future.set_running_or_notify_cancel()
            self._waiting[key] = waiting
            self._messages += header.count
            self._condition.notify()
            return waiting.future

    def find(self, transaction: Transaction) -> Future[Taken] | None:
        """The future of the same transaction, where it waits already or is in the block in hand."""
        header = transaction.header
        key = (header.sender, header.id)
        with self._condition:
            same = self._waiting.get(key) or self._in_block.get(key)
        return same.future if same and same.transaction.header.digest == header.digest else None

    def wait(self, timeout_seconds: float) -> None:
        """Until something waits, or the time is over, or intake is closed."""
        with self._condition:
            if not self._waiting and self._closed is None:
                self._condition.wait(timeout_seconds)

    def take(self, *, everything: bool = False) -> list[Waiting]:
        """What becomes the next block: all that waits, up to a block's size. Known until `finish`."""
        with self._condition:
            taken: list[Waiting] = []
            messages = 0
            for waiting in self._waiting.values():
                count = waiting.transaction.header.count
                if taken and not everything and messages + count > BLOCK_MESSAGES_MAX:
                    break
                taken.append(waiting)
                messages += count
            for waiting in taken:
                key = (waiting.transaction.header.sender, waiting.transaction.header.id)
                self._in_block[key] = self._waiting.pop(key)
            self._messages -= messages
            return taken

    def finish(self) -> None:
        """The block is answered: its transactions are found in the log from now on."""
        with self._condition:
            self._in_block.clear()

    def settle(self, transaction: Transaction) -> Waiting | None:
        """The same transaction is no longer in hand: who waits for its answer, where anybody does.

        For engines whose blocks also hold what others submitted.
        """
        header = transaction.header
        key = (header.sender, header.id)
        with self._condition:
            for pool in (self._in_block, self._waiting):
                same = pool.get(key)
                if same is not None and same.transaction.header.digest == header.digest:
                    del pool[key]
                    if pool is self._waiting:
                        self._messages -= same.transaction.header.count
                    return same
        return None

    @property
    def is_closed(self) -> bool:
        """Whether nothing more is taken in."""
        return self._closed is not None

    @property
    def waited_seconds(self) -> float:
        """How long the one that came first has waited for its answer; 0 where nobody waits."""
        with self._condition:
            first = [next(iter(pool.values())).since for pool in (self._waiting, self._in_block) if pool]
        return monotonic() - min(first) if first else 0.0

    @property
    def in_hand(self) -> list[Waiting]:
        """What was taken and is not answered yet."""
        with self._condition:
            return list(self._in_block.values())

    def close(self, refusal: Refused) -> list[Waiting]:
        """Nothing more is taken in; what waits is handed back, to be told so, but for the block in hand."""
        with self._condition:
            self._closed = refusal
            left = list(self._waiting.values())
            self._waiting.clear()
            self._messages = 0
            self._condition.notify_all()
            return left

    def give_up_block(self) -> list[Waiting]:
        """The block in hand will not be answered: its transactions are handed back."""
        with self._condition:
            left = list(self._in_block.values())
            self._in_block.clear()
            return left
