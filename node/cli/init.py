"""`commonpoint init`: a new ledger in a new folder, with the operator's keys in it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.tell import tell

if TYPE_CHECKING:
    from ledger.genesis import Constitution


class EngineKind(StrEnum):
    """Who decides what the next block is."""

    SOLO = "solo"
    COMETBFT = "cometbft"


class StoreKind(StrEnum):
    """What can keep a ledger."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is new or empty.")],
    *,
    name: Annotated[str, typer.Option(help="The chain's name, as in demo/1f0c….")] = "demo",
    operator: Annotated[str, typer.Option(help="Participant id of the operator.")] = "operator",
    operator_name: Annotated[str | None, typer.Option(help="The operator's name, for people.")] = None,
    participant: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="participant.json of one who begins with it; may be repeated."),
    ] = None,
    parameter: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A parameter that does not begin at its default."),
    ] = None,
    constitution: Annotated[
        str | None,
        typer.Option(
            metavar="equal|FILE",
            help="Who votes: one vote for each who begins with it, or as a JSON or TOML file says. "
            "Without one the operator decides alone, for ever.",
        ),
    ] = None,
    currency: Annotated[str, typer.Option(help="Settlement currency, ISO 4217.")] = "CNY",
    utc_offset_minutes: Annotated[int, typer.Option(help="Where the ledger's days begin.")] = 480,
    simulated: Annotated[
        bool,
        typer.Option("--simulated", help="Time is told, not taken from the clock: for trials, for ever."),
    ] = False,
    store: Annotated[
        StoreKind, typer.Option(help="What keeps the ledger: files in DIR, or a PostgreSQL database.")
    ] = StoreKind.SQLITE,
    time: Annotated[int | None, typer.Option(help="Milliseconds UTC before which no block is.")] = None,
) -> None:
    """Begin a ledger in DIR: genesis, policy, and encrypted keys for the operator and the log."""
    from node.config import ADDRESS_VARIABLE, POSTGRESQL_FILE, init_data_dir, read_participant
    from node.core import get_system_time

    participants = [read_participant(path) for path in participant or ()]
    config = init_data_dir(
        directory,
        name=name,
        operator=operator,
        operator_name=operator_name,
        participants=participants,
        clock="simulated" if simulated else "system",
        currency=currency,
        utc_offset_minutes=utc_offset_minutes,
        parameters=dict(_read_parameter(each) for each in parameter or ()),
        constitution=_find_constitution(
            constitution, operator=operator, others=[one.participant for one in participants]
        ),
        store=store.value,
        time=get_system_time() if time is None else time,
    )
    typer.echo(config.origin.chain)
    tell(f"A ledger begins in {directory}.")
    tell("Whoever pins the line above has agreed to every byte of its genesis.")
    if (config.keys / "passphrase").exists():
        tell(
            f"Its keys are opened by {config.keys / 'passphrase'}: whoever takes the whole folder has both. "
            "Set COMMONPOINT_PASSPHRASE before init to keep them apart."
        )
    if store is StoreKind.POSTGRESQL:
        tell(
            f"Before the first start, write the database's address to {directory / POSTGRESQL_FILE} "
            f"or set {ADDRESS_VARIABLE}."
        )
    tell(f"Next: commonpoint node --data {directory}")


def _find_constitution(told: str | None, *, operator: str, others: list[str]) -> Constitution | None:
    from node.constitution import EQUAL, make_equal_constitution, read_constitution

    if told is None:
        return None
    if told == EQUAL:
        return make_equal_constitution([operator, *others], trustee=operator)
    return read_constitution(Path(told))


def _read_parameter(text: str) -> tuple[str, int]:
    name, _, value = text.partition("=")
    if not value.isascii() or not value.isdigit():
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE with a whole number", param_hint="--parameter")
    return name, int(value)
