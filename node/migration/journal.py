"""What was signed, on the disk before it is sent: one line a transaction, without its messages.

The messages are worked out again from file and book. With the line beside them the very same transaction can
be sent again, and a node answers it as it did the first time, however late. Whoever loses this file sends the
lines under new ids, and the ledger answers each of them that it is done already.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from ledger.transaction import Header, Transaction
from node import keystore

SENT_FILE: Final = "sent.jsonl"


class Sent(Struct, frozen=True):
    """The part of a transaction that its messages do not tell. Never on the wire."""

    header: Header
    signature: str

    def restore(self, messages: Sequence[Any], message_bytes: Sequence[bytes]) -> Transaction:
        """The transaction, byte for byte as it was signed."""
        return Transaction(
            header=self.header, messages=messages, message_bytes=message_bytes, signature=self.signature
        )


class Journal:
    """Every transaction that was signed, by the digest of its messages."""

    def __init__(self, folder: Path) -> None:
        path = folder / SENT_FILE
        if not path.exists():
            keystore.write_private(path, b"")
        keystore.check_mode(path, allowed=0o600)
        self._sent: dict[str, list[Sent]] = {}
        decoder = msgspec.json.Decoder(Sent)
        whole, _, torn = path.read_bytes().rpartition(b"\n")
        for line in whole.splitlines():
            self._remember(decoder.decode(line))
        if torn:
            # Cut short by a crash, so it was never sent.
            os.truncate(path, len(whole) + 1 if whole else 0)
        self._file = path.open("ab")

    def find(self, digest: str) -> list[Sent]:
        """What was signed over these messages, the newest first."""
        return self._sent.get(digest, [])

    def add(self, transaction: Transaction) -> None:
        """It is on the disk."""
        sent = Sent(transaction.header, transaction.signature)
        self._file.write(msgspec.json.encode(sent) + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._remember(sent)

    def close(self) -> None:
        """The file is closed."""
        self._file.close()

    def _remember(self, sent: Sent) -> None:
        self._sent.setdefault(sent.header.digest, []).insert(0, sent)
