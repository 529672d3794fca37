"""`commonpoint node`: run a node until it is told to stop."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.tell import tell

if TYPE_CHECKING:
    from node.config import Config


def node(
    *,
    data: Annotated[Path, typer.Option(metavar="DIR", help="The data directory.", envvar="COMMONPOINT_DATA")],
    host: Annotated[str, typer.Option(help="Where to listen.", envvar="COMMONPOINT_HOST")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="0 takes a free one.", min=0, max=65535, envvar="COMMONPOINT_PORT")
    ] = 8710,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Another address by which clients know this node (behind a TLS proxy); repeatable.",
        ),
    ] = None,
    limit: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER",
            help="So many a second of transactions, messages (of one participant), reads (of one token) or"
            " addresses (requests without a token from one address); 0 is no limit; repeatable.",
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            help="Processes of their own for the API and for DIR/core.sock; 0: the API in the node's own.",
            min=0,
            max=64,
            envvar="COMMONPOINT_WORKERS",
        ),
    ] = 0,
    webhooks_to_private: Annotated[
        bool,
        typer.Option(
            "--webhooks-to-private",
            help="Webhooks may also lead to this machine and to private networks, over plain http too.",
        ),
    ] = False,
) -> None:
    """Run a node over DIR. It answers once it has read the log; SIGINT and SIGTERM stop it cleanly."""
    from node.app import serve
    from node.cli.logs import write_logs

    write_logs()
    serve(
        data,
        host=host,
        port=port,
        origins=origin or (),
        limits=limit or (),
        webhooks_to_private=webhooks_to_private,
        workers=workers,
        announce=_announce,
    )
    tell("stopped")


def _announce(config: Config, address: str) -> None:
    """One line on standard output that a program can wait for, the rest for people."""
    typer.echo(address)
    tell(f"{config.origin.chain} is served at {address} (its API: {address}/docs)")
