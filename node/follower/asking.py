"""What the sources show as their newest checkpoint, asked of all of them at once.

A source that does not answer in time is not waited for: what it says in the end is heard in a later round,
and until then the others count alone. So one that is slow, or takes connections and says nothing, holds up
nobody. Nothing is believed here.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final

from ledger.errors import CommonpointError, Unverified
from ledger.log.note import NOTE_CHARACTERS_MAX
from node.audit.sources import SourceUnavailable
from node.follower.sources import Source, Sources

PATIENCE_SECONDS: Final = 1.0
"""So long a round waits for those that were asked in it."""
Shown = tuple[Source, "str | CommonpointError"]
"""A source, and its note or why there is none."""


class Rounds:
    """Asks again and again. For one thread."""

    def __init__(self, sources: Sources, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._sources = sources
        self._patience_seconds = patience_seconds
        self._pool = ThreadPoolExecutor(len(sources.row), thread_name_prefix="checkpoint")
        self._asked: dict[str, Future[str]] = {}

    def ask(self) -> list[Shown]:
        """What was answered by now, in the order in which sources are asked for files."""
        row = self._sources.row
        asked = [source for source in row if source.name not in self._asked]
        for source in asked:
            self._asked[source.name] = self._pool.submit(_read_note, source)
        # Whoever was asked in an earlier round has had its time.
        wait([self._asked[source.name] for source in asked], timeout=self._patience_seconds)
        return [(source, self._take(source)) for source in row if self._asked[source.name].done()]

    def list_slow(self) -> list[str]:
        """Who has not answered."""
        return sorted(self._asked)

    def close(self) -> None:
        """Nobody is asked any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _take(self, source: Source) -> str | CommonpointError:
        try:
            return self._asked.pop(source.name).result()
        except (SourceUnavailable, Unverified) as error:
            return error


def _read_note(source: Source) -> str:
    data = source.read("checkpoint", NOTE_CHARACTERS_MAX)
    if data is None:
        raise SourceUnavailable("CHECKPOINT_MISSING", url=source.name)
    return data.decode("utf-8", "replace")
