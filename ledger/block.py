"""A block in hand: the leaves it has so far, and what its messages have changed.

Every message of a transaction that is taken gets an entry, applied or rejected. Rules decide; here alone it
is written, into the state's pending changes. What adds up is added up once a block (`ledger.totals`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from ledger.codec import encode
from ledger.errors import Rejected
from ledger.leaves import compute_tag, encode_entry, encode_system_entry, encode_transaction_leaf
from ledger.outcome import OK, Outcome, outcome_of
from ledger.rule import Asked, BlockContext, Decision, Rulebook
from ledger.state import Key, State
from ledger.totals import Movements
from ledger.transaction import KEY_TABLE, TRANSACTION_TABLE, RememberedTransaction, Transaction

_ABORTED: Final = encode(Outcome(code="ATOMIC_ABORTED"))

MessageReads = Sequence[Sequence[Key]]
"""For each message of a transaction, the records its rule said it would read."""


class BlockInHand:
    """One block while it is executed, over a state in which a block has begun."""

    def __init__(self, *, state: State, rulebook: Rulebook, context: BlockContext, first: int) -> None:
        self._state = state
        self._rulebook = rulebook
        self._decide = {kind: rule.decide for kind, rule in rulebook.rules.items()}
        self._context = context
        self._first = first
        self._movements = Movements(state, day=context.day, owed=context.owed)
        self.leaves: list[bytes] = []
        self.accepted = 0
        self.entries = 0
        self.taken = 0
        """Transactions."""

    def do_due_work(self) -> list[Any]:
        """What the block does by itself is done: its messages."""
        system: list[Any] = []
        for due in self._rulebook.due(self._state, self._context):
            system.append(due.message)
            self._write(due.decision)
            self.accepted += due.decision.outcome.code == OK
            self.leaves.append(encode_system_entry(encode(due.message), encode(due.decision.outcome)))
        self.entries += len(system)
        return system

    def take(self, transaction: Transaction, reads: MessageReads) -> tuple[int, tuple[bytes, ...]]:
        """The transaction's leaves are the block's: the first one's index, and the outcomes."""
        header = transaction.header
        context = self._context
        index = self._first + len(self.leaves)
        if header.atomic is True:
            outcomes, applied = self._try_all(transaction, reads, index + 1)
        else:
            outcomes, applied = self._execute(transaction, reads, index + 1)
        remembered = RememberedTransaction(header.digest, header.not_after)
        self._state.put(TRANSACTION_TABLE, f"{header.sender}|{header.id}", remembered)
        leaf = encode_transaction_leaf(
            transaction.header_bytes,
            height=context.height,
            signature=transaction.signature,
            time=context.time,
        )
        tag = compute_tag(leaf)
        self.leaves.append(leaf)
        self.leaves += [
            encode_entry(content, outcome, tag)
            for content, outcome in zip(transaction.message_bytes, outcomes, strict=True)
        ]
        self.accepted += applied
        self.entries += len(outcomes)
        self.taken += 1
        return index, tuple(outcomes)

    def close(self) -> str:
        """What the block moved adds up and is written: the block leaf's `sums`. Raises `InvariantBroken`."""
        return self._movements.close()

    def _execute(
        self, transaction: Transaction, reads: MessageReads, index: int, *, is_atomic: bool = False
    ) -> tuple[list[bytes], int]:
        """The outcomes in order, and how many messages were applied; an atomic one ends at the first that was
        not.
        """
        header = transaction.header
        sender, key_id, context = header.sender, header.key, self._context
        state, decide, write = self._state, self._decide, self._write
        key = state.get(KEY_TABLE, key_id)
        guard = self._rulebook.find_guard(state, context, sender)
        outcomes: list[bytes] = []
        applied = 0
        for message, content_hash, read in zip(
            transaction.messages, transaction.message_hashes, reads, strict=True
        ):
            asked = Asked(context, sender, key, key_id, index, content_hash, read)
            index += 1
            try:
                if guard is not None:
                    guard(message)
                decision = decide[type(message)](state, asked, message)
            except Rejected as rejection:
                outcomes.append(encode(outcome_of(rejection)))
                if is_atomic:
                    break
                continue
            write(decision)
            outcomes.append(encode(decision.outcome))
            applied += 1
        return outcomes, applied

    def _try_all(self, transaction: Transaction, reads: MessageReads, index: int) -> tuple[list[bytes], int]:
        """As `_execute`, where one rejection means that nothing was done."""
        self._state.begin_atomic()
        mark = self._movements.mark()
        outcomes, applied = self._execute(transaction, reads, index, is_atomic=True)
        count = len(transaction.messages)
        if applied == count:
            self._state.end_atomic()
            return outcomes, applied
        self._state.roll_back_atomic()
        self._movements.return_to(mark)
        self._context.memo.clear()  # some of it may rest on writes that never happened
        return [_ABORTED] * applied + outcomes[-1:] + [_ABORTED] * (count - applied - 1), 0

    def _write(self, decision: Decision) -> None:
        """What a rule decided is pending in the state."""
        movements, put = self._movements, self._state.put
        for posting in decision.postings:
            movements.post(posting)
        legs = decision.outcome.legs
        if legs:
            for leg in legs:
                movements.owe(leg)
        for table, key, record in decision.changes:
            put(table, key, record)
