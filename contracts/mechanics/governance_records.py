"""The records of governance: who decides, what is proposed, what rests and what is tried."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from contracts.messages.actions import Action

GOVERNMENT: Final = "government"
PROPOSAL: Final = "proposal"
AGENDA: Final = "agenda"
RESERVED: Final = "reserved"
HALT: Final = "halt"
TRIAL: Final = "trial"
TRUST: Final = "trust"
ISSUANCE: Final = "issuance"
ENGINE: Final = "engine"
VALIDATORS: Final = "validators"


class Government(Struct, frozen=True, array_like=True):
    """Who decides, and how much agreement it takes: one record, under the table's own name."""

    configuration: int
    """How often voters, voting rules or the rulebook have changed: what a proposal is made for."""
    minimum_voters: int
    rules: tuple[tuple[str, int, int], ...]
    """(kind, basis points of all weight that must be for it, heights of notice), by kind."""
    trustee: str
    voters: tuple[tuple[str, int], ...]
    """(participant, weight above 0), by participant."""


class ProposalRecord(Struct, frozen=True, array_like=True):
    """A proposal, who is for it, and what became of it."""

    actions: tuple[Action, ...]
    approve_basis_points: int
    """The strictest of its actions' kinds asks for it, as the rules were when it was made."""
    configuration: int
    effective_height: int
    enacts_at: int
    """The height at which it is enacted; 0 before it has passed."""
    expires: int
    index: int
    """Where its `propose` stands in the log."""
    no: tuple[str, ...]
    notice_heights: int
    proposer: str
    state: str
    """`open` | `passed` | `enacted` | `failed` (could not be enacted) | `rejected` | `cancelled`."""
    yes: tuple[str, ...]


class Agenda(Struct, frozen=True, array_like=True):
    """What waits to be enacted: one record, under the table's own name."""

    passed: tuple[tuple[int, str], ...]
    """(height, proposal), in this order."""
    open: int
    """How many proposals can be voted on."""
    proposers: tuple[tuple[str, int], ...]
    """(proposer, how many of its own are open or wait), above 0, by proposer."""


class Halt(Struct, frozen=True, array_like=True):
    """What rests: one record, under the table's own name; absent where nothing does. Each in order."""

    messages: tuple[str, ...]
    programs: tuple[str, ...]
    removed: tuple[str, ...]
    suspended: tuple[str, ...]


class TrialRecord(Struct, frozen=True, array_like=True):
    """A parameter's other value, and where it applies. By parameter."""

    members_basis_points: int
    """The share of members; 0 where it applies to merchants."""
    merchants: tuple[str, ...]
    seed: str
    """What members are drawn with: the leaf hash of the block leaf before the enactment."""
    value: int


class TrustPolicy(Struct, frozen=True, array_like=True):
    """A trust policy of the alliance. By epoch in eight digits; epoch 0 follows from the genesis."""

    height: int
    policy: str


class EngineRecord(Struct, frozen=True, array_like=True):
    """Which engine makes the blocks, and how it began: one record, under the table's own name; absent where
    one sequencer makes them. What every validator derives the engine's own genesis from, so it never changes.
    """

    engine: str
    height: int
    """The first block after this one is the engine's; 0 where it has made all of them."""
    time: int
    """Of that height."""
    validators: tuple[tuple[str, int, str], ...]
    """(participant, power, consensus key) by participant: those it began with."""


class ValidatorSet(Struct, frozen=True, array_like=True):
    """Who decides the next block: one record, under the table's own name; absent for one sequencer."""

    height: int
    """Decided with this block; the engine asks them two of its own heights later."""
    validators: tuple[tuple[str, int, str], ...]
    """(participant, power, consensus key), by participant."""


class Issuance(Struct, frozen=True, array_like=True, gc=False):
    """How many points of a program may be issued, and how many were. By program."""

    budget_day: int
    budget_total: int
    day: int
    """The day that `used_day` counts."""
    used_day: int
    used_total: int
