"""A witness as a process: its folder, its key, its server.

    DIR/witness.vkey        name and public key, to be listed in policies
    DIR/keys/witness.pem    what it cosigns with
    DIR/logs/*.note         the newest checkpoint of each log, by the hash of its origin
    DIR/lock                held while a process uses the folder

Whoever loses DIR/logs must retire the key: without it a witness would cosign another history.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ledger.keys import SeedSigner
from ledger.log.note import COSIGNATURE_V1, VerifierKey, decode_vkey, encode_vkey, is_key_name
from ledger.log.policy import parse_policy
from node import keystore
from node.api.server import make_server_config
from node.app import UMASK
from node.config import KEYS_FOLDER, LOCK_FILE
from node.keystore import Unusable
from node.serving import Server, Stop, get_address, listen
from node.witness.app import WitnessApp
from node.witness.desk import WitnessDesk

PURPOSE: Final = "witness"
VKEY_FILE: Final = "witness.vkey"


def open_folder(directory: Path, *, name: str | None) -> tuple[str, SeedSigner]:
    """The name and key of the witness in this folder, made where it is new or empty. Raises `Unusable`."""
    path = directory / VKEY_FILE
    if not path.exists():
        if name is None or not is_key_name(name):
            advice = "Give the witness a name without spaces and plus signs: --name witness.example/w1"
            raise Unusable("WITNESS_NAME", advice=advice, name=str(name))
        seed = keystore.make_seed()
        keystore.make_folder(directory)
        keystore.make_folder(directory / KEYS_FOLDER)
        keystore.write_keys(directory / KEYS_FOLDER, {PURPOSE: seed})
        vkey = encode_vkey(VerifierKey(name, COSIGNATURE_V1, SeedSigner(seed).public))
        # Last: a folder without it is not yet a witness's.
        keystore.write_private(path, vkey.encode() + b"\n")
    keystore.check_private_folder(directory / KEYS_FOLDER)
    key = decode_vkey(path.read_text("utf-8").strip())
    signer = keystore.open_signer(directory / KEYS_FOLDER, PURPOSE)
    if key.public != signer.public or name not in (None, key.name):
        advice = "A witness keeps its name and key for ever; begin another in a new folder."
        raise Unusable("WITNESS_DIFFERS", advice=advice, expected=key.name, given=str(name))
    return key.name, signer


def read_log_keys(told: Sequence[str]) -> list[VerifierKey]:
    """The logs' keys: each a verifier key, or a policy file that lists some. Raises `Refused`."""
    found: list[VerifierKey] = []
    for each in told:
        path = Path(each)
        if path.is_file():
            found += [log.key for log in parse_policy(path.read_bytes()).logs]
        else:
            found.append(decode_vkey(each))
    return list(dict.fromkeys(found))


@contextmanager
def _hold(directory: Path) -> Iterator[None]:
    """No other process is this witness meanwhile: two would each see a history of their own."""
    descriptor = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            advice = "Stop the witness that uses it first."
            raise Unusable("DATA_DIR_IN_USE", advice=advice, directory=str(directory)) from None
        yield
    finally:
        os.close(descriptor)


def serve_witness(
    directory: Path,
    *,
    name: str | None,
    logs: Sequence[str],
    host: str,
    port: int,
    announce: Callable[[str, str], None],
) -> None:
    """A witness runs until it is told to stop. Raises `Unusable`, `Refused` or `InvariantBroken`."""
    os.umask(UMASK)
    keys = read_log_keys(logs)
    own, signer = open_folder(directory, name=name)
    with _hold(directory), listen(host, port) as listener, Stop() as stop:
        desk = WitnessDesk(directory, name=own, signer=signer, logs=keys, clock=lambda: int(time.time()))
        vkey = encode_vkey(VerifierKey(own, COSIGNATURE_V1, signer.public))
        server = Server(
            make_server_config(WitnessApp(desk)),
            announce=lambda: announce(vkey, get_address(listener)),
            let_go=(),
        )
        if stop.hand_over(server):
            server.run(sockets=[listener])
