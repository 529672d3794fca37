"""The server: how the app is put on a socket, with bounds on what a connection may cost before the app sees
it.

The server library leaves a request's head without a bound in bytes and time. Here a head has 32 KiB and ten
seconds, a body a minute; whoever needs more is let go. What is not HTTP at all gets the same kind of problem
as everything else.

Addresses of proxies are not believed: who comes through one is not on this machine. TLS is the proxy's
business.
"""

from __future__ import annotations

import asyncio
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from node.api.problems import make_problem

HEAD_BYTES_MAX: Final = 32_768
HEAD_SECONDS: Final = 10.0
BODY_SECONDS: Final = 60.0
CONNECTIONS_MAX: Final = 4_096
KEEP_ALIVE_SECONDS: Final = 5
STOP_SECONDS: Final = 10


class BoundedProtocol(HttpToolsProtocol):
    """One connection, with bounds on each request's head and on the time it takes to arrive."""

    _deadline: asyncio.TimerHandle | None = None
    _is_in_head = True
    _head_bytes = 0
    """What came since the last request ended, while no head is whole."""
    _told_bytes = 0
    """What the parser has told of this head."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there; its first head is awaited."""
        super().connection_made(transport)
        self._set_deadline(HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._set_deadline(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes have come. A head that does not end within its bound ends the connection."""
        if self._is_in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        # One long header is gathered inside the parser, so it is what came that is counted, not what was told
        # of it.
        if self._is_in_head and self._head_bytes > HEAD_BYTES_MAX and not self.transport.is_closing():
            self.send_400_response(f"The head of a request has at most {HEAD_BYTES_MAX} bytes.")

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._told_bytes = 0
        self._set_deadline(HEAD_SECONDS)

    def on_url(self, url: bytes) -> None:
        """A piece of the address was read."""
        self._count_told(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header line was read whole."""
        self._count_told(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole; its body is awaited."""
        self._is_in_head = False
        self._head_bytes = 0
        self._set_deadline(BODY_SECONDS)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is whole; what it waits for now is ours."""
        self._is_in_head = True
        self._set_deadline(None)
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What is not a request is answered with a problem, and the connection closed."""
        problem = make_problem("BAD_REQUEST", {"reason": "not an HTTP request that is taken"}, detail=msg)
        head = [b"HTTP/1.1 400 Bad Request\r\n", b"connection: close\r\n"]
        head += [b"%b: %b\r\n" % header for header in problem.headers]
        self.transport.write(b"".join([*head, b"\r\n", problem.body]))
        self.transport.close()

    def _count_told(self, size: int) -> None:
        self._told_bytes += size
        if self._told_bytes > HEAD_BYTES_MAX:
            # The parser hands this back as a request that it could not read.
            raise ValueError("a head longer than heads may be")

    def _set_deadline(self, seconds: float | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = None if seconds is None else self.loop.call_later(seconds, self._give_up)

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


def make_server_config(app: ASGIApp, *, host: str = "127.0.0.1", port: int = 0) -> uvicorn.Config:
    """The settings a node is served with. A server that is given its sockets looks at no others."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=BoundedProtocol,
        loop="auto",
        ws="none",
        lifespan="off",
        limit_concurrency=CONNECTIONS_MAX,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
    )
