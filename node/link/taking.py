"""Taking transactions in a worker: vetted here, sent to the core, answered with a proof made here."""

from __future__ import annotations

import asyncio
from functools import partial

from contracts.rulebook import CURRENT
from ledger.transaction import KEY_TABLE, RegisteredKey, Transaction
from node.answers import Taken
from node.link.line import Hear, Line
from node.link.remote_core import RemoteCore
from node.link.vetting import Vetter


class Taker:
    """What every way into one worker takes transactions through. On its event loop."""

    def __init__(self, core: RemoteCore, line: Line) -> None:
        self.core = core
        self.answer = core.tree.encode_answer
        self._line = line
        self._loop = asyncio.get_running_loop()
        self._vetter = Vetter(chain=core.chain, message_type=CURRENT.message_type)
        self._asked: set[str] = set()

    def take(self, data: bytes, hear: Hear) -> None:
        """``hear`` is told once what came of it. Raises `Refused` where the bytes alone say no."""
        transaction = self._vetter.vet(data)
        if transaction.verified_by is None and not self._vetter.knows(transaction.header.key):
            hear = partial(self._learn, transaction, hear)
        self._line.submit(transaction, data, hear)

    async def submit(self, data: bytes) -> Taken:
        """What came of the transaction, once its block is durable. Raises `Refused`."""
        future: asyncio.Future[Taken] = self._loop.create_future()

        def hear(found: Taken | Exception) -> None:
            if future.done():
                return
            if isinstance(found, Taken):
                future.set_result(found)
            else:
                future.set_exception(found)

        self.take(data, hear)
        return await future

    def _learn(self, transaction: Transaction, hear: Hear, found: Taken | Exception) -> None:
        """A key that signed what was taken is asked for, so that it is checked here from the next time on.

        Keys that nobody was ever taken with are not: strangers could name any number of them.
        """
        hear(found)
        key = transaction.header.key
        if not isinstance(found, Taken) or key in self._asked:
            return
        self._asked.add(key)
        asking = self._loop.run_in_executor(None, self.core.get_record, KEY_TABLE, key)
        asking.add_done_callback(partial(self._finish_learning, key))

    def _finish_learning(self, key: str, done: asyncio.Future[RegisteredKey | None]) -> None:
        self._asked.discard(key)
        if done.exception() is None and (record := done.result()) is not None:
            self._vetter.learn(key, record.public)
