"""Envelopes: messages gathered by sender and signed into transactions, as large as asked for.

A transaction is closed when it has so many messages, or when it would pass the two MiB a transaction may
have; so with codes in every message 8,192 of them travel as several.
"""

from __future__ import annotations

from typing import Any, Final

from ledger.codec import encode
from ledger.transaction import sign_transaction
from ledger.values import TRANSACTION_BYTES_MAX
from scripts.measure.alliance import Alliance

_LIFETIME_MILLIS: Final = 3_500_000
"""A signed load is to be sent within the hour: no transaction may wait for longer."""
_HEAD_BYTES: Final = 2_000


class Pen:
    """Signs transactions for the participants of one chain."""

    def __init__(self, alliance: Alliance, *, chain: str, time: int, name: str) -> None:
        self.alliance = alliance
        self.chain = chain
        self.time = time
        self._name = name
        self._count = 0

    def sign(self, who: str, purpose: str, messages: list[Any]) -> bytes:
        """A signed transaction's bytes."""
        self._count += 1
        return sign_transaction(
            messages,
            chain=self.chain,
            sender=who,
            transaction_id=f"{self._name}-{self._count}",
            not_after=self.time + _LIFETIME_MILLIS,
            signer=self.alliance.get_signer(who, purpose),
        ).encode()

    def make_reference(self) -> str:
        """A number no other order of this load has."""
        self._count += 1
        return f"{self._name}:{self._count}"


class Envelope:
    """Gathers each sender's messages into transactions of ``batch``."""

    def __init__(self, pen: Pen, batch: int) -> None:
        self._pen = pen
        self._batch = batch
        self._gathered: dict[str, list[Any]] = {}
        self._bytes: dict[str, int] = {}
        self.full: list[bytes] = []
        """Signed and not taken yet."""

    def add(self, who: str, message: Any) -> None:
        """One more message; a transaction is signed when it is full, by number or by bytes."""
        size = len(encode(message)) + 1
        if self._bytes.get(who, _HEAD_BYTES) + size > TRANSACTION_BYTES_MAX:
            self._close(who)
        gathered = self._gathered.setdefault(who, [])
        gathered.append(message)
        self._bytes[who] = self._bytes.get(who, _HEAD_BYTES) + size
        if len(gathered) == self._batch:
            self._close(who)

    def finish(self) -> None:
        """What is left is signed, in smaller transactions."""
        for who in list(self._gathered):
            self._close(who)

    def take(self) -> list[bytes]:
        """The signed transactions so far."""
        full, self.full = self.full, []
        return full

    def _close(self, who: str) -> None:
        messages = self._gathered.pop(who, [])
        self._bytes.pop(who, None)
        if messages:
            self.full.append(self._pen.sign(who, "transact", messages))
