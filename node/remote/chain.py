"""Which chain a node serves: believed once its genesis leaves hash to the chain string.

Without a pinned string that only says that the node agrees with itself; the caller says so to whoever asked.
"""

from __future__ import annotations

from typing import Any

from ledger.errors import Unverified
from ledger.genesis import Origin, read_genesis
from node.audit.sources import SourceUnavailable
from node.remote.connection import Connection


def read_origin(connection: Connection, *, pinned: str | None) -> tuple[Origin, int]:
    """The genesis a node shows and the time of its newest block.

    Raises `Unverified` ``WRONG_CHAIN`` where it is not the pinned one, `InvalidBlock` where it is none.
    """
    told: Any = connection.get_json("v1", "chain")
    leaves = told.get("genesis") if isinstance(told, dict) else None
    if not isinstance(leaves, list) or not all(isinstance(leaf, str) for leaf in leaves):
        raise SourceUnavailable("SOURCE_ANSWERED", url=connection.url, reason="no genesis in the answer")
    origin = read_genesis([leaf.encode() for leaf in leaves])
    expected = told.get("chain") if pinned is None else pinned
    if origin.chain != expected:
        raise Unverified("WRONG_CHAIN", expected=expected, found=origin.chain)
    time = told.get("time")
    if not isinstance(time, int):
        raise SourceUnavailable("SOURCE_ANSWERED", url=connection.url, reason="no time in the answer")
    return origin, time
