"""The courier of one endpoint: entries in the order of the log, each until it is taken.

    read the feed behind the cursor
      → deliver, wait for a 2xx           killed here: the entry is delivered again after the start
      → move the cursor on, durably       killed here: the next entry is the next one
    an attempt fails → note it, wait, the same entry again
    410, or the last attempt fails → disabled, until somebody enables it

At least once and in order: the cursor never moves past an entry that was not taken, and the next is not
tried before. A courier works for one revision of its endpoint; once somebody has changed it, whatever this
one still brings home is not written down, and another takes over.
"""

from __future__ import annotations

import asyncio
import time as waiting_time
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import Final, TypeVar

import structlog

from node.access import Role
from node.api.entries import Found, encode_receipt
from node.feed import Feed, Item, Step
from node.policies import find_epoch_of
from node.storage.webhooks import Endpoint, Failure, WebhookStore
from node.webhooks.schedule import WAIT_MILLIS_MAX
from node.webhooks.sender import Attempt, Sender

SAVE_SECONDS: Final = 0.2
"""While there is more to deliver the cursor is saved so often; a crash repeats no more than that."""
PASSED_LEAVES_MAX: Final = 4_096
"""So many leaves that were not for the endpoint are passed before the cursor is saved for them alone."""
_GONE: Final = 410
_TOGETHER: Final = 64
_T = TypeVar("_T")
Wait = Callable[[int, int], int | None]
"""Which attempt failed, and the seconds its answer asked for → milliseconds until the next, or None."""

log = structlog.get_logger("commonpoint.webhooks")


class Courier:
    """Delivers to one endpoint as it was registered, from its cursor on."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        feed: Feed,
        store: WebhookStore,
        sender: Sender,
        threads: Executor,
        clock: Callable[[], int],
        wait: Wait,
    ) -> None:
        self.endpoint = endpoint
        self._feed = feed
        self._store = store
        self._sender = sender
        self._threads = threads
        """Where the log and the database are read and written."""
        self._clock = clock
        self._wait = wait
        self._role = Role("participant", endpoint.participant)
        self._cursor = endpoint.cursor
        self._attempts = endpoint.attempts
        self._next_at = endpoint.next_at
        self._delivered_at = endpoint.delivered_at
        self._saved = (self._cursor, self._delivered_at)
        self._saved_at = 0.0
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """No further attempt begins."""
        self._stopping.set()

    async def run(self) -> None:
        """Entries are delivered until the endpoint is disabled or changed, or this is stopped."""
        try:
            with self._feed.bell.listen() as woken:
                while not self._stopping.is_set():
                    # Cleared before the log is looked at: what is added after the look rings again.
                    woken.clear()
                    step = await self._work(self._read)
                    for item in step.items:
                        if self._is_wanted(item) and not await self._deliver_until_taken(item):
                            return
                    self._cursor = step.cursor
                    if not await self._save(is_end=step.is_end):
                        return
                    if step.is_end:
                        await self._until(woken)
        finally:
            await self._finish()

    async def _finish(self) -> None:
        """The cursor is saved where it stands, and no connection is left."""
        try:
            if (self._cursor, self._delivered_at) != self._saved:
                await self._write_cursor()
        finally:
            await self._sender.close()

    def _read(self) -> Step:
        return self._feed.read(self._role, after=self._cursor, rows_max=_TOGETHER)

    def _is_wanted(self, item: Item) -> bool:
        return not self.endpoint.types or item.kind in self.endpoint.types

    async def _deliver_until_taken(self, item: Item) -> bool:
        """The entry was taken; or False: the endpoint is disabled or changed, or this has to stop."""
        while True:
            # However far ahead the next attempt seems to be: a clock may have been set back.
            wait = min(self._next_at - self._clock(), WAIT_MILLIS_MAX)
            if wait > 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), wait / 1_000)
            if self._stopping.is_set():
                return False
            body = await self._work(lambda: self._make_body(item))
            attempt = await self._sender.deliver(body, index=item.index, time=self._clock())
            if attempt.is_success:
                break
            if not await self._note_failure(item, attempt):
                return False
        self._cursor, self._attempts, self._next_at = item.index, 0, 0
        self._delivered_at = self._clock()
        return await self._save(is_end=False)

    def _make_body(self, item: Item) -> bytes:
        """The entry as streams show it, with a receipt that proves where it comes from."""
        core = self._feed.core
        checkpoint, proof = core.prove_entry(item.index)
        found = Found(item.index, item.leaf, item.transaction, item.concerned)
        epoch = find_epoch_of(core, checkpoint)
        receipt = encode_receipt(found, checkpoint=checkpoint, epoch=epoch, proof=proof)
        return encode_delivery(item, receipt)

    async def _note_failure(self, item: Item, attempt: Attempt) -> bool:
        """The failure is written down with what follows from it. Whether there is a next attempt."""
        self._attempts += 1
        wait = self._wait(self._attempts, attempt.retry_after_seconds)
        disabled = "GONE" if attempt.status == _GONE else "" if wait is not None else "RETRIES_EXHAUSTED"
        now = self._clock()
        self._next_at = 0 if disabled else now + (wait or 0)
        failure = Failure(at=now, attempt=self._attempts, index=item.index, reason=attempt.reason)
        is_current = await self._work(
            lambda: self._store.note_failure(
                self.endpoint, failure, cursor=self._cursor, next_at=self._next_at, disabled=disabled
            )
        )
        if disabled:
            log.warning("webhook disabled", webhook=self.endpoint.id, reason=disabled, last=attempt.reason)
        return is_current and not disabled

    async def _save(self, *, is_end: bool) -> bool:
        """The cursor is saved where it is time to. Whether the endpoint is still as it was."""
        cursor, delivered_at = self._saved
        if delivered_at != self._delivered_at:
            is_due = is_end or waiting_time.monotonic() - self._saved_at >= SAVE_SECONDS
        else:
            is_due = self._cursor - cursor >= PASSED_LEAVES_MAX
        return await self._write_cursor() if is_due else True

    async def _write_cursor(self) -> bool:
        cursor, delivered_at = self._cursor, self._delivered_at
        is_current = await self._work(
            lambda: self._store.advance(self.endpoint, cursor=cursor, delivered_at=delivered_at)
        )
        self._saved, self._saved_at = (cursor, delivered_at), waiting_time.monotonic()
        return is_current

    async def _until(self, woken: asyncio.Event) -> None:
        """There is more to look at, or this has to stop."""
        waits = {asyncio.ensure_future(event.wait()) for event in (woken, self._stopping)}
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()

    async def _work(self, task: Callable[[], _T]) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, task)


def encode_delivery(item: Item, receipt: bytes) -> bytes:
    """The body of a delivery: canonical JSON."""
    return b'{"entry":%b,"height":%d,"index":%d,"receipt":%b,"time":%d}' % (
        item.leaf,
        item.height,
        item.index,
        receipt,
        item.time,
    )
