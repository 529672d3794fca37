"""How a ledger that one sequencer kept goes on with validators: each prepares its own data directory from the
log as it was handed over.

    plan      the two actions of one proposal: whose log keys sign from then on, whose engines decide
    prepare   after the enactment: the log is there and executed, the keys are those that were voted in,
              CometBFT's folder follows from what the ledger says

Everything that validators must agree about they read from the ledger itself, each after executing the whole
log: who they are, the height, the time, the root. So nobody has to be believed, and a copy that is not the
log that was signed, or does not end where the sequencer ended, is turned down here.

Nothing is decided here and nothing is fetched: the log comes in a folder, a backup or a data directory.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from contracts.mechanics.governance_records import TRUST, EngineRecord
from contracts.messages.actions import ChainValidator, SetTrustPolicy, SwitchEngine
from ledger.codec import from_base64url
from ledger.executor import Head
from ledger.genesis import Origin, read_genesis
from ledger.keys import SeedSigner
from ledger.log.note import VerifierKey
from ledger.log.policy import Policy, format_policy
from node import keystore
from node.app import hold_data_dir
from node.audit.verify import derive_policy
from node.config import (
    DATABASE_FILE,
    GENESIS_FILE,
    KEYS_FOLDER,
    LOG_PURPOSE,
    POLICY_FILE,
    TOKEN_SECRET_FILE,
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
from node.engine.cometbft.home import HOME_FOLDER, write_home
from node.engine.standing import find_engine
from node.keystore import Unusable
from node.policies import POLICIES_FOLDER
from node.startup import open_chain
from node.storage.atomic import replace_file
from node.storage.copying import copy_log
from node.storage.snapshot import Snapshot

FORMER_LOG_KEY_FILE: Final = "log-of-the-sequencer.pem"


class Standing(NamedTuple):
    """A ledger whose log was executed to its end."""

    engine: EngineRecord | None
    head: Head
    checkpoint: str
    epochs: tuple[int, ...]
    """Of the trust policies that its last block enacted."""


def plan_switch(origin: Origin, validators: Sequence[Validator]) -> list[SetTrustPolicy | SwitchEngine]:
    """What is to be proposed so that these take over: in one proposal, for one belongs to the other."""
    ordered = sorted(validators, key=lambda each: each.participant)
    keys = (from_base64url(each.log_key, size=32) for each in ordered)
    policy = Policy.for_logs(VerifierKey.for_log(origin.chain, key) for key in keys)
    return [
        SetTrustPolicy(format_policy(policy).decode()),
        SwitchEngine(
            "cometbft", [ChainValidator(each.participant, POWER, each.consensus_key) for each in ordered]
        ),
    ]


def prepare_validator(
    directory: Path,
    *,
    source: Path | None,
    keys: Path,
    validators: Sequence[Validator],
    listen: str | None = None,
) -> tuple[Config, EngineRecord, Head]:
    """The data directory is that of the validator whose ``keys`` these are, and its node can be started: with
    the log in ``source``, or where there is none with its own, the sequencer's.

    Raises `Unusable`; `InvalidBlock`, `InvariantBroken` or `Unverified` where the log is not what was signed.
    """
    seeds, own = read_own(keys, validators)
    if source is not None:
        _copy(source, directory, log_seed=seeds[LOG_PURPOSE])
    config = load_config(directory)
    if (directory / HOME_FOLDER).exists():
        advice = f"It is prepared. If that was cut off before any start, remove {directory / HOME_FOLDER}."
        raise Unusable("ALREADY_PREPARED", advice=advice, directory=str(directory))
    with hold_data_dir(config):
        if source is None:
            # What the sequencer made is executed, and signed with its key for the last time.
            _execute(config)
            _take_log_key(config, seeds[LOG_PURPOSE])
        engine, standing = _execute(config)
        _check(engine, standing.head, own)
        _keep_policy_notes(directory, standing, source)
        write_home(
            directory,
            chain=config.origin.chain,
            engine=engine,
            consensus_seed=seeds[CONSENSUS_PURPOSE],
            node_seed=seeds[NODE_PURPOSE],
            listen=listen or own.peer.address,
            external=own.peer.address,
            peers=[each.peer for each in validators if each.consensus_key != own.consensus_key],
        )
    return config, engine, standing.head


def read_standing(config: Config) -> Standing:
    """How the ledger stands, once all of its log is executed."""
    chain = open_chain(config.database, genesis=config.origin.leaves, signer=config.open_signer(LOG_PURPOSE))
    try:
        policies = [record for _, record in chain.reader.list_records(TRUST)]
        last = [epoch for epoch, record in enumerate(policies, 1) if record.height == chain.head.height]
        return Standing(find_engine(chain.reader), chain.head, chain.checkpoint, tuple(last))
    finally:
        chain.close()
        chain.store.close()


def _copy(source: Path, directory: Path, *, log_seed: bytes) -> None:
    """A new data directory with the log that was handed over, held against its signed tree, and this key."""
    files = read_public_files(source)
    origin = read_genesis(files.genesis)
    keystore.make_folder(directory)
    with Snapshot(find_database(source)) as snapshot:
        copied = copy_log(snapshot, directory / DATABASE_FILE, origin)
    if copied.signed_size != copied.size:
        advice = "Start the sequencer once more and stop it, and take a copy then."
        raise Unusable("COPY_NOT_SIGNED", advice=advice, size=copied.size, signed=copied.signed_size)
    private = directory / KEYS_FOLDER
    keystore.make_folder(private)
    keystore.write_keys(private, {LOG_PURPOSE: log_seed})
    keystore.write_secret(private / TOKEN_SECRET_FILE)
    keystore.write_private(directory / POLICY_FILE, files.policy or format_policy(derive_policy(origin)))
    # The genesis comes last: without it this is no data directory, so a crash before leaves none by half.
    keystore.write_private(directory / GENESIS_FILE, b"".join(leaf + b"\n" for leaf in origin.leaves))


def _take_log_key(config: Config, seed: bytes) -> None:
    """The directory's log key is the validator's; the sequencer's own stays beside it under another name."""
    path = config.keys / f"{LOG_PURPOSE}.pem"
    if config.open_signer(LOG_PURPOSE).public == SeedSigner(seed).public:
        return
    replace_file(config.keys / FORMER_LOG_KEY_FILE, keystore.read_private(path))
    path.unlink()
    keystore.write_key(path, seed=seed, passphrase=keystore.read_passphrase(config.directory / KEYS_FOLDER))


