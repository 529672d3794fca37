"""The records that rules keep in the state, table by table.

They are compact arrays and never leave the node as they are; what goes over the wire are messages and
outcomes.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

PARTICIPANT: Final = "participant"
PARAMETER: Final = "parameter"
PROGRAM: Final = "program"
SERIES: Final = "series"
GRANT: Final = "grant"
MEMBER: Final = "member"
NONCE: Final = "nonce"
REFERENCE: Final = "reference"


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


TABLES: Final[dict[str, Any]] = {
    PARTICIPANT: Participant,
    PARAMETER: Parameter,
    PROGRAM: Program,
    SERIES: Series,
    GRANT: GrantRecord,
    MEMBER: Member,
    NONCE: int,
    REFERENCE: ReferenceRecord,
}
"""Table name → record type. `nonce` holds the expiry of a consent that was spent."""

RESIDENT: Final = frozenset({PARTICIPANT, PARAMETER, PROGRAM, SERIES, GRANT})
"""The alliance's own tables: as small as the alliance, however many members it has."""
FLEETING: Final = frozenset({NONCE, REFERENCE})
"""What was spent is looked for, and as a rule not found: there is no use in keeping it at hand."""
