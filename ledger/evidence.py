"""Evidence: one file that shows, offline and to anybody, that a log's operator signed two things of which one
is false, or broke a promise.

    contradiction    two signed checkpoints of one log that cannot both be true
    broken_promise   a signed promise of a time, and that the transaction came later or not at all

What counts is positive. Two roots of one size contradict each other. Two sizes do where a proof shows which
root the larger tree has at the smaller size, and it is another one: a proof that merely fails shows nothing,
for anybody can write one. Likewise absence is only ever what the log's own key stated.

Against whom it speaks are keys. Whose they are is what genesis and policies say; whether a key was stolen
is beyond a file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final, Literal, NamedTuple

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ledger.codec import Digest, decode, from_base64url
from ledger.errors import InvalidBlock, Unverified
from ledger.genesis import Origin, read_genesis
from ledger.log.merkle import HASH_BYTES, node_hash
from ledger.log.note import (
    Checkpoint,
    VerifierKey,
    open_note,
    parse_checkpoint,
    split_note,
)
from ledger.policy_chain import PolicyChain, drop_quorum
from ledger.policy_steps import HASHES_MAX, NoteText, PolicyStep, read_hashes
from ledger.promise import Absence, Promise, verify_absence, verify_promise
from ledger.receipt import LeafText, Receipt, verify_receipt
from ledger.values import Chain, Index

EVIDENCE_BYTES_MAX: Final = 16 * 1024 * 1024
_Genesis = Annotated[list[LeafText], Meta(min_length=2, max_length=10_000)]
_Policies = Annotated[list[PolicyStep], Meta(max_length=1_000)]


class Contradiction(
    Struct,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    tag="contradiction",
    tag_field="@type",
):
    """Two checkpoints; or one that contradicts the genesis."""

    chain: Chain
    genesis: _Genesis
    notes: Annotated[list[NoteText], Meta(min_length=1, max_length=2)]
    """The smaller first. One alone is held against the tree of the genesis leaves."""
    policies: _Policies
    """The steps from epoch 0 on that the finder knew."""
    proof: Annotated[list[Digest], Meta(max_length=HASHES_MAX + 1)]
    """A consistency proof from ``proof_from`` to the larger size; empty for equal sizes."""
    proof_from: Index
    """The smaller size; one less where that is a power of two, since such a proof leaves out its root."""


class BrokenPromise(
    Struct,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    tag="broken_promise",
    tag_field="@type",
):
    """A promise, and one of two things that break it."""

    absence: Absence | UnsetType = UNSET
    """There was none in a tree whose newest block is later than promised."""
    chain: Chain
    genesis: _Genesis
    policies: _Policies
    promise: Promise
    receipt: Receipt | UnsetType = UNSET
    """An entry of the transaction, which a later block took."""


class Finding(NamedTuple):
    """What the file shows."""

    kind: Literal["contradiction", "broken_promise"]
    code: str
    """Where it is proven: ``TWO_ROOTS`` | ``PREFIX_DIFFERS`` | ``GENESIS_REPLACED`` | ``NEVER_TAKEN`` |
    ``TAKEN_LATE``; else why it is not: ``SAME_TREE`` | ``CONSISTENT`` | ``PROOF_INCONCLUSIVE`` | ``KEPT``.
    """
    is_proven: bool
    chain: str
    against: tuple[VerifierKey, ...]
    """Keys that signed both of what cannot both be; where none did, those of which one did wrong."""
    is_one_of: bool
    """No key signed both: one of those above signed what is false."""
    facts: dict[str, int | str]


_DECODER: Final[msgspec.json.Decoder[Contradiction | BrokenPromise]] = msgspec.json.Decoder(
    Contradiction | BrokenPromise
)
PROVEN: Final = frozenset({"TWO_ROOTS", "PREFIX_DIFFERS", "GENESIS_REPLACED", "NEVER_TAKEN", "TAKEN_LATE"})


def read_evidence(data: bytes) -> Contradiction | BrokenPromise:
    """The evidence in these canonical bytes, with or without a line feed at the end. Raises `Refused`."""
    return decode(data.removesuffix(b"\n"), _DECODER)


def choose_proof_from(smaller: int) -> int:
    """From which size a consistency proof shows what the larger tree's root is at ``smaller``."""
    return smaller - 1 if smaller & (smaller - 1) == 0 else smaller