def _execute(config: Config) -> tuple[EngineRecord, Standing]:
    """All of the log, with the key that signs from the next block on. Raises `Unusable` ``NOT_SWITCHED``."""
    standing = read_standing(config)
    if standing.engine is None:
        advice = "The alliance has not voted for it, or this log ends before: commonpoint engine show."
        raise Unusable("NOT_SWITCHED", advice=advice, height=standing.head.height)
    return standing.engine, standing


def _keep_policy_notes(directory: Path, standing: Standing, source: Path | None) -> None:
    """What hands over from one policy to the next is there: the sequencer's last checkpoint is the only one
    that the policy before the switch accepts, and clients ask for it from then on.
    """
    folder = directory / POLICIES_FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    former = sorted((source / POLICIES_FOLDER).glob("*.note")) if source is not None else []
    kept = {path.name: path.read_bytes() for path in former}
    kept |= {f"{epoch:08d}.note": standing.checkpoint.encode() for epoch in standing.epochs}
    for name, note in kept.items():
        if not (folder / name).exists():
            replace_file(folder / name, note)


def _check(engine: EngineRecord, head: Head, own: Validator) -> None:
    """This validator was voted in, and the log ends where its engine begins."""
    if (own.participant, own.consensus_key) not in {(name, public) for name, _, public in engine.validators}:
        advice = "The vote named other keys: take those, or vote again once the ledger goes on."
        raise Unusable("NOT_A_VALIDATOR", advice=advice, participant=own.participant)
    if head.height != engine.height:
        advice = (
            "Take a copy of the log as the sequencer left it, a backup of its data directory for example."
        )
        raise Unusable("LOG_ENDS_ELSEWHERE", advice=advice, height=head.height, expected=engine.height)
