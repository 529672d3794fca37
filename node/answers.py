"""What the node tells about a transaction: what came of it, and the proofs beside it. Never on the wire as
they are.
"""

from __future__ import annotations

from msgspec import Struct


class Taken(Struct, frozen=True):
    """What came of a transaction that is in the log. Never on the wire."""

    height: int
    index: int
    """Index of its transaction leaf; its entries follow."""
    time: int
    outcomes: tuple[bytes, ...]
    """Canonical bytes, one a message."""


class Proofs(Struct, frozen=True):
    """Why that is so, against the newest checkpoint. Never on the wire."""

    checkpoint: str
    proof: list[bytes]
    """Range proof of the transaction's leaves."""
    consistency: list[bytes] | None
    """From the size the asker trusts, where it named one."""
