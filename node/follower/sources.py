"""Where a follower reads a log: nodes, static mirrors, folders. None of them is believed, and all are named
in what is logged.

A source gives bytes under a path of C2SP tlog-tiles, or says that there are none. Which of several is asked
first changes with what they have given: whoever gave something wrong, or cannot be reached, goes to the end
of the row. Whether bytes are the right ones is decided by `node.follower.verified`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Final, Protocol, Self

import structlog

from ledger.errors import Unverified
from ledger.log.tiles import TILE_WIDTH, decode_bundle, entries_path
from node.audit.crew import GROUP_BUNDLES
from node.audit.sources import BUNDLE_BYTES_MAX, HttpSource, SourceUnavailable
from node.audit.tasks import Opening
from node.follower.tokens import Tokens

log = structlog.get_logger()
_BUSY_ATTEMPTS_MAX: Final = 20
_BUSY_SECONDS: Final = 0.25
_TOO_MANY_REQUESTS: Final = 429
_THREADS: Final = 3
_FORGIVEN_SECONDS: Final = 60.0
"""After so long, one that gave something wrong is a source like any other."""
_TIMEOUT_SECONDS: Final = 10.0
"""So long a source may say nothing, or take for the rest of a file, before another is asked."""
_TOKEN_CODES: Final = frozenset({"TOKEN_REFUSED", "ENTRIES_WITHHELD"})


class Source(Protocol):
    """One place that has the log, or says so."""

    @property
    def name(self) -> str:
        """As people know it: an address or a path."""
        ...

    def read(self, path: str, bytes_max: int) -> bytes | None:
        """The file under this path, no more of it than a byte above the bound; None where there is none.

        Raises `SourceUnavailable`.
        """
        ...

    def make_opening(self, size: int) -> Opening:
        """How another process reads bundles of the tree of this size."""
        ...

    def close(self) -> None:
        """Nothing is held any more."""
        ...


class FolderSource:
    """A log as files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.name = str(folder)
        self._folder = folder

    def read(self, path: str, bytes_max: int) -> bytes | None:
        """The file."""
        try:
            with (self._folder / path).open("rb") as file:
                return file.read(bytes_max + 1)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise SourceUnavailable("SOURCE_UNREACHABLE", url=self.name, reason=error.strerror) from None

    def make_opening(self, size: int) -> Opening:
        """Over the same folder."""
        return partial(SourceBundles, str(self._folder), Tokens(), size)

    def close(self) -> None:
        """No file is open between two reads."""


class WebSource:
    """A log under a URL. Where a token runs out it is read anew, so that whoever renews it need not stop the
    follower.
    """

    def __init__(self, url: str, tokens: Tokens) -> None:
        self.name = url.rstrip("/")
        self._tokens = tokens
        self._lock = threading.Lock()
        self._token = tokens.read_for(self.name)
        self._client = _open_web(self.name, self._token)

    def read(self, path: str, bytes_max: int) -> bytes | None:
        """The body; asked again while the server says that it is busy."""
        for _ in range(_BUSY_ATTEMPTS_MAX):
            client = self._client
            try:
                return client.fetch(path, bytes_max)
            except SourceUnavailable as error:
                if error.facts.get("status") == _TOO_MANY_REQUESTS:
                    time.sleep(_BUSY_SECONDS)
                elif error.code not in _TOKEN_CODES or not self._renew(client):
                    raise
        raise SourceUnavailable("SOURCE_BUSY", url=self.name, attempts=_BUSY_ATTEMPTS_MAX)

    def make_opening(self, size: int) -> Opening:
        """The same address and tokens, over connections of its own."""
        return partial(SourceBundles, self.name, self._tokens, size)

    def close(self) -> None:
        """The connections are closed."""
        self._client.close()

    def _renew(self, refused: HttpSource) -> bool:
        """Whether there is another token than the one that was refused."""
        with self._lock:
            if self._client is not refused:
                return True
            token = self._tokens.read_for(self.name)
            if token == self._token:
                return False
            self._token, self._client = token, _open_web(self.name, token)
            refused.close()
            return True


