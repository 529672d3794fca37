"""One thread of its own runs the event loop behind a blocking merchant, so calls that many threads make at
once still travel as one signed transaction.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

from merchant_sdk.client.verbs import Verbs
from merchant_sdk.errors import ConfigurationError
from merchant_sdk.receipt import Receipt
from merchant_sdk.results import Committed

T = TypeVar("T")
Done = Committed[Receipt]
"""A result whose receipt is there when asked for."""


class Blocking:
    """A merchant whose verbs return when they are done."""

    _verbs: Verbs[Receipt, Done]

    def _start(self) -> None:
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        # A program that ends without closing must not hang on a thread that waits for work.
        self._thread = threading.Thread(target=self._loop.run_forever, name="commonpoint", daemon=True)
        self._thread.start()

    def _stop(self) -> None:
        if self._loop.is_closed():
            return
        self._run(self._verbs.close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        fault = None
        if self._loop.is_closed():
            fault = "this merchant is closed"
        elif os.getpid() != self._process:
            fault = "make a Merchant after the fork: its thread stayed with the parent"
        elif threading.get_ident() == self._thread.ident:
            fault = "called from inside its own event loop; use AsyncMerchant there"
        if fault is not None:
            work.close()
            raise ConfigurationError(fault)
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            # Whoever pressed the key no longer waits; what was not sent yet is not sent.
            future.cancel()
            raise

    def _walk(self, rows: AsyncIterator[T]) -> Iterator[T]:
        """The same rows, each fetched when it is asked for."""
        while (row := self._run(_get_next(rows))) is not None:
            yield row


async def _get_next(rows: AsyncIterator[T]) -> T | None:
    return await anext(rows, None)
