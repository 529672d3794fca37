"""Receipts: one entry of the log with all that is needed to believe it, offline and for ever.

A receipt holds the entry's leaf, its transaction's leaf (which the entry's tag binds to it) and a C2SP
tlog-proof: the path to the root and the checkpoint that signs the root. To check it one needs the policy file
of its epoch and nothing of the node that gave it. It does not show the other messages of the same
transaction, nor that the rules were right: the first is nobody else's business, the second is what auditors
re-execute.
"""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from ledger.codec import decode
from ledger.errors import Refused, Unverified
from ledger.leaves import (
    ENTRY_DECODER,
    SYSTEM_DECODER,
    SYSTEM_START,
    TRANSACTION_LEAF_DECODER,
    TransactionLeaf,
    compute_tag,
)
from ledger.log.merkle import leaf_hash
from ledger.log.note import Checkpoint
from ledger.log.policy import Policy
from ledger.log.tlog_proof import verify_tlog_proof

LeafText = Annotated[str, Meta(min_length=2, max_length=65_535)]
ProofText = Annotated[str, Meta(max_length=262_144)]
Epoch = Annotated[int, Meta(ge=0, le=1_000_000)]


class Receipt(
    Struct, frozen=True, forbid_unknown_fields=True, gc=False, kw_only=True, tag="receipt", tag_field="@type"
):
    """What a merchant or a member keeps."""

    entry: LeafText
    """The entry's leaf, byte for byte."""
    epoch: Epoch
    """Which policy of the alliance's chain of policies the checkpoint answers to."""
    proof: ProofText
    """C2SP tlog-proof."""
    transaction: LeafText | UnsetType = UNSET
    """Its transaction's leaf; absent where a block did it by itself."""


class VerifiedReceipt(NamedTuple):
    """What a receipt that holds says."""

    message: Raw
    outcome: Raw
    transaction: TransactionLeaf | None
    leaf_index: int
    checkpoint: Checkpoint


RECEIPT_DECODER: Final[msgspec.json.Decoder[Receipt]] = msgspec.json.Decoder(Receipt)


def read_receipt(data: bytes) -> Receipt:
    """A receipt from its canonical bytes. Raises `Refused`."""
    return decode(data, RECEIPT_DECODER)


def verify_receipt(receipt: Receipt, policy: Policy) -> VerifiedReceipt:
    """The receipt holds under this policy. Raises `Unverified`.

    1. The entry is a leaf of the tree that the proof's checkpoint signs, under a policy the caller trusts.
    2. The entry's tag is that of the transaction leaf beside it.
    """
    entry = receipt.entry.encode()
    # Step 1.
    proof, checkpoint = verify_tlog_proof(receipt.proof, leaf=leaf_hash(entry), policy=policy)
    try:
        if entry.startswith(SYSTEM_START):
            if receipt.transaction is not UNSET:
                raise Unverified("RECEIPT_TRANSACTION", expected="none: a block did this by itself")
            system = SYSTEM_DECODER.decode(entry)
            return VerifiedReceipt(system.message, system.outcome, None, proof.leaf_index, checkpoint)
        shape = ENTRY_DECODER.decode(entry)
        # Step 2.
        if isinstance(receipt.transaction, UnsetType):
            raise Unverified("RECEIPT_TRANSACTION", expected="the transaction's leaf")
        raw = receipt.transaction.encode()
        tag = compute_tag(raw).decode("ascii")
        if shape.tag != tag:
            raise Unverified("RECEIPT_TAG", expected=shape.tag, found=tag)
        transaction = decode(raw, TRANSACTION_LEAF_DECODER)
    except (msgspec.MsgspecError, RecursionError, Refused) as error:
        raise Unverified("RECEIPT_MALFORMED", reason=str(error)) from None
    return VerifiedReceipt(shape.message, shape.outcome, transaction, proof.leaf_index, checkpoint)
