"""What a node claims in answer to a transaction, as it stands on the wire (docs/spec/api.md). Read here, and
believed nowhere before `merchant_sdk.trust` has it proven.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeVar

import msgspec
from msgspec import Raw, Struct

from ledger.codec import Digest
from ledger.log.note import Checkpoint
from ledger.values import Height, Index, Millis
from merchant_sdk.errors import Unverified

T = TypeVar("T")


class Answer(Struct, frozen=True, kw_only=True):
    """What a node answers to a transaction (docs/spec/api.md). Only a claim."""

    checkpoint: str
    consistency: list[Digest] | None = None
    height: Height
    index: Index
    outcomes: list[Raw]
    proof: list[Digest]
    time: Millis


class ConsistencyAnswer(Struct, frozen=True):
    """What a node answers when asked for a consistency proof."""

    proof: list[Digest]


class Proven(NamedTuple):
    """An answer of which all but its history is proven: steps 1 to 4."""

    answer: Answer
    outcomes: list[bytes]
    """Canonical bytes, one a message."""
    checkpoint: Checkpoint


ANSWER_DECODER: Final = msgspec.json.Decoder(Answer)
CONSISTENCY_DECODER: Final = msgspec.json.Decoder(ConsistencyAnswer)


def read_claim(data: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """What the bytes claim. Raises `Unverified` ``ANSWER_MALFORMED``."""
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Unverified("ANSWER_MALFORMED", facts={"reason": str(error)[:200]}) from None
