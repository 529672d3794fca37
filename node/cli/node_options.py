"""The options of `commonpoint node`, and what each is for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path, typer.Option(metavar="DIR", help="The data directory.", envvar="COMMONPOINT_DATA")]
Host = Annotated[str, typer.Option(help="Where to listen.", envvar="COMMONPOINT_HOST")]
Port = Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535, envvar="COMMONPOINT_PORT")]
Origins = Annotated[
    list[str] | None,
    typer.Option(
        metavar="URL",
        help="Another address by which clients know this node (behind a TLS proxy); repeatable.",
    ),
]
Limits = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=NUMBER",
        help="So many a second of transactions, messages (of one participant), reads (of one token) or"
        " addresses (requests without a token from one address); 0 is no limit; repeatable.",
    ),
]
Workers = Annotated[
    int,
    typer.Option(
        help="Processes of their own for the API and for DIR/core.sock; 0: the API in the node's own.",
        min=0,
        max=64,
        envvar="COMMONPOINT_WORKERS",
    ),
]
ToPrivate = Annotated[
    bool,
    typer.Option(
        "--webhooks-to-private",
        help="Webhooks may also lead to this machine and to private networks, over plain http too.",
    ),
]
StorageStop = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Below so much free space (2GiB, 5%) nothing new is taken; 512MiB unless told, 0: never.",
        envvar="COMMONPOINT_STORAGE_STOP",
    ),
]
StorageResume = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="From so much free space on it is again; half as much more unless told.",
        envvar="COMMONPOINT_STORAGE_RESUME",
    ),
]
Follow = Annotated[
    list[str] | None,
    typer.Option(
        metavar="URL",
        help="Make no blocks: copy and execute those of the log at this address or in this folder;"
        " repeatable.",
    ),
]
Chain = Annotated[str | None, typer.Option(help="With --follow: the chain string you were told, name/hash.")]
Token = Annotated[
    str | None,
    typer.Option(help="With --follow: a follower's or auditor's token.", envvar="COMMONPOINT_TOKEN"),
]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="With --follow: where tokens stand that others renew: one for all, or lines of URL and token.",
    ),
]
Postgresql = Annotated[
    bool,
    typer.Option(
        "--postgresql",
        help="With --follow, the first time: the database is in PostgreSQL, at the address in"
        " COMMONPOINT_POSTGRESQL or DIR/postgresql.txt.",
    ),
]
CosignerName = Annotated[
    str | None,
    typer.Option(help="With --follow, the first time: the name of its cosignatures, as in a.example/b."),
]