def judge_evidence(evidence: Contradiction | BrokenPromise, *, chain: str) -> Finding:
    """What it shows about the log of this chain string.

    Raises `Unverified` where something in it is not what it has to be: then it shows nothing at all.
    """
    origin = _read_origin(evidence.genesis, told=evidence.chain, pinned=chain)
    policies = PolicyChain.of_origin(origin)
    for step in evidence.policies:
        policies.accept(step)
    if isinstance(evidence, Contradiction):
        return _judge_contradiction(evidence, origin, policies)
    return _judge_promise(evidence, origin, policies)


def _read_origin(leaves: Sequence[str], *, told: str, pinned: str) -> Origin:
    try:
        origin = read_genesis([leaf.encode() for leaf in leaves])
    except InvalidBlock as error:
        raise Unverified(error.check, **error.facts) from None
    except UnicodeError as error:
        raise Unverified("GENESIS_MALFORMED", reason=str(error)) from None
    for each in (told, origin.chain):
        if each != pinned:
            raise Unverified("WRONG_CHAIN", expected=pinned, found=each)
    return origin


def _judge_contradiction(evidence: Contradiction, origin: Origin, policies: PolicyChain) -> Finding:
    opened = [_open(note, policies) for note in evidence.notes]
    if len(opened) == 1:
        root = from_base64url(origin.previous, size=HASH_BYTES)
        opened.insert(0, (Checkpoint(origin.chain, len(origin.leaves), root), opened[0][1]))
    (smaller, first), (larger, second) = opened
    if smaller.size > larger.size:
        raise Unverified("EVIDENCE_ORDER", first=smaller.size, second=larger.size)
    code = _compare(smaller, larger, evidence)
    if code == "PREFIX_DIFFERS" and len(evidence.notes) == 1:
        code = "GENESIS_REPLACED"
    both = [key for key in first if key in second]
    return Finding(
        kind="contradiction",
        code=code,
        is_proven=code in PROVEN,
        chain=origin.chain,
        against=tuple(both or [*first, *second]),
        is_one_of=not both,
        facts={
            "smaller_root": smaller.root.hex(),
            "smaller_size": smaller.size,
            "larger_root": larger.root.hex(),
            "larger_size": larger.size,
        },
    )


def _open(note: str, policies: PolicyChain) -> tuple[Checkpoint, list[VerifierKey]]:
    """The checkpoint, and the known keys that signed it, a log's among them. Raises `Unverified`."""
    checkpoint, _ = policies.verify_signed(note)
    judge = policies.find(checkpoint.size).policy
    logs = [log.key for log in judge.logs if log.key.name == checkpoint.origin]
    known = [*logs, *(witness.key for witness in judge.witnesses)]
    return checkpoint, [each.key for each in open_note(note, known).signatures]


def _compare(smaller: Checkpoint, larger: Checkpoint, evidence: Contradiction) -> str:
    if smaller.size == larger.size:
        return "SAME_TREE" if smaller.root == larger.root else "TWO_ROOTS"
    if evidence.proof_from != choose_proof_from(smaller.size):
        return "PROOF_INCONCLUSIVE"
    roots = compute_both_roots(smaller=smaller.size, larger=larger.size, proof=read_hashes(evidence.proof))
    if roots is None or roots[1] != larger.root:
        return "PROOF_INCONCLUSIVE"
    return "CONSISTENT" if roots[0] == smaller.root else "PREFIX_DIFFERS"


