"""Where an audit reads a log: anything that answers for the checkpoint, entry bundles and hash tiles of C2SP
tlog-tiles.

`HttpSource` reads them from a node, a mirror or any static host, a few bundles ahead of the one that is being
verified. A data directory is read through an adapter of the node's own (`node.storage.snapshot`), which this
package cannot know.

What is absent is told apart from what cannot be reached: a log that has signed for leaves it does not give
out is bad, a network that is down is no verdict. Nothing that is read is believed here.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic
from types import TracebackType
from typing import Final, Protocol, Self

import httpx2
import zstandard

from ledger.errors import CommonpointError, Unverified
from ledger.log.note import NOTE_CHARACTERS_MAX, parse_checkpoint, split_note
from ledger.log.tiles import LEAF_BYTES_MAX, TILE_BYTES, TILE_WIDTH, entries_path, tile_path

BUNDLE_BYTES_MAX: Final = TILE_WIDTH * (LEAF_BYTES_MAX + 2)
"""The largest entry bundle there can be; more is not read."""
BUNDLES_AHEAD: Final = 8
_CONNECTIONS: Final = 4
_TIMEOUT_SECONDS: Final = 30.0
BODY_SECONDS: Final = 120.0
"""So long an answer may take from its first byte to its last: one that drips holds nobody up for ever."""
_GZIP: Final = 16 + zlib.MAX_WBITS
_WINDOW_BYTES_MAX: Final = 8 * 1024 * 1024
_PIECE_BYTES: Final = 256 * 1024


class SourceUnavailable(CommonpointError):
    """The audit could not be run: nothing was found bad, and nothing was found good."""


class LeafSource(Protocol):
    """A log as it is stored or served."""

    @property
    def has_partial_tiles(self) -> bool:
        """Whether tiles that are not full are there too; a data directory works them out instead."""
        ...

    def read_checkpoint(self) -> str:
        """The newest signed checkpoint, or an empty text where there is none."""
        ...

    def read_size(self) -> int | None:
        """How many leaves are stored, where that can be seen apart from the checkpoint."""
        ...

    def read_bundle(self, index: int, width: int) -> bytes | None:
        """The entry bundle with its first ``width`` leaves, or None where it is not there."""
        ...

    def read_tile(self, level: int, index: int, width: int) -> bytes | None:
        """A hash tile with its first ``width`` hashes, or None where it is not there."""
        ...


class HttpSource:
    """The log under a URL, as docs/spec/api.md serves it. ``token`` is a bearer token that may read entry
    bundles.
    """

    has_partial_tiles: Final = True

    def __init__(
        self,
        url: str,
        token: str | None = None,
        *,
        timeout_seconds: float = _TIMEOUT_SECONDS,
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        headers = {"Accept-Encoding": "zstd, gzip"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        # Redirects are not followed: they would carry the token to whomever the answer names.
        self._client = httpx2.Client(headers=headers, timeout=timeout_seconds, follow_redirects=False)
        self._body_seconds = body_seconds
        self._url = url.rstrip("/")
        self._pool = ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="audit")
        self._ahead: dict[str, Future[bytes | None]] = {}
        self._size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Connections are closed; what was asked for ahead is dropped."""
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._client.close()

    def read_checkpoint(self) -> str:
        """The newest signed checkpoint."""
        data = self.fetch("checkpoint", NOTE_CHARACTERS_MAX)
        note = "" if data is None else data.decode("utf-8", "replace")
        # How far to read ahead. Nothing more hangs on it, so nothing has to be verified for it.
        with contextlib.suppress(Unverified):
            self._size = parse_checkpoint(split_note(note)[0]).size
        return note

    def read_size(self) -> int | None:
        """Not to be seen from outside: a log shows what it has signed."""
        return None

    def read_bundle(self, index: int, width: int) -> bytes | None:
        """The entry bundle, while the next few are on their way."""
        for ahead in range(index, min(index + BUNDLES_AHEAD, -(-self._size // TILE_WIDTH))):
            leaves = min(TILE_WIDTH, self._size - ahead * TILE_WIDTH)
            self._ask(entries_path(ahead, leaves), BUNDLE_BYTES_MAX)
            self._ask(tile_path(0, ahead, leaves), TILE_BYTES)
        bundle = self._take(entries_path(index, width), BUNDLE_BYTES_MAX)
        if bundle is None and index == 0:
            # What one may not read and what is not there look alike from outside. A log without any leaf has
            # signed nothing, so it is the first: an auditor's token is missing or of another role.
            raise SourceUnavailable("ENTRIES_WITHHELD", url=self._url)
        return bundle

    def read_tile(self, level: int, index: int, width: int) -> bytes | None:
        """The hash tile."""
        return self._take(tile_path(level, index, width), TILE_BYTES)

    def _ask(self, path: str, bytes_max: int) -> None:
        if path not in self._ahead:
            self._ahead[path] = self._pool.submit(self.fetch, path, bytes_max)

    def _take(self, path: str, bytes_max: int) -> bytes | None:
        asked = self._ahead.pop(path, None)
        return self.fetch(path, bytes_max) if asked is None else asked.result()

    def fetch(self, path: str, bytes_max: int) -> bytes | None:
        """The body under a path, or None where there is nothing. Raises `SourceUnavailable`."""
        url = f"{self._url}/{path}"
        try:
            with self._client.stream("GET", url) as response:
                status = response.status_code
                if status == httpx2.codes.NOT_FOUND:
                    return None
                if status in (httpx2.codes.UNAUTHORIZED, httpx2.codes.FORBIDDEN):
                    raise SourceUnavailable("TOKEN_REFUSED", url=url, status=status)
                if status != httpx2.codes.OK:
                    raise SourceUnavailable("SOURCE_ANSWERED", url=url, status=status)
                return read_body(response, bytes_max, seconds_max=self._body_seconds)
        except (httpx2.UnsupportedProtocol, httpx2.InvalidURL) as error:
            raise SourceUnavailable("URL_INVALID", url=url, reason=str(error)) from None
        except httpx2.HTTPError as error:
            raise SourceUnavailable(
                "SOURCE_UNREACHABLE", url=url, reason=str(error) or type(error).__name__
            ) from None


def read_body(response: httpx2.Response, bytes_max: int, *, seconds_max: float = BODY_SECONDS) -> bytes:
    """The body, as far as it can be what was asked for: no more of it than a byte above the bound, for a
    longer one differs whatever its rest says. It is unpacked here and never further than that, so what was
    sent small takes no more memory than what was sent large.

    Raises `SourceUnavailable`, and `httpx2.HTTPError` as reading does.
    """
    packing = response.headers.get("content-encoding", "identity").strip().lower()
    if packing not in ("identity", "gzip", "zstd"):
        # Several, one inside another, among them: each would be a thousand times what it came in.
        raise SourceUnavailable("SOURCE_ANSWERED", url=str(response.url), reason=f"packed as {packing[:40]}")
    found = bytearray()
    parts = _watch(response.iter_raw(), monotonic() + seconds_max)
    if packing != "identity":
        unpack = _unpack_gzip if packing == "gzip" else _unpack_frames
        parts = unpack(parts, bytes_max + 1, url=str(response.url))
    for part in parts:
        found += part[: bytes_max + 1 - len(found)]
        if len(found) > bytes_max:
            break
    return bytes(found)


def _watch(parts: Iterator[bytes], end: float) -> Iterator[bytes]:
    """What comes until then."""
    for part in parts:
        yield part
        if monotonic() > end:
            raise httpx2.ReadTimeout("the answer does not end")


def _unpack_gzip(parts: Iterator[bytes], bytes_max: int, *, url: str) -> Iterator[bytes]:
    """What a gzip stream holds, so many bytes at a time at the most; of one cut short what has arrived."""
    stream = zlib.decompressobj(_GZIP)
    try:
        for part in parts:
            yield stream.decompress(part, bytes_max)
            while stream.unconsumed_tail:
                yield stream.decompress(stream.unconsumed_tail, bytes_max)
    except zlib.error as error:
        raise SourceUnavailable("SOURCE_ANSWERED", url=url, reason=str(error)[:100]) from None


class _Parts:
    """What arrives, as the unpacker of frames asks for it."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts

    def read(self, _size: int) -> bytes:
        """What arrived next, however much that is; nothing at the end."""
        return next((part for part in self._parts if part), b"")


def _unpack_frames(parts: Iterator[bytes], bytes_max: int, *, url: str) -> Iterator[bytes]:
    """The same of Zstandard frames one after the other, none of which asks for more memory than RFC 9659
    allows.
    """
    tool = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES_MAX)
    stream = tool.stream_reader(_Parts(parts), read_across_frames=True)  # type: ignore[arg-type]  # it reads
    try:
        while part := stream.read(min(bytes_max, _PIECE_BYTES)):
            yield part
    except zstandard.ZstdError as error:
        raise SourceUnavailable("SOURCE_ANSWERED", url=url, reason=str(error)[:100]) from None
