"""The feed: what concerns an asker, after a cursor, in the order of the log.

A cursor is the index of the last leaf that was looked at, so whoever keeps it misses nothing and is told
nothing twice. Who sees which entry is decided exactly as for one entry alone (`node.access`); a stretch of
the log without anything for the asker still moves the cursor on.

The log is walked a bundle at a time, and what a bundle holds is read once for all who ask for it; of what was
read, no more is remembered than fits a few megabytes. Nothing here is done by the thread that makes blocks
but to ring a bell.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import perf_counter, sleep
from typing import Any, Final, NamedTuple

from msgspec import Struct

from ledger.errors import InvariantBroken
from ledger.leaves import TRANSACTION_START, compute_tag
from ledger.log.tiles import TILE_WIDTH
from node.access import Concerned, Role, can_read_entry
from node.api.core import Core
from node.api.entries import Leaves, decode_entry, find_concerned, find_transaction

ROWS_MAX: Final = 200
LEAVES_MAX: Final = 4_096
"""So many leaves are walked in one step, at most."""
BYTES_MAX: Final = 512 * 1024
"""A step ends with the entry that passes this."""
REMEMBERED_BYTES_MAX: Final = 16 * 1024 * 1024
_KINDS: Final = frozenset({"participant", "member", "auditor"})
_PAUSE_SECONDS_MAX: Final = 0.05
_ITEM_BYTES: Final = 1_000
"""What an entry's own objects take, about, beside its bytes."""


class Item(Struct, frozen=True):
    """An entry as it stands in the log, and whom it concerns. Never on the wire as it is."""

    index: int
    height: int
    time: int
    kind: str
    """The `@type` of its message."""
    leaf: bytes
    transaction: bytes | None
    """The leaf of its transaction; None for work a block did by itself."""
    concerned: Concerned


class Step(NamedTuple):
    """What was found between two cursors."""

    items: list[Item]
    cursor: int
    """The last leaf that was looked at."""
    is_end: bool
    """Whether that was the newest leaf."""


def has_feed(role: Role) -> bool:
    """Whether entries can concern this kind of asker at all."""
    return role.kind in _KINDS


def encode_item(item: Item) -> bytes:
    """The entry as rows show it: canonical JSON, on one line."""
    return b'{"entry":%b,"height":%d,"index":%d,"time":%d}' % (item.leaf, item.height, item.index, item.time)


