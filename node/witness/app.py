"""The witness over HTTP: two routes, and nothing to log in to.

    POST /add-checkpoint            C2SP tlog-witness
    GET  /<origin hash>/checkpoint  the newest cosigned checkpoint of a log, for monitors

Requests are not authenticated: the log's signature under the checkpoint is all that counts.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from ledger.errors import Refused
from node.api.bodies import Disconnected, read_body
from node.witness.protocol import REQUEST_BYTES_MAX, Reply

ADD_PATH: Final = "/add-checkpoint"
SHOWN: Final = re.compile(r"/([0-9a-f]{64})/checkpoint")


class Desk(Protocol):
    """Who answers: `node.witness.desk`, or that of another process. Any thread, never the event loop."""

    def add_checkpoint(self, data: bytes) -> Reply:
        """The answer to a submission."""
        ...

    def read_checkpoint(self, origin_hash: str) -> str | None:
        """The newest cosigned checkpoint of a log, or None."""
        ...


class WitnessApp:
    """The ASGI app over a desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        try:
            reply = await self._answer(scope, receive)
        except Disconnected:
            return
        data = reply.body.encode()
        headers = [
            (b"content-type", reply.media_type.encode("ascii")),
            (b"content-length", b"%d" % len(data)),
            (b"cache-control", b"no-store"),
        ]
        if reply.status == 405:
            headers.append((b"allow", b"POST" if scope["path"] == ADD_PATH else b"GET"))
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": data})

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        path, method = scope["path"], scope["method"]
        if path == ADD_PATH:
            if method != "POST":
                return Reply(405, "POST a checkpoint\n")
            try:
                data = await read_body(scope["headers"], receive, limit=REQUEST_BYTES_MAX)
            except Refused:
                return Reply(400, f"more than {REQUEST_BYTES_MAX} bytes\n")
            # A disk is waited for, and a lock.
            return await run_in_threadpool(self._desk.add_checkpoint, data)
        shown = SHOWN.fullmatch(path)
        if shown is None:
            return Reply(404, "nothing here\n")
        if method != "GET":
            return Reply(405, "GET it\n")
        note = await run_in_threadpool(self._desk.read_checkpoint, shown[1])
        return Reply(404, "never cosigned\n") if note is None else Reply(200, note)
