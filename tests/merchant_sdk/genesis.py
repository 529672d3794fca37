"""A village of an operator and two shops as it begins: its keys, and its genesis."""

from __future__ import annotations

import time

from ledger.codec import to_base64url
from ledger.genesis import Genesis, GenesisKey, GenesisParticipant, Origin, encode_genesis, read_genesis
from ledger.keys import SeedSigner

URL = "http://127.0.0.1:8710"
START = 1_700_000_000_000
PURPOSES = ("govern", "transact", "till", "custody")
PARTICIPANTS = ("fresh", "op", "petrol")
LOG = SeedSigner(b"the log's key, thirty-two bytes.")


def seed_of(participant: str, purpose: str) -> bytes:
    return f"{participant} {purpose}".encode().ljust(32, b".")


def keys_of(participant: str, *purposes: str) -> dict[str, bytes]:
    return {purpose: seed_of(participant, purpose) for purpose in purposes or ("transact", "custody")}


def make_origin(*, clock: str = "system", name: str = "village") -> Origin:
    settings = Genesis(
        clock=clock,
        currency="EUR",
        engine="solo",
        log_key=to_base64url(LOG.public),
        name=name,
        operator="op",
        parameters=[],
        rulebook=1,
        time=START,
        utc_offset_minutes=0,
    )
    participants = [
        GenesisParticipant(
            keys=[
                GenesisKey(public=to_base64url(SeedSigner(seed_of(name, purpose)).public), purpose=purpose)
                for purpose in PURPOSES
            ],
            name=name.title(),
            participant=name,
        )
        for name in PARTICIPANTS
    ]
    return read_genesis(encode_genesis(settings, participants))


def get_system_time() -> int:
    return time.time_ns() // 1_000_000
