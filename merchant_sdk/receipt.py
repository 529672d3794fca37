"""A receipt: one entry of the log that proves itself, to anybody who has the alliance's policy, offline and
for ever.

Keep it as the file it is (`Receipt.data`). `Receipt.read` and `verify` need no network, no key and no node.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct

from contracts.messages import MESSAGE_DECODER, SystemMessage
from ledger import errors as core_errors
from ledger.log.note import Checkpoint
from ledger.log.policy import Policy, parse_policy
from ledger.receipt import VerifiedReceipt, read_receipt, verify_receipt
from merchant_sdk.errors import ConfigurationError, Unverified
from merchant_sdk.results import OUTCOME_DECODER, EntryOutcome

_SYSTEM_DECODER: Final = msgspec.json.Decoder(SystemMessage)


class Receipt(Struct, frozen=True, kw_only=True):
    """A receipt that holds under the policy it was verified with."""

    data: bytes
    """The receipt itself, to be kept."""
    index: int
    """Index of the entry in the log."""
    message: Any
    outcome: EntryOutcome
    sender: str | None
    """Who sent it; None for what a block did by itself, as are the three fields below."""
    transaction_id: str | None
    height: int | None
    time: int | None
    checkpoint: Checkpoint
    """The tree in which the entry was shown to stand."""
    note: str
    """The signed checkpoint."""

    @property
    def code(self) -> str:
        """``OK``, or why the ledger turned it down."""
        return self.outcome.code

    @classmethod
    def read(cls, data: bytes, *, policy: Policy | str | bytes) -> Receipt:
        """The receipt in ``data``, verified under the policy. Raises `Unverified` where it does not hold."""
        judge = read_policy(policy)
        try:
            receipt = read_receipt(data)
            verified = verify_receipt(receipt, judge)
            message, outcome = _read_entry(verified)
        except (core_errors.Refused, core_errors.Unverified) as error:
            raise Unverified(error.code, "this receipt does not hold", error.facts) from None
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise Unverified("RECEIPT_MALFORMED", facts={"reason": str(error)[:200]}) from None
        leaf = verified.transaction
        if leaf is not None and leaf.header.chain != verified.checkpoint.origin:
            facts = {"transaction": leaf.header.chain, "checkpoint": verified.checkpoint.origin}
            raise Unverified("WRONG_CHAIN", "a transaction of another ledger", facts)
        return cls(
            data=data,
            index=verified.leaf_index,
            message=message,
            outcome=outcome,
            sender=None if leaf is None else leaf.header.sender,
            transaction_id=None if leaf is None else leaf.header.id,
            height=None if leaf is None else leaf.height,
            time=None if leaf is None else leaf.time,
            checkpoint=verified.checkpoint,
            note=receipt.proof.partition("\n\n")[2],
        )


def read_policy(policy: Policy | str | bytes) -> Policy:
    """The policy, or the one in the file's text. Raises `ConfigurationError`."""
    if isinstance(policy, Policy):
        return policy
    data = policy.encode("utf-8", "surrogateescape") if isinstance(policy, str) else policy
    try:
        return parse_policy(data)
    except core_errors.Refused as error:
        raise ConfigurationError("this policy file does not read", reason=str(error)) from None


def _read_entry(verified: VerifiedReceipt) -> tuple[Any, EntryOutcome]:
    decoder = _SYSTEM_DECODER if verified.transaction is None else MESSAGE_DECODER
    return decoder.decode(verified.message), OUTCOME_DECODER.decode(verified.outcome)
