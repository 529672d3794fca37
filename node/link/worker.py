"""A worker: one process that serves the API, and the local socket, for a core in another.

It is started by `node.link.supervisor` with its end of a socket pair and the two listening sockets, hears
from the core what it needs to know, and ends when the core says so or is gone. What it holds is a copy or a
cache; one that is killed takes nothing with it but its connections.

    python -m node.link.worker LINK_FD HTTP_FD LOCAL_FD
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import msgspec
import structlog
import uvicorn
from starlette.types import Scope

from ledger.errors import InvariantBroken
from node.api.app import assemble, make_site
from node.api.limits import find_account
from node.api.server import make_server_config
from node.cli.logs import write_logs
from node.core import get_system_time
from node.feed import Feed
from node.link import wire
from node.link.figures import list_samples
from node.link.line import Line
from node.link.local_socket import LocalConnection
from node.link.loops import make_runner
from node.link.remote_core import RemoteCore, RemoteDesk, RemoteNonces, RemoteWitness
from node.link.taking import Taker
from node.link.wire import FromWorker
from node.metrics import Metrics
from node.process import tame_garbage_collector
from node.tokens import TokenIssuer
from node.witness.beside import serve_beside

_FIGURES_SECONDS: Final = 1.0
_ORPHAN_SECONDS: Final = 3.0
"""So long a worker without a core may take to tell those who wait, and to end."""

log = structlog.get_logger("commonpoint.link")
_KEEP_FILE: Final[dict[str, Any]] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
"""The socket's file is the core's to remove: other workers listen on it."""


class Worker:
    """What a worker does with what it hears from its core."""

    def __init__(self, http: socket.socket, local: socket.socket) -> None:
        self._http = http
        self._local = local
        self._loop = asyncio.get_running_loop()
        self._setup: asyncio.Future[wire.Setup] = self._loop.create_future()
        self._connections: set[LocalConnection] = set()
        self._metrics = Metrics()
        self._blocks: list[wire.Block] = []
        self._note: str | None = None
        self._core: RemoteCore | None = None
        self._feed: Feed | None = None
        self._server: _Server | None = None
        self._is_stopping = False
        self._told: list[wire.Sample] = []
        self.line = Line(self)

    def begin(self, setup: wire.Setup) -> None:
        """The core has said what this worker needs to know."""
        self._setup.set_result(setup)

    def extend(self, block: wire.Block) -> None:
        """The chain has moved on; whoever waits for events is woken."""
        if self._core is None:
            self._blocks.append(block)
            return
        try:
            self._core.tree.extend(block)
        except InvariantBroken as error:
            # A copy that does not fit proves nothing. The one who comes instead begins with a fresh one.
            log.critical("the copy of the tree does not fit", error=str(error))
            os._exit(3)
        if self._feed is not None:
            self._feed.bell.ring()

    def cosign(self, note: str) -> None:
        """The newest checkpoint has more lines under it."""
        self._note = note
        if self._core is not None:
            self._core.tree.add_cosignatures(note)

    def stop(self) -> None:
        """Whoever waits is answered, streams end, and then the process."""
        self._is_stopping = True
        if self._core is not None:
            self._core.is_ready = False
        if self._feed is not None:
            self._feed.close()
        if self._server is not None:
            self._server.should_exit = True

    def lose(self) -> None:
        """The core is gone: nothing can be promised any more."""
        if not self._setup.done():
            self._setup.set_exception(ConnectionError("the core is gone"))
        self.stop()
        self._loop.call_later(_ORPHAN_SECONDS, os._exit, 1)

    async def run(self) -> None:
        """Serve until told to stop."""
        setup = await self._setup
        core = self._core = RemoteCore(self.line, setup, clock=get_system_time)
        for block in self._blocks:
            core.tree.extend(block)
        if self._note is not None:
            core.tree.add_cosignatures(self._note)
        tokens = TokenIssuer(secret=setup.token_secret, chain=core.chain, clock=get_system_time)
        feed = self._feed = Feed(core)
        taker = Taker(core, self.line)
        app = assemble(
            make_site(
                core,
                tokens=tokens,
                metrics=self._metrics,
                clock=get_system_time,
                origins=setup.origins,
                nonces=RemoteNonces(core),
                catch_up=core.catch_up,
                cut=self._cut,
                render_figures=self._render_figures,
                feed=feed,
                webhooks=RemoteDesk(core) if setup.has_webhooks else None,
            ),
            take=taker.submit,
            answer=taker.answer,
            limits=_RemoteLimits(self.line, tokens, frozenset(setup.limited)),
            on_broken=self._break,
        )
        local = await self._loop.create_unix_server(
            lambda: LocalConnection(taker, self._connections), sock=self._local, **_KEEP_FILE
        )
        telling = self._loop.create_task(self._tell_figures())
        server = self._server = _Server(
            make_server_config(serve_beside(app, RemoteWitness(core) if setup.has_desk else None)),
            on_started=self._announce,
        )
        tame_garbage_collector()
        if not self._is_stopping:
            await server.serve(sockets=[self._http])
        local.close()
        for connection in list(self._connections):
            await connection.finish()
        telling.cancel()
        self._send_figures()

    def hear_signal(self) -> None:
        """Somebody ends this worker alone: it answers whoever waits, and another takes its place."""
        self.stop()

    def _announce(self) -> None:
        self.line.send(FromWorker.READY, None)

    async def _cut(self, time: int, transactions: int) -> dict[str, int]:
        done = await asyncio.wrap_future(self.line.call("cut", time, transactions))
        return msgspec.msgpack.decode(done, type=dict[str, int])

    def _render_figures(self) -> bytes:
        """The whole node's, in which this worker's are of this moment."""
        self._loop.call_soon_threadsafe(self._send_figures)
        if self._core is None:
            raise InvariantBroken("WORKER_NOT_BEGUN")
        data: bytes = self._core.call("figures", kind=bytes)
        return data

    async def _tell_figures(self) -> None:
        while True:
            await asyncio.sleep(_FIGURES_SECONDS)
            self._send_figures()

    def _send_figures(self) -> None:
        samples = list_samples(self._metrics)
        if samples != self._told:
            self._told = samples
            self.line.send(FromWorker.FIGURES, samples)

    def _break(self, error: InvariantBroken) -> None:
        """A promise that was found broken here stops the node."""
        fault = wire.make_fault(error)
        self.line.call("broken", fault.code, fault.facts)


class _RemoteLimits:
    """Requests are counted in the core, one memory for all workers."""

    def __init__(self, line: Line, tokens: TokenIssuer, limited: frozenset[str]) -> None:
        self._line = line
        self._tokens = tokens
        self._limited = limited

    def count_request(self, scope: Scope) -> Awaitable[None] | None:
        """As `node.api.rim.RequestLimits`."""
        account = find_account(scope, self._tokens)
        if account is None or account[0] not in self._limited:
            return None
        return self._count(*account)

    async def _count(self, limit: str, key: str) -> None:
        await asyncio.wrap_future(self._line.call("count", limit, key))


class _Server(uvicorn.Server):
    """Uvicorn, which tells when it can be reached and leaves signals to the worker."""

    def __init__(self, config: uvicorn.Config, *, on_started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = on_started

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """They are the worker's."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Reachable from here on, and said so."""
        await super().startup(sockets)
        if self.started:
            self._on_started()


async def _run(link: socket.socket, http: socket.socket, local: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    worker = Worker(http, local)
    # Ctrl-C reaches every process of the terminal; the core says when its workers end.
    loop.add_signal_handler(signal.SIGINT, lambda: None)
    loop.add_signal_handler(signal.SIGTERM, worker.hear_signal)
    await loop.create_connection(lambda: worker.line, sock=link)
    await worker.run()


def main(arguments: list[str]) -> int:
    """Run until told to stop."""
    os.umask(0o077)
    write_logs()
    link, http, local = (socket.socket(fileno=int(each)) for each in arguments)
    with make_runner() as runner:
        runner.run(_run(link, http, local))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
