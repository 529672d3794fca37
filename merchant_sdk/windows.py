"""Settlement windows and exposures, as a node tells them: its word for the `height` it names.

What a window adds up to is its statement (`merchant_sdk.statement`), whose hash stands in the log.
"""

from __future__ import annotations

from msgspec import Struct, field

from merchant_sdk.amounts import format_micros


class WindowPosition(Struct, frozen=True, kw_only=True):
    """What a participant is owed in the open window, less what it owes."""

    participant: str
    net_micros: int

    @property
    def net(self) -> str:
        """The same in units of the settlement currency, as people write it."""
        return format_micros(self.net_micros)


class OpenWindow(Struct, frozen=True, kw_only=True):
    """The window that the next block belongs to."""

    window: int
    first_height: int
    opened_at: int
    cut_height: int | None = None
    """It ends before this height, where somebody has said so."""
    positions: tuple[WindowPosition, ...] = ()
    """As far as we may see them: our own."""


class WindowSummary(Struct, frozen=True, kw_only=True):
    """A window that was cut."""

    window: int
    state: str
    """``closed``, ``confirmed``, ``settled`` or ``aborted``."""
    first_height: int
    last_height: int
    opened_at: int
    closed_at: int
    due_at: int
    """When the time to dispute is over; once confirmed, the time to pay."""
    statement: str
    """The statement's hash."""


class Transfer(Struct, frozen=True, kw_only=True):
    """A payment that settles part of a window. Its place among the window's is its number."""

    payer: str = field(name="from")
    payee: str = field(name="to")
    units: int
    payer_reference: str | None = None
    """The bank's, once attested."""
    payee_reference: str | None = None


class Window(WindowSummary, frozen=True, kw_only=True):
    """A window that was cut, who has signed it, and what has been paid."""

    parties: tuple[str, ...]
    agreed: tuple[str, ...]
    disputed: tuple[str, ...]
    unit_micros: int
    """What a transfer counts in."""
    transfers: tuple[Transfer, ...]
    height: int


class Windows(Struct, frozen=True, kw_only=True):
    """The open window, and those that were cut, newest first."""

    open: OpenWindow
    windows: tuple[WindowSummary, ...]
    height: int


class Exposure(Struct, frozen=True, kw_only=True):
    """What a participant owes that is not settled, micros."""

    participant: str
    owed_micros: int
    held_micros: int
    """The part of it that is for open holds."""
    limit_micros: int | None = None
    """The smaller of cap and cover; None where there is neither."""
    cap_micros: int | None = None
    cover_micros: int | None = None
    cover_expires: int | None = None
    """From then on the cover counts as nothing."""
    reserve_micros: int | None = None
    percent: int | None = None
    """How much of the limit is used."""
    height: int

    @property
    def owed(self) -> str:
        """What it owes in units of the settlement currency, as people write it."""
        return format_micros(self.owed_micros)