class Bell:
    """Rung after every block. Whoever listens on an event loop wakes; whoever rings waits for nobody."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listening: dict[asyncio.AbstractEventLoop, set[asyncio.Event]] = {}

    @contextmanager
    def listen(self) -> Iterator[asyncio.Event]:
        """An event of the running loop, set at every ring."""
        loop, event = asyncio.get_running_loop(), asyncio.Event()
        with self._lock:
            self._listening.setdefault(loop, set()).add(event)
        try:
            yield event
        finally:
            with self._lock:
                self._listening[loop].discard(event)
                if not self._listening[loop]:
                    del self._listening[loop]

    def ring(self) -> None:
        """Everybody who listens will wake. Any thread."""
        with self._lock:
            loops = list(self._listening)
        for loop in loops:
            # A loop that has closed has nobody left to wake.
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(self._wake, loop)

    def _wake(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            events = list(self._listening.get(loop, ()))
        for event in events:
            event.set()


class _Bundle:
    """The entries of one bundle's leaves, as far as there are any yet.

    Programs keep their issuer and members their custodian, so whom an entry concerns stays true.
    """

    def __init__(self, first: int) -> None:
        self.end = first
        """The first leaf that was not read."""
        self.items: list[Item] = []
        self.bytes = 0
        self.transaction: bytes | None = None
        self.tag = ""

    def add(self, item: Item) -> None:
        """One more entry."""
        self.items.append(item)
        # The transaction's leaf is one for all its entries, but the last of them may hold it alone.
        self.bytes += len(item.leaf) + _ITEM_BYTES + len(item.transaction or b"")


class Feed:
    """The entries of one node's log for whoever they concern. Any thread."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.bell = Bell()
        self.is_closed = False
        """Whether the node is stopping: streams end."""
        self._lock = threading.Lock()
        self._bundles: OrderedDict[int, _Bundle] = OrderedDict()
        self._bytes = 0

    def close(self) -> None:
        """Streams end, and begin no more."""
        self.is_closed = True
        self.bell.ring()

    def read(self, role: Role, *, after: int, rows_max: int = ROWS_MAX) -> Step:
        """What concerns the asker from the leaf behind ``after`` on: one bounded step."""
        size = self.core.head.size
        first = after + 1
        end = min(size, first + LEAVES_MAX)
        items: list[Item] = []
        found_bytes = 0
        while first < end:
            started = perf_counter()
            until = min((first // TILE_WIDTH + 1) * TILE_WIDTH, end)
            for item in self._read_bundle(first // TILE_WIDTH, until=until, size=size):
                if item.index < first or not can_read_entry(role, item.concerned):
                    continue
                items.append(item)
                found_bytes += len(item.leaf)
                if len(items) >= rows_max or found_bytes >= BYTES_MAX:
                    return Step(items, item.index, is_end=item.index + 1 == size)
            first = until
            if self.core.waiting:
                # Who looks back does not keep those waiting who are waiting for a block.
                sleep(min(perf_counter() - started, _PAUSE_SECONDS_MAX))
        # A cursor beyond the log stays where it is.
        cursor = max(first - 1, after)
        return Step(items, cursor, is_end=cursor + 1 >= size)

    def _read_bundle(self, number: int, *, until: int, size: int) -> list[Item]:
        """The entries of a bundle below ``until``."""
        with self._lock:
            bundle = self._bundles.pop(number, None) or _Bundle(number * TILE_WIDTH)
            self._bytes -= bundle.bytes
            if bundle.end < until:
                self._extend(bundle, until, size)
            self._bundles[number] = bundle
            self._bytes += bundle.bytes
            while self._bytes > REMEMBERED_BYTES_MAX and len(self._bundles) > 1:
                self._bytes -= self._bundles.popitem(last=False)[1].bytes
            return [item for item in bundle.items if item.index < until]

    def _extend(self, bundle: _Bundle, until: int, size: int) -> None:
        """The bundle's leaves up to ``until`` are read."""
        records: dict[tuple[str, str], Any] = {}

        def get(table: str, key: str) -> Any:
            if (table, key) not in records:
                records[table, key] = self.core.get_record(table, key)
            return records[table, key]

        last, height, time = -1, 0, 0
        first = bundle.end
        for index, leaf in enumerate(self.core.read_leaves(first, until), start=first):
            if leaf.startswith(TRANSACTION_START):
                bundle.transaction, bundle.tag = leaf, compute_tag(leaf).decode()
            else:
                entry = decode_entry(leaf)
                if entry is not None:
                    if index > last:
                        last, height, time = self._find_block(index)
                    transaction = (
                        None if entry.tag is None else self._get_transaction(bundle, index, entry.tag, size)
                    )
                    concerned = find_concerned(entry, transaction=transaction, get=get)
                    kind = entry.message.__struct_config__.tag
                    bundle.add(Item(index, height, time, kind, leaf, transaction, concerned))
        bundle.end = until

    def _get_transaction(self, bundle: _Bundle, index: int, tag: str, size: int) -> bytes:
        """The leaf of an entry's transaction: the one just passed, unless it stands in an earlier bundle."""
        if bundle.transaction is None or bundle.tag != tag:
            bundle.transaction = find_transaction(Leaves(self.core, size), index, tag)
            bundle.tag = tag
        return bundle.transaction

    def _find_block(self, index: int) -> tuple[int, int, int]:
        block = self.core.find_block(index)
        if block is None:
            raise InvariantBroken("BLOCK_MISSING", index=index)
        return block
