"""Whose key signed the checkpoint, judged by the log itself: the genesis names keys, and trust policies that
the log enacts name others, for the trees larger than the one in which that was enacted.

Who re-executes a log knows that every enactment had the votes it needed, so no checkpoint has to hand over
from one policy to the next. Witnesses are not counted here: what is stored may not carry their lines yet
(`--policy` asks for them).
"""

from __future__ import annotations

from ledger.enactments import Enactments
from ledger.errors import Unverified
from ledger.genesis import Origin
from ledger.policy_chain import PolicyChain
from node.audit.replay import ReplayedBlock


class SignerCheck:
    """The checkpoint's signature: looked at before the replay, and decided when the policies are known."""

    def __init__(self, note: str, origin: Origin) -> None:
        """Raises `Unverified` for what no policy can mend."""
        self._note = note
        self._enactments = Enactments()
        self._policies = PolicyChain.of_origin(origin)
        try:
            self._policies.verify_signed(note)
        except Unverified as error:
            if error.code != "LOG_SIGNATURE_MISSING":
                raise

    def take(self, block: ReplayedBlock) -> None:
        """What this block enacts is known: it came out the same, and is the next."""
        self._enactments.take_all(block.recorded.first, block.recorded.leaves)

    def finish(self) -> PolicyChain:
        """The policy that judges the checkpoint's tree lists the key; all policies of the log.

        Raises `Unverified` ``LOG_SIGNATURE_MISSING`` or ``LOG_KEY_RETIRED``.
        """
        self._policies.learn_all(self._enactments.found).verify_signed(self._note)
        return self._policies
