"""Answers about the alliance, as the API page describes them.

Chain, parameters, participants, programs, quotes.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from node.api.answers import Answer, Height, Time


class Chain(Answer):
    """The chain, and all a client needs to pin it."""

    chain: Annotated[str, Field(examples=["demo/5c1d4e0f9a8b7c6d5e4f3a2b1c0d9e8f"])]
    clock: Literal["system", "simulated"]
    currency: str
    epoch: Annotated[int, Field(description="The newest trust policy that was enacted.")]
    genesis: Annotated[
        list[str],
        Field(description="The genesis leaves; the chain's last part begins the RFC 6962 root over them."),
    ]
    height: Height
    name: str
    operator: str
    policy: Annotated[str, Field(description="The C2SP tlog-policy of epoch 0.")]
    size: int
    time: Time
    utc_offset_minutes: int
    version: str
    vkey: Annotated[
        str, Field(description="The note verifier key of the genesis's log key; of several, the first.")
    ]
    vkeys: Annotated[
        list[str],
        Field(
            description="The log's verifier keys by the policy of the newest checkpoint: one of them signs."
        ),
    ]


class ValueChange(Answer):
    """A value from a height on."""

    height: int
    value: int


class ParameterRow(Answer):
    """A parameter of the alliance."""

    changes: Annotated[list[ValueChange], Field(description="Announced, not yet in force.")]
    name: str
    value: Annotated[int, Field(description="In force in the next block.")]


class Parameters(Answer):
    """All parameters."""

    height: Height
    parameters: list[ParameterRow]


class KeyRow(Answer):
    """A key of a participant."""

    key: str
    public: str
    purpose: str
    valid_from: int
    valid_to: Annotated[int | None, Field(description="The first height at which it no longer counts.")] = (
        None
    )


class ParticipantRow(Answer):
    """An organisation of the alliance."""

    keys: list[KeyRow]
    name: str
    participant: str
    programs: list[str]


class Participants(Answer):
    """All participants."""

    height: Height
    participants: list[ParticipantRow]


class ParsRow(Answer):
    """Prices from a height on, micros a point."""

    height: int
    par_accrue: int
    par_redeem: int


class SeriesRow(Answer):
    """One vintage of a program."""

    expiry_months: int
    opened: Annotated[
        int, Field(description="From this height it is the one open for issuing, until the next.")
    ]
    pars: list[ParsRow]
    series: str


class GrantRow(Answer):
    """An issuer's permission for another participant."""

    budget_day: int
    budget_total: int
    expires: Time
    kind: str
    to: str
    used_day: Annotated[int | None, Field(description="Today. Issuer, grantee and auditor see it.")] = None
    used_total: Annotated[int | None, Field(description="In all. Issuer, grantee and auditor see it.")] = None


class PolicyRow(Answer):
    """How a program is spent, given away, awarded and clawed back."""

    bonus_day: Annotated[int | None, Field(description="Points of awards a day. Issuer and auditor.")] = None
    bonus_total: Annotated[int | None, Field(description="Points of awards in all. Issuer and auditor.")] = (
        None
    )
    cooling_days: int
    gifts: str
    order_share_basis_points: int
    points_order: int
    shortfall: str
    used_day: Annotated[int | None, Field(description="Awarded today. Issuer and auditor.")] = None
    used_total: Annotated[int | None, Field(description="Awarded in all. Issuer and auditor.")] = None


class ProgramRow(Answer):
    """An issuer's points."""

    grants: list[GrantRow]
    issuer: str
    name: str
    policy: PolicyRow
    program: str
    series: list[SeriesRow]
    spend_per_point: int


class Program(ProgramRow):
    """One program."""

    height: Height


class Programs(Answer):
    """All programs."""

    height: Height
    programs: list[ProgramRow]


class Quote(Answer):
    """What an exchange would do now."""

    height: Height
    least: Annotated[int, Field(description="What to ask the member to accept: the points received.")]
    points_received: int
    points_taken: int
    rate_height: Annotated[int, Field(description="The height from which both rates hold.")]
    valid_to_height: Annotated[
        int | None, Field(description="The first height at which the quote is dead.")
    ] = None
