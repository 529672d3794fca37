"""A validator's new folder, with the log up to where its engine begins, out of any copy that reaches so far:
a backup, the folder of a follower or of another validator, stopped or in use.

    unfinished       the folder is being made: whoever comes again begins anew
    ledger.db        the log, each leaf held against the tree that the copy's own log key has signed
    keys/, policy.txt, genesis.jsonl

A copy may hold more than is taken: what comes after the engine's beginning the validators give each other.
Nothing is executed here, and nobody is believed but for what was signed.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from contracts.mechanics.governance_records import ENGINE, EngineRecord
from ledger.enactments import read_enactment
from ledger.errors import Unverified
from ledger.genesis import Origin, read_genesis
from ledger.leaves import BLOCK_LEAF_DECODER, BLOCK_START, ENTRY_DECODER, SYSTEM_START
from ledger.log.note import parse_checkpoint, split_note
from ledger.log.policy import format_policy
from ledger.log.tiles import TILE_WIDTH
from ledger.outcome import OK, Outcome
from ledger.policy_chain import derive_policy
from node import keystore
from node.chain import Step
from node.config import (
    DATABASE_FILE,
    GENESIS_FILE,
    KEYS_FOLDER,
    LOG_PURPOSE,
    POLICY_FILE,
    TOKEN_SECRET_FILE,
    find_database,
    read_public_files,
)
from node.keystore import Unusable
from node.policies import POLICIES_FOLDER
from node.storage.atomic import replace_file
from node.storage.copying import copy_log
from node.storage.policies import SnapshotLog
from node.storage.snapshot import Snapshot

UNFINISHED_FILE: Final = "unfinished"
_PROPOSE_START: Final = b'{"@type":"entry","message":{"@type":"propose"'
_SWITCH_WORDS: Final = b'"@type":"switch_engine"'
_ENGINE: Final = msgspec.json.Decoder(EngineRecord)
_OUTCOME: Final = msgspec.json.Decoder(Outcome)


class Cut(NamedTuple):
    """A block, and the size of the log with it."""

    height: int
    size: int


def find_switch(snapshot: Snapshot, origin: Origin) -> Cut | None:
    """The sequencer's last block; None where the copy does not hold the enactment."""
    log = SnapshotLog(snapshot, origin)
    for _, value in snapshot.list_records(ENGINE):
        height = _ENGINE.decode(value).height
        return Cut(height, log.find_bounds(height)[1] + 1)
    # Without views the log itself says it.
    proposals: set[str] = set()
    is_enacted = False
    for index, leaf in _read_leaves(log, len(origin.leaves), snapshot.read_size()):
        if leaf.startswith(_PROPOSE_START) and _SWITCH_WORDS in leaf:
            entry = ENTRY_DECODER.decode(leaf)
            if _OUTCOME.decode(entry.outcome).code == OK:
                proposals.add(msgspec.json.decode(entry.message)["proposal"])
        elif proposals and leaf.startswith(SYSTEM_START):
            is_enacted = is_enacted or _find_enacted(leaf) in proposals
        elif is_enacted and leaf.startswith(BLOCK_START):
            return Cut(BLOCK_LEAF_DECODER.decode(leaf).height, index + 1)
    return None


def find_height(snapshot: Snapshot, height: int) -> Cut | None:
    """The block of this height; None where the copy does not reach so far."""
    last = snapshot.find_block(height)
    return None if last is None else Cut(height, last + 1)


def is_unfinished(directory: Path) -> bool:
    """Whether it was begun and cut off."""
    return (directory / UNFINISHED_FILE).exists()


def begin_folder(
    source: Path, directory: Path, *, end: Cut, log_seed: bytes, on_step: Step = lambda _step: None
) -> None:
    """The folder is a data directory with the log up to there and this key; it is unfinished still.

    Raises `Unusable`; `InvalidBlock` or `Unverified` where the copy is not what was signed.
    """
    files = read_public_files(source)
    origin = read_genesis(files.genesis)
    if is_unfinished(directory):
        _empty(directory)
    keystore.make_folder(directory)
    on_step("folder made")
    replace_file(directory / UNFINISHED_FILE, b"")
    on_step("begun")
    with Snapshot(find_database(source)) as snapshot:
        copied = copy_log(snapshot, directory / DATABASE_FILE, origin, end=end.size)
    if copied.signed_size < end.size:
        advice = "Start the node it is from once more and stop it, and take a copy then."
        raise Unusable("COPY_NOT_SIGNED", advice=advice, size=end.size, signed=copied.signed_size)
    on_step("copied")
    private = directory / KEYS_FOLDER
    keystore.make_folder(private)
    keystore.write_keys(private, {LOG_PURPOSE: log_seed})
    keystore.write_secret(private / TOKEN_SECRET_FILE)
    on_step("keys written")
    replace_file(directory / POLICY_FILE, files.policy or format_policy(derive_policy(origin)))
    # What handed over from one policy to the next: nobody could sign it again.
    (directory / POLICIES_FOLDER).mkdir(mode=0o700)
    for path in sorted((source / POLICIES_FOLDER).glob("*.note")):
        note = path.read_bytes()
        if parse_checkpoint(split_note(note.decode())[0]).size <= end.size:
            replace_file(directory / POLICIES_FOLDER / path.name, note)
    on_step("policy written")
    replace_file(directory / GENESIS_FILE, b"".join(leaf + b"\n" for leaf in origin.leaves))
    on_step("genesis written")


def _empty(directory: Path) -> None:
    """What was cut off is gone, the mark of it last."""
    for path in directory.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != UNFINISHED_FILE:
            path.unlink()
    (directory / UNFINISHED_FILE).unlink()


def finish_folder(directory: Path) -> None:
    """From here on the folder is its validator's, and nobody begins it anew."""
    (directory / UNFINISHED_FILE).unlink(missing_ok=True)


def _read_leaves(log: SnapshotLog, first: int, end: int) -> Iterator[tuple[int, bytes]]:
    while first < end:
        until = min(end, first - first % TILE_WIDTH + TILE_WIDTH)
        yield from enumerate(log.read_leaves(first, until), first)
        first = until


def _find_enacted(leaf: bytes) -> str | None:
    try:
        return read_enactment(leaf)
    except Unverified:
        return None
