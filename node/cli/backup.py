"""`commonpoint backup` and `commonpoint restore`: a copy of a ledger, and a ledger out of a copy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.tell import tell

if TYPE_CHECKING:
    from node.storage.copying import Copied


def backup(
    data: Annotated[
        Path,
        typer.Option(metavar="DIR", help="The data directory, in use or not.", envvar="COMMONPOINT_DATA"),
    ],
    to: Annotated[
        Path,
        typer.Option(metavar="DIR", help="A folder that is new, or has an earlier backup of this ledger."),
    ],
    *,
    with_keys: Annotated[
        bool, typer.Option("--with-keys", help="The private keys too. They never change: once is enough.")
    ] = False,
) -> None:
    """Copy what is new of the log and the files beside it, and hold all of it against the signed tree."""
    from node.backup import back_up

    _set_umask()
    copied = back_up(data, to, with_keys=with_keys)
    typer.echo(f"{copied.size} leaves, height {copied.height}")
    tell(f"{copied.size - copied.before} leaves are new; {_tell_signed(copied)}.")
    if not with_keys:
        tell("Private keys were not copied: a ledger cannot go on without them, so keep them elsewhere.")


def restore(
    source: Annotated[
        Path, typer.Option("--from", metavar="DIR", help="A backup, or the data directory of a follower.")
    ],
    data: Annotated[
        Path,
        typer.Option(metavar="DIR", help="The new data directory; new or empty.", envvar="COMMONPOINT_DATA"),
    ],
    *,
    keys: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder with the log's key, where the copy has none."),
    ] = None,
    to_postgresql: Annotated[
        bool,
        typer.Option(
            "--to-postgresql",
            help="Into the empty database that COMMONPOINT_POSTGRESQL or libpq's variables name.",
        ),
    ] = False,
) -> None:
    """Make a data directory that goes on where a copy of its log ends."""
    from node import backup as backups

    _set_umask()
    copied = backups.restore(source, data, keys=keys, to_postgresql=to_postgresql)
    typer.echo(f"{copied.size} leaves, height {copied.height}")
    tell(f"It holds together; {_tell_signed(copied)}. The first start executes it and makes the views anew.")
    tell(
        f"What was acknowledged from height {copied.height + 1} on is not here. Before you start "
        "it: is there a follower, a mirror or a newer backup that has more? See docs/how-to/recovery.md."
    )


def _tell_signed(copied: Copied) -> str:
    left = copied.size - copied.signed_size
    signed = f"{copied.signed_size} are under a checkpoint that the log's key signed"
    return f"{signed}, {left} newer ones are not yet" if left else signed


def _set_umask() -> None:
    import os

    # As a node's own files: everybody's sales.
    os.umask(0o077)
