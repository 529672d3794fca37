"""A follower as a witness of its log: asked for a cosignature (C2SP tlog-witness) it executes that far first,
and signs where its own tree has that root.

    POST /add-checkpoint            as any witness; 503 where it has not come that far in time
    GET  /<origin hash>/checkpoint  the newest checkpoint that it cosigned so

It signs with the key of its own cosignatures, which states the same: all of it was executed, and came out the
same. What was asked is kept in a folder of its own. A smaller checkpoint than its head is cosigned as well,
being of the same tree.

    DIR/witness/logs/*.note         as a witness keeps them
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog

from ledger.errors import Unverified
from ledger.keys import Signer
from ledger.log.note import VerifierKey
from ledger.policy_chain import PolicyChain
from node.follower.core import FollowerCore
from node.witness.desk import WitnessDesk
from node.witness.protocol import Reply, Submission

log = structlog.get_logger()
WITNESS_FOLDER: Final = "witness"
EXECUTE_SECONDS: Final = 3.0
"""So long somebody who asks is kept waiting for what is not executed yet: below what a log waits for."""
_LOOK_SECONDS: Final = 0.02
_ASKING_MAX: Final = 2
"""More than that at once are sent away: who waits here takes a thread from whoever reads."""


class FollowerDesk(WitnessDesk):
    """The witness's desk of a follower. Any thread."""

    def __init__(
        self,
        folder: Path,
        core: FollowerCore,
        *,
        name: str,
        signer: Signer,
        clock: Callable[[], int] = lambda: int(time.time()),
    ) -> None:
        self._core = core
        self._asking = threading.BoundedSemaphore(_ASKING_MAX)
        place = folder / WITNESS_FOLDER
        place.mkdir(mode=0o700, exist_ok=True)
        super().__init__(place, name=name, signer=signer, clock=clock, logs=self._list_keys())

    def add_checkpoint(self, data: bytes) -> Reply:
        """The answer to a submission; a cosignature only for what this follower has executed."""
        if not self._asking.acquire(blocking=False):
            return Reply(503, "others are asking\n")
        try:
            # The alliance may have decided meanwhile who signs.
            self._keys[self._core.chain] = self._list_keys()
            return super().add_checkpoint(data)
        finally:
            self._asking.release()

    def _decide(self, submission: Submission, body: str) -> Reply:
        seen = self._seen[submission.checkpoint.origin]
        refusal = self._check_executed(submission) if submission.old == seen.size else None
        return super()._decide(submission, body) if refusal is None else refusal

    def _check_executed(self, submission: Submission) -> Reply | None:
        """Why it is not ours to sign: it was not executed, or came out as something else."""
        size, core = submission.checkpoint.size, self._core
        end = time.monotonic() + EXECUTE_SECONDS
        while core.head.size < size:
            if not core.is_ready or time.monotonic() > end:
                return Reply(503, "not executed yet\n")
            time.sleep(_LOOK_SECONDS)
        try:
            self._make_policies().verify_signed(submission.note)
        except Unverified as error:
            return Reply(403, f"{error.code}\n")
        if size and core.compute_root(size) != submission.checkpoint.root:
            log.critical("the log has signed another tree than it showed", size=size)
            return Reply(422, "not the tree that was executed\n")
        return None

    def _make_policies(self) -> PolicyChain:
        """The policies of what was executed."""
        return PolicyChain.of_origin(self._core.origin).learn_all(self._core.policies.list_enacted())

    def _list_keys(self) -> list[VerifierKey]:
        """Whatever key may ever have signed this log."""
        logs = (entry.key for each in self._make_policies().epochs for entry in each.policy.logs)
        return list(dict.fromkeys(key for key in logs if key.name == self._core.chain))
