"""Who we are, where the nodes are, which ledger we mean, and the keys we sign with: as arguments or from the
environment.

    COMMONPOINT_URL            one address, or several with commas between them
    COMMONPOINT_PARTICIPANT    our participant id
    COMMONPOINT_CHAIN          the chain string: the anchor of all trust
    COMMONPOINT_KEY            the order system's key (purpose transact): a seed in base64url, or the path of
                               a key file; likewise _KEY_TILL, _KEY_CUSTODY, _KEY_GOVERN. Or the folder that
                               `commonpoint key new` made, with a key for each purpose
    COMMONPOINT_PASSPHRASE     the passphrase of encrypted key files; else the file `passphrase` beside one
    COMMONPOINT_OUTBOX         path of the outbox

An argument wins over the environment. A key file that others on the machine may read is refused.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from ledger.codec import from_base64url
from ledger.errors import Refused
from ledger.keys import SEED_BYTES, SeedSigner, Signer
from ledger.log.policy import Policy
from ledger.values import Chain, ParticipantId
from merchant_sdk.addresses import is_address
from merchant_sdk.errors import ConfigurationError
from merchant_sdk.policies import read_policy

Key = Signer | bytes | str | os.PathLike[str]
"""A signer, a 32-byte seed, a seed in base64url, or the path of a key file."""

KEY_PURPOSES: Final = ("transact", "till", "custody", "govern")
_VARIABLES: Final = {
    "transact": "COMMONPOINT_KEY",
    "till": "COMMONPOINT_KEY_TILL",
    "custody": "COMMONPOINT_KEY_CUSTODY",
    "govern": "COMMONPOINT_KEY_GOVERN",
}
_PASSPHRASE_FILE: Final = "passphrase"  # noqa: S105  # a file's name
_SEED_TEXT: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_PARTICIPANT: Final = msgspec.json.Decoder(ParticipantId)
_CHAIN: Final = msgspec.json.Decoder(Chain)


class Settings(NamedTuple):
    """Everything a merchant says about itself, resolved and checked."""

    participant: str
    urls: tuple[str, ...]
    chain: str
    policy: Policy | None
    """A policy file given by hand; without one the policy of epoch 0 follows from the chain's genesis."""
    signers: Mapping[str, Signer]
    """Purpose → signer."""
    outbox: str | None


def read_settings(
    *,
    participant: str | None,
    url: str | Sequence[str] | None,
    key: Key | None,
    keys: Mapping[str, Key] | None,
    chain: str | None,
    policy: Policy | bytes | str | None,
    outbox: str | os.PathLike[str] | None,
    environment: Mapping[str, str] = os.environ,
) -> Settings:
    """The settings in force. Raises `ConfigurationError`, naming what is missing and how to give it."""
    found_policy = None if policy is None else read_policy(policy)
    path = environment.get("COMMONPOINT_OUTBOX") if outbox is None else os.fspath(outbox)
    return Settings(
        participant=_check(
            participant or environment.get("COMMONPOINT_PARTICIPANT"),
            _PARTICIPANT,
            "participant",
            "COMMONPOINT_PARTICIPANT",
        ),
        urls=_read_urls(url or environment.get("COMMONPOINT_URL")),
        chain=_read_chain(chain or environment.get("COMMONPOINT_CHAIN"), found_policy),
        policy=found_policy,
        signers=_read_signers(key, keys, environment),
        outbox=path or None,
    )


def load_signer(key: Key, *, passphrase: str | None = None) -> Signer:
    """The signer of a key given in any of the accepted ways. Raises `ConfigurationError`."""
    if isinstance(key, bytes):
        return _make_signer(key, "key")
    if isinstance(key, str):
        return _load_text(key) if _SEED_TEXT.fullmatch(key) else _load_file(Path(key), passphrase)
    if isinstance(key, os.PathLike):
        return _load_file(Path(key), passphrase)
    if not isinstance(getattr(key, "key_id", None), str):
        raise ConfigurationError("a key is a signer, a seed or a path", found=type(key).__name__)
    return key


