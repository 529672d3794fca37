"""Transactions sent to a node, and what came of them: believed because the answer proves it, not because it
was given.

For each answer: (1) it has one outcome a message; (2) its checkpoint is this chain's, signed by a log key
that may sign for a tree of its size; (3) the leaves are rebuilt from our own signed bytes; (4) the range
proof puts them into the checkpoint's tree; (5) that tree continues the one of the answer before.

Nothing is stored here. Whoever sends keeps what is needed to send the same again.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec
from msgspec import Raw, Struct

from ledger.codec import Digest, from_base64url
from ledger.errors import Refused, Unverified
from ledger.genesis import Origin
from ledger.leaves import compute_tag, encode_entry, encode_transaction_leaf
from ledger.log.merkle import compute_leaf_hashes, verify_consistency, verify_range
from ledger.log.note import Checkpoint
from ledger.outcome import Outcome
from ledger.transaction import Transaction
from ledger.values import Height, Index, Millis
from node.remote.connection import Connection
from node.remote.policies import RemotePolicies

PATH: Final = "v1/transactions"


class _Answer(Struct, frozen=True, kw_only=True):
    """What a node answers to a transaction. Only a claim."""

    checkpoint: str
    consistency: list[Digest] | None = None
    height: Height
    index: Index
    outcomes: list[Raw]
    proof: list[Digest]
    time: Millis


class Proven(NamedTuple):
    """What came of a transaction, proven."""

    place: int
    """Index of its leaf; its entries follow."""
    time: int
    outcomes: list[Outcome]


_ANSWER: Final = msgspec.json.Decoder(_Answer)
_OUTCOME: Final = msgspec.json.Decoder(Outcome)


class Submitter:
    """Sends transactions to one node, one after the other."""

    def __init__(self, connection: Connection, origin: Origin) -> None:
        self._connection = connection
        self._policies = RemotePolicies(connection, origin)
        self._trusted = Checkpoint(origin.chain, len(origin.leaves), from_base64url(origin.previous, size=32))

    def submit(self, transaction: Transaction) -> Proven:
        """What came of it. Raises `NodeRefused`, `SourceUnavailable` or `Unverified`."""
        data = self._connection.post(PATH, transaction.encode(), trusted_size=self._trusted.size)
        try:
            return self._prove(transaction, _ANSWER.decode(data))
        except (msgspec.MsgspecError, UnicodeError, Refused) as error:
            raise Unverified("ANSWER_MALFORMED", reason=str(error)[:200]) from None

    def _prove(self, transaction: Transaction, answer: _Answer) -> Proven:
        # (1) count.
        if len(answer.outcomes) != transaction.header.count:
            raise Unverified("OUTCOMES_COUNT", expected=transaction.header.count, found=len(answer.outcomes))
        # (2) checkpoint.
        checkpoint, _ = self._policies.verify(answer.checkpoint)
        # (3) leaves.
        leaf = encode_transaction_leaf(
            transaction.header_bytes, height=answer.height, signature=transaction.signature, time=answer.time
        )
        tag = compute_tag(leaf)
        pairs = zip(transaction.message_bytes, map(bytes, answer.outcomes), strict=True)
        leaves = [leaf, *(encode_entry(message, outcome, tag) for message, outcome in pairs)]
        # (4) place.
        verify_range(
            first=answer.index,
            leaves=compute_leaf_hashes(leaves),
            size=checkpoint.size,
            proof=[from_base64url(each, size=32) for each in answer.proof],
            root=checkpoint.root,
        )
        # (5) history.
        verify_consistency(
            old=self._trusted.size,
            old_root=self._trusted.root,
            new=checkpoint.size,
            new_root=checkpoint.root,
            proof=[from_base64url(each, size=32) for each in answer.consistency or ()],
        )
        self._trusted = checkpoint
        return Proven(answer.index, answer.time, [_OUTCOME.decode(each) for each in answer.outcomes])
