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
from node.api.app import make_app
from node.api.limits import get_default_rates, read_rates
from node.api.server import make_server_config
from node.app import UMASK, hold_data_dir, open_tokens
from node.audit.preparing import Irregular
from node.audit.sources import SourceUnavailable
from node.audit.verify import derive_policy
from node.config import Config
from node.feed import Feed
from node.fold_process import FoldApart
from node.follower.beginning import COSIGN_PURPOSE, open_directory, read_cosigner_name
from node.follower.chain import Cosigner, FollowedChain, read_target
from node.follower.core import FollowerCore
from node.follower.following import Diverged, Follower
from node.follower.sources import Sources, open_source
from node.follower.told import Following
from node.process import tame_garbage_collector
from node.serving import Server, Stop, get_address, listen
from node.startup import load_chain_as
from node.storage.atomic import read_file
from node.storage.store import open_store

log = structlog.get_logger()
WORKERS_MAX: Final = 3
_AGAIN_SECONDS: Final = 2.0
Step = Callable[[str], None]


def open_sources(how: Following) -> Sources:
    """Every source, with the token that lets it read entry bundles."""

    def read_token() -> str | None:
        if how.token_file is None:
            return how.token
        return (read_file(how.token_file) or b"").decode("utf-8", "replace").strip() or None

    return Sources([open_source(place, read_token) for place in how.sources])


def open_followed_chain(
    config: Config, *, on_step: Step = lambda _step: None, is_apart: bool = True
) -> FollowedChain:
    """The chain as far as it is stored, over a data directory whose lock the caller holds."""
    policy = derive_policy(config.origin)
    target = read_target(config.directory, policy)
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
    on_step: Step = lambda _step: None,
    is_apart: bool = True,
) -> Follower:
    """A follower that has come as far as its sources are, not started yet. Raises `Diverged`."""
    while True:
        chain = open_followed_chain(config, on_step=on_step, is_apart=is_apart)
        follower = Follower(chain, sources, policy=derive_policy(config.origin))
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
            follower.begin(workers=workers, is_stopping=is_stopping)
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
    announce: Callable[[Config, str], None],
) -> None:
    """A follower runs until it is told to stop, or finds something that is not as it has to be.

    Raises `Unusable`, `Diverged`, or `InvariantBroken` when it cannot go on.
    """
    os.umask(UMASK)
    sources = open_sources(how)
    config = open_directory(directory, sources, chain=how.chain, cosigner=how.cosigner)
    rates = read_rates(limits, default=get_default_rates(config.origin.settings.clock))
    with hold_data_dir(config), listen(host, port) as listener:
        stop = Stop()
        tame_garbage_collector()
        workers = min(WORKERS_MAX, (os.cpu_count() or 1) - 1)
        follower = catch_up_first(config, sources, workers=workers, is_stopping=lambda: stop.is_asked)
        core = FollowerCore(follower)
        feed = Feed(core)
        follower.on_shown = feed.bell.ring
        core.on_failure = lambda: stop.ask(core.halted)
        try:
            if follower.chain.has_arrived():
                follower.start()
                app = make_app(
                    core,
                    tokens=open_tokens(config),
                    origins=origins,
                    on_broken=stop.ask,
                    rates=rates,
                    feed=feed,
                )
                server = Server(
                    make_server_config(app),
                    announce=lambda: announce(config, get_address(listener)),
                    let_go=(feed.close,),
                )
                # Once more: what was read meanwhile stays as well.
                tame_garbage_collector()
                if stop.hand_over(server):
                    server.run(sockets=[listener])
        finally:
            core.stop()
    if stop.failure is not None:
        raise stop.failure
