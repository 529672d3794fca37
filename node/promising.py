"""Intake promises: who asks is told at once, signed, by when a block will hold the transaction; and, later,
signed, that there is none.

    DIR/promised/<hash>.json    a transaction that was promised and is not in a block yet

What is promised is on the disk before the promise is out, and is submitted again by the next start: a crash
breaks no promise. Only a log with one operator promises. Where several make blocks, none of them decides
alone what the next one holds; and on a simulated chain nobody knows the time.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Final, Protocol

import structlog

from contracts.rulebook import CURRENT
from ledger.codec import sha256
from ledger.errors import Refused
from ledger.executor import Head
from ledger.genesis import Origin
from ledger.keys import Signer
from ledger.promise import PROMISE_MILLIS_MAX, Absence, Promise, sign_absence, sign_promise
from ledger.transaction import TransactionDecoder
from node.answers import Taken
from node.storage.atomic import read_file, replace_file

log = structlog.get_logger()
PROMISED_FOLDER: Final = "promised"
_AGAIN: Final = frozenset({"BUSY", "STOPPING", "STORAGE_LOW"})
"""Refused for now: it is still promised, and the next start takes it up."""


class Intake(Protocol):
    """What promising needs of a core."""

    chain: str
    origin: Origin

    @property
    def head(self) -> Head:
        """Where the committed chain stands."""
        ...

    @property
    def now(self) -> int:
        """The ledger's time for whatever is asked now."""
        ...

    def submit(self, data: bytes) -> Future[Taken]:
        """Admit a transaction."""
        ...

    def find_transaction(self, sender: str, transaction_id: str) -> tuple[str, Taken] | None:
        """The digest of a transaction in the log and what came of it."""
        ...


class Promiser:
    """Signs promises and absences for one ledger. Any thread."""

    def __init__(self, core: Intake, signer: Signer, directory: Path | None) -> None:
        self._core = core
        self._signer = signer
        self._folder = None if directory is None else directory / PROMISED_FOLDER
        self._decoder = TransactionDecoder(CURRENT.message_type)
        settings = core.origin.settings
        self._is_able = settings.engine == "solo" and settings.clock == "system"

    def resubmit(self) -> None:
        """What was promised before the last stop is on its way into a block, or in one."""
        if self._folder is None or not self._folder.is_dir():
            return
        for path in sorted(self._folder.glob("*.json")):
            data = read_file(path)
            if data is None:
                continue
            try:
                self._core.submit(data).add_done_callback(_make_remover(path))
            except Refused as refusal:
                if refusal.code in _AGAIN:
                    continue
                # Its time is over, or its key was revoked: no block will take it any more.
                log.critical("what was promised cannot be taken", error=str(refusal), file=path.name)
                path.unlink()

    def promise(self, data: bytes) -> Promise:
        """The transaction is admitted, kept, and promised.

        Raises `Refused` as `NodeCore.submit` does, or ``NOT_FOUND`` where nothing is promised.
        """
        if not self._is_able:
            raise Refused("NOT_FOUND")
        header = self._decoder.decode(data).header
        now = self._core.now
        future = self._core.submit(data)
        if self._folder is not None and not future.done():
            self._folder.mkdir(mode=0o700, exist_ok=True)
            path = self._folder / f"{sha256(data).hex()}.json"
            replace_file(path, data)
            future.add_done_callback(_make_remover(path))
        return sign_promise(header, by=min(now + PROMISE_MILLIS_MAX, header.not_after), signer=self._signer)

    def state_absence(self, sender: str, transaction_id: str) -> Absence:
        """There is no such transaction in the log as it stands. Raises `Refused` ``NOT_FOUND``."""
        # First the head: what is not found after that was not in it.
        head = self._core.head
        if not self._is_able or self._core.find_transaction(sender, transaction_id) is not None:
            raise Refused("NOT_FOUND")
        return sign_absence(
            chain=self._core.chain,
            sender=sender,
            transaction_id=transaction_id,
            height=head.height,
            size=head.size,
            time=head.time,
            signer=self._signer,
        )


def _make_remover(path: Path) -> Callable[[Future[Taken]], None]:
    def remove(future: Future[Taken]) -> None:
        error = future.exception()
        if error is None or (isinstance(error, Refused) and error.code not in _AGAIN):
            path.unlink(missing_ok=True)

    return remove
