"""What is kept between two starts of a shop's software: plain records, without the file they are kept in."""

from __future__ import annotations

from typing import NamedTuple


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
