"""The options of `commonpoint init`: what a ledger begins with, or how another validator joins one."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class StoreKind(StrEnum):
    """What can keep a ledger."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


class EngineKind(StrEnum):
    """Who makes a ledger's blocks."""

    SOLO = "solo"
    COMETBFT = "cometbft"


Directory = Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is new or empty.")]
ChainName = Annotated[str, typer.Option(help="The chain's name, as in demo/1f0c….")]
OperatorId = Annotated[str, typer.Option(help="Participant id of the operator.")]
OperatorName = Annotated[str | None, typer.Option(help="The operator's name, for people.")]
ParticipantFiles = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE", help="participant.json of one who begins with it; may be repeated."),
]
Parameters = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=VALUE", help="A parameter that does not begin at its default."),
]
ConstitutionSource = Annotated[
    str | None,
    typer.Option(
        metavar="equal|FILE",
        help="Who votes: one vote for each who begins with it, or as a JSON or TOML file says. "
        "Without one the operator decides alone.",
    ),
]
SettlementCurrency = Annotated[str, typer.Option(help="Settlement currency, ISO 4217.")]
OffsetMinutes = Annotated[int, typer.Option(help="Where the ledger's days begin.")]
IsSimulated = Annotated[
    bool, typer.Option("--simulated", help="Time is told, not taken from the clock: for trials, for ever.")
]
Store = Annotated[
    StoreKind, typer.Option(help="What keeps the ledger: files in DIR, or a PostgreSQL database.")
]
FirstTime = Annotated[int | None, typer.Option(help="Milliseconds UTC before which no block is.")]
Engine = Annotated[
    EngineKind, typer.Option(help="Who makes the blocks: this node alone, or validators together.")
]
ValidatorFiles = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE", help="validator.json of each validator, one's own too; repeatable."),
]
ValidatorKeys = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="One's own validator keys, as commonpoint validator new made them."),
]
Genesis = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Join the ledger of this genesis as another of its validators."),
]
IsLater = Annotated[
    bool,
    typer.Option(
        "--later",
        help="With --genesis, and keys that it does not name: execute what the others decide, and take part "
        "once the alliance has voted this validator in.",
    ),
]
Listen = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="Where the engine listens, if not at the address it is known by."),
]
