"""What any program that serves needs around its app: an address of its own, a server that says when it can be
reached, and one thing that ends it.

Nothing here knows what is served.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final, Self

import structlog
import uvicorn

from ledger.errors import CommonpointError, InvariantBroken
from node.keystore import Unusable
from node.link.supervisor import Supervisor

_TICK_SECONDS: Final = 0.25
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

log = structlog.get_logger()


class Server(uvicorn.Server):
    """Uvicorn, which tells when it can be reached, and lets nobody wait for a block that will not come."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        announce: Callable[[], None],
        let_go: Sequence[Callable[[], None]],
    ) -> None:
        super().__init__(config)
        self._announce = announce
        self._let_go = let_go
        """What ends the waiting of requests that no block would end any more."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Reachable from here on, and said so."""
        await super().startup(sockets)
        if self.started:
            self._announce()

    async def main_loop(self) -> None:
        """Until it is told to end. Looks less often than uvicorn's own: a node that rests should rest."""
        # At 0 a tick also sets the date that answers carry. A signal sets a flag, and so can no event.
        while not await self.on_tick(0):  # noqa: ASYNC110
            await asyncio.sleep(_TICK_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Submissions that wait are answered and streams ended first, so that every request can end."""
        for end_waiting in self._let_go:
            end_waiting()
        await super().shutdown(sockets)


class Stop:
    """What ends a node: a signal, or a promise it could not keep. Each is heard while it loads and while it
    serves.

    The server catches signals while it runs and raises them once more when it is done. They are heard here a
    second time then, and change nothing: the node is stopping, and must finish. Once it has, this process is
    deaf: what it ended with is its status, however often it is told still.
    """

    def __init__(self) -> None:
        self.failure: CommonpointError | None = None
        self._is_asked = False
        self._server: uvicorn.Server | Supervisor | None = None
        for number in _SIGNALS:
            signal.signal(number, self._hear)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Python gives signals back to the system before it ends, and the next one would be the status.
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)

    @property
    def is_asked(self) -> bool:
        """Whether somebody or something has ended it."""
        return self._is_asked

    def hand_over(self, server: uvicorn.Server | Supervisor) -> bool:
        """From here on the server is what has to stop. Whether it should start at all."""
        self._server = server
        return not self._is_asked

    def ask(self, error: CommonpointError | None = None) -> None:
        """The node stops because of a fault, and says which."""
        self.failure = self.failure or error or InvariantBroken("ENGINE_STOPPED")
        self._is_asked = True
        if self._server is not None:
            self._server.should_exit = True

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        if self._is_asked and self._server is None:
            # Asked twice while it loads: loading does nothing that the next start would not do again.
            raise SystemExit(128 + number)
        if not self._is_asked:
            log.info("stopping", signal=signal.Signals(number).name)
        self._is_asked = True
        if isinstance(self._server, Supervisor):
            # Uvicorn catches signals by itself while it runs.
            self._server.should_exit = True


@contextmanager
def listen(host: str, port: int) -> Iterator[socket.socket]:
    """The address is ours. Raises `Unusable`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        advice = "Stop what uses it, or choose another --host or --port."
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise Unusable("ADDRESS_NOT_FREE", advice=advice, host=host, port=port, reason=reason) from None
    with listener:
        yield listener


def get_address(listener: socket.socket) -> str:
    """Where it can be reached."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
