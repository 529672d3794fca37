"""A node in its own process, for measurements over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import uvicorn

from node.api.app import make_app
from node.api.server import make_server_config
from node.core import NodeCore, get_system_time
from node.process import tame_garbage_collector
from node.tokens import TokenIssuer
from scripts.measure.alliance import make_signer


def serve(path: Path, genesis: Sequence[bytes], seed: int, port: int) -> None:
    """Serve until terminated."""
    core = NodeCore.open(path, genesis=genesis, signer=make_signer(seed, "log"))
    tokens = TokenIssuer(secret=bytes(32), chain=core.chain, clock=get_system_time)
    tame_garbage_collector()
    uvicorn.Server(make_server_config(make_app(core, tokens=tokens), port=port)).run()
