"""Genesis: what a ledger is before its first block.

The first leaf names the chain and its settings; one leaf follows for each participant it begins with. The
chain's string is the name and the first 32 hex digits of the RFC 6962 root over these leaves, so two
sandboxes called "demo" are two chains, and whoever pins the string has agreed to every byte of the genesis.
That root is the first block's `previous`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ledger.codec import decode, encode, from_base64url, to_base64url
from ledger.errors import InvalidBlock, Refused
from ledger.leaves import RulebookVersion
from ledger.log.merkle import compute_root, leaf_hash
from ledger.values import Millis, Name, ParticipantId, PublicKey, UtcOffsetMinutes

Clock = Literal["system", "simulated"]
Engine = Literal["solo", "cometbft"]
Currency = Annotated[str, Meta(pattern=r"\A[A-Z]{3}\Z", max_length=3)]
ChainName = Annotated[str, Meta(pattern=r"\A[a-z0-9][a-z0-9.-]{1,62}\Z", max_length=63)]
SettingName = Annotated[str, Meta(pattern=r"\A[a-z][a-z_]{2,62}\Z", max_length=63)]
SettingValue = Annotated[int, Meta(ge=0, le=2**53 - 1)]
VotingKind = Literal[
    "constitution",
    "emergency",
    "keys",
    "membership",
    "parameters",
    "rates",
    "resume",
    "rulebook",
    "settlement",
    "trust",
]
"""What is voted on, by what it takes to agree."""
Weight = Annotated[int, Meta(ge=0, le=1_000_000)]
KeyPurposeName = Annotated[str, Meta(pattern=r"\A[a-z]{3,16}\Z", max_length=16)]


class GenesisParameter(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A parameter that does not begin at its default."""

    name: SettingName
    value: SettingValue


class GenesisKey(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A key of a first participant."""

    public: PublicKey
    purpose: KeyPurposeName


class Voter(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """An organisation that votes."""

    participant: ParticipantId
    weight: Weight


class VotingRule(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """What a kind of proposal needs."""

    approve_basis_points: Annotated[int, Meta(ge=1, le=10_000)]
    """Of all weight, how much must be for it."""
    kind: VotingKind
    notice_heights: Annotated[int, Meta(ge=0, le=10_000_000)]
    """How far ahead of its passing it is enacted, at the least."""


class Constitution(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Who votes, and how much agreement what kind of proposal needs."""

    minimum_voters: Annotated[int, Meta(ge=1, le=64)]
    """No decision leaves fewer."""
    rules: Annotated[list[VotingRule], Meta(max_length=16)]
    """Every kind once, in order of their names."""
    trustee: ParticipantId
    """Attests what covers the participants' debts."""
    voters: Annotated[list[Voter], Meta(min_length=1, max_length=128)]
    """In order of their ids."""


class GenesisValidator(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """An organisation whose node decides with the others what the next block is."""

    consensus_key: PublicKey
    """Its engine votes with it."""
    log_key: PublicKey
    """Its node signs checkpoints with it."""
    participant: ParticipantId
    power: Annotated[int, Meta(ge=1, le=1_000_000)]
    """The weight of its vote."""


class Genesis(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True, tag="genesis", tag_field="@type"
):
    """The settings of a chain."""

    clock: Clock
    """`simulated` chains are told the time; they say so for ever."""
    constitution: Constitution | UnsetType = UNSET
    """Absent: the operator decides alone."""
    currency: Currency
    """The settlement currency, ISO 4217."""
    engine: Engine
    log_key: PublicKey
    """The key that signs checkpoints in policy epoch 0."""
    name: ChainName
    operator: ParticipantId
    """Runs clearing and earns the commission; admits participants where there is no constitution."""
    parameters: Annotated[list[GenesisParameter], Meta(max_length=256)]
    """Sorted by name."""
    rulebook: RulebookVersion
    time: Millis
    """No block is earlier."""
    utc_offset_minutes: UtcOffsetMinutes
    validators: Annotated[list[GenesisValidator], Meta(min_length=1, max_length=64)] | UnsetType = UNSET
    """In order of their ids, each once. Absent: one sequencer makes the blocks."""


class GenesisParticipant(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="genesis_participant", tag_field="@type"
):
    """A participant the chain begins with."""

    keys: Annotated[list[GenesisKey], Meta(min_length=1, max_length=16)]
    name: Name
    participant: ParticipantId


class Origin(NamedTuple):
    """A genesis read, with what follows from it."""

    settings: Genesis
    participants: tuple[GenesisParticipant, ...]
    leaves: tuple[bytes, ...]
    chain: str
    previous: str
    """The root over the genesis leaves, base64url: the first block's `previous`."""

    @property
    def validators(self) -> tuple[GenesisValidator, ...]:
        """Who makes the blocks; none where one sequencer does."""
        found = self.settings.validators
        return () if isinstance(found, UnsetType) else tuple(found)

    @property
    def log_keys(self) -> tuple[bytes, ...]:
        """The keys that sign checkpoints in policy epoch 0: the log's own, or each validator's, in their
        order.
        """
        keys = [each.log_key for each in self.validators] or [self.settings.log_key]
        return tuple(from_base64url(key, size=32) for key in keys)


_SETTINGS: Final = msgspec.json.Decoder(Genesis)
_PARTICIPANT: Final = msgspec.json.Decoder(GenesisParticipant)


def encode_genesis(settings: Genesis, participants: Sequence[GenesisParticipant]) -> list[bytes]:
    """The genesis leaves, participants in id order."""
    ordered = sorted(participants, key=lambda participant: participant.participant)
    return [encode(settings), *(encode(participant) for participant in ordered)]


def read_genesis(leaves: Sequence[bytes]) -> Origin:
    """The genesis these leaves are. Raises `InvalidBlock` where they are not one."""
    try:
        settings = decode(leaves[0], _SETTINGS)
        participants = tuple(decode(leaf, _PARTICIPANT) for leaf in leaves[1:])
    except (Refused, IndexError) as error:
        raise InvalidBlock(
            "GENESIS_MALFORMED", expected="genesis leaves", found=str(error), index=0
        ) from None
    ids = [participant.participant for participant in participants]
    if ids != sorted(set(ids)) or settings.operator not in ids:
        raise InvalidBlock(
            "GENESIS_PARTICIPANTS", expected="unique, sorted, with the operator", found=ids, index=0
        )
    _check_validators(settings, ids)
    root = compute_root([leaf_hash(leaf) for leaf in leaves])
    return Origin(
        settings=settings,
        participants=participants,
        leaves=tuple(leaves),
        chain=f"{settings.name}/{root.hex()[:32]}",
        previous=to_base64url(root),
    )


def _check_validators(settings: Genesis, participants: Sequence[str]) -> None:
    """Validators are there where the engine needs them, each a participant, no key twice. Raises
    `InvalidBlock`.
    """
    found = [] if isinstance(settings.validators, UnsetType) else settings.validators
    ids = [each.participant for each in found]
    log_keys = {each.log_key for each in found}
    is_sound = (
        (settings.engine == "cometbft") == bool(found)
        and ids == sorted(set(ids))
        and set(ids) <= set(participants)
        and len({each.consensus_key for each in found}) == len(log_keys) == len(found)
        and (not found or (settings.log_key in log_keys and settings.clock == "system"))
    )
    if not is_sound:
        raise InvalidBlock(
            "GENESIS_VALIDATORS",
            expected="sorted participants, each key once, the log's among them, real time; for cometbft",
            found=ids,
            index=0,
        )
