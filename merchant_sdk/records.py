"""What is kept between two starts of a shop's software: plain records, without the file they are kept in."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct


class Pending(NamedTuple):
    """A signed transaction on its way."""

    sender: str
    id: str
    data: bytes
    """The signed bytes, as they are sent."""
    not_after: int


class Dated(NamedTuple):
    """An order that came without a moment, and the one it was given."""

    kind: str
    program: str
    reference: str
    occurred_at: int


class Queued(NamedTuple):
    """An earning that is written down and not sent yet."""

    reference: str
    program: str
    occurred_at: int
    """When it happened, milliseconds UTC: that is what the ledger will hear, whenever it hears it."""


class Endpoint(Struct, frozen=True, kw_only=True):
    """An address of ours that a node delivers entries to."""

    id: str
    url: str
    secret: str = ""
    """What deliveries are signed with; told once, when the address is registered."""
    types: list[str] = []
    """The messages it hears of; none: of all."""
    cursor: int
    """The index of the last entry that was taken there."""
    state: str
    """``enabled`` or ``disabled``."""
    attempts: int = 0
    """Failed attempts for the entry whose turn it is."""
    reason: str = ""
    """Why it is disabled."""


class TrustedNote(NamedTuple):
    """The checkpoint that is trusted by now."""

    chain: str
    size: int
    note: str


class Evidence(NamedTuple):
    """Two signed notes that contradict each other, and how."""

    code: str
    found: str
    trusted: str
