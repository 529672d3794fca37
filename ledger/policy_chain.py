"""Whose word is enough, and from which tree on: the alliance's trust policies, each accepted only under the
one before it.

Epoch 0 follows from the genesis, or from the policy file a client was given. Every further policy was
proposed and enacted in the log itself; the entries that say so, and the block that closes over them, are
shown in a tree whose checkpoint satisfies the policy that was in force until then. A policy judges the trees
larger than the one in which it was enacted; so a key that it no longer lists can sign nothing new, and what
the key signed before stays good.

Not shown: that the votes were enough (auditors re-execute that), and that no policy was left out. Who never
heard of a change still believes the keys of before; witnesses are what such a client has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Self

import msgspec

from ledger.enactments import Enacted, read_enactment, read_proposal
from ledger.errors import Refused, Unverified
from ledger.genesis import Origin
from ledger.leaves import BLOCK_LEAF_DECODER
from ledger.log.merkle import leaf_hash, verify_inclusion
from ledger.log.note import Checkpoint, VerifierKey, open_note, parse_checkpoint, split_note
from ledger.log.policy import NO_QUORUM, Policy, parse_policy, verify_checkpoint
from ledger.policy_steps import PolicyStep, ProvenLeaf, read_hashes
from ledger.promise import PROMISE_MILLIS_MAX


class PolicyEpoch(NamedTuple):
    """A policy that is known, and the size above which it judges checkpoints."""

    epoch: int
    policy: Policy
    above: int
    """Leaves of the tree in which it was enacted; 0 for epoch 0."""
    since: int = 0
    """Time of the block in which it was enacted; 0 for epoch 0."""


def drop_quorum(policy: Policy) -> Policy:
    """The same logs, and nobody who has to cosign: what a checkpoint satisfies the moment it is signed."""
    return policy._replace(witnesses=(), groups=(), quorum=NO_QUORUM)


def derive_policy(origin: Origin) -> Policy:
    """The policy of epoch 0, which follows from the genesis alone: any of its log keys, no witnesses."""
    return Policy.for_logs(VerifierKey.for_log(origin.chain, key) for key in origin.log_keys)


class PolicyChain:
    """The policies of one log that are known by now. They only become more."""

    def __init__(self, first: Policy, *, chain: str, epoch: int = 0, above: int = 0) -> None:
        """It begins with ``first``: epoch 0, or a later one that the caller believes for itself, and then
        nothing is known of trees that are not larger than ``above``.
        """
        self._chain = chain
        self._epochs = [PolicyEpoch(epoch, first, above)]
        self._steps: list[PolicyStep] = []
        self._last = (-1, -1)
        """Index of the newest enactment, and which of its actions."""

    @classmethod
    def of_origin(cls, origin: Origin) -> Self:
        """It begins with what the genesis says."""
        return cls(derive_policy(origin), chain=origin.chain)

    @classmethod
    def of_policy(cls, policy: Policy, steps: Sequence[PolicyStep], *, chain: str) -> Self:
        """It begins with a policy that the caller was given and believes for itself: with the epoch of these
        steps that enacts this very policy, or else with epoch 0. Raises `Unverified`.

        What is told of the epoch is its number and where it begins. A lie about either lets nobody sign who
        is not listed: trees from before are not judged at all.
        """
        for step in reversed(steps):
            if _read_policy(step, chain=chain) == policy:
                found = cls(policy, chain=chain, epoch=step.epoch, above=_read_block(step)[0])
                found._steps = [each for each in steps if each.epoch <= step.epoch]
                found._last = (step.enact.index, step.action)
                return found
        return cls(policy, chain=chain)

    @property
    def newest(self) -> PolicyEpoch:
        """The policy that was accepted last."""
        return self._epochs[-1]

    @property
    def epochs(self) -> tuple[PolicyEpoch, ...]:
        """All of them, in order."""
        return tuple(self._epochs)

    @property
    def steps(self) -> tuple[PolicyStep, ...]:
        """What leads here, in order: enough for anybody who has epoch 0 to come to the same."""
        return tuple(self._steps)

    def find(self, size: int) -> PolicyEpoch:
        """The policy that judges a tree of this size. Raises `Unverified` where that is not known."""
        for each in reversed(self._epochs):
            if each.above < max(size, 1):
                return each
        raise Unverified("POLICY_UNKNOWN", size=size, above=self._epochs[0].above)

    def get_signing(self, epoch: int) -> Policy:
        """The policy of this epoch without its quorum: what an answer satisfies the moment it is given."""
        return drop_quorum(self._epochs[epoch - self._epochs[0].epoch].policy)

    def find_log(self, public: bytes, *, size: int) -> VerifierKey:
        """The log key this is, where it may sign for a tree of this size.

        Raises `Unverified` ``LOG_KEY_RETIRED`` or ``LOG_KEY_UNKNOWN``.
        """
        judge = self.find(size)
        found = self._get_log(judge, public)
        if found is not None:
            return found
        if any(self._get_log(each, public) for each in self._epochs if each.epoch < judge.epoch):
            raise Unverified("LOG_KEY_RETIRED", epoch=judge.epoch, size=size)
        raise Unverified("LOG_KEY_UNKNOWN", key=public.hex())

    def find_promiser(self, public: bytes, *, by: int) -> VerifierKey:
        """The log key this is, where it could still promise something by this time.

        Raises `Unverified` ``LOG_KEY_RETIRED`` or ``LOG_KEY_UNKNOWN``.
        """
        ends = [each.since for each in self._epochs[1:]] + [None]
        found = [
            (key, end)
            for each, end in zip(self._epochs, ends, strict=True)
            if (key := self._get_log(each, public)) is not None
        ]
        if not found:
            raise Unverified("LOG_KEY_UNKNOWN", key=public.hex())
        key, end = found[-1]
        if end is not None and by > end + PROMISE_MILLIS_MAX:
            raise Unverified("LOG_KEY_RETIRED", by=by, retired=end)
        return key

    def _get_log(self, epoch: PolicyEpoch, public: bytes) -> VerifierKey | None:
        keys = (log.key for log in epoch.policy.logs)
        return next((key for key in keys if key.public == public and key.name == self._chain), None)

    def verify(self, note: str) -> tuple[Checkpoint, int]:
        """The checkpoint that satisfies, quorum and all, the policy for its size; and that policy's epoch.

        Raises `Unverified` as `verify_checkpoint` does, and ``LOG_KEY_RETIRED``.
        """
        return self._verify(note, is_strict=True)

    def verify_signed(self, note: str) -> tuple[Checkpoint, int]:
        """As `verify`, where the log's signature is enough: nobody has cosigned yet what is this new."""
        return self._verify(note, is_strict=False)

    def accept(self, step: PolicyStep) -> PolicyEpoch:
        """The next epoch is known. Raises `Unverified`, and then nothing has changed.

        (1) It is the next. (2) Proposal and enactment say what they have to. (3) The block closes over the
        enactment. (4) It comes after the one before. (5) The checkpoint satisfies the policy that was in
        force. (6) All three leaves stand in its tree.
        """
        if step.epoch != self.newest.epoch + 1:  # (1)
            raise Unverified("POLICY_EPOCH", expected=self.newest.epoch + 1, found=step.epoch)
        policy = _read_policy(step, chain=self._chain)  # (2)
        above, since = _read_block(step)  # (3)
        place = (step.enact.index, step.action)
        if place <= self._last or step.propose.index >= step.enact.index:  # (4)
            raise Unverified("POLICY_OUT_OF_ORDER", enact=step.enact.index, propose=step.propose.index)
        checkpoint = self._verify_handover(step, policy, above=above)  # (5)
        for each in (step.propose, step.enact, step.block):  # (6)
            _verify_leaf(each, checkpoint)
        found = PolicyEpoch(step.epoch, policy, above, since)
        self._epochs.append(found)
        self._steps.append(step)
        self._last = place
        return found

    def accept_all(self, steps: Sequence[PolicyStep]) -> None:
        """Those that are later than what is known are accepted, each in its turn. Raises `Unverified`."""
        for step in steps:
            if step.epoch > self.newest.epoch:
                self.accept(step)

    def learn_all(self, enacted: Sequence[Enacted]) -> Self:
        """The same, and all of these are learned, where the first is epoch 1. Raises `Unverified`."""
        for each in enacted[self.newest.epoch :]:
            self.learn(each)
        return self

    def learn(self, enacted: Enacted) -> PolicyEpoch:
        """The next epoch is known from a log that the caller believes itself, having executed it or having
        made it: no checkpoint has to hand over. Raises `Unverified` where it is not the next.
        """
        place = (enacted.enact, enacted.action)
        if place <= self._last:
            raise Unverified("POLICY_OUT_OF_ORDER", enact=enacted.enact, propose=enacted.propose)
        policy = _parse(enacted.text, chain=self._chain)
        found = PolicyEpoch(self.newest.epoch + 1, policy, enacted.above, enacted.time)
        self._epochs.append(found)
        self._last = place
        return found

    def _verify_handover(self, step: PolicyStep, policy: Policy, *, above: int) -> Checkpoint:
        before = self.find(above).policy
        size = parse_checkpoint(split_note(step.checkpoint)[0]).size
        if size < above:
            raise Unverified("POLICY_CHECKPOINT", expected=above, found=size)
        if size > above:
            # Whoever is no longer listed may not hand over at a time of their own choosing.
            kept = {log.key for log in policy.logs}
            before = before._replace(logs=tuple(log for log in before.logs if log.key in kept))
        return verify_checkpoint(before, step.checkpoint)

    def _verify(self, note: str, *, is_strict: bool) -> tuple[Checkpoint, int]:
        size = parse_checkpoint(split_note(note)[0]).size
        found = self.find(size)
        try:
            policy = found.policy if is_strict else drop_quorum(found.policy)
            return verify_checkpoint(policy, note), found.epoch
        except Unverified as error:
            if error.code == "LOG_SIGNATURE_MISSING" and self._is_signed_with_retired(note, found.epoch):
                raise Unverified("LOG_KEY_RETIRED", epoch=found.epoch, size=size) from None
            raise

    def _is_signed_with_retired(self, note: str, epoch: int) -> bool:
        keys = {log.key for each in self._epochs[:epoch] for log in each.policy.logs}
        try:
            open_note(note, keys)
        except Unverified:
            return False
        return True


