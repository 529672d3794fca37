"""The records of settlement: windows, statements, what is carried over, what stands behind debts."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

COVER: Final = "cover"
FUND: Final = "fund"
OPEN_WINDOW: Final = "open_window"
WINDOW: Final = "window"
STATEMENT: Final = "statement"
STATED: Final = "stated"
CARRY: Final = "carry"
BROUGHT: Final = "brought"
BRANDS: Final = "brands"


class Cover(Struct, frozen=True, array_like=True, gc=False):
    """What stands behind a participant's debts, micros. By participant."""

    cover: int
    expires: int
    reserve: int


class OpenWindow(Struct, frozen=True, array_like=True, gc=False):
    """The window that the next block belongs to: one record, under the table's own name.

    Absent until something is cut: then window 1 is open since genesis.
    """

    number: int
    first_height: int
    opened_at: int
    cut_height: int
    """The height before which it ends; 0 where nobody has said."""


class Transfer(Struct, frozen=True, array_like=True, gc=False):
    """A payment that settles part of a window."""

    payer: str
    payee: str
    units: int
    payer_reference: str
    """The bank's, once attested; else empty."""
    payee_reference: str


class WindowRecord(Struct, frozen=True, array_like=True):
    """A window that was cut. By number in six digits."""

    first_height: int
    last_height: int
    opened_at: int
    closed_at: int
    statement: str
    """Its hash."""
    state: str
    """`closed` | `confirmed` | `settled` | `aborted`."""
    parties: tuple[str, ...]
    """Who stands in the statement, in order."""
    agreed: tuple[str, ...]
    """Who has agreed, or whose dispute was decided."""
    disputed: tuple[str, ...]
    """Whose disputes are open."""
    due_at: int
    """When the time to dispute is over; once confirmed, the time to pay."""
    unit_micros: int
    """What a transfer counts in."""
    transfers: tuple[Transfer, ...]
    debits: tuple[tuple[str, int], ...]
    """(participant, micros it came to owe in the window or by what was brought into it), what is not zero, in
    order.
    """


class Brands(Struct, frozen=True, array_like=True):
    """How what a participant is paid is split. By participant."""

    shares: tuple[tuple[str, int], ...]
