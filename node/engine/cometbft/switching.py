"""How a ledger that one sequencer kept goes on with validators: each prepares its own data directory from the
log as it was handed over.

    plan      the two actions of one proposal: whose log keys sign from then on, whose engines decide
    prepare   after the enactment: the log is there and executed, the keys are those that were voted in,
              CometBFT's folder follows from what the ledger says

Everything that validators must agree about they read from the ledger itself, each after executing the whole
log: who they are, the height, the time, the root. So nobody has to be believed. A copy that is not the log
that was signed, or ends before the sequencer did, is turned down here; what it holds beyond is left.

Nothing is decided here and nothing is fetched: the log comes in a folder, a backup or a data directory.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from contracts.mechanics.governance_records import ENGINE, TRUST, EngineRecord
from contracts.messages.actions import ChainValidator, SetTrustPolicy, SetValidators, SwitchEngine
from ledger.codec import from_base64url
from ledger.executor import Head
from ledger.genesis import Origin, read_genesis
from ledger.keys import SeedSigner
from ledger.log.note import VerifierKey
from ledger.log.policy import Policy, format_policy
from node import keystore
from node.app import hold_data_dir
from node.chain import ChainKeeper, Step
from node.config import (
    GENESIS_FILE,
    LOG_PURPOSE,
    Config,
    find_database,
    load_config,
    read_public_files,
)
from node.engine.cometbft.founding import (
    CONSENSUS_PURPOSE,
    NODE_PURPOSE,
    POWER,
    Validator,
    read_own,
)
from node.engine.cometbft.handing import Cut, begin_folder, find_switch, finish_folder, is_unfinished
from node.engine.cometbft.home import HOME_FOLDER, is_prepared, write_home
from node.engine.cometbft.validator_chain import ValidatorChain
from node.engine.standing import find_engine
from node.keystore import Unusable
from node.policies import POLICIES_FOLDER, name_note
from node.startup import open_chain
from node.storage.atomic import replace_file
from node.storage.snapshot import Snapshot

FORMER_LOG_KEY_FILE: Final = "log-of-the-sequencer.pem"


class Standing(NamedTuple):
    """A ledger whose log was executed to its end."""

    engine: EngineRecord | None
    head: Head
    checkpoint: str | None
    """Over all of it, where this node has one."""
    epochs: tuple[int, ...]
    """Of the trust policies that its last block enacted."""


def plan_switch(origin: Origin, validators: Sequence[Validator]) -> list[SetTrustPolicy | SwitchEngine]:
    """What is to be proposed so that these take over: in one proposal, for one belongs to the other."""
    policy, rows = _plan(origin, validators)
    return [policy, SwitchEngine("cometbft", rows)]


def plan_set(origin: Origin, validators: Sequence[Validator]) -> list[SetTrustPolicy | SetValidators]:
    """What is to be proposed so that these decide in the place of the validators there are."""
    policy, rows = _plan(origin, validators)
    return [policy, SetValidators(rows)]


def _plan(origin: Origin, validators: Sequence[Validator]) -> tuple[SetTrustPolicy, list[ChainValidator]]:
    ordered = sorted(validators, key=lambda each: each.participant)
    keys = (from_base64url(each.log_key, size=32) for each in ordered)
    policy = Policy.for_logs(VerifierKey.for_log(origin.chain, key) for key in keys)
    rows = [ChainValidator(each.participant, POWER, each.consensus_key) for each in ordered]
    return SetTrustPolicy(format_policy(policy).decode()), rows


def has_validators(config: Config) -> bool:
    """Whether validators make the blocks, as far as the node has folded what it executed; it may run."""
    if config.origin.validators:
        return True
    with Snapshot(config.database) as snapshot:
        return any(True for _ in snapshot.list_records(ENGINE))


def prepare_validator(
    directory: Path,
    *,
    source: Path | None,
    keys: Path,
    validators: Sequence[Validator],
    listen: str | None = None,
    is_later: bool = False,
    on_step: Step = lambda _step: None,
) -> tuple[Config, EngineRecord, Head]:
    """The data directory is that of the validator whose ``keys`` these are, and its node can be started: with
    the log in ``source`` up to the sequencer's last block, or where there is none with its own, the
    sequencer's. ``is_later``: it is to be voted in, or was, after the switch.

    It may be cut off anywhere, and asked for again. Raises `Unusable`; `InvalidBlock`, `InvariantBroken` or
    `Unverified` where the log is not what was signed.
    """
    seeds, own = read_own(keys, validators)
    if is_prepared(directory / HOME_FOLDER):
        advice = f"Start it: commonpoint node --data {directory}"
        raise Unusable("ALREADY_PREPARED", advice=advice, directory=str(directory))
    if source is not None and (not (directory / GENESIS_FILE).exists() or is_unfinished(directory)):
        begin_folder(source, directory, end=_find_end(source), log_seed=seeds[LOG_PURPOSE], on_step=on_step)
    config = load_config(directory)
    if source is not None and config.open_signer(LOG_PURPOSE).public != SeedSigner(seeds[LOG_PURPOSE]).public:
        advice = "Name a folder that is new or empty; what is in this one stays as it is."
        raise Unusable("FOLDER_NOT_EMPTY", advice=advice, folder=str(directory))
    with hold_data_dir(config):
        if source is None:
            # What the sequencer made is executed, and signed with its key for the last time.
            _check_ends(_execute(config), own, is_later=is_later)
            _take_log_key(config, seeds[LOG_PURPOSE], on_step=on_step)
        standing = _execute(config)
        engine = _check_ends(standing, own, is_later=is_later)
        on_step("executed")
        _keep_policy_notes(directory, standing)
        on_step("policies kept")
        finish_folder(directory)
        on_step("finished")
        write_home(
            directory,
            chain=config.origin.chain,
            engine=engine,
            consensus_seed=seeds[CONSENSUS_PURPOSE],
            node_seed=seeds[NODE_PURPOSE],
            listen=listen or own.peer.address,
            external=own.peer.address,
            peers=[each.peer for each in validators if each.consensus_key != own.consensus_key],
            on_step=on_step,
        )
    return config, engine, standing.head


def read_standing(config: Config) -> Standing:
    """How the ledger stands, once all of its log is executed."""
    with open_to_look(config) as chain:
        head = chain.executor.head
        policies = [record for _, record in chain.reader.list_records(TRUST)]
        last = [epoch for epoch, record in enumerate(policies, 1) if record.height == head.height]
        # A checkpoint of an older head is none of the last block's.
        checkpoint = chain.checkpoint if chain.head == head else None
        return Standing(find_engine(chain.reader), head, checkpoint, tuple(last))


@contextmanager
def open_to_look(config: Config) -> Iterator[ChainKeeper]:
    """The chain of a directory that the caller holds, executed to its end; no engine runs over it."""
    chain = open_chain(
        config.database,
        genesis=config.origin.leaves,
        signer=config.open_signer(LOG_PURPOSE),
        make_chain=ValidatorChain,
        is_certified=True,
    )
    try:
        yield chain
    finally:
        chain.close()
        chain.store.close()


def _find_end(source: Path) -> Cut:
    """The sequencer's last block, as the copy has it. Raises `Unusable` ``NOT_SWITCHED``."""
    with Snapshot(find_database(source)) as snapshot:
        origin = read_genesis(read_public_files(source).genesis)
        found = find_switch(snapshot, origin)
        if found is None:
            advice = "The alliance has not voted for it, or this copy ends before: take a newer one."
            raise Unusable("NOT_SWITCHED", advice=advice, size=snapshot.read_size())
    return found


