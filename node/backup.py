"""Backup and restore of a data directory: the log as of one moment, held against its signed tree, and the
small files beside it.

A backup is a data directory itself: `commonpoint verify --data BACKUP` audits it in full, and a second backup
into it copies only what is new. Its log is always a SQLite file, also of a ledger that PostgreSQL keeps. It
holds private keys only where that was asked for; they never change, so one copy in a safe place is enough.

A restore makes a new data directory out of one that holds the log: a backup, or a follower's. Views are not
copied; the first start folds them from the log. What an engine or a witness must never have twice (what a
validator has voted, what a witness has seen) is not copied either way.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ledger.errors import Unverified
from ledger.genesis import Origin, read_genesis
from node import keystore
from node.config import (
    DATABASE_FILE,
    GENESIS_FILE,
    KEYS_FOLDER,
    LOCK_FILE,
    LOG_PURPOSE,
    POLICY_FILE,
    POSTGRESQL_FILE,
    TOKEN_SECRET_FILE,
    WEBHOOKS_FILE,
    find_database,
    read_public_files,
)
from node.engine.cometbft.handing import find_switch
from node.follower.told import COSIGNER_FILE
from node.keystore import Unusable
from node.link.supervisor import SOCKET_FILE
from node.policies import POLICIES_FOLDER
from node.storage.atomic import replace_file
from node.storage.copying import Copied, copy_log, copy_sqlite
from node.storage.policies import learn_stored_policies
from node.storage.snapshot import Snapshot
from node.storage.store import VIEWS_FILE

_DATABASES: Final = (DATABASE_FILE, VIEWS_FILE, WEBHOOKS_FILE)
_LEFT: Final = frozenset(
    {LOCK_FILE, SOCKET_FILE, POSTGRESQL_FILE, GENESIS_FILE}
    | {name + end for name in _DATABASES for end in ("", "-wal", "-shm", "-journal")}
)
"""What is copied in a way of its own, or not at all."""
_FOLLOWERS_OWN: Final = frozenset({COSIGNER_FILE, "target.note"})
_FILE_BYTES_MAX: Final = 2**24


def back_up(directory: Path, target: Path, *, with_keys: bool = False) -> Copied:
    """The folder holds a backup of the data directory, which may be in use.

    Raises `Unusable`, `SourceUnavailable`, `InvalidBlock`, or `Unverified` where the ledger is not what was
    signed.
    """
    files = read_public_files(directory)
    origin = read_genesis(files.genesis)
    if target.resolve() == directory.resolve():
        raise Unusable("BACKUP_INTO_ITSELF", advice="Name another folder, on another disk.", path=str(target))
    if not (target / GENESIS_FILE).exists():
        _make_target(target)
    elif read_public_files(target).genesis != files.genesis:
        advice = "Name a folder that is new, or an earlier backup of this ledger."
        raise Unusable("BACKUP_OF_ANOTHER_LEDGER", advice=advice, path=str(target))
    with _hold(target):
        with Snapshot(find_database(directory)) as snapshot:
            copied = copy_log(snapshot, target / DATABASE_FILE, origin)
        # After the log, so that a checkpoint a follower keeps beside it vouches for all of it.
        _copy_files(directory, target, left=_LEFT)
        if with_keys:
            _copy_keys(directory / KEYS_FOLDER, target / KEYS_FOLDER)
        _write_genesis(target, files.genesis)
    return copied


def restore(
    source: Path, directory: Path, *, keys: Path | None = None, to_postgresql: bool = False
) -> Copied:
    """A new data directory that a node can be started over, with the log of another one and the log's keys.

    Raises as `back_up`, and `Unusable` where the keys are not there or are not this log's.
    """
    files = read_public_files(source)
    origin = read_genesis(files.genesis)
    _check_sequencers(source, origin)
    keys = keys or source / KEYS_FOLDER
    if not (keys / f"{LOG_PURPOSE}.pem").exists():
        advice = "Name the folder that has them: --keys DIR"
        raise Unusable("KEYS_MISSING", advice=advice, path=str(keys))
    own = keystore.open_signer(keys, LOG_PURPOSE).public
    with Snapshot(find_database(source)) as snapshot:
        _check_log_key(snapshot, origin, own)
    keystore.make_folder(directory)
    with _hold(directory):
        if to_postgresql:
            keystore.write_private(directory / POSTGRESQL_FILE, b"# See docs/how-to/admin.md, PostgreSQL.\n")
        with Snapshot(find_database(source)) as snapshot:
            copied = copy_log(snapshot, find_database(directory), origin)
        _copy_files(source, directory, left=_LEFT | _FOLLOWERS_OWN)
        if files.policy and not (directory / POLICY_FILE).exists():
            replace_file(directory / POLICY_FILE, files.policy)
        _copy_keys(keys, directory / KEYS_FOLDER)
        secret = directory / KEYS_FOLDER / TOKEN_SECRET_FILE
        if not secret.exists():
            keystore.write_secret(secret)
        _write_genesis(directory, files.genesis)
    return copied


def _check_sequencers(source: Path, origin: Origin) -> None:
    """One sequencer made all of this log; validators go on from it at the most. Raises `Unusable`."""
    last = None
    if not origin.validators:
        with Snapshot(find_database(source)) as snapshot:
            switch = find_switch(snapshot, origin)
            if switch is None or switch.size == snapshot.read_size():
                return
            last = switch.height
    advice = "A validator comes back by replaying what the others have: docs/how-to/recovery.md."
    raise Unusable("NOT_RESTORED_ALONE", advice=advice, sequencers_last_height=last)


def _copy_files(source: Path, target: Path, *, left: frozenset[str]) -> None:
    """The small files that stand beside the databases, and the webhooks' database as of one moment."""
    _copy_small_files(source, target, left=left)
    if (source / POLICIES_FOLDER).is_dir():
        # The notes under which one trust policy handed over to the next: nobody could sign them again.
        (target / POLICIES_FOLDER).mkdir(mode=0o700, exist_ok=True)
        _copy_small_files(source / POLICIES_FOLDER, target / POLICIES_FOLDER, left=frozenset())
    if (source / WEBHOOKS_FILE).exists():
        copy_sqlite(source / WEBHOOKS_FILE, target / WEBHOOKS_FILE)


