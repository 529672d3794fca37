"""Private keys at rest: encrypted files that only their owner may read, and the signers made from them.

A key file is PKCS#8 in PEM, encrypted under a passphrase. The passphrase comes from the environment
(COMMONPOINT_PASSPHRASE) or, where a node runs by itself, from a file beside the keys: that protects a stray
copy of a key file and nothing more, since whoever takes the whole folder has both. Every private file has
mode 0600 in a folder of mode 0700; anything wider is refused when it is opened, not repaired.

Whoever signs asks for a `ledger.keys.Signer`, so a token or a key service can stand where these files do.
Nothing here logs, prints or returns a private key but `read_seed`, for those who must hand one on.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from ledger.codec import decode, from_base64url, to_base64url
from ledger.errors import CommonpointError, Refused
from ledger.genesis import GenesisKey, GenesisParticipant
from ledger.keys import SEED_BYTES, SeedSigner

PASSPHRASE_FILE: Final = "passphrase"  # noqa: S105 - a file's name
PASSPHRASE_VARIABLE: Final = "COMMONPOINT_PASSPHRASE"  # noqa: S105 - a variable's
PARTICIPANT_FILE: Final = "participant.json"
OPERATOR_PURPOSES: Final = ("govern", "transact", "custody")
_PRIVATE_FILE: Final = 0o600
_PRIVATE_FOLDER: Final = 0o700
_OTHERS: Final = 0o077


class Unusable(CommonpointError):
    """A file or folder that cannot be used as it is. ``advice`` says what its owner can do."""

    def __init__(self, code: str, *, advice: str, **facts: object) -> None:
        super().__init__(code, **facts)
        self.advice = advice


def make_seed() -> bytes:
    """A new private key."""
    return secrets.token_bytes(SEED_BYTES)


def make_folder(folder: Path) -> None:
    """The folder is there, empty, and its owner's alone."""
    try:
        folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        # An existing folder, or a wider umask's: it is empty, so nothing in it was meant for others.
        if any(folder.iterdir()):
            advice = "Name a folder that is new or empty; what is in this one stays as it is."
            raise Unusable("FOLDER_NOT_EMPTY", advice=advice, folder=str(folder))
        folder.chmod(_PRIVATE_FOLDER)
    except (FileExistsError, NotADirectoryError):
        raise Unusable("NOT_A_FOLDER", advice="Name a folder.", path=str(folder)) from None
    except PermissionError:
        advice = "Name a folder that you may write to."
        raise Unusable("NOT_PERMITTED", advice=advice, path=str(folder)) from None


def write_private(path: Path, data: bytes) -> None:
    """A new file that only its owner may read; one that is there already is never overwritten."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE)
    except FileExistsError:
        advice = "It stays as it is: move it away first if it is no longer needed."
        raise Unusable("FILE_EXISTS", advice=advice, path=str(path)) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def check_private_folder(folder: Path) -> None:
    """The folder and every file in it are their owner's alone. Raises `Unusable`."""
    if not folder.is_dir():
        raise Unusable("KEYS_MISSING", advice="Restore the folder from its backup.", path=str(folder))
    check_mode(folder, allowed=_PRIVATE_FOLDER)
    for path in sorted(folder.iterdir()):
        check_mode(path, allowed=_PRIVATE_FILE)


def read_private(path: Path) -> bytes:
    """The content of a file that only its owner may read. Raises `Unusable`."""
    try:
        check_mode(path, allowed=_PRIVATE_FILE)
        return path.read_bytes()
    except FileNotFoundError:
        raise Unusable("KEYS_MISSING", advice="Restore the file from its backup.", path=str(path)) from None
    except PermissionError:
        advice = "Run as the user who owns the file."
        raise Unusable("NOT_PERMITTED", advice=advice, path=str(path)) from None


def check_mode(path: Path, *, allowed: int) -> None:
    """Nobody but the owner may read it. Raises `Unusable`."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & _OTHERS:
        raise Unusable(
            "MODE_TOO_WIDE",
            advice=f"Others may read it: chmod {allowed:o} {path}",
            path=str(path),
            mode=f"{mode:o}",
        )


def write_passphrase(folder: Path) -> bytes:
    """A new passphrase, kept in a file beside the keys it opens."""
    passphrase = to_base64url(secrets.token_bytes(32)).encode("ascii")
    write_private(folder / PASSPHRASE_FILE, passphrase + b"\n")
    return passphrase


def read_passphrase(folder: Path) -> bytes:
    """The passphrase of a folder's keys: from the environment, else from the file beside them."""
    told = os.environ.get(PASSPHRASE_VARIABLE)
    if told:
        return told.encode()
    path = folder / PASSPHRASE_FILE
    if not path.exists():
        raise Unusable("PASSPHRASE_MISSING", advice=f"Set {PASSPHRASE_VARIABLE}.", folder=str(folder))
    return read_private(path).strip()


def write_key(path: Path, *, seed: bytes, passphrase: bytes) -> None:
    """A new key file."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(passphrase))
    write_private(path, pem)


def read_seed(path: Path, *, passphrase: bytes) -> bytes:
    """The private key in a key file. Raises `Unusable`."""
    data = read_private(path)
    try:
        key = load_pem_private_key(data, passphrase)
    except (ValueError, TypeError):
        # A wrong passphrase and a damaged file cannot be told apart.
        advice = f"Check {PASSPHRASE_VARIABLE}, or restore the file from its backup."
        raise Unusable("KEY_UNREADABLE", advice=advice, path=str(path)) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise Unusable("KEY_UNREADABLE", advice="Only Ed25519 keys are used here.", path=str(path))
    return key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())


def open_signer(folder: Path, purpose: str) -> SeedSigner:
    """The signer of a purpose from a folder of keys. Raises `Unusable`."""
    return SeedSigner(read_seed(folder / f"{purpose}.pem", passphrase=read_passphrase(folder)))


def write_keys(folder: Path, seeds: Mapping[str, bytes]) -> None:
    """Key files in a folder, which gets a passphrase file too unless the environment has one."""
    passphrase = os.environ.get(PASSPHRASE_VARIABLE, "").encode() or write_passphrase(folder)
    for purpose, seed in sorted(seeds.items()):
        write_key(folder / f"{purpose}.pem", seed=seed, passphrase=passphrase)


def write_secret(path: Path) -> None:
    """A new random secret of 32 bytes."""
    write_private(path, to_base64url(secrets.token_bytes(32)).encode("ascii") + b"\n")


def read_secret(path: Path) -> bytes:
    """The 32 bytes of a secret. Raises `Unusable`."""
    try:
        return from_base64url(read_private(path).decode("ascii", "replace").strip(), size=32)
    except Refused:
        advice = "Restore it from its backup, or remove it together with every token it made."
        raise Unusable("SECRET_UNREADABLE", advice=advice, path=str(path)) from None


def check_description(line: bytes) -> None:
    """The line is a participant's description as a genesis would take it. Raises `Refused` ``MALFORMED``."""
    decode(line, msgspec.json.Decoder(GenesisParticipant))


def describe_participant(*, participant: str, name: str, seeds: Mapping[str, bytes]) -> GenesisParticipant:
    """What others need to know of a participant: its name and public keys, never a seed."""
    keys = [
        GenesisKey(public=to_base64url(SeedSigner(seed).public), purpose=purpose)
        for purpose, seed in sorted(seeds.items())
    ]
    return GenesisParticipant(keys=keys, name=name, participant=participant)