def _open_web(url: str, token: str | None) -> HttpSource:
    return HttpSource(url, token, timeout_seconds=_TIMEOUT_SECONDS, body_seconds=_TIMEOUT_SECONDS)


class Sources:
    """All of them, in the order in which they are asked. Any thread."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._row = list(sources)
        self._refused: dict[str, float] = {}
        """When a source last gave something wrong."""
        self._lock = threading.Lock()

    @property
    def row(self) -> list[Source]:
        """The order of this moment."""
        with self._lock:
            return list(self._row)

    @property
    def leader(self) -> str | None:
        """The address of the first that has one: where transactions may go."""
        return next((source.name for source in self.row if isinstance(source, WebSource)), None)

    def put_last(self, source: Source, *, path: str, reason: str) -> None:
        """This one gave something wrong, or nothing; the others are asked first from now on."""
        with self._lock:
            self._refused[source.name] = time.monotonic()
            if len(self._row) > 1 and source in self._row:
                self._row.remove(source)
                self._row.append(source)
            first = self._row[0].name
        log.warning("source refused", source=source.name, path=path, reason=reason, asked_first=first)

    def note_sizes(self, sizes: Mapping[str, int]) -> None:
        """Whoever shows the most is asked first, unless it gave something wrong a moment ago: one that is
        behind has done nothing wrong, and is not asked for what it cannot have.
        """
        now = time.monotonic()
        with self._lock:
            self._row.sort(
                key=lambda source: (
                    now - self._refused.get(source.name, -_FORGIVEN_SECONDS) < _FORGIVEN_SECONDS,
                    -sizes.get(source.name, -1),
                )
            )

    def close(self) -> None:
        """All of them are closed."""
        for source in self._row:
            source.close()


def open_source(place: str, tokens: Tokens) -> Source:
    """The source at an address, or in a folder."""
    if place.startswith(("http://", "https://")):
        return WebSource(place, tokens)
    return FolderSource(Path(place.removeprefix("file://")))


def read_bundle(source: Source, index: int, width: int) -> bytes | None:
    """The entry bundle as it is given, cut to its first ``width`` leaves where the source has more by now.

    Raises `SourceUnavailable`, or `Unverified` for what is no bundle.
    """
    data = source.read(entries_path(index, width), BUNDLE_BYTES_MAX)
    if data is None and width < TILE_WIDTH:
        # A log may drop a partial bundle once it has the full one.
        data = source.read(entries_path(index), BUNDLE_BYTES_MAX)
        if data is not None:
            leaves = decode_bundle(data)[:width]
            data = data[: sum(map(len, leaves)) + 2 * len(leaves)]
    return data


class SourceBundles:
    """Bundles of one source, for a worker process: a `node.audit.sources.LeafSource` without tiles."""

    has_partial_tiles: Final = True

    def __init__(self, place: str, tokens: Tokens, size: int) -> None:
        self._source = open_source(place, tokens)
        self._size = size
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="follow")
        self._ahead: dict[int, Future[bytes | None]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._source.close()

    def read_bundle(self, index: int, width: int) -> bytes | None:
        """As it is given; the rest of its group is on its way. Raises `SourceUnavailable`."""
        if isinstance(self._source, FolderSource):
            return self._read(index, width)
        if index not in self._ahead:
            self._ahead.clear()
            last = -(-self._size // TILE_WIDTH)
            for each in range(index, min(index // GROUP_BUNDLES * GROUP_BUNDLES + GROUP_BUNDLES, last)):
                room = min(TILE_WIDTH, self._size - each * TILE_WIDTH)
                self._ahead[each] = self._pool.submit(self._read, each, room)
        return self._ahead.pop(index).result()

    def _read(self, index: int, width: int) -> bytes | None:
        try:
            return read_bundle(self._source, index, width)
        except Unverified:
            # It is told where it is looked at once more.
            return None

    def read_tile(self, level: int, index: int, width: int) -> bytes | None:  # noqa: ARG002 - none is asked
        """There are none here."""
        return None

    def read_checkpoint(self) -> str:
        """Whoever reads bundles has it."""
        raise SourceUnavailable("NOT_ASKED_HERE")

    def read_size(self) -> int | None:
        """That of the tree that is read."""
        return self._size