def _copy_small_files(source: Path, target: Path, *, left: frozenset[str]) -> None:
    """The files of one folder, but for those ``left``. Raises `Unusable`."""
    for path in sorted(source.iterdir()):
        if path.name in left or path.name.endswith(".new") or path.is_symlink() or not path.is_file():
            continue
        if path.stat().st_size > _FILE_BYTES_MAX:
            raise Unusable("FILE_TOO_LARGE", advice="Nothing so large belongs there.", path=str(path))
        replace_file(target / path.name, path.read_bytes())


def _copy_keys(source: Path, target: Path) -> None:
    """Every private file of the folder, its owner's alone. Raises `Unusable`."""
    keystore.check_private_folder(source)
    target.mkdir(mode=0o700, exist_ok=True)
    for path in sorted(source.iterdir()):
        if path.is_file() and not path.is_symlink():
            replace_file(target / path.name, keystore.read_private(path))


def _check_log_key(snapshot: Snapshot, origin: Origin, own: bytes) -> None:
    """The key is this log's, or was: then a start says so. Raises `Unusable`."""
    try:
        learn_stored_policies(snapshot, origin).find_log(own, size=snapshot.read_size() + 1)
    except Unverified as error:
        if error.code != "LOG_KEY_RETIRED":
            advice = "Name the keys that this ledger is signed with: --keys DIR"
            raise Unusable("LOG_KEY_DIFFERS", advice=advice, chain=origin.chain) from None


def _make_target(target: Path) -> None:
    """The folder is there, its owner's alone; new, empty, or with a backup that was cut off."""
    if (target / DATABASE_FILE).exists():
        keystore.check_mode(target, allowed=0o700)
    else:
        keystore.make_folder(target)


def _write_genesis(target: Path, leaves: tuple[bytes, ...]) -> None:
    """Last of all: with it the folder is a data directory."""
    replace_file(target / GENESIS_FILE, b"".join(leaf + b"\n" for leaf in leaves))


@contextmanager
def _hold(target: Path) -> Iterator[None]:
    """No node, and no second backup, uses the folder meanwhile. Raises `Unusable`."""
    descriptor = os.open(target / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            advice = "Wait for what uses it to end."
            raise Unusable("DATA_DIR_IN_USE", advice=advice, directory=str(target)) from None
        yield
    finally:
        os.close(descriptor)
