"""The alliance's trust policies as a node keeps them: which was enacted where, which checkpoint hands over
from one to the next, and which checkpoint satisfies the one in force.

    DIR/policies/00000001.note    the checkpoint that satisfied the policy before epoch 1 and shows epoch 1

The first checkpoint that can hand over is kept for good: later ones may be signed with keys that the policy
before never heard of. Nothing is decided here. What was enacted stands in the ledger's state, and clients
verify the rest by themselves (`ledger.policy_chain`).
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from contracts.mechanics.governance_records import PROPOSAL, TRUST, ProposalRecord, TrustPolicy
from contracts.mechanics.log_keys import find_epoch
from contracts.messages import SystemMessage
from contracts.messages.actions import SetTrustPolicy
from contracts.messages.governance import Enact
from ledger.codec import to_base64url
from ledger.errors import InvariantBroken, Unverified
from ledger.executor import Head
from ledger.genesis import Origin
from ledger.leaves import SYSTEM_DECODER, SYSTEM_START
from ledger.log.note import parse_checkpoint, split_note
from ledger.log.policy import Policy, parse_policy
from ledger.outcome import OK, Outcome
from ledger.policy_chain import PolicyChain, PolicyStep, ProvenLeaf
from node.audit.verify import derive_policy
from node.proving import prove_leaves
from node.storage.atomic import read_file, replace_file

POLICIES_FOLDER: Final = "policies"
_MESSAGE: Final = msgspec.json.Decoder(SystemMessage)
_OUTCOME: Final = msgspec.json.Decoder(Outcome)


class Enacted(NamedTuple):
    """A policy that was voted for, and where the log says so."""

    epoch: int
    height: int
    text: str
    action: int
    """Which of the proposal's actions sets it."""
    propose: int
    """Index of the entry that proposed it."""
    enact: int
    """Index of the entry that enacted it."""
    block: int
    """Index of the block leaf that closes over the enactment."""


class Ledger(Protocol):
    """What is asked of a core."""

    chain: str
    origin: Origin

    @property
    def head(self) -> Head:
        """Where the committed chain stands."""
        ...

    @property
    def checkpoint(self) -> str:
        """The newest signed checkpoint."""
        ...

    def get_record(self, table: str, key: str) -> Any:
        """A committed record, or None."""
        ...

    def list_records(self, table: str) -> list[tuple[str, Any]]:
        """Every record of a small table, in key order."""
        ...

    def read_leaves(self, first: int, end: int) -> list[bytes]:
        """The leaves [first, end)."""
        ...

    def find_block(self, index: int) -> tuple[int, int, int] | None:
        """Index of the block leaf that closes a leaf's block, its height and time; or None."""
        ...

    def read_tile(self, level: int, index: int, width: int) -> bytes | None:
        """A hash tile, full or partial, or None beyond the checkpoint."""
        ...


def list_texts(ledger: Ledger) -> list[TrustPolicy]:
    """The policies that were enacted, in order: epoch 1 first."""
    return [record for _, record in ledger.list_records(TRUST)]


def find_epoch_of(ledger: Ledger, note: str) -> int:
    """The epoch that judges this checkpoint of the ledger."""
    records = list_texts(ledger)
    if not records:
        return 0
    block = ledger.find_block(_read_size(note) - 1)
    return 0 if block is None else find_epoch(records, block[1])