def _read_policy(step: PolicyStep, *, chain: str) -> Policy:
    """The policy that the two entries say was enacted."""
    proposal, texts = read_proposal(step.propose.leaf)
    enacted = read_enactment(step.enact.leaf)
    if proposal != enacted or step.action not in texts:
        raise Unverified("POLICY_NOT_ENACTED", proposal=proposal, enacted=enacted, action=step.action)
    return _parse(texts[step.action], chain=chain)


def _parse(text: str, *, chain: str) -> Policy:
    try:
        policy = parse_policy(text.encode())
    except (Refused, UnicodeError) as error:
        raise Unverified("POLICY_MALFORMED", reason=str(error)[:200]) from None
    if not any(log.key.name == chain for log in policy.logs):
        raise Unverified("POLICY_MALFORMED", reason="another log's", chain=chain)
    return policy


def _read_block(step: PolicyStep) -> tuple[int, int]:
    """Leaves of the tree that the block of the enactment makes, and the block's time."""
    try:
        block = BLOCK_LEAF_DECODER.decode(step.block.leaf)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise Unverified("POLICY_BLOCK", reason=str(error)[:200]) from None
    if block.last != step.block.index or not block.first <= step.enact.index < block.last:
        raise Unverified("POLICY_BLOCK", first=block.first, last=block.last, enact=step.enact.index)
    return block.last + 1, block.time


def _verify_leaf(proven: ProvenLeaf, checkpoint: Checkpoint) -> None:
    verify_inclusion(
        leaf=leaf_hash(proven.leaf.encode()),
        index=proven.index,
        size=checkpoint.size,
        proof=read_hashes(proven.proof),
        root=checkpoint.root,
    )
