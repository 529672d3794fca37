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
from typing import Annotated, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta, Raw, Struct, field

from ledger.codec import Digest, decode, from_base64url
from ledger.errors import Refused, Unverified
from ledger.leaves import BLOCK_LEAF_DECODER, ENTRY_DECODER, SYSTEM_DECODER
from ledger.log.merkle import leaf_hash, verify_inclusion
from ledger.log.note import Checkpoint, VerifierKey, open_note, parse_checkpoint, split_note
from ledger.log.policy import NO_QUORUM, Policy, parse_policy, verify_checkpoint
from ledger.outcome import OK
from ledger.values import Index

EPOCHS_MAX: Final = 100_000
HASHES_MAX: Final = 63
NoteText = Annotated[str, Meta(max_length=262_144)]
_LeafText = Annotated[str, Meta(min_length=2, max_length=65_535)]


class ProvenLeaf(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A leaf, and the path from it to the root of the step's tree."""

    index: Index
    leaf: _LeafText
    proof: Annotated[list[Digest], Meta(max_length=HASHES_MAX)]


class PolicyStep(
    Struct,
    frozen=True,
    forbid_unknown_fields=True,
    gc=False,
    kw_only=True,
    tag="policy_step",
    tag_field="@type",
):
    """What shows that an epoch's policy was enacted, and where."""

    action: Annotated[int, Meta(ge=0, le=15)]
    """Which of the proposal's actions, from 0, sets this policy."""
    block: ProvenLeaf
    """The block leaf that closes the block of the enactment."""
    checkpoint: NoteText
    """Of a tree in which all three stand, as large as that block makes it or larger; it satisfies the policy
    before.
    """
    enact: ProvenLeaf
    """The entry by which a block enacted the proposal."""
    epoch: Annotated[int, Meta(ge=1, le=EPOCHS_MAX)]
    propose: ProvenLeaf
    """The entry that holds the proposal."""


class PolicyEpoch(NamedTuple):
    """A policy that is known, and the size above which it judges checkpoints."""

    epoch: int
    policy: Policy
    above: int
    """Leaves of the tree in which it was enacted; 0 for epoch 0."""


class _Proposal(Struct, frozen=True):
    """As much of a proposal as matters here, read out of a leaf. Never on the wire."""

    kind: Literal["propose"] = field(name="@type")
    actions: list[Raw]
    proposal: str


class _Enactment(Struct, frozen=True):
    """As much of an enactment. Never on the wire."""

    kind: Literal["enact"] = field(name="@type")
    proposal: str


class _SetTrustPolicy(Struct, frozen=True):
    """As much of the action. Never on the wire."""

    kind: Literal["set_trust_policy"] = field(name="@type")
    policy: str


class _Outcome(Struct, frozen=True):
    """As much of an outcome. Never on the wire."""

    code: str


_PROPOSAL: Final = msgspec.json.Decoder(_Proposal)
_ENACTMENT: Final = msgspec.json.Decoder(_Enactment)
_SET_POLICY: Final = msgspec.json.Decoder(_SetTrustPolicy)
_OUTCOME: Final = msgspec.json.Decoder(_Outcome)
STEP_DECODER: Final[msgspec.json.Decoder[PolicyStep]] = msgspec.json.Decoder(PolicyStep)


def drop_quorum(policy: Policy) -> Policy:
    """The same logs, and nobody who has to cosign: what a checkpoint satisfies the moment it is signed."""
    return policy._replace(witnesses=(), groups=(), quorum=NO_QUORUM)


class PolicyChain:
    """The policies of one log that are known by now. They only become more."""

    def __init__(self, first: Policy, *, chain: str) -> None:
        self._chain = chain
        self._epochs = [PolicyEpoch(0, first, 0)]
        self._steps: list[PolicyStep] = []
        self._last = (-1, -1)
        """Index of the newest enactment, and which of its actions."""

    @property
    def newest(self) -> PolicyEpoch:
        """The policy that was accepted last."""
        return self._epochs[-1]

    @property
    def steps(self) -> tuple[PolicyStep, ...]:
        """What was accepted, in order: enough for anybody who has epoch 0 to come to the same."""
        return tuple(self._steps)

    def list_logs(self) -> list[VerifierKey]:
        """Every log key that is or was listed."""
        return list(dict.fromkeys(log.key for each in self._epochs for log in each.policy.logs))

    def find(self, size: int) -> PolicyEpoch:
        """The policy that judges a tree of this size."""
        return next(each for each in reversed(self._epochs) if each.above < max(size, 1))

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
        above = _read_block(step)  # (3)
        place = (step.enact.index, step.action)
        if place <= self._last or step.propose.index >= step.enact.index:  # (4)
            raise Unverified("POLICY_OUT_OF_ORDER", enact=step.enact.index, propose=step.propose.index)
        checkpoint = self._verify_handover(step, policy, above=above)  # (5)
        for each in (step.propose, step.enact, step.block):  # (6)
            _verify_leaf(each, checkpoint)
        found = PolicyEpoch(step.epoch, policy, above)
        self._epochs.append(found)
        self._steps.append(step)
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
    try:
        entry = ENTRY_DECODER.decode(step.propose.leaf)
        system = SYSTEM_DECODER.decode(step.enact.leaf)
        proposal, enactment = _PROPOSAL.decode(entry.message), _ENACTMENT.decode(system.message)
        codes = [_OUTCOME.decode(each.outcome).code for each in (entry, system)]
        text = _SET_POLICY.decode(proposal.actions[step.action]).policy
    except (msgspec.MsgspecError, UnicodeError, RecursionError, IndexError) as error:
        raise Unverified("POLICY_NOT_ENACTED", reason=str(error)[:200]) from None
    if codes != [OK, OK] or proposal.proposal != enactment.proposal:
        raise Unverified("POLICY_NOT_ENACTED", codes=codes, enacted=enactment.proposal)
    try:
        policy = parse_policy(text.encode())
    except (Refused, UnicodeError) as error:
        raise Unverified("POLICY_MALFORMED", reason=str(error)[:200]) from None
    if not any(log.key.name == chain for log in policy.logs):
        raise Unverified("POLICY_MALFORMED", reason="another log's", chain=chain)
    return policy


def _read_block(step: PolicyStep) -> int:
    """Leaves of the tree that the block of the enactment makes."""
    try:
        block = BLOCK_LEAF_DECODER.decode(step.block.leaf)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise Unverified("POLICY_BLOCK", reason=str(error)[:200]) from None
    if block.last != step.block.index or not block.first <= step.enact.index < block.last:
        raise Unverified("POLICY_BLOCK", first=block.first, last=block.last, enact=step.enact.index)
    return block.last + 1


def _verify_leaf(proven: ProvenLeaf, checkpoint: Checkpoint) -> None:
    verify_inclusion(
        leaf=leaf_hash(proven.leaf.encode()),
        index=proven.index,
        size=checkpoint.size,
        proof=read_hashes(proven.proof),
        root=checkpoint.root,
    )


def read_hashes(texts: Sequence[str]) -> list[bytes]:
    """The hashes these spell. Raises `Unverified` ``HASH_LENGTH``."""
    try:
        return [from_base64url(text, size=32) for text in texts]
    except Refused as error:
        raise Unverified("HASH_LENGTH", **error.facts) from None


def read_steps(data: Sequence[bytes]) -> list[PolicyStep]:
    """The steps these canonical bytes are. Raises `Refused`."""
    return [decode(each, STEP_DECODER) for each in data]