class PolicyKeeper:
    """The policies of one ledger. Any thread."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._folder: Path | None = None
        self._lock = threading.RLock()
        self._enacted: list[Enacted] = []
        self._chain = PolicyChain(derive_policy(ledger.origin), chain=ledger.chain)
        self._witnessed: str | None = None

    def keep_in(self, directory: Path) -> None:
        """What hands over is kept in this data directory, and what was kept is known."""
        self._folder = directory / POLICIES_FOLDER

    @property
    def newest(self) -> int:
        """The newest epoch that was enacted."""
        return len(list_texts(self._ledger))

    @property
    def epoch(self) -> int:
        """The epoch that judges the newest checkpoint."""
        return find_epoch(list_texts(self._ledger), self._ledger.head.height)

    @property
    def in_force(self) -> Policy:
        """The policy that judges the newest checkpoint."""
        records, epoch = list_texts(self._ledger), self.epoch
        if not epoch:
            return derive_policy(self._ledger.origin)
        return parse_policy(records[epoch - 1].policy.encode())

    def list_enacted(self) -> list[Enacted]:
        """Every policy that was enacted, and where."""
        with self._lock:
            records = list_texts(self._ledger)
            while len(self._enacted) < len(records):
                self._enacted += self._find(records, len(self._enacted))
            return list(self._enacted)

    def list_steps(self) -> list[PolicyStep]:
        """The steps to each epoch for which a checkpoint that hands over is known; no gap before the last."""
        with self._lock:
            for enacted in self.list_enacted()[self._chain.newest.epoch :]:
                if not self._take_step(enacted):
                    break
            return list(self._chain.steps)

    def note(self, checkpoint: str) -> None:
        """A checkpoint has gathered cosignatures: it may be what was waited for."""
        with self._lock:
            self.list_steps()
            try:
                found, _ = self._chain.verify(checkpoint)
            except Unverified:
                return
            if self._witnessed is None or found.size >= _read_size(self._witnessed):
                self._witnessed = checkpoint

    @property
    def witnessed(self) -> str | None:
        """The newest checkpoint known to satisfy the policy for its size, quorum and all."""
        self.note(self._ledger.checkpoint)
        return self._witnessed

    def _take_step(self, enacted: Enacted) -> bool:
        kept = self._get_path(enacted.epoch)
        stored = None if kept is None else read_file(kept)
        candidates = [None if stored is None else stored.decode(), self._ledger.checkpoint, self._witnessed]
        for note in candidates:
            if note is None or _read_size(note) <= enacted.block or not self._accept(enacted, note):
                continue
            if kept is not None and stored is None:
                kept.parent.mkdir(mode=0o700, exist_ok=True)
                replace_file(kept, note.encode())
            return True
        return False

    def _accept(self, enacted: Enacted, note: str) -> bool:
        """Whether this checkpoint hands over to the policy, which is then known."""
        with suppress(Unverified):
            self._chain.accept(make_step(self._ledger, enacted, note))
        return self._chain.newest.epoch == enacted.epoch

    def _get_path(self, epoch: int) -> Path | None:
        return None if self._folder is None else self._folder / f"{epoch:08d}.note"

    def _find(self, records: Sequence[TrustPolicy], known: int) -> list[Enacted]:
        """All policies of the block that enacted the first one that is not known."""
        height = records[known].height
        last, enactments = find_enactments(self._ledger, height)
        found: list[Enacted] = []
        for index, proposal in enactments:
            record: ProposalRecord = self._ledger.get_record(PROPOSAL, proposal)
            for number, action in enumerate(record.actions):
                if isinstance(action, SetTrustPolicy):
                    epoch = known + len(found) + 1
                    found.append(Enacted(epoch, height, action.policy, number, record.index, index, last))
        expected = [each.policy for each in records[known:] if each.height == height]
        if [each.text for each in found] != expected:
            raise InvariantBroken("POLICY_NOT_ENACTED", height=height, found=len(found))
        return found


def make_step(ledger: Ledger, enacted: Enacted, note: str) -> PolicyStep:
    """The step to this epoch, under a checkpoint that is no smaller than the block of its enactment."""
    places = (enacted.propose, enacted.enact, enacted.block)
    proofs = prove_leaves(ledger, places, size=_read_size(note))
    propose, enact, block = (
        ProvenLeaf(index, ledger.read_leaves(index, index + 1)[0].decode(), [*map(to_base64url, proof)])
        for index, proof in zip(places, proofs, strict=True)
    )
    return PolicyStep(
        action=enacted.action,
        block=block,
        checkpoint=note,
        enact=enact,
        epoch=enacted.epoch,
        propose=propose,
    )


def find_enactments(ledger: Ledger, height: int) -> tuple[int, list[tuple[int, str]]]:
    """The index of this height's block leaf; index and proposal of each enactment that succeeded in it."""
    last = _find_block(ledger, height)
    first = _find_block(ledger, height - 1) + 1 if height > 1 else len(ledger.origin.leaves)
    found: list[tuple[int, str]] = []
    for index in range(first, last):
        (leaf,) = ledger.read_leaves(index, index + 1)
        # Enactments stand before everything else of their block.
        if not leaf.startswith(SYSTEM_START):
            break
        entry = SYSTEM_DECODER.decode(leaf)
        message = _MESSAGE.decode(entry.message)
        if isinstance(message, Enact) and _OUTCOME.decode(entry.outcome).code == OK:
            found.append((index, message.proposal))
    return last, found


def _find_block(ledger: Ledger, height: int) -> int:
    """The index of the block leaf of this height, which the head has reached."""
    low, high = len(ledger.origin.leaves), ledger.head.size - 1
    while low <= high:
        middle = (low + high) // 2
        block = ledger.find_block(middle)
        if block is None:
            break
        if block[1] == height:
            return block[0]
        if block[1] < height:
            low = block[0] + 1
        else:
            high = middle - 1
    raise InvariantBroken("BLOCK_MISSING", height=height)


def _read_size(note: str) -> int:
    return parse_checkpoint(split_note(note)[0]).size
