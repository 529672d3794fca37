"""Where the pieces of a follower are put together, as `node.app` does it for a node that makes blocks.

It answers once it has come as far as its sources were when it started. Where several processes found that
something is not as it has to be, the chain is opened anew from what is stored and the stretch gone again step
by step, which names what it is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from contracts.rulebook import CURRENT
from node.api.limits import get_default_rates, read_rates
from node.app import UMASK, Served, hold_data_dir, serve_core
from node.audit.preparing import Irregular
from node.audit.sources import SourceUnavailable
from node.config import Config
from node.disk_space import DiskSpace, read_watermarks, watch_disk
from node.feed import Feed
from node.fold_process import FoldApart
from node.follower.beginning import COSIGN_PURPOSE, open_directory, read_cosigner_name
from node.follower.chain import Cosigner, FollowedChain, read_target
from node.follower.core import FollowerCore
from node.follower.following import Diverged, Follower
from node.follower.sources import Sources, open_source
from node.follower.tokens import Tokens
from node.follower.told import Following
from node.follower.witnessing import FollowerDesk
from node.process import tame_garbage_collector
from node.serving import Stop, get_address, listen
from node.startup import load_chain_as
from node.storage.store import open_store

log = structlog.get_logger()
WORKERS_MAX: Final = 3
_AGAIN_SECONDS: Final = 2.0
Step = Callable[[str], None]


def open_sources(how: Following) -> Sources:
    """Every source, with the token that lets it read entry bundles."""
    tokens = Tokens(how.token, how.token_file)
    return Sources([open_source(place, tokens) for place in how.sources])


def open_followed_chain(
    config: Config, *, on_step: Step = lambda _step: None, is_apart: bool = True
) -> FollowedChain:
    """The chain as far as it is stored, over a data directory whose lock the caller holds."""
    target = read_target(config.directory)
    cosigner = Cosigner(
        read_cosigner_name(config), config.open_signer(COSIGN_PURPOSE), lambda: int(time.time())
    )
    place = config.database
    store = open_store(place, CURRENT)
    make_writer = partial(FoldApart, store, place) if is_apart and isinstance(place, Path) else None
    try:
        return load_chain_as(
            lambda **known: FollowedChain(folder=config.directory, cosigner=cosigner, target=target, **known),
            store,
            origin=config.origin,
            signer=cosigner.signer,
            on_step=on_step,
            make_writer=make_writer,
            vouched_size=0 if target is None else target.checkpoint.size,
        )
    except BaseException:
        store.close()
        raise


def catch_up_first(
    config: Config,
    sources: Sources,
    *,
    workers: int,
    is_stopping: Callable[[], bool],
    disk: DiskSpace | None = None,
    on_step: Step = lambda _step: None,
    is_apart: bool = True,
) -> Follower:
    """A follower that has come as far as its sources are, not started yet. Where the ``disk`` runs out of
    room it waits for some. Raises `Diverged`.
    """
    while True:
        chain = open_followed_chain(config, on_step=on_step, is_apart=is_apart)
        follower = Follower(chain, sources, disk=disk)
        try:
            _arrive(follower, workers=workers, is_stopping=is_stopping)
        except Diverged as error:
            chain.close()
            chain.store.close()
            if not workers or error.code == "LOG_FORKED":
                raise
        except Irregular as error:
            log.warning("what was read is irregular; looking again, step by step", error=str(error))
            chain.close()
            chain.store.close()
        except BaseException:
            chain.close()
            chain.store.close()
            raise
        else:
            return follower
        workers = 0


def _arrive(follower: Follower, *, workers: int, is_stopping: Callable[[], bool]) -> None:
    """The chain is at a signed checkpoint, the newest that any source shows; or it was told to stop."""
    chain = follower.chain
    while not is_stopping():
        try:
            follower.begin(workers=workers, is_stopping=lambda: is_stopping() or follower.disk.is_low)
        except SourceUnavailable as error:
            log.warning("nobody has what is missing", error=str(error))
            if not chain.is_clean:
                raise Irregular(str(error)) from None
        if chain.has_arrived():
            return
        if not is_stopping():
            time.sleep(_AGAIN_SECONDS)


def serve_follower(
    directory: Path,
    how: Following,
    *,
    host: str,
    port: int,
    origins: Sequence[str] = (),
    limits: Sequence[str] = (),
    workers: int = 0,
    storage: tuple[str | None, str | None] = (None, None),
    announce: Callable[[Config, str], None],
) -> None:
    """A follower runs until it is told to stop, or finds something that is not as it has to be. Its options
    are those of any node (`node.app.serve`); where there is no room on the disk it fetches nothing more.

    Raises `Unusable`, `Diverged`, or `InvariantBroken` when it cannot go on.
    """
    os.umask(UMASK)
    marks = read_watermarks(*storage)
    sources = open_sources(how)
    config = open_directory(
        directory, sources, chain=how.chain, cosigner=how.cosigner, is_postgresql=how.is_postgresql
    )
    rates = read_rates(limits, default=get_default_rates(config.origin.settings.clock))
    disk = DiskSpace()
    with (
        hold_data_dir(config),
        listen(host, port) as listener,
        watch_disk(disk, directory, marks),
        Stop() as stop,
    ):
        tame_garbage_collector()
        helpers = min(WORKERS_MAX, (os.cpu_count() or 1) - 1)
        follower = catch_up_first(
            config, sources, workers=helpers, is_stopping=lambda: stop.is_asked, disk=disk
        )
        core = FollowerCore(follower)
        core.policies.keep_in(config.directory)
        core.desk = FollowerDesk(
            config.directory, core, name=read_cosigner_name(config), signer=config.open_signer(COSIGN_PURPOSE)
        )
        feed = Feed(core)
        core.on_moved = feed.bell.ring
        core.on_failure = lambda: stop.ask(core.halted)
        served = Served(
            config=config,
            core=core,
            origins=origins,
            rates=rates,
            feed=feed,
            webhooks=None,
            stop=stop,
            announce=lambda: announce(config, get_address(listener)),
        )
        try:
            if follower.chain.has_arrived():
                serve_core(served, workers, listener, before=follower.start)
        finally:
            core.stop()
    if stop.failure is not None:
        raise stop.failure
