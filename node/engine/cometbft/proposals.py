"""What a block holds, as its proposer puts it together and as the others judge it before they vote.

The proposer puts its own time first. The others accept it when it is not before the block they have and
within two seconds of their own clock, when every transaction reads as one of this chain, and when they are
no more together than a block has room for: packed, a block holds a hundred times its size. What a transaction
does is not judged here: the executor turns down what must be turned down, and leaves no leaf of it.

A proposal that was accepted once stays accepted: it may be proposed again in a later round, when its time is
older than two seconds, and whoever locked on it votes for nothing else. For the same reason a height that has
not been decided for half a minute takes older times too, though never one before the last block.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import structlog

from ledger.errors import Refused
from ledger.transaction import Transaction
from ledger.values import TRANSACTION_BYTES_MAX
from node.engine.cometbft.frames import encode_varint
from node.engine.cometbft.injected import WAKE_START, encode_time, read_time, read_wake
from node.engine.cometbft.known import KnownTransactions
from node.mempool import BLOCK_MESSAGES_MAX

TOLERANCE_MILLIS: Final = 2_000
"""How far a block's time may be from the clock of whoever votes for it."""
PATIENCE_MILLIS: Final = 30_000
"""A height that was not decided for so long takes older times."""
BLOCK_MESSAGE_BYTES_MAX: Final = 8 * TRANSACTION_BYTES_MAX
"""Of all messages of a block, unpacked."""

log = structlog.get_logger()


class _Room:
    """What a block has room for beside its bytes. The same for who makes it and for who judges it."""

    def __init__(self) -> None:
        self._messages = 0
        self._bytes = 0
        self._wakes = 0

    def take(self, transaction: Transaction) -> bool:
        """Whether it fits as well; one alone always does."""
        is_first = not self._messages
        self._messages += transaction.header.count
        self._bytes += sum(map(len, transaction.message_bytes))
        return is_first or (self._messages <= BLOCK_MESSAGES_MAX and self._bytes <= BLOCK_MESSAGE_BYTES_MAX)

    def take_wake(self) -> bool:
        """Whether it is the only call to wake up: a second would say nothing more."""
        self._wakes += 1
        return self._wakes == 1


class Proposals:
    """The next block's content, made and judged."""

    def __init__(self, known: KnownTransactions, *, clock: Callable[[], int]) -> None:
        self._known = known
        self._clock = clock
        self._accepted: set[bytes] = set()
        self._height = 0
        self._first_seen = 0
        self._voted = 0

    def begin_again(self, voted: int) -> None:
        """CometBFT was started, and has voted at the engine's height ``voted`` before. What it is shown of
        that again is as old as that took: turned down now, it could never vote in that round, and where all
        were stopped no other round would come.
        """
        self._voted = voted

    def prepare(self, transactions: Sequence[bytes], *, bytes_max: int, head_time: int) -> list[bytes]:
        """The time, and as many of these as a block holds, in the order in which they came.

        Nothing is left out but for its size: what stays in CometBFT's mempool is offered again.
        """
        chosen = [encode_time(max(self._clock(), head_time))]
        left = bytes_max - _size(chosen[0])
        room = _Room()
        for data in transactions:
            left -= _size(data)
            if left < 0:
                break
            if data.startswith(WAKE_START):
                if not room.take_wake():
                    left += _size(data)
                    continue
            elif not room.take(self._known.read(data)):
                break
            chosen.append(data)
        return chosen

    def is_acceptable(
        self, transactions: Sequence[bytes], *, block_hash: bytes, engine_height: int, head_time: int
    ) -> bool:
        """Whether this node votes for a block of these."""
        now = self._clock()
        if engine_height != self._height:
            self._accepted.clear()
            self._height, self._first_seen = engine_height, now
        if block_hash in self._accepted:
            return True
        reason = self._find_fault(transactions, now=now, head_time=head_time)
        if reason is not None:
            log.warning("a proposed block was turned down", engine_height=engine_height, reason=reason)
            return False
        self._accepted.add(block_hash)
        return True

    def _find_fault(self, transactions: Sequence[bytes], *, now: int, head_time: int) -> str | None:
        time = read_time(list(transactions[:1]))
        if time is None:
            return "no time stands first"
        is_patient = now - self._first_seen > PATIENCE_MILLIS or self._height == self._voted
        earliest = head_time if is_patient else now - TOLERANCE_MILLIS
        # Where clocks were set back the chain's own time stands still until they have caught up.
        latest = max(now + TOLERANCE_MILLIS, head_time)
        if not max(earliest, head_time) <= time <= latest:
            return f"its time {time} is too far from {now}, or before {head_time}"
        room = _Room()
        for data in transactions[1:]:
            try:
                if data.startswith(WAKE_START):
                    if read_wake(data) is None or not room.take_wake():
                        return "a malformed call to wake up, or a second one"
                elif not room.take(self._known.read(data)):
                    return "more than a block has room for"
            except Refused as refusal:
                return str(refusal)
        return None


def _size(data: bytes) -> int:
    """What a transaction takes in a block: a tag, its length, its bytes."""
    return 1 + len(encode_varint(len(data))) + len(data)
