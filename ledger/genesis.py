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
from msgspec import Meta, Struct

from ledger.codec import decode, encode, to_base64url
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
KeyPurposeName = Annotated[str, Meta(pattern=r"\A[a-z]{3,16}\Z", max_length=16)]


class GenesisParameter(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A parameter that does not begin at its default."""

    name: SettingName
    value: SettingValue


class GenesisKey(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A key of a first participant."""

    public: PublicKey
    purpose: KeyPurposeName


class Genesis(Struct, frozen=True, forbid_unknown_fields=True, gc=False, tag="genesis", tag_field="@type"):
    """The settings of a chain."""

    clock: Clock
    """`simulated` chains are told the time; they say so for ever."""
    currency: Currency
    """The settlement currency, ISO 4217."""
    engine: Engine
    log_key: PublicKey
    """The key that signs checkpoints in policy epoch 0."""
    name: ChainName
    operator: ParticipantId
    """Runs clearing and earns the commission; admits participants until voting exists."""
    parameters: Annotated[list[GenesisParameter], Meta(max_length=256)]
    """Sorted by name."""
    rulebook: RulebookVersion
    time: Millis
    """No block is earlier."""
    utc_offset_minutes: UtcOffsetMinutes


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
    root = compute_root([leaf_hash(leaf) for leaf in leaves])
    return Origin(
        settings=settings,
        participants=participants,
        leaves=tuple(leaves),
        chain=f"{settings.name}/{root.hex()[:32]}",
        previous=to_base64url(root),
    )
