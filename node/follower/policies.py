"""Whose signature a follower goes by: as far as it has executed the log, what the log itself enacted; beyond
that what a source shows, each policy under the one before.

    DIR/policies/<epoch>.note    the checkpoint that handed over to it, kept as any node keeps it

What was executed counts more than what was shown. A source that is asked for policies and has none, or wrong
ones, is one that gives no checkpoint.
"""

from __future__ import annotations

from typing import Final

import structlog

from contracts.mechanics.log_keys import list_policies
from ledger.errors import Unverified
from ledger.log.note import Checkpoint, parse_checkpoint, split_note
from ledger.log.policy import verify_checkpoint
from ledger.policy_chain import PolicyEpoch
from ledger.policy_steps import SHOWN_BYTES_MAX, SHOWN_PATH, read_shown_steps
from node.follower.chain import FollowedChain
from node.follower.sources import Source
from node.policies import POLICIES_FOLDER, name_note
from node.startup import learn_own_policies
from node.storage.atomic import replace_file

log = structlog.get_logger()
_UNKNOWN_SIGNER: Final = "LOG_SIGNATURE_MISSING"


class FollowedPolicies:
    """The policies by which one follower judges what its sources show. The follower's thread."""

    def __init__(self, chain: FollowedChain) -> None:
        self._chain = chain
        self._known = learn_own_policies(chain)
        self._executed = self._known.newest.epoch
        """Of these epochs our own log has the enactment."""

    def open(self, note: str, source: Source) -> Checkpoint:
        """The checkpoint, signed by a log key that may sign for its tree. Raises `Unverified`, or
        `SourceUnavailable` where the source cannot be asked for policies.
        """
        try:
            return self._known.verify_signed(note)[0]
        except Unverified as error:
            if error.code != _UNKNOWN_SIGNER:
                raise
        self._ask(source)
        return self._known.verify_signed(note)[0]

    def settle(self) -> None:
        """What our own log has enacted by now is known, whatever was shown before."""
        count = len(list_policies(self._chain.reader))
        if count == self._executed:
            return
        own = learn_own_policies(self._chain)
        target = self._chain.target
        for before, each in zip(own.epochs, own.epochs[1:], strict=False):
            if each.epoch > self._executed and target is not None:
                self._keep_if(before, each, target.note)
        if own.epochs != self._known.epochs[: count + 1]:
            if self._known.newest.epoch >= count:
                log.critical("a source showed other policies than the log has enacted", epochs=count)
            self._known = own
        self._executed = count

    def _ask(self, source: Source) -> None:
        """What this source shows beyond what is known is known too, and what hands over to it is kept."""
        data = source.read(SHOWN_PATH, SHOWN_BYTES_MAX)
        for step in [] if data is None else read_shown_steps(data):
            if step.epoch > self._known.newest.epoch:
                self._known.accept(step)
                self._keep(step.epoch, step.checkpoint)

    def _keep_if(self, before: PolicyEpoch, enacted: PolicyEpoch, note: str) -> None:
        """The note is kept where it satisfies the policy before and is of a tree with the enactment in it."""
        if parse_checkpoint(split_note(note)[0]).size < enacted.above:
            return
        try:
            verify_checkpoint(before.policy, note)
        except Unverified:
            return
        self._keep(enacted.epoch, note)

    def _keep(self, epoch: int, note: str) -> None:
        folder = self._chain.folder / POLICIES_FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / name_note(epoch)
        if not path.exists():
            replace_file(path, note.encode())
