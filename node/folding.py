"""Folding in the background: state and look-ups follow the log into the views while blocks go on.

The engine's thread gathers what blocks change and hands it over when enough has gathered; one thread of our
own writes it. While a fold is on its way, what it carries is still in memory, so readers and rules see no
difference. If the writer falls behind by more than one fold, the engine waits for it: what a start has to re-
execute is bounded. A fold that fails stops the engine at its next step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, Protocol

from ledger.state import Changes, State
from node.storage.lookups import RecentBlocks
from node.storage.store import Store

FOLD_RECORDS_MAX: Final = 100_000
"""With so many changed records a fold is due, however busy the node is.

It bounds what a start re-executes.
"""
FOLD_ROWS_MAX: Final = 200_000
"""Likewise with so many look-up rows."""
REMEMBERED_RECORDS_MAX: Final = 1_200_000
"""Records of one table that stay in memory after a fold: a million members' accounts take about 500 MB."""


class FoldWriter(Protocol):
    """What brings a fold into the database."""

    def fold(self, *, size: int, changes: Mapping[str, Mapping[str, Any]], recent: RecentBlocks) -> None:
        """State and look-ups on disk stand for ``size`` leaves when it returns."""
        ...

    def close(self) -> None:
        """Nothing more will be folded."""
        ...


class FoldHere:
    """Writes folds in this process."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def fold(self, *, size: int, changes: Mapping[str, Mapping[str, Any]], recent: RecentBlocks) -> None:
        """State and look-ups on disk stand for ``size`` leaves."""
        self._store.fold.fold(size=size, changes=changes, lookups=recent.rows)

    def close(self) -> None:
        """There is nothing to end."""


class Folder:
    """Gathers what blocks change and brings it into the views. For the engine's thread alone."""

    def __init__(
        self, *, store: Store, state: State, writer: FoldWriter, on_step: Callable[[str], None]
    ) -> None:
        self._store = store
        self._fold = writer
        self._state = state
        self._on_step = on_step
        self._unfolded: dict[str, dict[str, Any]] = {}
        self._count = 0
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="fold")
        self._under_way: Future[None] | None = None

    def gather(self, changes: Changes) -> None:
        """What a durable block changed waits to be folded."""
        for table, records in changes.records.items():
            before = self._unfolded.setdefault(table, {})
            self._count -= len(before)
            before.update(records)
            self._count += len(before)

    @property
    def is_due(self) -> bool:
        """Whether enough has gathered."""
        return self._count >= FOLD_RECORDS_MAX or self._store.lookups.unfolded.count >= FOLD_ROWS_MAX

    @property
    def is_busy(self) -> bool:
        """Whether a fold is under way."""
        return self._under_way is not None

    def start(self, *, size: int) -> None:
        """Hand over what has gathered up to ``size``; waits where the fold before is still under way."""
        self.finish()
        if not self._unfolded:
            return
        self._state.begin_fold()
        changes, self._unfolded, self._count = self._unfolded, {}, 0
        self._store.fold.note(changes)
        recent = self._store.lookups.begin_fold()

        def write() -> None:
            self._fold.fold(size=size, changes=changes, recent=recent)
            self._on_step("folded")

        self._under_way = self._writer.submit(write)

    def take_finished(self) -> None:
        """Make room if the fold under way has arrived. Raises what it failed with."""
        if self._under_way is not None and self._under_way.done():
            self.finish()

    def finish(self) -> None:
        """No fold is under way any more. Raises what it failed with."""
        if self._under_way is None:
            return
        self._under_way.result()
        self._under_way = None
        self._store.lookups.end_fold()
        self._state.end_fold(unfolded=self._unfolded, keep_below=REMEMBERED_RECORDS_MAX)

    def close(self) -> None:
        """The writer's thread ends."""
        self._writer.shutdown()
        self._fold.close()