def _take_log_key(config: Config, seed: bytes, *, on_step: Step) -> None:
    """The directory's log key is the validator's; the sequencer's own stays beside it under another name."""
    path = config.keys / f"{LOG_PURPOSE}.pem"
    fresh = path.with_name("next.pem")
    fresh.unlink(missing_ok=True)
    if config.open_signer(LOG_PURPOSE).public == SeedSigner(seed).public:
        return
    replace_file(config.keys / FORMER_LOG_KEY_FILE, keystore.read_private(path))
    on_step("former key kept")
    keystore.write_key(fresh, seed=seed, passphrase=keystore.read_passphrase(config.keys))
    on_step("key written")
    replace_file(path, keystore.read_private(fresh))
    fresh.unlink()
    on_step("key taken")


def _execute(config: Config) -> Standing:
    """All of the log, with the key that signs from the next block on. Raises `Unusable` ``NOT_SWITCHED``."""
    standing = read_standing(config)
    if standing.engine is None:
        advice = "The alliance has not voted for it, or this log ends before: commonpoint engine show."
        raise Unusable("NOT_SWITCHED", advice=advice, height=standing.head.height)
    return standing


def _keep_policy_notes(directory: Path, standing: Standing) -> None:
    """What hands over from one policy to the next is there: the sequencer's last checkpoint is the only one
    that the policy before the switch accepts, and clients ask for it from then on.
    """
    if standing.checkpoint is None:
        return
    folder = directory / POLICIES_FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    for epoch in standing.epochs:
        if not (folder / name_note(epoch)).exists():
            replace_file(folder / name_note(epoch), standing.checkpoint.encode())


def _check_ends(standing: Standing, own: Validator, *, is_later: bool) -> EngineRecord:
    """This validator was voted in, and the log ends where its engine begins. Raises `Unusable`."""
    engine, head = standing.engine, standing.head
    named = () if engine is None else engine.validators
    if engine is None or head.height != engine.height:
        advice = (
            "This directory's log goes on after the switch: its validator is prepared already, or lost "
            "cometbft/. Begin a new folder: --data NEW --from COPY."
        )
        raise Unusable(
            "LOG_ENDS_ELSEWHERE",
            advice=advice,
            height=head.height,
            expected=None if engine is None else engine.height,
        )
    if not is_later and (own.participant, own.consensus_key) not in {(name, key) for name, _, key in named}:
        advice = (
            "The switch named other keys: take those, or vote again once the ledger goes on. If these were "
            "voted in after it, or are to be, say so: --later"
        )
        raise Unusable("NOT_A_VALIDATOR", advice=advice, participant=own.participant)
    return engine
