"""Where the pieces of a node are put together, and nothing else is done.

    keys and genesis (config) ─▶ core (storage, engine) ─▶ API ─▶ server
                                                      └──▶ feed ─▶ webhooks
    with workers:                                      ─▶ link ─▶ worker: API ─▶ server

One process at a time uses a data directory: whoever runs a node or rebuilds holds its lock. Looking (the
audit, `commonpoint show`) takes none, since it reads one moment of the databases and writes nothing.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import structlog
import uvicorn

from contracts.rulebook import RULEBOOKS
from ledger.errors import InvariantBroken
from ledger.executor import Head
from node.api.app import make_app
from node.api.limits import Rates, get_default_rates, read_rates
from node.api.server import make_server_config
from node.config import Config, load_config
from node.core import NodeCore, get_system_time
from node.feed import Feed
from node.keystore import Unusable
from node.link.host import make_supervisor
from node.link.supervisor import Supervisor, listen_locally
from node.process import tame_garbage_collector
from node.storage.store import open_store
from node.tokens import TokenIssuer
from node.webhooks.delivery import Webhooks

log = structlog.get_logger()
_UMASK = 0o077
"""What a node writes is everybody's sales: its owner's alone."""


@contextmanager
def hold_data_dir(config: Config) -> Iterator[None]:
    """No other process runs a node over this directory meanwhile. Raises `Unusable`."""
    descriptor = os.open(config.lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            advice = "Stop the node that uses it first."
            raise Unusable("DATA_DIR_IN_USE", advice=advice, directory=str(config.directory)) from None
        yield
    finally:
        # The file stays: removing it would let two processes lock two files of one name.
        os.close(descriptor)


def open_core(config: Config, *, clock: Callable[[], int] = get_system_time) -> NodeCore:
    """The running core over a data directory whose lock the caller holds."""
    return NodeCore.open(
        config.database,
        genesis=config.origin.leaves,
        signer=config.open_signer("log"),
        clock=clock,
        is_apart=True,
    )


def open_tokens(config: Config, *, clock: Callable[[], int] = get_system_time) -> TokenIssuer:
    """What makes and checks bearer tokens of this node."""
    return TokenIssuer(secret=config.read_token_secret(), chain=config.origin.chain, clock=clock)


def serve(
    directory: Path,
    *,
    host: str,
    port: int,
    origins: Sequence[str] = (),
    limits: Sequence[str] = (),
    webhooks_to_private: bool = False,
    workers: int = 0,
    announce: Callable[[Config, str], None],
) -> None:
    """A node runs until it is told to stop. ``limits`` are ``name=number`` (`node.api.limits`); with
    ``webhooks_to_private`` webhooks may lead into the operator's own network (`node.webhooks.addresses`).
    The API is served by so many ``workers`` (`node.link`), or by this process where there are none.

    Raises `Unusable`, or `InvariantBroken` when it cannot go on.
    """
    os.umask(_UMASK)
    config = load_config(directory)
    config.check_private()
    rates = read_rates(limits, default=get_default_rates(config.origin.settings.clock))
    with hold_data_dir(config), _listen(host, port) as listener:
        stop = _Stop()
        core = open_core(config)
        core.on_failure = stop.ask
        if not core.is_ready:
            # It failed before anybody could hear of it.
            stop.ask()
        feed = Feed(core)
        try:
            with _deliver(config, feed, to_private=webhooks_to_private, on_broken=stop.ask) as webhooks:
                how = _Served(
                    config=config,
                    core=core,
                    origins=origins,
                    rates=rates,
                    feed=feed,
                    webhooks=webhooks,
                    stop=stop,
                    announce=lambda: announce(config, _get_address(listener)),
                )
                if workers:
                    _serve_by_workers(how, workers, listener)
                else:
                    _serve_here(how, listener)
        finally:
            core.stop()
    if stop.failure is not None:
        raise stop.failure


class _Served(NamedTuple):
    """What is served, whichever process does it."""

    config: Config
    core: NodeCore
    origins: Sequence[str]
    rates: Rates
    feed: Feed
    webhooks: Webhooks
    stop: _Stop
    announce: Callable[[], None]


def _serve_here(how: _Served, listener: socket.socket) -> None:
    """The API is in this process."""
    app = make_app(
        how.core,
        tokens=open_tokens(how.config),
        origins=how.origins,
        on_broken=how.stop.ask,
        rates=how.rates,
        feed=how.feed,
        webhooks=how.webhooks,
    )
    server = _Server(
        make_server_config(app), announce=how.announce, let_go=(how.core.close_intake, how.feed.close)
    )
    tame_garbage_collector()
    if how.stop.hand_over(server):
        server.run(sockets=[listener])


def _serve_by_workers(how: _Served, workers: int, listener: socket.socket) -> None:
    """The API is in processes of its own. Raises `Unusable`."""
    with listen_locally(how.config.directory) as local:
        supervisor = make_supervisor(
            how.core,
            database=how.config.database,
            tokens=open_tokens(how.config),
            token_secret=how.config.read_token_secret(),
            origins=how.origins,
            rates=how.rates,
            feed=how.feed,
            webhooks=how.webhooks,
            on_broken=how.stop.ask,
            workers=workers,
            http=listener,
            local=local,
            announce=how.announce,
        )
        tame_garbage_collector()
        if how.stop.hand_over(supervisor):
            supervisor.run()


@contextmanager
def _deliver(
    config: Config, feed: Feed, *, to_private: bool, on_broken: Callable[[InvariantBroken], None]
) -> Iterator[Webhooks]:
    """Webhooks are delivered meanwhile."""
    webhooks = Webhooks(config.webhooks, feed=feed, to_private=to_private, on_broken=on_broken)
    webhooks.start()
    try:
        yield webhooks
    finally:
        webhooks.stop()


class _Server(uvicorn.Server):
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

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Submissions that wait are answered and streams ended first, so that every request can end."""
        for end_waiting in self._let_go:
            end_waiting()
        await super().shutdown(sockets)


