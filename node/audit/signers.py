"""Whose key signed the checkpoint, judged by the log itself: the genesis names keys, and trust policies that
were enacted name others from their height on.

Who audits re-executes every enactment, so whatever key is found is held against the policy in force for that
very tree. Witnesses are not counted here: what is stored may not carry their lines yet (`--policy` asks for
them).
"""

from __future__ import annotations

from collections.abc import Sequence

from contracts.mechanics.governance_records import TRUST
from contracts.mechanics.log_keys import find_log_keys
from ledger.errors import Unverified
from ledger.genesis import Origin
from ledger.log.note import VerifierKey
from ledger.log.policy import Policy, verify_checkpoint
from ledger.state import State


class SignerCheck:
    """The checkpoint's signature: looked at before the replay, and decided when the policies are known."""

    def __init__(self, note: str, origin: Origin) -> None:
        """Raises `Unverified` for what no policy can mend."""
        self._note = note
        self._origin = origin
        self._missing: Unverified | None = None
        try:
            verify_checkpoint(self._make_policy(origin.log_keys), note)
        except Unverified as error:
            if error.code != "LOG_SIGNATURE_MISSING":
                raise
            self._missing = error

    def finish(self, state: State, *, height: int) -> None:
        """The policy in force for the tree after the block of this height lists the key.

        Raises `Unverified` ``LOG_SIGNATURE_MISSING``.
        """
        records = [record for _, record in state.list_records(TRUST)]
        if records:
            keys = find_log_keys(records, self._origin, height=height)
            verify_checkpoint(self._make_policy(sorted(keys)), self._note)
        elif self._missing is not None:
            raise self._missing

    def _make_policy(self, keys: Sequence[bytes]) -> Policy:
        return Policy.for_logs(VerifierKey.for_log(self._origin.chain, key) for key in keys)
