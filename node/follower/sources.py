"""Where a follower reads a log: nodes, static mirrors, folders. None of them is believed, and all are named
in what is logged.

A source gives bytes under a path of C2SP tlog-tiles, or says that there are none. Which of several is asked
first changes with what they have given: whoever gave something wrong, or cannot be reached, goes to the end
of the row. Whether bytes are the right ones is decided by `node.follower.verified`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import structlog

from node.audit.sources import HttpSource, SourceUnavailable

log = structlog.get_logger()
_BUSY_ATTEMPTS_MAX: Final = 20
_BUSY_SECONDS: Final = 0.25
_TOO_MANY_REQUESTS: Final = 429
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

    def close(self) -> None:
        """No file is open between two reads."""


class WebSource:
    """A log under a URL. Where a token runs out it is read anew, so that whoever renews it need not stop the
    follower.
    """

    def __init__(self, url: str, read_token: Callable[[], str | None]) -> None:
        self.name = url.rstrip("/")
        self._read_token = read_token
        self._lock = threading.Lock()
        self._token = read_token()
        self._client = HttpSource(self.name, self._token)

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

    def close(self) -> None:
        """The connections are closed."""
        self._client.close()

    def _renew(self, refused: HttpSource) -> bool:
        """Whether there is another token than the one that was refused."""
        with self._lock:
            if self._client is not refused:
                return True
            token = self._read_token()
            if token == self._token:
                return False
            self._token, self._client = token, HttpSource(self.name, token)
            refused.close()
            return True


class Sources:
    """All of them, in the order in which they are asked. Any thread."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._row = list(sources)
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
        log.warning("source refused", source=source.name, path=path, reason=reason)
        with self._lock:
            if len(self._row) > 1 and source in self._row:
                self._row.remove(source)
                self._row.append(source)

    def close(self) -> None:
        """All of them are closed."""
        for source in self._row:
            source.close()


def open_source(place: str, read_token: Callable[[], str | None]) -> Source:
    """The source at an address, or in a folder."""
    if place.startswith(("http://", "https://")):
        return WebSource(place, read_token)
    return FolderSource(Path(place.removeprefix("file://")))
