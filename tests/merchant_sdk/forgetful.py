"""The command line of an operator who breaks a promise: the first transaction that names ``FORGET`` is never
taken, and the first that names ``LATE`` later than was promised.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future

from ledger.errors import Refused
from ledger.promise import sign_promise
from node.cli.main import run
from node.core import NodeCore
from node.promising import Promiser

SOON_MILLIS = 200
LATE_SECONDS = 1.5
_admit, _promise = NodeCore.admit, Promiser.promise


_chosen: list[str] = []
"""The id of the transaction that is treated so."""


def _is_chosen(transaction) -> bool:
    if any(b"FORGET" in message or b"LATE" in message for message in transaction.message_bytes):
        _chosen.append(transaction.header.id)
    return transaction.header.id in _chosen[:1]


def _admit_but(self, transaction):
    header = transaction.header
    if not _is_chosen(transaction) or self.find_transaction(header.sender, header.id) is not None:
        return _admit(self, transaction)
    if header.not_after < self.now:
        raise Refused("EXPIRED", not_after=header.not_after, time=self.now)
    return Future()


def _promise_but(self, data):
    transaction = self._decoder.decode(data)
    if not _is_chosen(transaction):
        return _promise(self, data)
    by = transaction.header.not_after
    if b"LATE" in data:
        by = self._core.now + SOON_MILLIS
        threading.Timer(LATE_SECONDS, lambda: _admit(self._core, transaction)).start()
    return sign_promise(transaction.header, by=by, signer=self._signer)


if __name__ == "__main__":
    NodeCore.admit = _admit_but
    Promiser.promise = _promise_but
    run()
