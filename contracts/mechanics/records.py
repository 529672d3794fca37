"""The records that rules keep in the state, table by table.

They are compact arrays and never leave the node as they are; what goes over the wire are messages and
outcomes.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from ledger.outcome import Lot
from ledger.values import FOREVER, POINTS_MAX

PARTICIPANT: Final = "participant"
PARAMETER: Final = "parameter"
PROGRAM: Final = "program"
SERIES: Final = "series"
GRANT: Final = "grant"
MEMBER: Final = "member"
NONCE: Final = "nonce"
REFERENCE: Final = "reference"
EARNED: Final = "earned"
SPENT: Final = "spent"
HOLD: Final = "hold"
DEBT: Final = "debt"
POLICY: Final = "policy"
TILL: Final = "till"
EXPOSURE: Final = "exposure"

RETENTION_DAYS: Final = 1_000
"""What lies further back than this is never looked at, whatever the parameters: more than the longest
reference horizon (800 days) and the longest hold (31) together.
"""


class Participant(Struct, frozen=True, array_like=True):
    """An organisation of the alliance."""

    name: str
    admitted: int
    """The height of its admission; 0 = genesis."""
    govern_keys: int
    """How many of its govern keys are not revoked: never fewer than one."""


class Change(Struct, frozen=True, array_like=True, gc=False):
    """A parameter's value from a height on."""

    height: int
    value: int


class Parameter(Struct, frozen=True, array_like=True):
    """A parameter's values, by height, ascending."""

    changes: tuple[Change, ...]


class OpenedSeries(Struct, frozen=True, array_like=True, gc=False):
    """A series and the height from which it is the one open for issuing."""

    height: int
    series: str


class Program(Struct, frozen=True, array_like=True):
    """An issuer's points."""

    issuer: str
    name: str
    spend_per_point: int
    opened_day: int
    """The day it was opened: opening balances come soon after."""
    series: tuple[OpenedSeries, ...]
    """The one open for issuing and those that will be, ascending by height."""


class Pars(Struct, frozen=True, array_like=True, gc=False):
    """A series' two prices from a height on, micros a point."""

    height: int
    accrue: int
    redeem: int


class Series(Struct, frozen=True, array_like=True):
    """One vintage of a program."""

    opened: int
    """The height from which it is open."""
    expiry_months: int
    pars: tuple[Pars, ...]
    """The opening pars, those in force and those announced, ascending by height."""


class GrantRecord(Struct, frozen=True, array_like=True, gc=False):
    """An issuer's permission for another participant, and how much of it is used."""

    budget_day: int
    budget_total: int
    expires: int
    day: int
    """The day that `used_day` counts."""
    used_day: int
    used_total: int


class Member(Struct, frozen=True, array_like=True, gc=False):
    """A pseudonym, who enrolled it, and who may speak for it."""

    custodian: str
    key: str
    """The member's public key, base64url, or empty."""
    key_trusted_at: int
    """From when that key may spend other issuers' points."""
    pending: str
    """The key that replaces it, or empty."""
    pending_at: int
    """When it does."""
    custodian_speaks: bool
    """The custodian's custody key may consent although the member has a key."""
    till_speaks: bool
    """At the custodian's own tills, for its own program, the till's word is consent enough."""


class ReferenceRecord(Struct, frozen=True, array_like=True, gc=False):
    """The success that took a business reference."""

    index: int
    content: str
    """The first 16 bytes of the content's SHA-256, hex."""


class Undone(Struct, frozen=True, array_like=True, gc=False):
    """One refund or return of an original, by its own reference."""

    reference: str
    content: str
    index: int


class Earned(Struct, frozen=True, array_like=True, gc=False):
    """An earning that may be returned: in place of a `ReferenceRecord`."""

    index: int
    content: str
    amount: int
    fee: int
    """The accrual fee the partner paid the operator, micros."""
    lot: Lot
    """What was earned, with all its points."""
    member: str
    par_accrue: int
    """What the partner paid the issuer a point; 0 at home."""
    returned: int
    """Micros of goods that came back so far."""
    taken: int
    """Points really taken back for them so far: for these the partner was paid back."""
    undone: tuple[Undone, ...]


class Spent(Struct, frozen=True, array_like=True, gc=False):
    """A redemption that may be refunded: in place of a `ReferenceRecord`; for a hold, what was captured."""

    index: int
    content: str
    commission: int
    lots: tuple[Lot, ...]
    """In the order they were taken."""
    member: str
    pars: tuple[int, ...]
    """What the issuer paid a point of each; empty at home."""
    refunded: int
    """Points that came back so far."""
    undone: tuple[Undone, ...]


class HoldRecord(Struct, frozen=True, array_like=True, gc=False):
    """Points set aside: in place of a `ReferenceRecord`."""

    index: int
    content: str
    expires: int
    lots: tuple[Lot, ...]
    """Empty once it is final."""
    member: str
    pars: tuple[int, ...]
    """What the issuer will pay a point of each; empty at home."""
    final_content: str
    """The content of the capture or release that ended it; ``lapse`` where time did; empty while open."""
    final_index: int


class Policy(Struct, frozen=True, array_like=True, gc=False):
    """How a program is spent, given away, awarded and clawed back; and its awards so far."""

    bonus_day: int
    bonus_total: int
    cooling_days: int
    gifts: str
    order_share_basis_points: int
    points_order: int
    shortfall: str
    day: int
    """The day that `used_day` counts."""
    used_day: int
    used_total: int


NO_POLICY: Final = Policy(0, 0, 0, "allowed", 10_000, POINTS_MAX, "debt", 0, 0, 0)
"""A program whose issuer has set none."""


class TillLimits(Struct, frozen=True, array_like=True, gc=False):
    """How far a till's own word goes; and how far it went today."""

    points_day: int
    points_order: int
    step_up: int
    day: int
    """The day that `used_day` counts."""
    used_day: int


class Exposure(Struct, frozen=True, array_like=True, gc=False):
    """How much a participant may owe, and would owe for open holds."""

    cap: int
    held: int
    relieved: int
    """Of its debits since genesis, those of windows that are settled, less what came back unpaid from windows
    that were aborted: its debits without these are what it owes that is not settled.
    """


NO_EXPOSURE: Final = Exposure(FOREVER, 0, 0)
"""Nobody set a cap, nothing is held and nothing was settled."""
