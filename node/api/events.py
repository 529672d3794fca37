"""Events: what concerns the asker after a cursor, pushed as it happens or fetched a page at a time.

As `text/event-stream` (WHATWG server-sent events) each entry has its index for an id, so a client that comes
back with `Last-Event-ID` goes on where it stopped. Who does not ask for a stream gets one page of JSON.

A stream holds nothing but a cursor. What a slow reader has not taken is read from the log when it can take
it, and who takes nothing for half a minute is let go. Before each look at the log the token is looked at
again: a stream ends with it.
"""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query
from msgspec import Raw
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from ledger.errors import Refused
from node.access import Role
from node.api.bodies import Disconnected
from node.api.feed_answers import EventPage
from node.api.identity import RoleParam, ask
from node.api.page import describe
from node.api.parameters import READ_WITH_TOKEN, LimitQuery, Size, read_decimal
from node.api.reading import encode_answer
from node.api.site import SiteParam
from node.api.streams import Streams
from node.api.view import View
from node.feed import encode_item, has_feed

MEDIA_TYPE: Final = "text/event-stream"
KEEP_ALIVE_SECONDS: Final = 15.0
PROGRESS_SECONDS: Final = 1.0
SEND_SECONDS: Final = 30.0
"""Who takes nothing for so long is not there, or might as well not be."""
_RECONNECT_MILLIS: Final = 2_000
_HEADERS: Final = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # A proxy that gathers answers would keep every event to itself.
    (b"x-accel-buffering", b"no"),
]
_CODES: Final = (
    "BAD_REQUEST",
    "UNAUTHENTICATED",
    "TOKEN_INVALID",
    "NOT_FOUND",
    "BUSY",
    "NOT_YET",
    "STOPPING",
)
_STREAM: Final[dict[str, Any]] = {
    "description": "One page, or a stream for who accepts `text/event-stream`.",
    "content": {
        MEDIA_TYPE: {
            "schema": {"type": "string"},
            "example": 'id: 345\nevent: earn\ndata: {"entry":{…},"height":12,"index":345,"time":…}\n\n',
        }
    },
}
AfterQuery = Annotated[
    Size | None, Query(description="Only what stands behind this index; absent: from the beginning.")
]
LastEventId = Annotated[
    str | None,
    Header(alias="Last-Event-ID", description="The last `id` of an earlier stream; goes before `after`."),
]

router = APIRouter(tags=["events"], responses={200: _STREAM, **describe(*_CODES)})


@router.get("/v1/events", response_model=EventPage, dependencies=READ_WITH_TOKEN)
def list_events(
    *,
    site: SiteParam,
    role: RoleParam,
    request: Request,
    after: AfterQuery = None,
    limit: LimitQuery = 50,
    last_event_id: LastEventId = None,
) -> Response:
    """Entries that concern the asker, behind `after`, oldest first: a participant, a member, an auditor. With
    `Accept: text/event-stream` they are pushed as blocks are made; else this is one page.
    """
    if not has_feed(role):
        raise Refused("NOT_FOUND")
    site.catch_up()
    head = View(site.core).head
    cursor = _find_cursor(after, last_event_id)
    if cursor >= head.size:
        raise Refused("BAD_REQUEST", parameter="after", reason="beyond the log", size=head.size)
    if _wants_stream(request.headers.get("accept", "")):
        return EventStream(site.streams, request=request, role=role, after=cursor)
    step = site.feed.read(role, after=cursor, rows_max=limit)
    rows = [Raw(encode_item(item)) for item in step.items]
    return encode_answer({"height": head.height, "next": step.cursor, "rows": rows, "size": head.size})


def _find_cursor(after: int | None, last_event_id: str | None) -> int:
    """Where to go on: index 0 is a genesis leaf, so behind it is the beginning."""
    if last_event_id is None:
        return after or 0
    try:
        return read_decimal(last_event_id)
    except ValueError as error:
        raise Refused("BAD_REQUEST", parameter="Last-Event-ID", reason=str(error)) from None


def _wants_stream(accept: str) -> bool:
    return any(part.split(";")[0].strip().lower() == MEDIA_TYPE for part in accept.split(","))


class EventStream(Response):
    """One open stream, from its first byte to its last."""

    media_type = MEDIA_TYPE

    def __init__(self, streams: Streams, *, request: Request, role: Role, after: int) -> None:
        super().__init__()
        self._streams = streams
        self._request = request
        self._role = role
        self._cursor = after
        self._told_at = 0.0

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Events go out until somebody ends it."""
        with self._streams.enter(self._role), self._streams.feed.bell.listen() as woken:
            await send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
            await self._send(send, b"retry: %d\n\n" % _RECONNECT_MILLIS)
            gone = asyncio.ensure_future(_watch(receive, woken))
            try:
                last = await self._push(send, woken, gone)
            finally:
                gone.cancel()
            await self._send(send, last, is_last=True)

    async def _push(self, send: Send, woken: asyncio.Event, gone: asyncio.Future[None]) -> bytes:
        """Everything, as it happens; then the last words of the stream."""
        while not gone.done():
            # Cleared before the log is looked at: what is added after the look rings again.
            woken.clear()
            if self._streams.feed.is_closed:
                return _encode_end("STOPPING")
            try:
                step = await self._streams.read(self._role, self._cursor, check=partial(ask, self._request))
            except Refused as refusal:
                return _encode_end(refusal.code)
            self._cursor = step.cursor
            if step.items:
                await self._send(send, b"".join(map(_encode_event, step.items)))
            if not step.is_end:
                if time.monotonic() - self._told_at >= PROGRESS_SECONDS:
                    await self._send_progress(send)
                continue
            try:
                await asyncio.wait_for(woken.wait(), KEEP_ALIVE_SECONDS)
            except TimeoutError:
                await self._send_progress(send)
        return b""

    async def _send_progress(self, send: Send) -> None:
        """A comment for whoever stands between, and how far the log was looked through: an id without data
        is kept by the client and tells its program nothing.
        """
        await self._send(send, b":\nid: %d\n\n" % self._cursor)

    async def _send(self, send: Send, data: bytes, *, is_last: bool = False) -> None:
        self._told_at = time.monotonic()
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await send({"type": "http.response.body", "body": data, "more_body": not is_last})
        except TimeoutError:
            raise Disconnected from None


async def _watch(receive: Receive, woken: asyncio.Event) -> None:
    """The client is gone, and the stream is woken to hear it."""
    while (await receive())["type"] != "http.disconnect":
        pass
    woken.set()


def _encode_event(item: Any) -> bytes:
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (item.index, item.kind.encode("ascii"), encode_item(item))


def _encode_end(code: str) -> bytes:
    """Why a stream ends. It has no id: the cursor stays where it was."""
    return b'event: end\ndata: {"code":"%b"}\n\n' % code.encode("ascii")
