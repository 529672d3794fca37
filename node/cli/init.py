"""`commonpoint init`: a new ledger in a new folder, with the operator's keys in it; or the folder of another
validator of one that was founded.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from node.cli import init_options as options
from node.cli.init_options import EngineKind, StoreKind
from node.cli.tell import tell

if TYPE_CHECKING:
    from ledger.genesis import Constitution
    from node.config import Config
    from node.engine.cometbft.founding import Validator


def init(
    directory: options.Directory,
    *,
    name: options.ChainName = "demo",
    operator: options.OperatorId = "operator",
    operator_name: options.OperatorName = None,
    participant: options.ParticipantFiles = None,
    parameter: options.Parameters = None,
    constitution: options.ConstitutionSource = None,
    currency: options.SettlementCurrency = "CNY",
    utc_offset_minutes: options.OffsetMinutes = 480,
    simulated: options.IsSimulated = False,
    store: options.Store = StoreKind.SQLITE,
    time: options.FirstTime = None,
    engine: options.Engine = EngineKind.SOLO,
    validators: options.ValidatorFiles = None,
    validator_keys: options.ValidatorKeys = None,
    genesis: options.Genesis = None,
    later: options.IsLater = False,
    listen: options.Listen = None,
) -> None:
    """Begin a ledger in DIR: genesis, policy, and encrypted keys for the operator and the log."""
    from node.config import init_data_dir, read_participant
    from node.core import get_system_time

    own = _find_own(engine, genesis, keys=validator_keys, files=validators)
    if genesis is not None and own is not None:
        _tell_begun(_join(directory, genesis, *own, listen=listen, is_later=later), store=store)
        return
    participants = [read_participant(path) for path in participant or ()]
    how: dict[str, Any] = {
        "name": name,
        "operator": operator,
        "operator_name": operator_name,
        "participants": participants,
        "clock": "simulated" if simulated else "system",
        "currency": currency,
        "utc_offset_minutes": utc_offset_minutes,
        "parameters": dict(_read_parameter(each) for each in parameter or ()),
        "constitution": _find_constitution(
            constitution, operator=operator, others=[one.participant for one in participants]
        ),
        "store": store.value,
        "time": get_system_time() if time is None else time,
    }
    if own is None:
        config = init_data_dir(directory, **how)
    else:
        # An extra, which a ledger of one sequencer does without.
        from node.engine.cometbft.founding import found_ledger

        keys, files = own
        config = found_ledger(directory, keys=keys, validators=_read_validators(files), listen=listen, **how)
    _tell_begun(config, store=store)


def _tell_begun(config: Config, *, store: StoreKind) -> None:
    from node.config import ADDRESS_VARIABLE, POSTGRESQL_FILE

    directory = config.directory
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


def _find_own(
    engine: EngineKind, genesis: Path | None, *, keys: Path | None, files: list[Path] | None
) -> tuple[Path, list[Path]] | None:
    """Whose keys a validator's folder is made with, and who the validators are; None for a sequencer's."""
    if engine is EngineKind.SOLO and genesis is None:
        if keys is not None or files:
            raise typer.BadParameter(
                "validators make blocks with --engine cometbft", param_hint="--validators"
            )
        return None
    if keys is None or not files:
        raise typer.BadParameter(
            "name every validator's validator.json, and the folder with one's own keys: "
            "commonpoint validator new makes both",
            param_hint="--validators, --validator-keys",
        )
    return keys, files


def _join(
    directory: Path, genesis: Path, keys: Path, files: list[Path], *, listen: str | None, is_later: bool
) -> Config:
    from node.engine.cometbft.founding import join_ledger

    try:
        leaves = genesis.read_bytes().removesuffix(b"\n").split(b"\n")
    except OSError as error:
        raise typer.BadParameter(f"{genesis}: {error.strerror}", param_hint="--genesis") from None
    return join_ledger(
        directory,
        genesis=leaves,
        keys=keys,
        validators=_read_validators(files),
        listen=listen,
        is_later=is_later,
    )


def _read_validators(files: list[Path]) -> list[Validator]:
    from node.engine.cometbft.founding import read_validator

    return [read_validator(path) for path in files]


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