def compute_both_roots(*, smaller: int, larger: int, proof: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """What the proof makes the roots of both sizes in one tree; None where it has another length.

    The proof is the RFC 6962 consistency proof from `choose_proof_from` of the smaller size. For a size of
    1 or 2 there is none that shows its root.
    """
    if smaller <= 2:
        return None
    begin = choose_proof_from(smaller)
    position, last, end = begin - 1, larger - 1, smaller - 1
    while position & 1:
        position, last, end = position >> 1, last >> 1, end >> 1
    if not proof:
        return None
    small = large = proof[0]
    # Both roots grow together along one path. A sibling on the right belongs to the smaller tree as well
    # where it lies wholly inside of it: that is the last leaf, where the proof begins one before.
    for sibling in proof[1:]:
        if last == 0:
            return None
        if position & 1 or position == last:
            small, large = node_hash(sibling, small), node_hash(sibling, large)
            while position and not position & 1:
                position, last, end = position >> 1, last >> 1, end >> 1
        else:
            large = node_hash(large, sibling)
            if position < end:
                small = node_hash(small, sibling)
        position, last, end = position >> 1, last >> 1, end >> 1
    return None if last else (small, large)


def _judge_promise(evidence: BrokenPromise, origin: Origin, policies: PolicyChain) -> Finding:
    promise = evidence.promise
    if promise.chain != origin.chain:
        raise Unverified("WRONG_CHAIN", expected=origin.chain, found=promise.chain)
    key = policies.find_promiser(verify_promise(promise), by=promise.by)
    facts: dict[str, int | str] = {"by": promise.by, "id": promise.id, "sender": promise.sender}
    if not isinstance(evidence.absence, UnsetType):
        found = _judge_absence(promise, evidence.absence, policies)
        facts |= {"size": evidence.absence.size, "time": evidence.absence.time}
        keys = (key, found)
        is_broken, code = evidence.absence.time > promise.by, "NEVER_TAKEN"
    elif not isinstance(evidence.receipt, UnsetType):
        time = _read_time(promise, evidence.receipt, policies)
        facts["time"] = time
        keys = (key, key)
        is_broken, code = time > promise.by, "TAKEN_LATE"
    else:
        raise Unverified("EVIDENCE_INCOMPLETE", missing="absence or receipt")
    return Finding(
        kind="broken_promise",
        code=code if is_broken else "KEPT",
        is_proven=is_broken,
        chain=origin.chain,
        against=tuple(dict.fromkeys(keys)),
        is_one_of=keys[0] != keys[1],
        facts=facts,
    )


def _judge_absence(promise: Promise, absence: Absence, policies: PolicyChain) -> VerifierKey:
    public = verify_absence(absence)
    told = (absence.chain, absence.sender, absence.id)
    if told != (promise.chain, promise.sender, promise.id):
        raise Unverified("EVIDENCE_OF_ANOTHER", found="/".join(told))
    # Whoever holds a key that was retired must not be able to make others look as if they broke their word.
    return policies.find_log(public, size=absence.size)


def _read_time(promise: Promise, receipt: Receipt, policies: PolicyChain) -> int:
    """The time of the block that took what was promised. Raises `Unverified`."""
    judge = policies.find(_read_size(receipt))
    verified = verify_receipt(receipt, drop_quorum(judge.policy))
    leaf = verified.transaction
    if leaf is None:
        raise Unverified("EVIDENCE_OF_ANOTHER", found="work a block did by itself")
    header = leaf.header
    told = (header.chain, header.sender, header.id, header.digest)
    if told != (promise.chain, promise.sender, promise.id, promise.digest):
        raise Unverified("EVIDENCE_OF_ANOTHER", found="/".join(told))
    return leaf.time


def _read_size(receipt: Receipt) -> int:
    note = receipt.proof.partition("\n\n")[2]
    return parse_checkpoint(split_note(note)[0]).size
