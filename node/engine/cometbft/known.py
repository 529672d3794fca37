"""Transactions that this node has read already: each is decoded, hashed and verified once, however often
CometBFT shows its bytes.

It shows them up to four times: when they arrive, when a block is proposed, and when it is decided. What is
remembered is bounded; what was forgotten is read again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from hashlib import sha256
from typing import Final

from ledger.transaction import Transaction, TransactionDecoder, check_contents
from node.engine.cometbft.packing import unpack

KNOWN_BYTES_MAX: Final = 128 * 1024 * 1024
_TRANSACTION_BYTES: Final = 1_536
_MESSAGE_BYTES: Final = 512
"""What the objects take beside a message's own bytes: measured, and rounded up. A flood of small ones takes
ten times its bytes.
"""


class KnownTransactions:
    """Decoded transactions by the hash of their bytes, newest last. Any thread."""

    def __init__(self, decoder: TransactionDecoder, *, chain: str) -> None:
        self._decoder = decoder
        self._chain = chain
        self._known: OrderedDict[bytes, tuple[Transaction, int]] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def read(self, data: bytes) -> Transaction:
        """The transaction that these bytes carry, of this chain. Raises `Refused`."""
        digest = sha256(data).digest()
        with self._lock:
            found = self._known.get(digest)
        if found is not None:
            return found[0]
        transaction = self._decoder.decode(unpack(data))
        check_contents(transaction, chain=self._chain)
        self._remember(digest, transaction)
        return transaction

    def remember(self, transaction: Transaction, data: bytes) -> None:
        """A transaction of our own that is about to come back as these bytes."""
        self._remember(sha256(data).digest(), transaction)

    def forget(self, data: bytes) -> None:
        """Its block is durable."""
        with self._lock:
            found = self._known.pop(sha256(data).digest(), None)
            if found is not None:
                self._bytes -= found[1]

    def _remember(self, digest: bytes, transaction: Transaction) -> None:
        size = _TRANSACTION_BYTES + sum(_MESSAGE_BYTES + len(each) for each in transaction.message_bytes)
        with self._lock:
            if digest in self._known:
                return
            self._known[digest] = transaction, size
            self._bytes += size
            while self._bytes > KNOWN_BYTES_MAX:
                _, (_, gone) = self._known.popitem(last=False)
                self._bytes -= gone
