"""Registry: who takes part, with which keys; what is issued, at what par; who may make or accept it.

All of these are signed with a `govern` key. Each participant answers for its own keys, programs and grants;
admission and parameters are the operator's where the alliance has no constitution.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from ledger.codec import INTEGER_MAX
from ledger.values import (
    Balance,
    Height,
    KeyId,
    Millis,
    Name,
    Par,
    ParticipantId,
    ProgramId,
    PublicKey,
    SeriesId,
)

KeyPurpose = Literal["transact", "till", "custody", "govern"]
GrantKind = Literal["earn", "redeem", "exchange_out", "exchange_in", "custody"]
ParameterName = Annotated[str, Meta(pattern=r"\A[a-z][a-z_]{2,62}\Z", max_length=63)]
ParameterValue = Annotated[int, Meta(ge=0, le=INTEGER_MAX)]
SpendPerPoint = Annotated[int, Meta(ge=333_334, le=10**12)]
ExpiryMonths = Annotated[int, Meta(ge=0, le=48)]
"""0 = never. One lot for each month that is not over yet: with more, buying monthly would fill an account."""


class ParticipantKey(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A public key and what it may sign."""

    public: PublicKey
    purpose: KeyPurpose


class Admit(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="admit", tag_field="@type"):
    """An organisation joins."""

    keys: Annotated[list[ParticipantKey], Meta(min_length=1, max_length=16)]
    name: Name
    participant: ParticipantId


class SetParameter(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="set_parameter", tag_field="@type"
):
    """A parameter takes another value from a height on."""

    effective_height: Height
    parameter: ParameterName
    value: ParameterValue


class AddKey(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="add_key", tag_field="@type"):
    """The sender gets one more key, from the next height."""

    public: PublicKey
    purpose: KeyPurpose


class RevokeKey(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="revoke_key", tag_field="@type"
):
    """Nothing this key signed is taken from the next height on."""

    key: KeyId


class OpenProgram(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="open_program", tag_field="@type"
):
    """The sender becomes the issuer of a new program."""

    name: Name
    program: ProgramId
    spend_per_point: SpendPerPoint
    """Micros of spend that earn one point."""


class OpenSeries(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="open_series", tag_field="@type"
):
    """From a height on, what is issued is of this series."""

    effective_height: Height
    expiry_months: ExpiryMonths
    """0 = never."""
    par_accrue: Par
    par_redeem: Par
    program: ProgramId
    series: SeriesId


class AnnouncePar(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="announce_par", tag_field="@type"
):
    """A series' prices change at a height announced before."""

    effective_height: Height
    par_accrue: Par
    par_redeem: Par
    program: ProgramId
    series: SeriesId


class Grant(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="grant", tag_field="@type"):
    """An issuer lets another participant make or accept its points, within a budget."""

    budget_day: Balance
    """Points a day, in the chain's offset."""
    budget_total: Balance
    expires: Millis
    kind: GrantKind
    program: ProgramId
    to: ParticipantId


class RevokeGrant(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="revoke_grant", tag_field="@type"
):
    """A grant ends at once."""

    kind: GrantKind
    program: ProgramId
    to: ParticipantId
