"""What the routes of one node share, and where its readers wait.

Whoever needs what they just wrote asks with `min_height`, and waits without holding a thread. Reads that take
long are few at a time. What is read, and by whom, is not decided here.
"""

from __future__ import annotations

import asyncio
import threading
import time as waiting_time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Final, NamedTuple

from fastapi import Depends
from starlette.requests import Request

from ledger.errors import Refused
from node.api.core import Core
from node.api.streams import Streams
from node.api.webhook_desk import Desk
from node.feed import Feed
from node.http_signatures import NonceWindow
from node.metrics import Metrics
from node.tokens import TokenIssuer

MIN_HEIGHT_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.01
_WAITERS_MAX: Final = 256
_LONG_READS_MAX: Final = 8
_LONG_READS_OF_ONE_MAX: Final = 2


class HeightGate:
    """Where reads with `min_height` wait, without holding a thread, and not too many of them."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._waiting = 0

    async def wait(self, height: int) -> None:
        """The head has reached ``height``. Raises `Refused` ``NOT_YET`` after two seconds, or at once in a
        crowd.
        """
        if self._core.head.height >= height:
            return
        if self._waiting >= _WAITERS_MAX:
            raise Refused("NOT_YET", min_height=height, height=self._core.head.height)
        self._waiting += 1
        try:
            end = waiting_time.monotonic() + MIN_HEIGHT_SECONDS
            while self._core.head.height < height:
                if waiting_time.monotonic() >= end:
                    raise Refused("NOT_YET", min_height=height, height=self._core.head.height)
                await asyncio.sleep(_POLL_SECONDS)
        finally:
            self._waiting -= 1


class LongReads:
    """How many reads are under way that take long: few in all, and fewer of one asker."""

    def __init__(self) -> None:
        self._under_way: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextmanager
    def hold(self, asker: str) -> Iterator[None]:
        """One more is under way. Raises `Refused` ``BUSY``."""
        with self._lock:
            own, total = self._under_way[asker], self._under_way.total()
            if own >= _LONG_READS_OF_ONE_MAX or total >= _LONG_READS_MAX:
                raise Refused("BUSY", reason="exports are under way", own=own, total=total)
            self._under_way[asker] += 1
        try:
            yield
        finally:
            with self._lock:
                self._under_way[asker] -= 1
                # An asker who is done leaves nothing behind.
                self._under_way += Counter()


class Site(NamedTuple):
    """What the routes of one node share."""

    core: Core
    tokens: TokenIssuer
    metrics: Metrics
    clock: Callable[[], int]
    """Milliseconds UTC of this machine."""
    origins: tuple[str, ...]
    """The addresses by which clients know this node, beside loopback."""
    nonces: NonceWindow
    gate: HeightGate
    long_reads: LongReads
    catch_up: Callable[[], None]
    """What another process of this node has told by now is known here as well. Not on an event loop."""
    cut: Callable[[int, int], Awaitable[dict[str, int]]]
    """``await cut(time, transactions)`` cuts a simulated chain's block, and says what it is."""
    render_figures: Callable[[], bytes]
    """The figures of the whole node. Not on an event loop."""
    version: str
    feed: Feed
    streams: Streams
    webhooks: Desk | None
    """None where nothing is delivered to anybody."""


async def get_site(request: Request) -> Site:
    """The dependency that hands a route what it shares with the others."""
    site: Site = request.app.state.site
    return site


SiteParam = Annotated[Site, Depends(get_site)]
