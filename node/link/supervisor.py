"""Workers are started, heard, and started again when one has ended; and all end with the core.

    core process ── socket pair ── worker 1 ─┬─ one listening socket for HTTP
                 ── socket pair ── worker 2 ─┴─ one for the local socket

Both listening sockets belong to the core, so nobody who is connecting is turned away while a worker is
started again. A worker that ends by itself is told in the log; its place is taken at once, and then ever more
slowly should it keep on ending.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import structlog

from node.keystore import PASSPHRASE_VARIABLE, Unusable
from node.link import wire
from node.link.loops import make_runner
from node.link.service import Link, Service

WORKERS_MAX: Final = 64
SOCKET_FILE: Final = "core.sock"
PATH_BYTES_MAX: Final = 107
"""What the system has room for in the address of a Unix socket."""
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 15.0
_AGAIN_SECONDS: Final = 0.2
_AGAIN_SECONDS_MAX: Final = 10.0
_LOOK_SECONDS: Final = 0.1

log = structlog.get_logger("commonpoint.link")


@contextmanager
def listen_locally(directory: Path) -> Iterator[socket.socket]:
    """The local socket in the data directory is ours; the caller holds the directory. Raises `Unusable`."""
    path = directory / SOCKET_FILE
    size = len(os.fsencode(path))
    if size > PATH_BYTES_MAX:
        advice = f"Name the folder by a shorter path: {PATH_BYTES_MAX} bytes with {SOCKET_FILE} in it."
        raise Unusable("SOCKET_PATH_TOO_LONG", advice=advice, path=str(path), bytes=size)
    # A node that was killed leaves its socket behind; nobody listens there.
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        try:
            path.chmod(0o600)
            listener.listen(256)
            yield listener
        finally:
            path.unlink(missing_ok=True)


class Supervisor:
    """The workers of one core, from their start to their end."""

    def __init__(
        self,
        service: Service,
        *,
        count: int,
        http: socket.socket,
        local: socket.socket,
        make_setup: Callable[[], wire.Setup],
        announce: Callable[[], None],
        let_go: Callable[[], None],
    ) -> None:
        self.should_exit = False
        """Set from a signal's handler: the node is to stop."""
        self._service = service
        self._count = count
        self._http = http
        self._local = local
        self._make_setup = make_setup
        self._announce = announce
        self._let_go = let_go
        """What ends the waiting of submissions that no block would answer any more."""
        self._workers: set[_Worker] = set()
        self._ready = 0
        self._is_announced = False
        self.failure: Unusable | None = None

    def run(self) -> None:
        """Serve until told to stop. Raises `Unusable` where a worker cannot even be started."""
        with make_runner() as runner:
            runner.run(self._serve())
        if self.failure is not None:
            raise self.failure

    async def _serve(self) -> None:
        places = [asyncio.ensure_future(self._keep()) for _ in range(self._count)]
        # It is set by a signal's handler, which may only set what is plain.
        while not self.should_exit:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_SECONDS)
        for worker in list(self._workers):
            worker.link.stop()
        self._let_go()
        _, late = await asyncio.wait(places, timeout=STOP_SECONDS)
        for worker in list(self._workers):
            log.warning("a worker did not end in time", worker=worker.process.pid)
            worker.process.kill()
        if late:
            await asyncio.wait(late, timeout=STOP_SECONDS)

    async def _keep(self) -> None:
        """One place, with a worker in it until the node stops."""
        wait_seconds = _AGAIN_SECONDS
        while not self.should_exit:
            worker = _Worker()
            self._workers.add(worker)
            try:
                await worker.start(self, self._service)
                status = await worker.wait()
            finally:
                self._workers.discard(worker)
            if self._is_stopping():
                return
            if not self._is_announced:
                # It never served: it will not serve the next time either.
                advice = "What the worker said stands above; the usual reason is memory or an installation."
                self.failure = Unusable("WORKER_NOT_STARTED", advice=advice, status=status)
                self.should_exit = True
                return
            log.error("a worker ended", worker=worker.process.pid, status=status)
            await asyncio.sleep(wait_seconds)
            wait_seconds = _AGAIN_SECONDS if worker.was_ready else min(wait_seconds * 2, _AGAIN_SECONDS_MAX)

    def _is_stopping(self) -> bool:
        return self.should_exit

    def note_ready(self, worker: _Worker) -> None:
        """A worker serves. Once all do, the node is reachable and says so."""
        worker.was_ready = True
        self._ready += 1
        if self._ready == self._count and not self._is_announced:
            self._is_announced = True
            self._announce()

    def spawn(self, link: socket.socket) -> subprocess.Popen[bytes]:
        """A new worker process with its end of a socket pair."""
        descriptors = [each.fileno() for each in (link, self._http, self._local)]
        # The child finds the very modules that its parent runs, and no secret that it has no use for.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        environment.pop(PASSPHRASE_VARIABLE, None)
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "node.link.worker", *map(str, descriptors)],
            env=environment,
            pass_fds=descriptors,
            stdin=subprocess.DEVNULL,
        )

    def make_setup(self) -> wire.Setup:
        """What a worker is told first."""
        return self._make_setup()


class _Worker:
    """One worker process and its link."""

    link: Link
    process: subprocess.Popen[bytes]

    def __init__(self) -> None:
        self.was_ready = False
        self._ended = asyncio.Event()

    async def start(self, supervisor: Supervisor, service: Service) -> None:
        """The process runs, and its link is served."""
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = supervisor.spawn(theirs)
        self.link = Link(
            service,
            make_setup=supervisor.make_setup,
            on_ready=lambda: supervisor.note_ready(self),
            on_lost=self._ended.set,
        )
        ours.setblocking(False)
        await asyncio.get_running_loop().create_connection(lambda: self.link, sock=ours)

    async def wait(self) -> int:
        """The process has ended; its exit status."""
        # The other end of the pair is open in that process alone, so it closes when the process ends.
        await self._ended.wait()
        with suppress(subprocess.TimeoutExpired):
            return await asyncio.to_thread(self.process.wait, STOP_SECONDS)
        self.process.kill()
        return await asyncio.to_thread(self.process.wait)
