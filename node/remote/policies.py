"""Whose signature under a log is enough, as a node shows it: the trust policies after the genesis's, each
believed only under the one before (`ledger.policy_chain`).

They are asked for before the first checkpoint is judged, since a key that was retired still signs for whoever
never heard of it; and again when a checkpoint is signed by nobody who is known.
"""

from __future__ import annotations

from ledger.errors import Unverified
from ledger.genesis import Origin
from ledger.log.note import Checkpoint
from ledger.policy_chain import PolicyChain
from ledger.policy_steps import SHOWN_PATH, read_shown_steps
from node.remote.connection import Connection


class RemotePolicies:
    """The policies of the log at one node."""

    def __init__(self, connection: Connection, origin: Origin) -> None:
        self._connection = connection
        self._is_asked = False
        self.chain = PolicyChain.of_origin(origin)

    def verify(self, note: str) -> tuple[Checkpoint, int]:
        """The checkpoint, signed by a log key that may sign for its tree; and the epoch that says so.

        Raises `Unverified`, `SourceUnavailable` or `NodeRefused`.
        """
        if not self._is_asked:
            self._learn()
        try:
            return self.chain.verify_signed(note)
        except Unverified as error:
            if error.code != "LOG_SIGNATURE_MISSING":
                raise
            self._learn()
            return self.chain.verify_signed(note)

    def _learn(self) -> None:
        data = self._connection.get_file(SHOWN_PATH)
        self.chain.accept_all([] if data is None else read_shown_steps(data))
        self._is_asked = True
