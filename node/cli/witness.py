"""`commonpoint witness`: run a C2SP witness until it is told to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from node.cli.tell import tell


def witness(
    *,
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="The witness's folder; made where it is new or empty.")
    ],
    log: Annotated[
        list[str],
        typer.Option(
            metavar="VKEY|FILE", help="A log's verifier key, or a policy file that lists logs; repeatable."
        ),
    ],
    name: Annotated[
        str | None, typer.Option(help="The first time: its name, as in witness.example/w1.")
    ] = None,
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 8720,
) -> None:
    """Cosign checkpoints of the logs named, each only where it continues all that was seen before."""
    from node.cli.logs import write_logs
    from node.witness.serving import serve_witness

    write_logs()
    serve_witness(data, name=name, logs=log, host=host, port=port, announce=_announce)
    tell("stopped")


def _announce(vkey: str, address: str) -> None:
    """One line on standard output that a program can wait for, the rest for people."""
    typer.echo(address)
    tell(f"{vkey} cosigns at {address}")
