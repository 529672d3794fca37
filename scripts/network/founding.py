"""Four organisations found one ledger: each makes its keys, one makes the genesis, all take it.

The participants are the demo's, with its seeded keys, so nothing here may be used outside a trial. What the
validators sign with is drawn anew in every run: each is in the folder of its own organisation alone.
"""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from node import keystore
from node.config import POSTGRESQL_FILE, Config
from node.engine.cometbft.founding import found_ledger, join_ledger, make_validator
from scripts.year.alliance import (
    CURRENCY,
    OPERATOR,
    OPERATOR_NAME,
    SUPERMARKET,
    UTC_OFFSET_MINUTES,
    make_participants,
)
from scripts.year.charter import PARAMETERS, make_constitution

CHAIN_NAME: Final = "devnet"
VALIDATORS: Final = (OPERATOR, SUPERMARKET, "petrol", "pharmacy")
"""The organisations that keep the ledger together; the first of them makes the genesis."""
ON_POSTGRESQL: Final = "petrol"
"""The one of them that keeps it in PostgreSQL. It takes the genesis as the others do, byte for byte."""
FOLLOWER: Final = "bakery"
"""The fifth organisation: it keeps no validator, executes every block and cosigns what comes out the same."""
COSIGNER: Final = "bakery.example/points"


def found_alliance(folder: Path, *, database: str) -> dict[str, Config]:
    """Each validator's data directory, by organisation. Raises `node.keystore.Unusable`."""
    ports = _find_ports(len(VALIDATORS))
    keys = {name: folder / f"keys-{name}" for name in VALIDATORS}
    made = [
        make_validator(keys[name], participant=name, address=f"127.0.0.1:{port}")
        for name, port in zip(VALIDATORS, ports, strict=True)
    ]
    founded = found_ledger(
        folder / OPERATOR,
        keys=keys[OPERATOR],
        validators=made,
        name=CHAIN_NAME,
        operator=OPERATOR,
        operator_name=OPERATOR_NAME,
        participants=make_participants(),
        currency=CURRENCY,
        utc_offset_minutes=UTC_OFFSET_MINUTES,
        parameters=PARAMETERS,
        constitution=make_constitution(),
        time=time.time_ns() // 1_000_000,
    )
    configs = {OPERATOR: founded}
    for name in VALIDATORS[1:]:
        configs[name] = join_ledger(
            folder / name, genesis=founded.origin.leaves, keys=keys[name], validators=made
        )
    keystore.write_private(folder / ON_POSTGRESQL / POSTGRESQL_FILE, database.encode() + b"\n")
    return configs


def _find_ports(count: int) -> list[int]:
    """So many ports of loopback that were free a moment ago."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]