def _read_signers(
    key: Key | None, keys: Mapping[str, Key] | None, environment: Mapping[str, str]
) -> dict[str, Signer]:
    given: dict[str, Key] = {}
    if key is None and keys is None:
        for purpose, variable in _VARIABLES.items():
            if value := environment.get(variable):
                given[purpose] = value
    else:
        given = dict(keys or {})
        if key is not None:
            given.setdefault("transact", key)
    folder = given.get("transact")
    if isinstance(folder, str | os.PathLike) and Path(folder).is_dir():
        del given["transact"]
        given = {**_list_folder(Path(folder)), **given}
    unknown = set(given) - set(KEY_PURPOSES)
    if unknown:
        raise ConfigurationError("unknown purposes of keys", found=sorted(unknown), known=KEY_PURPOSES)
    if not given:
        raise ConfigurationError("no key: give key= or keys={purpose: key}, or set COMMONPOINT_KEY")
    passphrase = environment.get("COMMONPOINT_PASSPHRASE")
    return {purpose: load_signer(value, passphrase=passphrase) for purpose, value in given.items()}


def _list_folder(folder: Path) -> dict[str, Key]:
    found: dict[str, Key] = {purpose: folder / f"{purpose}.pem" for purpose in KEY_PURPOSES}
    return {purpose: path for purpose, path in found.items() if isinstance(path, Path) and path.exists()}


def _load_text(text: str) -> Signer:
    try:
        return _make_signer(from_base64url(text, size=SEED_BYTES), "key")
    except Refused as refusal:
        raise ConfigurationError("this key is not the base64url of a seed", reason=str(refusal)) from None


def _load_file(path: Path, passphrase: str | None) -> Signer:
    data = _read_private(path)
    if data.startswith(b"-----BEGIN"):
        beside = path.with_name(_PASSPHRASE_FILE)
        if passphrase is None and beside.exists():
            passphrase = _read_private(beside).decode("utf-8", "replace").strip()
        return _load_pem(data, path, passphrase)
    text = data.decode("ascii", "replace").strip()
    return _load_text(text) if _SEED_TEXT.fullmatch(text) else _make_signer(data, str(path))


def _read_private(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        data = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(
            "the key file cannot be read", path=str(path), reason=error.strerror
        ) from None
    if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigurationError("others may read this key file: chmod 600 it", path=str(path))
    return data


def _load_pem(data: bytes, path: Path, passphrase: str | None) -> Signer:
    # Most merchants keep a seed; what reads PKCS#8 takes a while to import and is loaded when it is needed.
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        private = load_pem_private_key(data, None if passphrase is None else passphrase.encode())
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigurationError(
            "this key file does not open; its passphrase goes into COMMONPOINT_PASSPHRASE",
            path=str(path),
            reason=str(error)[:100],
        ) from None
    if not isinstance(private, Ed25519PrivateKey):
        raise ConfigurationError("not an Ed25519 key", path=str(path))
    return _make_signer(private.private_bytes_raw(), str(path))


def _make_signer(seed: bytes, name: str) -> Signer:
    if len(seed) != SEED_BYTES:
        raise ConfigurationError("a seed has 32 bytes", name=name, bytes=len(seed))
    return SeedSigner(seed)


def _read_urls(given: str | Sequence[str] | None) -> tuple[str, ...]:
    urls = given.split(",") if isinstance(given, str) else list(given or ())
    if not urls:
        raise ConfigurationError("no node: give url=, or set COMMONPOINT_URL")
    found = []
    for url in urls:
        if not is_address(url.strip()):
            raise ConfigurationError("a node's address reads like https://node.example", url=url)
        found.append(url.strip().rstrip("/"))
    # The same address twice is one node.
    return tuple(dict.fromkeys(found))


def _read_chain(chain: str | None, policy: Policy | None) -> str:
    if chain is None:
        origins = {log.key.name for log in policy.logs} if policy is not None else set()
        if len(origins) != 1:
            raise ConfigurationError(
                "no chain: give chain= or set COMMONPOINT_CHAIN. Ask your alliance for the string, "
                "not the node: it is what the node is held to"
            )
        (chain,) = origins
    return _check(chain, _CHAIN, "chain", "COMMONPOINT_CHAIN")


def _check(text: str | None, decoder: msgspec.json.Decoder[str], name: str, variable: str) -> str:
    if not text:
        raise ConfigurationError(f"no {name}: give {name}=, or set {variable}")
    try:
        return decoder.decode(msgspec.json.encode(text))
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise ConfigurationError(
            f"this {name} has the wrong form", found=text[:100], reason=str(error)
        ) from None