class _Stop:
    """What ends a node: a signal, or a promise it could not keep. Each is heard while it loads and while it
    serves.

    The server catches signals while it runs and raises them once more when it is done. They are heard here a
    second time then, and change nothing: the node is stopping, and must finish.
    """

    def __init__(self) -> None:
        self.failure: InvariantBroken | None = None
        self._is_asked = False
        self._server: uvicorn.Server | Supervisor | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._hear)

    def hand_over(self, server: uvicorn.Server | Supervisor) -> bool:
        """From here on the server is what has to stop. Whether it should start at all."""
        self._server = server
        return not self._is_asked

    def ask(self, error: InvariantBroken | None = None) -> None:
        """The node stops because of a fault, and says which."""
        self.failure = self.failure or error or InvariantBroken("ENGINE_STOPPED")
        self._is_asked = True
        if self._server is not None:
            self._server.should_exit = True

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        if self._is_asked and self._server is None:
            # Asked twice while it loads: loading does nothing that the next start would not do again.
            raise SystemExit(128 + number)
        log.info("stopping", signal=signal.Signals(number).name)
        self._is_asked = True
        if isinstance(self._server, Supervisor):
            # Uvicorn catches signals by itself while it runs.
            self._server.should_exit = True


@contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
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


def _get_address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def rebuild(directory: Path) -> Head:
    """State and look-ups are made anew from the log alone. Raises `Unusable`, or as a start does."""
    os.umask(_UMASK)
    config = load_config(directory)
    config.check_private()
    if isinstance(config.database, Path) and not config.database.exists():
        raise Unusable("NOTHING_TO_REBUILD", advice="Start the node once.", path=str(config.database))
    with hold_data_dir(config):
        store = open_store(config.database, RULEBOOKS[config.origin.settings.rulebook])
        store.fold.clear()
        store.close()
        # A start makes everything folded again, and holds each leaf against it.
        core = open_core(config)
        head = core.head
        core.stop()
        return head
