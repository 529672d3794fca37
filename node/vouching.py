"""What a core can say of its log to those who do not believe it: proofs, trust policies, the newest
checkpoint that enough witnesses have cosigned, promises and absences.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from ledger.enactments import may_enact
from ledger.errors import Refused
from ledger.executor import ExecutedBlock
from ledger.policy_steps import PolicyStep
from ledger.promise import Absence, Promise
from node.answers import Proofs
from node.chain import ChainKeeper
from node.policies import Ledger, PolicyKeeper
from node.promising import Promiser
from node.witness.app import Desk


class Vouching(Ledger):
    """That part of a core."""

    _chain: ChainKeeper
    on_block: Callable[[float, ExecutedBlock], None]
    promiser: Promiser | None = None
    """Who signs intake promises, where anybody does."""
    desk: Desk | None = None
    """Who cosigns this log's checkpoints when asked to, where this node follows it."""
    on_cosigned: Callable[[str], None] | None = None
    """Called with the newest checkpoint when it has more lines under it than before. Any thread."""

    def prove(self, *, first: int, end: int, trusted_size: int | None) -> Proofs:
        """A range proof against the newest checkpoint. Raises `Refused` ``BAD_SIZES``."""
        return self._chain.prove(first=first, end=end, trusted_size=trusted_size)

    def prove_entry(self, index: int) -> tuple[str, list[bytes]]:
        """The newest checkpoint and an inclusion proof to it. Raises `Refused` ``BAD_SIZES``."""
        return self._chain.prove_entry(index)

    def prove_consistency(self, old: int, new: int) -> list[bytes]:
        """A consistency proof between two sizes. Raises `Refused` ``BAD_SIZES``."""
        return self._chain.prove_consistency(old, new)

    def compute_root(self, size: int) -> bytes:
        """The root over the first so many leaves of the head's tree. Any thread."""
        return self._chain.compute_root(size)

    def add_cosignatures(self, note: str) -> None:
        """The newest checkpoint is shown with the lines of this note, which is the same with more of them."""
        self._chain.add_cosignatures(note)
        if self.on_cosigned is not None and self._chain.checkpoint == note:
            self.on_cosigned(note)
        self.policies.note(note)

    @cached_property
    def policies(self) -> PolicyKeeper:
        """The trust policies of this ledger."""
        return PolicyKeeper(self)

    @property
    def witnessed(self) -> str | None:
        """The newest checkpoint known to satisfy, quorum and all, the policy for its size."""
        return self.policies.witnessed

    def list_policy_steps(self) -> list[PolicyStep]:
        """What shows each policy after epoch 0, as far as a checkpoint hands over to it."""
        return self.policies.list_steps()

    def _hear_block(self, seconds: float, block: ExecutedBlock) -> None:
        if may_enact(block.leaves):
            # This checkpoint hands over to the next policy, and may be the last that can.
            self.policies.list_steps()
        self.on_block(seconds, block)

    def promise(self, data: bytes) -> Promise:
        """The transaction is admitted and promised. Raises `Refused`; ``NOT_FOUND`` where nothing is."""
        if self.promiser is None:
            raise Refused("NOT_FOUND")
        return self.promiser.promise(data)

    def state_absence(self, sender: str, transaction_id: str) -> Absence:
        """Signed: there is no such transaction. Raises `Refused` ``NOT_FOUND``."""
        if self.promiser is None:
            raise Refused("NOT_FOUND")
        return self.promiser.state_absence(sender, transaction_id)
