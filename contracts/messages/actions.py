"""Actions: what an alliance can decide by vote. A proposal is a list of them, done in order, all or none.

No action rewrites a balance: what a dispute was right about is corrected openly, in the open window.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from contracts.messages.registry import ParameterName, ParameterValue, ParticipantKey
from ledger.genesis import VotingKind, Weight
from ledger.leaves import RulebookVersion
from ledger.values import (
    Amount,
    Balance,
    KeyId,
    Micros,
    Name,
    Par,
    ParticipantId,
    ProgramId,
    PublicKey,
    SeriesId,
)

BasisPoints = Annotated[int, Meta(ge=1, le=10_000)]
NoticeHeights = Annotated[int, Meta(ge=0, le=10_000_000)]
WindowNumber = Annotated[int, Meta(ge=1, le=999_999)]
PolicyText = Annotated[str, Meta(min_length=1, max_length=12_288)]
PausableKind = Literal[
    "adjust",
    "award",
    "earn",
    "enrol",
    "exchange",
    "gift",
    "hold",
    "import_balance",
    "redeem",
    "refund",
    "return_order",
]
"""What may be paused: neither what ends a hold, nor anything by which an alliance governs or settles."""


class Trial(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Where a change applies first: at some merchants, or to a share of members drawn at its enactment."""

    members_basis_points: BasisPoints | UnsetType = UNSET
    merchants: Annotated[list[ParticipantId], Meta(min_length=1, max_length=64)] | UnsetType = UNSET


class AdmitParticipant(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="admit", tag_field="@type"
):
    """An organisation joins, with a vote where its weight is not 0."""

    keys: Annotated[list[ParticipantKey], Meta(min_length=1, max_length=16)]
    name: Name
    participant: ParticipantId
    weight: Weight


class SuspendParticipant(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="suspend", tag_field="@type"
):
    """An organisation finishes what it began, serves its own members, and does nothing else."""

    participant: ParticipantId


class ReinstateParticipant(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="reinstate", tag_field="@type"
):
    """A suspension ends."""

    participant: ParticipantId


class RemoveParticipant(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="remove", tag_field="@type"
):
    """An organisation that owes nobody anything leaves for good."""

    participant: ParticipantId


class RecoverKeys(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="recover_keys", tag_field="@type"
):
    """An organisation that lost its keys gets others."""

    add: Annotated[list[ParticipantKey], Meta(min_length=1, max_length=16)]
    participant: ParticipantId
    revoke: Annotated[list[KeyId], Meta(max_length=64)]


class SetWeight(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="set_weight", tag_field="@type"
):
    """An organisation's vote weighs this much; 0 = it has none."""

    participant: ParticipantId
    weight: Weight


class SetVotingRule(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="set_voting_rule", tag_field="@type"
):
    """What a kind of proposal needs."""

    approve_basis_points: BasisPoints
    kind: VotingKind
    notice_heights: NoticeHeights


class ChangeParameter(
    Struct,
    frozen=True,
    forbid_unknown_fields=True,
    gc=False,
    kw_only=True,
    tag="set_parameter",
    tag_field="@type",
):
    """A parameter takes another value: everywhere, or where it is tried first."""

    parameter: ParameterName
    trial: Trial | UnsetType = UNSET
    value: ParameterValue


class EndTrial(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="end_trial", tag_field="@type"):
    """What was tried is not continued."""

    parameter: ParameterName


class SetPar(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="set_par", tag_field="@type"):
    """A series' prices fall below the band."""

    par_accrue: Par
    par_redeem: Par
    program: ProgramId
    series: SeriesId


class CapDebit(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="set_debit_cap", tag_field="@type"
):
    """How much a participant may owe that is not settled."""

    cap: Amount
    """Micros."""
    participant: ParticipantId


class SetIssuanceBudget(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="set_issuance_budget", tag_field="@type"
):
    """How many points of a program may be issued; what was used starts anew."""

    budget_day: Balance
    """Points a day, in the chain's offset."""
    budget_total: Balance
    program: ProgramId


class SetRulebook(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="set_rulebook", tag_field="@type"
):
    """From the block after, the rules are those of another version."""

    version: RulebookVersion


class SetTrustPolicy(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="set_trust_policy", tag_field="@type"
):
    """Which signatures a checkpoint needs from here on: a C2SP tlog-policy, of the next epoch."""

    policy: PolicyText


class ChainValidator(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """An organisation whose engine decides with the others what the next block is."""

    participant: ParticipantId
    power: Annotated[int, Meta(ge=1, le=1_000_000)]
    """The weight of its vote among engines; more than two thirds of all decide a block."""
    public: PublicKey
    """Its engine votes with it."""


ValidatorList = Annotated[list[ChainValidator], Meta(min_length=1, max_length=64)]


class SetValidators(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="set_validators", tag_field="@type"
):
    """These decide what the next block is, and nobody else."""

    validators: ValidatorList
    """In order of their ids, each once."""


class SwitchEngine(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="switch_engine", tag_field="@type"
):
    """After this block a set of validators makes the blocks, where one sequencer did."""

    engine: Literal["cometbft"]
    validators: ValidatorList
    """In order of their ids, each once."""


class Pause(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="pause", tag_field="@type"):
    """One program or one kind of message rests: easy to begin."""

    message: PausableKind | UnsetType = UNSET
    program: ProgramId | UnsetType = UNSET


class Resume(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="resume", tag_field="@type"):
    """A pause is over: harder than to begin it."""

    message: PausableKind | UnsetType = UNSET
    program: ProgramId | UnsetType = UNSET


class Correction(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, rename={"source": "from", "destination": "to"}
):
    """What one participant owes another because a dispute was right."""

    source: ParticipantId
    micros: Micros
    destination: ParticipantId


class ResolveDispute(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="resolve_dispute", tag_field="@type"
):
    """A dispute is decided; what it was right about is corrected in the open window."""

    corrections: Annotated[list[Correction], Meta(max_length=8)]
    participant: ParticipantId
    """Who disputes."""
    window: WindowNumber


class AbortWindow(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="abort_window", tag_field="@type"
):
    """What of a window was not paid goes into the open one."""

    window: WindowNumber


class DeclareDefault(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="declare_default", tag_field="@type"
):
    """A participant does not pay what it owes from a window: cover, reserve, fund and creditors do."""

    participant: ParticipantId
    window: WindowNumber


Action = (
    AbortWindow
    | AdmitParticipant
    | CapDebit
    | ChangeParameter
    | DeclareDefault
    | EndTrial
    | Pause
    | RecoverKeys
    | ReinstateParticipant
    | RemoveParticipant
    | ResolveDispute
    | Resume
    | SetIssuanceBudget
    | SetPar
    | SetRulebook
    | SetTrustPolicy
    | SetValidators
    | SetVotingRule
    | SetWeight
    | SuspendParticipant
    | SwitchEngine
)
"""What a proposal may do. No action rewrites a balance."""
SettlingAction = AbortWindow | DeclareDefault | ResolveDispute
"""What settles something between participants."""
