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
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from contracts.rulebook import CURRENT
from ledger.errors import InvariantBroken
from ledger.executor import Head
from node.api.app import make_app
from node.api.limits import Rates, get_default_rates, read_rates
from node.api.server import make_server_config
from node.config import Config, load_config
from node.core import NodeCore, get_system_time
from node.disk_space import read_watermarks, watch_disk
from node.engine.cometbft.making import find_chain_kind, find_engine_maker
from node.feed import Feed
from node.head_check import HeadCheck
from node.keystore import Unusable
from node.link.host import make_supervisor
from node.link.supervisor import listen_locally
from node.process import tame_garbage_collector
from node.promising import Promiser
from node.serving import Server, Stop, get_address, listen
from node.startup import open_chain
from node.storage.atomic import read_file
from node.storage.store import open_store
from node.tokens import TokenIssuer
from node.webhooks.delivery import Webhooks
from node.witness.beside import serve_beside
from node.witnessing.aims import Aims
from node.witnessing.gathering import WITNESSED_FILE, Gatherer, read_witnesses

UMASK = 0o077
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
    signer = config.open_signer("log")
    witnesses = read_witnesses(config.directory, chain=config.origin.chain)
    make_engine = find_engine_maker(config)
    chain = open_chain(
        config.database,
        genesis=config.origin.leaves,
        signer=signer,
        is_apart=True,
        check_head=HeadCheck(config.origin.chain, witnesses, config.directory),
        **find_chain_kind(config),
    )
    begun = chain.checkpoint
    core = NodeCore(chain, clock=clock, make_engine=make_engine)
    core.policies.keep_in(config.directory)
    # It may be the last that a retired key has signed; a block that fell due may have replaced it by now.
    if begun and not core.policies.offer(begun):
        Aims(core, witnesses, config.directory).hold(begun)
    witnessed = read_file(config.directory / WITNESSED_FILE)
    if witnessed is not None:
        core.policies.note(witnessed.decode("utf-8", "replace"))
    core.promiser = Promiser(core, signer, config.directory)
    core.promiser.resubmit()
    return core


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
    storage: tuple[str | None, str | None] = (None, None),
    announce: Callable[[Config, str], None],
) -> None:
    """A node runs until it is told to stop. ``limits`` are ``name=number`` (`node.api.limits`); with
    ``webhooks_to_private`` webhooks may lead into the operator's own network (`node.webhooks.addresses`).
    The API is served by so many ``workers`` (`node.link`), or by this process where there are none. Of
    ``storage``, below so much free space nothing new is taken, and from so much on it is again
    (`node.disk_space`).

    Raises `Unusable`, or `InvariantBroken` when it cannot go on.
    """
    os.umask(UMASK)
    config = load_config(directory)
    config.check_private()
    rates = read_rates(limits, default=get_default_rates(config.origin.settings.clock))
    marks = read_watermarks(*storage)
    with hold_data_dir(config), listen(host, port) as listener, Stop() as stop:
        core = open_core(config)
        core.on_failure = lambda: stop.ask(core.failure)
        if not core.is_ready and not core.is_at_rest:
            # It failed before anybody could hear of it.
            stop.ask(core.failure)
        feed = Feed(core)
        try:
            with (
                watch_disk(core.disk, directory, marks),
                _gather(config, core),
                _deliver(config, feed, to_private=webhooks_to_private, on_broken=stop.ask) as webhooks,
            ):
                how = Served(
                    config=config,
                    core=core,
                    origins=origins,
                    rates=rates,
                    feed=feed,
                    webhooks=webhooks,
                    stop=stop,
                    announce=lambda: announce(config, get_address(listener)),
                )
                serve_core(how, workers, listener)
        finally:
            core.stop()
    if stop.failure is not None:
        raise stop.failure


class Served(NamedTuple):
    """What is served, whichever process does it."""

    config: Config
    core: NodeCore
    origins: Sequence[str]
    rates: Rates
    feed: Feed
    webhooks: Webhooks | None
    """None at a follower, which delivers none."""
    stop: Stop
    announce: Callable[[], None]


def serve_core(
    how: Served, workers: int, listener: socket.socket, *, before: Callable[[], None] = lambda: None
) -> None:
    """The core is served by so many workers, or by this process where there are none, until it is told to
    stop; ``before`` that, once whoever listens to the core does. Raises `Unusable`.
    """
    if workers:
        _serve_by_workers(how, workers, listener, before)
    else:
        _serve_here(how, listener, before)


def _serve_here(how: Served, listener: socket.socket, before: Callable[[], None]) -> None:
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
    server = Server(
        make_server_config(serve_beside(app, how.core.desk)),
        announce=how.announce,
        let_go=(how.core.close_intake, how.feed.close),
    )
    before()
    tame_garbage_collector()
    if how.stop.hand_over(server):
        server.run(sockets=[listener])


def _serve_by_workers(how: Served, workers: int, listener: socket.socket, before: Callable[[], None]) -> None:
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
        before()
        tame_garbage_collector()
        if how.stop.hand_over(supervisor):
            supervisor.run()


@contextmanager
def _gather(config: Config, core: NodeCore) -> Iterator[None]:
    """Witnesses are asked to cosign meanwhile, as the policy in force and the data directory name them."""
    listed = read_witnesses(config.directory, chain=config.origin.chain)
    gatherer = Gatherer(core, Aims(core, listed, config.directory), config.directory)
    gatherer.start()
    try:
        yield
    finally:
        gatherer.stop()


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


def rebuild(directory: Path) -> Head:
    """State and look-ups are made anew from the log alone. Raises `Unusable`, or as a start does."""
    os.umask(UMASK)
    config = load_config(directory)
    config.check_private()
    if isinstance(config.database, Path) and not config.database.exists():
        raise Unusable("NOTHING_TO_REBUILD", advice="Start the node once.", path=str(config.database))
    with hold_data_dir(config):
        store = open_store(config.database, CURRENT)
        store.fold.clear()
        store.close()
        # A start makes everything folded again, and holds each leaf against it. No engine is needed for it.
        chain = open_chain(
            config.database,
            genesis=config.origin.leaves,
            signer=config.open_signer("log"),
            is_apart=True,
            **find_chain_kind(config),
        )
        head = chain.executor.head
        chain.close()
        chain.store.close()
        return head
