"""A connection with the right to look: a token as it was given, or one asked for with a participant's key."""

from __future__ import annotations

from pathlib import Path

from ledger.keys import SeedSigner
from node import keystore
from node.config import read_participant
from node.keystore import PARTICIPANT_FILE, Unusable
from node.remote.chain import read_origin
from node.remote.connection import Connection
from node.remote.tokens import make_asker

READERS = ("transact", "till", "custody", "govern")
"""Purposes of keys that a node gives a token for."""


def open_connection(
    url: str,
    *,
    token: str | None = None,
    keys: Path | None = None,
    participant: str | None = None,
    chain: str | None = None,
) -> Connection:
    """The node at this address. With ``keys`` it is asked for a token when one is first needed."""
    if token is not None or keys is None:
        return Connection(url, token=token)
    signer = find_signer(keys, READERS)
    with Connection(url) as asking:
        origin, _ = read_origin(asking, pinned=chain)
    whose = get_participant(keys) if participant is None else participant
    return Connection(url, ask_token=make_asker(participant=whose, signer=signer, chain=origin.chain))


def find_signer(folder: Path, purposes: tuple[str, ...]) -> SeedSigner:
    """The signer of the first of these purposes that the folder has a key for. Raises `Unusable`."""
    keystore.check_private_folder(folder)
    for purpose in purposes:
        if (folder / f"{purpose}.pem").exists():
            return keystore.open_signer(folder, purpose)
    advice = f"Name a folder with {' or '.join(f'{purpose}.pem' for purpose in purposes)} in it."
    raise Unusable("KEYS_MISSING", advice=advice, path=str(folder))


def get_participant(folder: Path) -> str:
    """Whose keys the folder holds, as `commonpoint key new` wrote there. Raises `Unusable`."""
    path = folder / PARTICIPANT_FILE
    if not path.exists():
        advice = "Say whose keys they are: --participant."
        raise Unusable("PARTICIPANT_UNKNOWN", advice=advice, path=str(folder))
    return read_participant(path).participant
