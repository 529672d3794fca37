"""Answers about governance and settlement as the API page describes them. docs/spec/api.md is the authority.

As in `node.api.answers`, these models describe; they do not make the bytes.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from node.api.answers import Answer, Height, Micros, Time

Basis = Annotated[int, Field(ge=1, le=10_000, description="Of all weight, so much must be for it.")]
Hash = Annotated[str, Field(pattern="^[A-Za-z0-9_-]{43}$", description="SHA-256, base64url.")]
Next = Annotated[int | None, Field(description="Pass as `before` for the page after this one.")]


class RuleRow(Answer):
    """What a kind of proposal needs."""

    approve_basis_points: Basis
    kind: str
    notice_heights: Annotated[int, Field(description="It is enacted no sooner after it has passed.")]


class VoterRow(Answer):
    """An organisation that votes."""

    participant: str
    weight: int


class HaltRow(Answer):
    """What rests."""

    messages: list[str]
    programs: list[str]
    removed: list[str]
    suspended: list[str]


class TrialRow(Answer):
    """A parameter's other value, and where it applies: at some merchants, or with a share of members."""

    members_basis_points: int | None = None
    merchants: list[str] | None = None
    parameter: str
    seed: Annotated[str, Field(description="What members are drawn with.")]
    value: int


class Government(Answer):
    """Who decides, how, and what was decided for the time being."""

    configuration: Annotated[int, Field(description="What a proposal is made for.")]
    halt: HaltRow
    height: Height
    minimum_voters: int
    rulebook: Annotated[int, Field(description="The version of the rules of the next block.")]
    rules: list[RuleRow]
    trials: list[TrialRow]
    trustee: str
    voters: list[VoterRow]


class ProposalRow(Answer):
    """Something to decide, and who is for it."""

    actions: Annotated[list[dict[str, Any]], Field(description="As in the message `propose`.")]
    approve_basis_points: Basis
    configuration: int
    effective_height: int
    enacts_at: Annotated[int | None, Field(description="The height of its enactment, once passed.")] = None
    expires: Time
    index: Annotated[int, Field(description="Its `propose` in the log.")]
    no: list[str]
    notice_heights: int
    proposal: str
    proposer: str
    state: Literal["open", "passed", "enacted", "failed", "rejected", "cancelled"]
    weight_all: Annotated[int, Field(description="Of all voters, as they are now.")]
    weight_for: Annotated[int, Field(description="Of those who voted for it, as they are now.")]
    yes: list[str]


class Proposal(ProposalRow):
    """One proposal."""

    height: Height


class Proposals(Answer):
    """Proposals, newest first."""

    height: Height
    next: Next = None
    proposals: list[ProposalRow]


class PositionRow(Answer):
    """What a participant is owed in the open window, less what it owes."""

    net: Micros
    participant: str


class OpenWindow(Answer):
    """The window that the next block belongs to."""

    cut_height: Annotated[int | None, Field(description="It ends before this height.")] = None
    first_height: int
    opened_at: Time
    positions: list[PositionRow]
    window: int


class WindowRow(Answer):
    """A window that was cut."""

    closed_at: Time
    due_at: Annotated[
        int, Field(description="When the time to dispute is over; once confirmed, the time to pay.")
    ]
    first_height: int
    last_height: int
    opened_at: Time
    state: Literal["closed", "confirmed", "settled", "aborted"]
    statement: Hash
    window: int


class Windows(Answer):
    """The open window and those that were cut, newest first."""

    height: Height
    next: Next = None
    open: OpenWindow
    windows: list[WindowRow]


class TransferRow(Answer):
    """A payment that settles part of a window; its place is its number."""

    payee_reference: Annotated[str | None, Field(description="The bank's, once attested.")] = None
    payer_reference: Annotated[str | None, Field(description="The bank's, once attested.")] = None
    source: Annotated[str, Field(alias="from")]
    to: str
    units: Annotated[int, Field(description="Of `unit_micros` each.")]


class Window(WindowRow):
    """A window that was cut, who has signed it, and what has been paid."""

    agreed: list[str]
    disputed: Annotated[list[str], Field(description="Whose disputes are open.")]
    height: Height
    parties: list[str]
    transfers: list[TransferRow]
    unit_micros: int


class ExposureRow(Answer):
    """What a participant owes that is not settled, micros."""

    cap: Micros | None = None
    cover: Annotated[Micros | None, Field(description="As attested.")] = None
    cover_expires: Annotated[int | None, Field(description="From then on it counts as nothing.")] = None
    held: Annotated[Micros, Field(description="The part of `owed` that is for open holds.")]
    limit: Annotated[Micros | None, Field(description="The smaller of cap and cover; absent: none.")] = None
    owed: Micros
    participant: str
    percent: Annotated[int | None, Field(description="Of the limit; absent where there is none.")] = None
    reserve: Micros | None = None


class Exposures(Answer):
    """What everybody owes."""

    exposures: list[ExposureRow]
    height: Height
