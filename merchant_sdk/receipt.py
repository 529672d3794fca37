"""A receipt: one entry of the log that proves itself, to anybody who has the alliance's policy, offline and
for ever.

Keep it as the file it is (`Receipt.data`). `Receipt.read` and `verify` need no network, no key and no node.

As a QR it is the whole receipt, compressed, with its proof: whoever scans it needs nothing else but the
policy. A tag or an address alone would fit a smaller symbol and prove nothing, so there is none. The price is
a dense symbol (a usual receipt takes a version around 26, 121 modules a side): print it at least five
centimetres wide, or show it on a screen. A receipt of very many lots or legs does not fit, and says so.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec import Struct

from contracts.messages import MESSAGE_DECODER, SystemMessage
from ledger import errors as core_errors
from ledger.log.note import Checkpoint, parse_checkpoint, split_note
from ledger.log.policy import Policy, verify_checkpoint
from ledger.policy_chain import PolicyChain, PolicyEpoch
from ledger.receipt import VerifiedReceipt, read_receipt, verify_receipt
from merchant_sdk.base45 import decode_base45, encode_base45
from merchant_sdk.errors import ConfigurationError, InvalidRequest, Unverified
from merchant_sdk.policies import Policies, read_judge
from merchant_sdk.qr import QR
from merchant_sdk.results import OUTCOME_DECODER, EntryOutcome, read_points

QR_PREFIX: Final = "CPR1:"
"""How a scanner tells a receipt from a points code, which never begins like this."""
_QR_BYTES_MAX: Final = 262_144
"""A receipt out of a QR is never larger, however small it came."""
_DEFLATE_LEVEL: Final = 9
OF_ANOTHER_EPOCH: Final = frozenset({"RECEIPT_EPOCH", "LOG_SIGNATURE_MISSING", "QUORUM_NOT_MET"})
"""What is found of a receipt whose tree a policy judges that we have not heard of."""
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
    policy: Policy
    """What it was verified under."""
    epoch: int
    """Which policy of the alliance's chain of policies judges it."""
    quorum: Policy
    """That policy with all who have to cosign: more than `policy` where the log's signature was enough."""
    wait_with: Callable[[int, float], Any] | None = None
    """Asks the node for the receipt with cosignatures, where it came from one."""

    @property
    def is_witnessed(self) -> bool:
        """Whether as many have cosigned its checkpoint as the policy of its epoch asks for."""
        try:
            verify_checkpoint(self.quorum, self.note)
        except core_errors.Unverified:
            return False
        return True

    def wait_witnessed(self, timeout_seconds: float = 60.0) -> Any:
        """The receipt of the same entry once `is_witnessed`; from an `AsyncMerchant`, to be awaited.

        Raises `RefusedByNode` ``NOT_WITNESSED`` after so long; `ConfigurationError` for one out of a file.
        """
        if self.wait_with is None:
            raise ConfigurationError("this receipt was read from a file: ask a merchant for it by its index")
        return self.wait_with(self.index, timeout_seconds)

    @property
    def code(self) -> str:
        """``OK``, or why the ledger turned it down."""
        return self.outcome.code

    @property
    def points(self) -> int | None:
        """Points earned, taken or moved by it; None where nothing moved."""
        return read_points(self.outcome, getattr(self.message, "points", None))

    @classmethod
    def read(cls, data: bytes, *, policy: Policy | str | bytes | Policies) -> Receipt:
        """The receipt in ``data``, verified under the policy; of several, under the one for its tree.

        Raises `Unverified` where it does not hold.
        """
        judge = read_judge(policy)
        if isinstance(judge, Policies):
            return read_receipt_by(judge.known, data, demand=lambda found: found.policy)
        return cls._read(data, judge)

    @classmethod
    def _read(cls, data: bytes, judge: Policy) -> Receipt:
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
            policy=judge,
            epoch=receipt.epoch,
            quorum=judge,
        )

    def verify(self, policy: Policy | str | bytes | Policies | None = None) -> Receipt:
        """The receipt read anew from its data, which holds under ``policy``: that of then unless told.

        Offline. Raises `Unverified` where it does not hold, or where this object says something else.
        """
        found = Receipt.read(self.data, policy=self.policy if policy is None else policy)
        same = {"policy": self.policy, "quorum": self.quorum, "wait_with": self.wait_with}
        if msgspec.structs.replace(found, **same) != self:
            raise Unverified("RECEIPT_CHANGED", "the receipt's data says something else than this object")
        quorum = self.quorum if policy is None else found.quorum
        return msgspec.structs.replace(found, quorum=quorum, wait_with=self.wait_with)

    def qr(self) -> QR:
        """The whole receipt as a QR code. Raises `InvalidRequest` where it is too large for one."""
        packed = zlib.compress(self.data, _DEFLATE_LEVEL)
        return QR(QR_PREFIX + encode_base45(packed), level="L")

    @classmethod
    def read_qr(cls, text: str, *, policy: Policy | str | bytes | Policies) -> Receipt:
        """The receipt in a QR code that was scanned, verified under the policy, as by `read`.

        Raises `InvalidRequest` where it is none, `Unverified` where it does not hold.
        """
        return cls.read(_unpack(text.strip()), policy=policy)


def read_note(data: bytes) -> str:
    """The checkpoint in a receipt, not yet looked at. Raises `ledger.errors.Refused`."""
    return read_receipt(data).proof.partition("\n\n")[2]


def read_receipt_by(
    policies: PolicyChain, data: bytes, *, demand: Callable[[PolicyEpoch], Policy]
) -> Receipt:
    """The receipt, verified under what is demanded of the epoch that judges its tree. Raises `Unverified`."""
    try:
        found = policies.find(parse_checkpoint(split_note(read_note(data))[0]).size)
    except (core_errors.Refused, core_errors.Unverified) as error:
        raise Unverified(error.code, "this receipt does not hold", error.facts) from None
    receipt = Receipt.read(data, policy=demand(found))
    if receipt.epoch != found.epoch:
        facts = {"expected": found.epoch, "found": receipt.epoch}
        raise Unverified("RECEIPT_EPOCH", "it names another policy than judges its tree", facts)
    return msgspec.structs.replace(receipt, quorum=found.policy)


def _unpack(text: str) -> bytes:
    if not text.startswith(QR_PREFIX):
        raise InvalidRequest("this is no receipt", begins=text[:8])
    inflating = zlib.decompressobj()
    try:
        data = inflating.decompress(decode_base45(text.removeprefix(QR_PREFIX)), _QR_BYTES_MAX)
    except zlib.error as error:
        raise InvalidRequest("this is no receipt", reason=str(error)) from None
    if not inflating.eof or inflating.unused_data:
        raise InvalidRequest("this is no receipt", reason="cut short, or too large")
    return data


def _read_entry(verified: VerifiedReceipt) -> tuple[Any, EntryOutcome]:
    decoder = _SYSTEM_DECODER if verified.transaction is None else MESSAGE_DECODER
    return decoder.decode(verified.message), OUTCOME_DECODER.decode(verified.outcome)
