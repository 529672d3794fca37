"""A node in its own process, for measurements over HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import uvicorn

from node.api.app import make_app
from node.core import NodeCore
from node.tokens import TokenIssuer
from scripts.measure.alliance import make_signer


def serve(path: Path, genesis: Sequence[bytes], seed: int, port: int) -> None:
    """Serve until terminated."""
    core = NodeCore.open(path, genesis=genesis, signer=make_signer(seed, "log"))
    app = make_app(core, tokens=TokenIssuer(secret=bytes(32), chain=core.chain))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", access_log=False)
