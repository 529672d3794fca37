"""What a core can say of its log to those who do not believe it: proofs, trust policies, the newest
checkpoint that enough witnesses have cosigned, promises and absences.
"""

from __future__ import annotations

from functools import cached_property

from ledger.errors import Refused
from ledger.policy_chain import PolicyStep
from ledger.promise import Absence, Promise
from node.answers import Proofs
from node.chain import ChainKeeper
from node.policies import Ledger, PolicyKeeper
from node.promising import Promiser


class Vouching(Ledger):
    """That part of a core."""

    _chain: ChainKeeper
    promiser: Promiser | None = None
    """Who signs intake promises, where anybody does."""

    def prove(self, *, first: int, end: int, trusted_size: int | None) -> Proofs:
        """A range proof against the newest checkpoint. Raises `Refused` ``BAD_SIZES``."""
        return self._chain.prove(first=first, end=end, trusted_size=trusted_size)

    def prove_entry(self, index: int) -> tuple[str, list[bytes]]:
        """The newest checkpoint and an inclusion proof to it. Raises `Refused` ``BAD_SIZES``."""
        return self._chain.prove_entry(index)

    def prove_consistency(self, old: int, new: int) -> list[bytes]:
        """A consistency proof between two sizes. Raises `Refused` ``BAD_SIZES``."""
        return self._chain.prove_consistency(old, new)

    def add_cosignatures(self, note: str) -> None:
        """The newest checkpoint is shown with the lines of this note, which is the same with more of them."""
        self._chain.add_cosignatures(note)
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
