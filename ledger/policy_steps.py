"""What is shown to those who do not execute a log, so that they believe its next trust policy: the leaves
that propose and enact it, the block leaf that closes over them, and a checkpoint of a tree in which all three
stand.

Here steps are only read. What is believed of them `ledger.policy_chain` decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from ledger.codec import Digest, decode, from_base64url
from ledger.errors import Refused, Unverified
from ledger.values import Index

EPOCHS_MAX: Final = 100_000
HASHES_MAX: Final = 63
NoteText = Annotated[str, Meta(max_length=262_144)]
_LeafText = Annotated[str, Meta(min_length=2, max_length=65_535)]


class ProvenLeaf(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A leaf, and the path from it to the root of the step's tree."""

    index: Index
    leaf: _LeafText
    proof: Annotated[list[Digest], Meta(max_length=HASHES_MAX)]


class PolicyStep(
    Struct,
    frozen=True,
    forbid_unknown_fields=True,
    gc=False,
    kw_only=True,
    tag="policy_step",
    tag_field="@type",
):
    """What shows that an epoch's policy was enacted, and where."""

    action: Annotated[int, Meta(ge=0, le=15)]
    """Which of the proposal's actions, from 0, sets this policy."""
    block: ProvenLeaf
    """The block leaf that closes the block of the enactment."""
    checkpoint: NoteText
    """Of a tree in which all three stand, as large as that block makes it or larger; it satisfies the policy
    before.
    """
    enact: ProvenLeaf
    """The entry by which a block enacted the proposal."""
    epoch: Annotated[int, Meta(ge=1, le=EPOCHS_MAX)]
    propose: ProvenLeaf
    """The entry that holds the proposal."""


class _Row(Struct, frozen=True):
    """As much of a row as matters here. Never on the wire as it is."""

    step: PolicyStep | None = None


class _Shown(Struct, frozen=True):
    """As much of the answer. Never on the wire as it is."""

    policies: list[_Row]


STEP_DECODER: Final[msgspec.json.Decoder[PolicyStep]] = msgspec.json.Decoder(PolicyStep)
_SHOWN: Final = msgspec.json.Decoder(_Shown)
SHOWN_PATH: Final = "v1/policies"
"""Where a node shows them, and a mirror keeps them."""
SHOWN_BYTES_MAX: Final = 64 * 1024 * 1024


def read_hashes(texts: Sequence[str]) -> list[bytes]:
    """The hashes these spell. Raises `Unverified` ``HASH_LENGTH``."""
    try:
        return [from_base64url(text, size=32) for text in texts]
    except Refused as error:
        raise Unverified("HASH_LENGTH", **error.facts) from None


def read_steps(data: Sequence[bytes]) -> list[PolicyStep]:
    """The steps these canonical bytes are. Raises `Refused`."""
    return [decode(each, STEP_DECODER) for each in data]


def read_shown_steps(data: bytes) -> list[PolicyStep]:
    """The steps in what a node shows of its policies (docs/spec/api.md), in their order. Raises `Unverified`.

    An epoch that no checkpoint hands over to yet has none.
    """
    try:
        return [row.step for row in _SHOWN.decode(data).policies if row.step is not None]
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Unverified("POLICIES_MALFORMED", reason=str(error)[:200]) from None
