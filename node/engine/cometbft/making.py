"""The engine of a data directory, where its ledger has validators."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from node.engine.cometbft.home import HOME_FOLDER, is_prepared
from node.keystore import Unusable, check_private_folder

if TYPE_CHECKING:
    from node.config import Config
    from node.engine.interface import EngineMaker


def has_engine(config: Config) -> bool:
    """Whether CometBFT belongs to this directory: from its genesis on, or since it was prepared for it."""
    return config.origin.settings.engine == "cometbft" or is_prepared(config.directory / HOME_FOLDER)


def find_chain_kind(config: Config) -> dict[str, Any]:
    """How its chain is opened, for `node.startup.open_chain`: a validator's, or as any."""
    if not has_engine(config):
        return {}
    from node.engine.cometbft.validator_chain import ValidatorChain  # noqa: PLC0415 - only where it is needed

    return {"make_chain": ValidatorChain, "is_certified": True}


def find_engine_maker(config: Config) -> EngineMaker | None:
    """What makes the engine; None for one sequencer's, which the core makes by itself, or leaves at rest
    where it has handed over and this directory is not prepared for the validators' engine.

    Raises `Unusable` where CometBFT, its folder or what speaks with it is missing.
    """
    if not has_engine(config):
        return None
    try:
        from node.engine.cometbft.engine import CometEngine  # noqa: PLC0415 - its dependency is an extra
    except ModuleNotFoundError as error:
        advice = "pip install 'commonpoint[node,cometbft]'"
        raise Unusable("EXTRA_MISSING", advice=advice, module=error.name) from None
    from node.engine.cometbft.binary import find_program  # noqa: PLC0415 - as above, only where it is needed

    home = config.directory / HOME_FOLDER
    if not home.is_dir():
        advice = "Restore it from its backup. Never run one validator's keys in two places."
        raise Unusable("COMETBFT_HOME_MISSING", advice=advice, path=str(home))
    check_private_folder(home / "config")
    return partial(CometEngine, directory=config.directory, program=find_program())
