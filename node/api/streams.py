"""The open event streams of one node: how many there may be, and the threads that read the log for them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from ledger.errors import Refused
from node.access import Role
from node.feed import Feed, Step

STREAMS_MAX: Final = 256
STREAMS_PER_ASKER_MAX: Final = 8
_THREADS: Final = 2


class Streams:
    """Those of one node. On one event loop."""

    def __init__(self, feed: Feed) -> None:
        self.feed = feed
        self._open: Counter[Role] = Counter()
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="events")

    @contextmanager
    def enter(self, role: Role) -> Iterator[None]:
        """One more stream is open. Raises `Refused` ``BUSY`` or ``STOPPING``."""
        if self.feed.is_closed:
            raise Refused("STOPPING")
        if self._open[role] >= STREAMS_PER_ASKER_MAX or self._open.total() >= STREAMS_MAX:
            raise Refused("BUSY", reason="too many streams", streams=self._open[role])
        self._open[role] += 1
        try:
            yield
        finally:
            self._open[role] -= 1
            self._open += Counter()  # forgets who has none open

    async def read(self, role: Role, after: int, *, check: Callable[[], object]) -> Step:
        """The next step, unless ``check`` raises: it is called first, on the thread that reads."""

        def look() -> Step:
            check()
            return self.feed.read(role, after=after)

        return await asyncio.get_running_loop().run_in_executor(self._threads, look)
