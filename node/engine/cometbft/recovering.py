"""How a ledger whose validators have lost their quorum for good goes on, with its history as it is: those who
are left agree on a note (`node.engine.cometbft.recovery`), and each prepares its folder for the chain of
CometBFT's that the note begins.

    cometbft.new               the folder to be, made anew until it is in place
    cometbft.before-HEIGHT     the one before: kept, and never run again
    recovery-HEIGHT.jsonl      the note, where backups take it along

Nothing that was decided is dropped: a log that is longer than the note says is turned down, and so is one
that is shorter. It may be cut off anywhere, and asked for again.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from contracts.mechanics.governance_records import EngineRecord
from contracts.messages.actions import ChainValidator
from ledger.codec import encode, from_base64url, to_base64url
from ledger.errors import Unverified
from ledger.leaves import BLOCK_LEAF_DECODER, BLOCK_START
from node.app import hold_data_dir
from node.chain import ChainKeeper, Step
from node.config import GENESIS_FILE, LOG_PURPOSE, Config, find_database, load_config
from node.engine.cometbft.founding import CONSENSUS_PURPOSE, NODE_PURPOSE, POWER, Validator, read_own
from node.engine.cometbft.handing import begin_folder, find_height, finish_folder, is_unfinished
from node.engine.cometbft.home import HOME_FOLDER, make_recovered_chain_id, write_home
from node.engine.cometbft.recovery import (
    RECOVERY_FILE,
    Recovery,
    RecoveryNote,
    check_recovery,
    read_recovery,
)
from node.engine.cometbft.switching import open_to_look
from node.engine.standing import get_engine
from node.keystore import Unusable
from node.storage.atomic import replace_file
from node.storage.snapshot import Snapshot

NEW_FOLDER: Final = f"{HOME_FOLDER}.new"


def make_note(config: Config, validators: Sequence[Validator]) -> RecoveryNote:
    """What is to be signed so that these go on from where this directory's log ends. The caller holds it."""
    with open_to_look(config) as chain:
        return RecoveryNote(
            chain=config.origin.chain,
            engine_height=_find_engine_height(chain),
            height=chain.executor.head.height,
            root=to_base64url(chain.compute_root()),
            size=chain.executor.head.size,
            validators=[
                ChainValidator(each.participant, POWER, each.consensus_key)
                for each in sorted(validators, key=lambda each: each.participant)
            ],
        )


def recover_validator(
    directory: Path,
    *,
    recovery: Recovery,
    source: Path | None,
    keys: Path,
    validators: Sequence[Validator],
    listen: str | None = None,
    is_later: bool = False,
    on_step: Step = lambda _step: None,
) -> Config:
    """The data directory is ready to go on as the note says, with its own log or that of ``source``.

    Raises `Unusable`; `Unverified` where the note is not this log's or too few have signed it.
    """
    seeds, own = read_own(keys, validators)
    note = recovery.note
    if not is_later and (own.participant, own.consensus_key) not in {
        (name, key) for name, _, key in note.rows
    }:
        advice = "The note names other keys. If these are to be voted in, say so: --later"
        raise Unusable("NOT_A_VALIDATOR", advice=advice, participant=own.participant)
    if source is not None and (not (directory / GENESIS_FILE).exists() or is_unfinished(directory)):
        _begin(source, directory, recovery, log_seed=seeds[LOG_PURPOSE], on_step=on_step)
    config = load_config(directory)
    with hold_data_dir(config):
        _check_not_recovered(directory, recovery)
        with open_to_look(config) as chain:
            _check_log(chain, note)
            check_recovery(recovery, chain.reader, config.origin, time=chain.executor.head.time)
            time = chain.executor.head.time
        on_step("checked")
        replace_file(directory / f"recovery-{note.height:08d}.jsonl", recovery.encode())
        finish_folder(directory)
        on_step("note kept")
        shutil.rmtree(directory / NEW_FOLDER, ignore_errors=True)
        fresh = write_home(
            directory,
            chain=note.chain,
            engine=EngineRecord("cometbft", note.height, time, note.rows),
            consensus_seed=seeds[CONSENSUS_PURPOSE],
            node_seed=seeds[NODE_PURPOSE],
            listen=listen or own.peer.address,
            external=own.peer.address,
            peers=[each.peer for each in validators if each.consensus_key != own.consensus_key],
            folder=NEW_FOLDER,
            chain_id=make_recovered_chain_id(note.chain, recovery.digest),
            initial_height=note.engine_height + 1,
            on_step=on_step,
        )
        replace_file(fresh / RECOVERY_FILE, recovery.encode())
        on_step("folder ready")
        home = directory / HOME_FOLDER
        if home.exists():
            home.rename(directory / f"{HOME_FOLDER}.before-{note.height:08d}")
        on_step("folder before put away")
        fresh.rename(home)
    return config


def _begin(source: Path, directory: Path, recovery: Recovery, *, log_seed: bytes, on_step: Step) -> None:
    note = recovery.note
    with Snapshot(find_database(source)) as snapshot:
        end, size = find_height(snapshot, note.height), snapshot.read_size()
    if end is None:
        advice = "Take the copy of a validator that holds the note's height."
        raise Unusable("LOG_BEHIND_NOTE", advice=advice, size=size, expected=note.size)
    begin_folder(source, directory, end=end, log_seed=log_seed, on_step=on_step)


def _check_not_recovered(directory: Path, recovery: Recovery) -> None:
    path = directory / HOME_FOLDER / RECOVERY_FILE
    if path.exists() and read_recovery(path).digest == recovery.digest:
        advice = f"Start it: commonpoint node --data {directory}"
        raise Unusable("ALREADY_PREPARED", advice=advice, directory=str(directory))


def _check_log(chain: ChainKeeper, note: RecoveryNote) -> None:
    """The log is the one that the note is about, neither more nor less of it."""
    head = chain.executor.head
    if head.size > note.size:
        advice = "Somebody may have been told of what the note leaves out: make it for this height instead."
        raise Unusable("LOG_AHEAD_OF_NOTE", advice=advice, height=head.height, expected=note.height)
    if head.size < note.size:
        advice = "Start it beside one that holds more, or begin a new folder: --data NEW --from COPY"
        raise Unusable("LOG_BEHIND_NOTE", advice=advice, height=head.height, expected=note.height)
    if chain.compute_root() != from_base64url(note.root, size=32) or head.height != note.height:
        raise Unverified("ROOT_DIFFERS", size=head.size, expected=note.root, height=head.height)
    if _find_engine_height(chain) != note.engine_height:
        raise Unverified(
            "ENGINE_HEIGHT_DIFFERS", expected=_find_engine_height(chain), found=note.engine_height
        )


def _find_engine_height(chain: ChainKeeper) -> int:
    """That of the newest block; 0 where no engine has made one."""
    log = chain.store.log
    last = log.read_leaf(log.size - 1)
    if not last.startswith(BLOCK_START):
        return 0
    block = BLOCK_LEAF_DECODER.decode(last)
    return block.engine_height if block.height > get_engine(chain.reader).height else 0


def encode_note(note: RecoveryNote) -> bytes:
    """The line to be signed."""
    data: bytes = encode(note)
    return data
