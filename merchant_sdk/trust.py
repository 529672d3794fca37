"""Nothing is committed because a node says so. It is committed when the answer proves it, and here is how.

For each answer to a transaction, `Trust` checks:

1. *shape*: the answer is what docs/spec/api.md says, with one outcome for each message that was signed;
2. *checkpoint*: it names this chain and is signed as the policy asks;
3. *leaves*: they are rebuilt from our own signed bytes, the height and time told, and the outcomes; each
   entry carries the tag of our transaction, so no other transaction's entries can stand in for ours;
4. *place*: the range proof puts exactly these leaves at the index told in the checkpoint's tree;
5. *history*: that tree continues the one we trusted last. A node that rewrote or cut off what we saw is
   caught here;
6. *memory*: the larger of both trees is what is trusted from now on. It never goes back.

The pinned chain string is the anchor: the genesis leaves must hash to it, and from them follow the log's key
(the policy of epoch 0) and the first tree that is trusted. A later policy is accepted only under the one
before it (`ledger.policy_chain`).

No sockets and no disk here: bytes in, results or `Unverified` out. Where step 5 needs a proof that did not
come along, the caller is told which one to fetch (`Link`). One `Trust` is for one thread at a time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, NamedTuple

from ledger import errors as core_errors
from ledger.codec import from_base64url
from ledger.genesis import Origin
from ledger.leaves import compute_tag, encode_entry, encode_transaction_leaf
from ledger.log.merkle import compute_leaf_hashes, verify_consistency, verify_range
from ledger.log.note import Checkpoint, parse_checkpoint, split_note
from ledger.log.policy import Policy
from ledger.policy_chain import PolicyChain
from ledger.policy_steps import PolicyStep, read_hashes
from ledger.transaction import Transaction
from merchant_sdk.claims import ANSWER_DECODER, CONSISTENCY_DECODER, Proven, read_claim
from merchant_sdk.contradictions import LogContradiction, make_finding
from merchant_sdk.errors import Unverified

REMEMBERED_MAX: Final = 256
"""So many trees of the trusted history are kept by size, for answers that arrive out of order."""


class Link(NamedTuple):
    """The consistency proof that is still needed: from the tree of `old` leaves to that of `new`."""

    old: int
    new: int


class Trust:
    """What we know of one log, and the checks that let us know more."""

    def __init__(
        self,
        *,
        origin: Origin,
        policy: Policy,
        note: str | None = None,
        steps: Sequence[PolicyStep] = (),
        is_strict: bool = True,
    ) -> None:
        self.origin = origin
        self.chain = origin.chain
        self.policies = PolicyChain(policy, chain=origin.chain)
        """Every policy that was accepted, from the one we began with."""
        self._is_strict = is_strict
        """Whether ``policy`` is demanded of every answer with its quorum. Later ones are not: answers do not
        wait for witnesses."""
        self._opened: OrderedDict[str, Checkpoint] = OrderedDict()
        self.take_policies(steps)
        genesis = Checkpoint(origin.chain, len(origin.leaves), from_base64url(origin.previous, size=32))
        self._trusted = genesis
        self.note = note
        """The signed checkpoint trusted last; None while only the genesis is."""
        self._known: OrderedDict[int, bytes] = OrderedDict({genesis.size: genesis.root})
        self._notes: OrderedDict[int, str] = OrderedDict()
        if note is not None:
            self._trusted = self._open_kept(note)
            self._remember(self._trusted, note)

    @property
    def epoch(self) -> int:
        """The newest policy that was accepted."""
        return self.policies.newest.epoch

    @property
    def first_epoch(self) -> int:
        """The epoch of the policy we began with."""
        return self.policies.epochs[0].epoch

    @property
    def policy(self) -> Policy:
        """The policy that was accepted last."""
        return self.policies.newest.policy

    def take_policies(self, steps: Sequence[PolicyStep]) -> None:
        """Later policies than we know are accepted, each under the one before. Raises `Unverified`."""
        known = self.policies.newest.epoch
        try:
            if self._is_strict and not self.policies.steps:
                # The policy that we were given may be a later one than the genesis's.
                self.policies = PolicyChain.of_policy(self.policies.newest.policy, steps, chain=self.chain)
            self.policies.accept_all(steps)
        except core_errors.Unverified as error:
            detail = "a trust policy is not shown to follow from the one before"
            raise Unverified(error.code, detail, error.facts) from None
        if self.policies.newest.epoch > known:
            self._opened.clear()

    @property
    def trusted_size(self) -> int:
        """Leaves of the tree trusted last: what a node is asked to prove consistency from."""
        return self._trusted.size

    def prove(self, transaction: Transaction, data: bytes) -> Proven:
        """Steps 1 to 4 for the answer ``data`` to our ``transaction``. Raises `Unverified`."""
        # (1) shape.
        answer = read_claim(data, ANSWER_DECODER)
        if len(answer.outcomes) != transaction.header.count:
            facts = {"messages": transaction.header.count, "outcomes": len(answer.outcomes)}
            raise Unverified("OUTCOMES_COUNT", facts=facts)
        # (2) checkpoint.
        checkpoint = self.open(answer.checkpoint)
        # (3) leaves, from our own bytes: a node never tells us what we asked.
        leaf = encode_transaction_leaf(
            transaction.header_bytes, height=answer.height, signature=transaction.signature, time=answer.time
        )
        tag = compute_tag(leaf)
        outcomes = [bytes(outcome) for outcome in answer.outcomes]
        messages = transaction.message_bytes
        leaves = [leaf, *(encode_entry(*pair, tag) for pair in zip(messages, outcomes, strict=True))]
        # (4) place.
        try:
            verify_range(
                first=answer.index,
                leaves=compute_leaf_hashes(leaves),
                size=checkpoint.size,
                proof=read_hashes(answer.proof),
                root=checkpoint.root,
            )
        except core_errors.Unverified as error:
            evidence = {"found": answer.checkpoint, "trusted": self.note or ""}
            detail = "the log does not hold what the answer says"
            raise Unverified(error.code, detail, error.facts, evidence=evidence) from None
        return Proven(answer, outcomes, checkpoint)

    def open(self, note: str) -> Checkpoint:
        """Step 2: the checkpoint in the note, of this chain, signed as the policy asks. Or `Unverified`."""
        found = self._opened.get(note)
        if found is not None:
            # Many answers come under one checkpoint, and a signature costs more than all the rest.
            return found
        try:
            checkpoint, epoch = self.policies.verify_signed(note)
            if self._is_strict and epoch == self.first_epoch:
                self.policies.verify(note)
        except core_errors.Unverified as error:
            evidence = {"found": note[:4096], "trusted": self.note or ""}
            raise Unverified(
                error.code, "the checkpoint is not signed as it must be", error.facts, evidence=evidence
            ) from None
        if checkpoint.origin != self.chain:
            raise Unverified("WRONG_CHAIN", facts={"found": checkpoint.origin, "pinned": self.chain})
        self._opened[note] = checkpoint
        while len(self._opened) > REMEMBERED_MAX:
            self._opened.popitem(last=False)
        return checkpoint

    def _open_kept(self, note: str) -> Checkpoint:
        """What we trusted before, which may be older than the policy that we were given since."""
        try:
            return self.open(note)
        except Unverified as error:
            if error.code != "POLICY_UNKNOWN":
                raise
        return parse_checkpoint(split_note(note)[0])

    def accept(
        self, note: str, *, trusted_size: int | None = None, proof: Sequence[str] | None = None
    ) -> Link | None:
        """Steps 5 and 6, as far as the proof from ``trusted_size`` reaches; else the proof that is needed.

        Raises `Unverified` with both notes where the checkpoint and what we trust contradict each other.
        """
        checkpoint = self.open(note)
        known = self._known.get(checkpoint.size)
        if known is not None:
            # The same size may have one root only: two are a log shown in two versions.
            if known != checkpoint.root:
                raise self._contradiction("SPLIT_VIEW", checkpoint, note)
            self._remember(checkpoint, note)
            return None
        if trusted_size is not None and proof is None:
            raise Unverified("CONSISTENCY_MISSING", facts={"trusted_size": trusted_size})
        if proof is not None and trusted_size == self._trusted.size:
            self._check_history(self._trusted, checkpoint, proof, note)
            self._remember(checkpoint, note)
            return None
        # Other answers came in between: what this one proves begins before what we trust by now.
        smaller, larger = sorted((checkpoint.size, self._trusted.size))
        return Link(smaller, larger)

    def accept_link(self, note: str, link: Link, data: bytes) -> Link | None:
        """Steps 5 and 6 with the proof fetched for ``link``; once more a `Link` if we moved on meanwhile."""
        proof = read_claim(data, CONSISTENCY_DECODER).proof
        checkpoint = self.open(note)
        if {checkpoint.size, self._trusted.size} != set(link):
            return self.accept(note)
        if checkpoint.size < self._trusted.size:
            self._check_history(checkpoint, self._trusted, proof, note)
        else:
            self._check_history(self._trusted, checkpoint, proof, note)
        self._remember(checkpoint, note)
        return None

    def _check_history(self, old: Checkpoint, new: Checkpoint, proof: Sequence[str], note: str) -> None:
        try:
            verify_consistency(
                old=old.size, old_root=old.root, new=new.size, new_root=new.root, proof=read_hashes(proof)
            )
        except core_errors.Unverified as error:
            code = "HISTORY_REWRITTEN" if error.code == "ROOT_MISMATCH" else error.code
            raise self._contradiction(
                code, self.open(note), note, link=Link(old.size, new.size), proof=proof
            ) from None

    def find_shrinkage(self, note: str) -> Unverified | None:
        """The error, where a node shows a smaller tree than it proved to us before."""
        checkpoint = self.open(note)
        if checkpoint.size >= self._trusted.size:
            return None
        return self._contradiction("LOG_SHRANK", checkpoint, note)

    def _contradiction(
        self,
        code: str,
        checkpoint: Checkpoint,
        note: str,
        *,
        link: Link | None = None,
        proof: Sequence[str] = (),
    ) -> LogContradiction:
        ours = self._notes.get(checkpoint.size, self.note) or ""
        return LogContradiction(
            code,
            "what the node shows and what it showed before contradict each other",
            {"size": checkpoint.size, "trusted_size": self._trusted.size},
            evidence={"found": note, "trusted": ours},
            finding=make_finding(
                self.origin,
                note,
                ours,
                policies=self.policies.steps,
                proof=proof,
                begin=0 if link is None else link.old,
            ),
        )

    def _remember(self, checkpoint: Checkpoint, note: str) -> None:
        # (6) memory. Never back: a smaller tree is remembered as part of the history, and that is all.
        self._known[checkpoint.size] = checkpoint.root
        self._notes[checkpoint.size] = note
        is_first = self.note is None and checkpoint.size == self._trusted.size
        if checkpoint.size > self._trusted.size or is_first:
            self._trusted = checkpoint
            self.note = note
        self._known.move_to_end(self._trusted.size)
        for kept in (self._known, self._notes):
            while len(kept) > REMEMBERED_MAX:
                kept.popitem(last=False)
