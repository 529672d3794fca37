"""Whose signature a follower goes by: as far as it has executed the log, what the log itself enacted; beyond
that what a source shows, each policy under the one before.

    DIR/policies/<epoch>.note    the checkpoint that handed over to it, kept as any node keeps it

What was executed counts more than what was shown. A source that is asked for policies and has none, or wrong
ones, is one that gives no checkpoint.

Others, who executed nothing, are shown steps (`list_steps`): with our own leaves where we have them and a
checkpoint was kept, else as sources showed them.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import structlog

from contracts.mechanics.log_keys import list_policies
from ledger.errors import Unverified
from ledger.log.note import Checkpoint, parse_checkpoint, split_note
from ledger.log.policy import verify_checkpoint
from ledger.log.tiles import TILE_LEVELS, TILE_WIDTH
from ledger.policy_chain import PolicyChain, PolicyEpoch
from ledger.policy_steps import SHOWN_BYTES_MAX, SHOWN_PATH, PolicyStep, read_shown_steps
from node.audit.sources import SourceUnavailable
from node.follower.chain import FollowedChain
from node.follower.sources import Source
from node.policies import POLICIES_FOLDER, extend, name_note
from node.startup import learn_own_policies, list_own_enacted
from node.storage.atomic import read_file, replace_file

log = structlog.get_logger()
_UNKNOWN_SIGNER: Final = "LOG_SIGNATURE_MISSING"


class FollowedPolicies:
    """The policies by which one follower judges what its sources show. The follower's thread."""

    def __init__(self, chain: FollowedChain) -> None:
        self._chain = chain
        self._known = learn_own_policies(chain)
        self._executed = self._known.newest.epoch
        """Of these epochs our own log has the enactment."""
        self._shown: list[PolicyStep] = []
        """What sources showed, and was believed."""

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
                self._shown = []
            self._known = own
        self._executed = count

    def list_steps(self, notes: Sequence[str], sources: Sequence[Source]) -> list[PolicyStep]:
        """What leads somebody who has epoch 0 to the policies that judge these notes, as far as it can be
        had: from our own log, from what was shown before, or from one of these sources.
        """
        for note in notes:
            for source in sources:
                with suppress(Unverified, SourceUnavailable):
                    self.open(note, source)
                    break
        found = PolicyChain.of_origin(self._chain.origin)
        self._show_own(found)
        with suppress(Unverified):
            # Where one before them is missing, they show nothing.
            found.accept_all(self._shown)
        for source in sources:
            if found.newest.epoch < self._known.newest.epoch:
                with suppress(Unverified, SourceUnavailable):
                    found.accept_all(_read_steps(source))
        return list(found.steps)

    def _show_own(self, found: PolicyChain) -> None:
        """Epochs whose enactment was executed here are known to this chain, up to the first that no
        checkpoint of ours hands over to.
        """
        log = _Executed(self._chain)
        for enacted in list_own_enacted(self._chain):
            kept = read_file(self._chain.folder / POLICIES_FOLDER / name_note(found.newest.epoch + 1))
            notes = [self._chain.checkpoint] if kept is None else [kept.decode(), self._chain.checkpoint]
            if extend(found, log, enacted, [note for note in notes if note and log.has_all(note)]) is None:
                return

    def _ask(self, source: Source) -> None:
        """What this source shows beyond what is known is known too, and what hands over to it is kept."""
        for step in _read_steps(source):
            if step.epoch > self._known.newest.epoch:
                self._known.accept(step)
                self._shown.append(step)
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


class _Executed:
    """Our own log as far as it is stored, also where readers do not see it yet."""

    def __init__(self, chain: FollowedChain) -> None:
        self._chain = chain

    def has_all(self, note: str) -> bool:
        """Whether every leaf that this checkpoint stands for is here."""
        return parse_checkpoint(split_note(note)[0]).size <= self._chain.store.log.size

    def read_leaves(self, first: int, end: int) -> list[bytes]:
        """The leaves [first, end)."""
        return self._chain.store.log.read_leaves(first, end)

    def read_tile(self, level: int, index: int, width: int) -> bytes:
        """A hash tile, full or partial."""
        first = index * TILE_WIDTH
        return b"".join(
            self._chain.get_node(level * TILE_LEVELS, place) for place in range(first, first + width)
        )


def _read_steps(source: Source) -> list[PolicyStep]:
    """What a source shows. Raises `Unverified` or `SourceUnavailable`."""
    data = source.read(SHOWN_PATH, SHOWN_BYTES_MAX)
    return [] if data is None else read_shown_steps(data)
