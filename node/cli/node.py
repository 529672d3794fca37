"""`commonpoint node`: run a node until it is told to stop."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from node.cli.node_options import (
    Chain,
    CosignerName,
    Data,
    Follow,
    Host,
    Limits,
    Origins,
    Port,
    Postgresql,
    StorageResume,
    StorageStop,
    Token,
    TokenFile,
    ToPrivate,
    Workers,
)
from node.cli.tell import BAD, tell, tell_error
from node.follower.told import COSIGNER_FILE, Following
from node.process import pause_garbage_collector

if TYPE_CHECKING:
    from node.config import Config


def node(
    *,
    data: Data,
    host: Host = "127.0.0.1",
    port: Port = 8710,
    origin: Origins = None,
    limit: Limits = None,
    workers: Workers = 0,
    webhooks_to_private: ToPrivate = False,
    storage_stop: StorageStop = None,
    storage_resume: StorageResume = None,
    follow: Follow = None,
    chain: Chain = None,
    token: Token = None,
    token_file: TokenFile = None,
    cosigner: CosignerName = None,
    postgresql: Postgresql = False,
) -> None:
    """Run a node over DIR. It answers once it has read the log; SIGINT and SIGTERM stop it cleanly."""
    from node.cli.logs import write_logs
    from node.engine.cometbft.keeping import Keeper, needs_keeper, watch_keeper

    write_logs()
    if follow:
        if webhooks_to_private:
            raise typer.BadParameter("a follower delivers no webhooks")
        _follow(
            data,
            Following(
                follow,
                chain=chain,
                token=token,
                token_file=token_file,
                cosigner=cosigner,
                is_postgresql=postgresql,
            ),
            host=host,
            port=port,
            origins=origin or (),
            limits=limit or (),
            workers=workers,
            storage=(storage_stop, storage_resume),
        )
        return
    if chain or cosigner or token_file or postgresql:
        raise typer.BadParameter("--chain, --cosigner, --postgresql and --token-file go with --follow")
    if (data / COSIGNER_FILE).exists():
        raise typer.BadParameter(
            "this folder follows a log: say where from, --follow URL", param_hint="--data"
        )
    if needs_keeper(data):
        raise typer.Exit(Keeper(sys.argv[1:], announce=typer.echo).run())
    watch_keeper()
    # Not before: a keeper does without what a node is made of, and starts it sooner.
    with pause_garbage_collector():
        from node.app import serve

    serve(
        data,
        host=host,
        port=port,
        origins=origin or (),
        limits=limit or (),
        webhooks_to_private=webhooks_to_private,
        workers=workers,
        storage=(storage_stop, storage_resume),
        announce=_announce,
    )
    tell("stopped")


def _follow(data: Path, how: Following, **where: Any) -> None:
    """As `node`. Ends with status 1 where what the log holds is not what executing it makes."""
    with pause_garbage_collector():
        from node.follower.following import Diverged
        from node.follower.serving import serve_follower

    try:
        serve_follower(data, how, announce=_announce, **where)
    except Diverged as error:
        tell_error(error)
        raise typer.Exit(BAD) from None
    tell("stopped")


def _announce(config: Config, address: str) -> None:
    """One line on standard output that a program can wait for, the rest for people."""
    typer.echo(address)
    tell(f"{config.origin.chain} is served at {address} (its API: {address}/docs)")
