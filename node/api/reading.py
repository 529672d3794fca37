"""Reading: one height for one answer.

Blocks are made while somebody reads. An answer that took half of its rows from before a block and half from
after it would show positions that do not add up, so a read that a block overtook is done again, and every
answer names the height it stands for. Whoever needs what they just wrote asks with `min_height` and waits for
it.

Who may see which rows is `node.access`'s business; this module only says when, and for which height.
"""

from __future__ import annotations

import asyncio
import threading
import time as waiting_time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import msgspec
from fastapi import Depends
from starlette.requests import Request
from starlette.responses import Response

from contracts.mechanics.records import PROGRAM
from ledger.errors import InvariantBroken, Refused
from ledger.executor import HEAD_KEY, HEAD_TABLE, Head
from ledger.rule import BlockContext
from node.api.core import Core
from node.http_signatures import NonceWindow
from node.metrics import Metrics
from node.tokens import TokenIssuer

if TYPE_CHECKING:
    from node.api.events import Streams
    from node.api.webhook_desk import Desk
    from node.feed import Feed

MIN_HEIGHT_SECONDS: Final = 2.0
_POLL_SECONDS: Final = 0.01
_WAITERS_MAX: Final = 256
_READ_ATTEMPTS_MAX: Final = 200
_LONG_READS_MAX: Final = 8
_LONG_READS_OF_ONE_MAX: Final = 2
_OVERTAKEN_SECONDS: Final = 0.001
_encode: Final = msgspec.json.Encoder(order="sorted").encode
_PRIVATE: Final = {"cache-control": "no-store"}


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


class View:
    """The committed state at one height, as rules see it. Any thread."""

    def __init__(self, site: Site) -> None:
        self.core = site.core
        self.head: Head = site.core.head
        settings = site.core.origin.settings
        # A chain that was idle stands at its last block; what has come due since is already due.
        now = max(self.head.time, site.core.now)
        self.block = BlockContext(
            chain=site.core.chain,
            height=self.head.height + 1,
            time=now,
            operator=settings.operator,
            utc_offset_minutes=settings.utc_offset_minutes,
            currency=settings.currency,
            founded_at=settings.time,
        )
        """The next block, in which whatever is asked for would be decided."""

    def get(self, table: str, key: str) -> Any:
        """The record, or None."""
        return self.core.get_record(table, key)

    def first_due(self, *, before: str, limit: int) -> list[str]:
        """Due work is the executor's alone."""
        raise InvariantBroken("DUE_WORK_NOT_READABLE", before=before, limit=limit)

    def list_records(self, table: str) -> list[tuple[str, Any]]:
        """Every record of a small table, in key order."""
        return self.core.list_records(table)

    def is_current(self) -> bool:
        """Whether the state still stands for this height, neither before it nor beyond."""
        return bool(self.get(HEAD_TABLE, HEAD_KEY) == self.head)

    def get_issuers(self) -> dict[str, str]:
        """Program → issuer."""
        return {program: record.issuer for program, record in self.core.list_records(PROGRAM)}


def read(site: Site, work: Callable[[View], Mapping[str, Any]]) -> dict[str, Any]:
    """What ``work`` finds at one height, with that height beside it."""
    site.catch_up()
    for _ in range(_READ_ATTEMPTS_MAX):
        view = View(site)
        found = dict(work(view))
        if view.is_current():
            found.setdefault("height", view.head.height)
            return found
        waiting_time.sleep(_OVERTAKEN_SECONDS)
    raise Refused("NOT_YET", reason="blocks come faster than this can be read")


def answer(site: Site, work: Callable[[View], Mapping[str, Any]]) -> Response:
    """`read`, as JSON that no cache keeps."""
    return encode_answer(read(site, work))


def encode_answer(found: Mapping[str, Any]) -> Response:
    """An answer's bytes: sorted keys, entries as the very bytes of the log."""
    return Response(_encode(found), media_type="application/json", headers=_PRIVATE)
