"""The note with which organisations that have lost a quorum of validators agree where their ledger goes on,
and who decides from there.

    line 1      the note: chain, height, size and root of the log; the engine's height; the new validators
    further     one organisation's signature each, with a key of its own to govern

It takes as much weight as a vote on `set_validators` would: what is missing is not the organisations' word
but the validators that could write it down. It is enough where, besides, those who go on held a third or more
of the power before: then those who do not cannot decide a block of the old chain, whoever of them comes back.
A minority that goes on by itself is a fork, and no note makes it anything else.

Nothing of it is in the ledger: history is what it was. The first decision afterwards names the validators
there too.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta, Struct

from contracts.mechanics.governance_records import ValidatorSet
from contracts.mechanics.government import get_government, get_kind, is_approved
from contracts.messages.actions import ChainValidator, SetValidators
from ledger.codec import Digest, Signature, decode, encode, from_base64url, to_base64url
from ledger.errors import Refused, Unverified
from ledger.genesis import Origin
from ledger.keys import Signer, is_valid_signature, signed_text
from ledger.rule import BlockContext
from ledger.state import StateView
from ledger.transaction import KEY_TABLE, RegisteredKey
from ledger.values import Chain, Count, Index, KeyId, ParticipantId
from node.engine.standing import find_validators
from node.keystore import Unusable

RECOVERY_FILE: Final = "recovery.jsonl"
RECOVERY_PURPOSE: Final = "recovery"
_GOVERN: Final = "govern"


class RecoveryNote(
    Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag="recovery", tag_field="@type"
):
    """After this height, with this log, these decide."""

    chain: Chain
    engine_height: Count
    """That of the newest block: the new chain of the engine begins with the next."""
    height: Count
    root: Digest
    size: Index
    validators: Annotated[list[ChainValidator], Meta(min_length=1, max_length=64)]

    @property
    def rows(self) -> tuple[tuple[str, int, str], ...]:
        """As records of the ledger have them."""
        return tuple((each.participant, each.power, each.public) for each in self.validators)


class Endorsement(Struct, frozen=True, forbid_unknown_fields=True, tag="endorsement", tag_field="@type"):
    """An organisation's word for the note above it."""

    key: KeyId
    participant: ParticipantId
    signature: Signature


class Recovery(NamedTuple):
    """A note, and who has signed it."""

    line: bytes
    note: RecoveryNote
    endorsements: Sequence[Endorsement]

    @property
    def digest(self) -> str:
        """Of the note alone, in 32 characters: the same however many have signed it."""
        return sha256(self.line).hexdigest()[:32]

    def encode(self) -> bytes:
        """As a file holds it."""
        return b"".join(line + b"\n" for line in (self.line, *map(encode, self.endorsements)))


_NOTE: Final = msgspec.json.Decoder(RecoveryNote)
_ENDORSEMENT: Final = msgspec.json.Decoder(Endorsement)


def read_recovery(path: Path) -> Recovery:
    """A note and its signatures, believed by nobody yet. Raises `Unusable`."""
    advice = "Its first line is the note, as commonpoint engine note wrote it; each line below a signature."
    try:
        line, *rest = path.read_bytes().removesuffix(b"\n").split(b"\n")
        return Recovery(line, decode(line, _NOTE), [decode(each, _ENDORSEMENT) for each in rest])
    except Refused as refusal:
        raise Unusable("RECOVERY_UNREADABLE", advice=advice, path=str(path), reason=str(refusal)) from None
    except OSError as error:
        raise Unusable("RECOVERY_UNREADABLE", advice=advice, path=str(path), reason=error.strerror) from None


def endorse(recovery: Recovery, *, participant: str, signer: Signer) -> Endorsement:
    """The organisation's word for this note."""
    return Endorsement(signer.key_id, participant, to_base64url(signer.sign(_get_text(recovery))))


def check_recovery(recovery: Recovery, reader: StateView, origin: Origin, *, time: int) -> None:
    """It is this ledger's, and enough of those who decide have signed it, as the ledger stands.

    Raises `Unverified`: ``WRONG_CHAIN``, ``SIGNATURE_INVALID``, ``KEY_NOT_VALID``, ``NOT_ENOUGH_WEIGHT`` or
    ``QUORUM_ELSEWHERE``.
    """
    note, settings = recovery.note, origin.settings
    if note.chain != origin.chain:
        raise Unverified("WRONG_CHAIN", expected=origin.chain, found=note.chain)
    block = BlockContext(
        chain=origin.chain,
        height=note.height + 1,
        time=time,
        operator=settings.operator,
        utc_offset_minutes=settings.utc_offset_minutes,
    )
    government = get_government(reader, block)
    kind = get_kind(SetValidators(list(note.validators)))
    needed = next(basis_points for name, basis_points, _ in government.rules if name == kind)
    signers = tuple(sorted({_check_endorsement(each, recovery, reader) for each in recovery.endorsements}))
    if not is_approved(government, signers, approve_basis_points=needed):
        raise Unverified("NOT_ENOUGH_WEIGHT", signed=list(signers), needed_basis_points=needed)
    _check_no_quorum_elsewhere(note, find_validators(reader))


def _check_endorsement(found: Endorsement, recovery: Recovery, reader: StateView) -> str:
    """Who has signed, with a key that governs at this height."""
    record: RegisteredKey | None = reader.get(KEY_TABLE, found.key)
    after = recovery.note.height + 1
    if (
        record is None
        or (record.participant, record.purpose) != (found.participant, _GOVERN)
        or not record.valid_from <= after < record.valid_to
    ):
        raise Unverified("KEY_NOT_VALID", key=found.key, participant=found.participant)
    public = from_base64url(record.public, size=32)
    signature = from_base64url(found.signature, size=64)
    if not is_valid_signature(public=public, text=_get_text(recovery), signature=signature):
        raise Unverified("SIGNATURE_INVALID", key=found.key, participant=found.participant)
    return found.participant


def _get_text(recovery: Recovery) -> bytes:
    return signed_text(purpose=RECOVERY_PURPOSE, chain=recovery.note.chain, body=recovery.line)


def _check_no_quorum_elsewhere(note: RecoveryNote, before: ValidatorSet | None) -> None:
    """Those who stay behind cannot decide a block among themselves: more than two thirds are not theirs."""
    if before is None:
        raise Unverified("ENGINE_IS_SOLO", height=note.height)
    going = {public for _, _, public in note.rows}
    total = sum(power for _, power, _ in before.validators)
    staying = sum(power for _, power, public in before.validators if public not in going)
    if 3 * staying > 2 * total:
        raise Unverified("QUORUM_ELSEWHERE", staying_power=staying, power=total)
