"""The alliance's trust policies as a node keeps them: which was enacted where, which checkpoint hands over
from one to the next, and which checkpoint satisfies the one in force.

    DIR/policies/00000001.note    the checkpoint that satisfied the policy before epoch 1 and shows epoch 1

The first checkpoint that can hand over is kept for good: later ones may be signed with keys that the policy
before never heard of. Nothing is decided here. What was enacted stands in the ledger's state, and clients
verify the rest by themselves (`ledger.policy_chain`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

from contracts.mechanics.governance_records import TRUST, TrustPolicy
from contracts.mechanics.log_keys import find_epoch
from ledger.codec import to_base64url
from ledger.enactments import Enacted, Enactments
from ledger.errors import Unverified
from ledger.executor import Head
from ledger.genesis import Origin
from ledger.log.note import encode_vkey, parse_checkpoint, split_note
from ledger.log.policy import Policy, parse_policy
from ledger.policy_chain import PolicyChain, derive_policy
from ledger.policy_steps import PolicyStep, ProvenLeaf
from node.enacted import Places, take_records
from node.proving import Tiles, prove_leaves
from node.storage.atomic import read_file, replace_file

POLICIES_FOLDER: Final = "policies"


class Proving(Tiles, Protocol):
    """Where leaves are read and proven."""

    def read_leaves(self, first: int, end: int) -> list[bytes]:
        """The leaves [first, end)."""
        ...


class Ledger(Proving, Protocol):
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

    def find_block(self, index: int) -> tuple[int, int, int] | None:
        """Index of the block leaf that closes a leaf's block, its height and time; or None."""
        ...


def name_note(epoch: int) -> str:
    """The file of the checkpoint that hands over to this epoch."""
    return f"{epoch:08d}.note"


def list_texts(ledger: Ledger) -> list[TrustPolicy]:
    """The policies that were enacted below the head that is shown, in order: epoch 1 first."""
    height = ledger.head.height
    return [record for _, record in ledger.list_records(TRUST) if record.height <= height]


def list_vkeys(ledger: Ledger, first: Policy) -> list[str]:
    """The verifier keys of the log that the policy of its newest checkpoint lists; ``first`` is epoch 0's."""
    records = list_texts(ledger)
    epoch = find_epoch(records, ledger.head.height)
    policy = parse_policy(records[epoch - 1].policy.encode()) if epoch else first
    return [encode_vkey(log.key) for log in policy.logs if log.key.name == ledger.chain]


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
        self._enacted = Enactments()
        self._chain = PolicyChain.of_origin(ledger.origin)
        self._witnessed: str | None = None

    def keep_in(self, directory: Path) -> None:
        """What hands over is kept in this data directory, and what was kept is known."""
        self._folder = directory / POLICIES_FOLDER
        with self._lock:
            # At once: where the log's key has changed, the next block's checkpoint hands over to nothing.
            for step in self.list_steps():
                self._keep(step.epoch, step.checkpoint)

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
        """Every policy that was enacted, and where: epoch 1 first."""
        with self._lock:
            records = list_texts(self._ledger)
            fresh = records[len(self._enacted.found) :]
            if fresh:
                ledger = self._ledger
                places = Places(
                    origin=ledger.origin,
                    size=ledger.head.size,
                    read_leaves=ledger.read_leaves,
                    find_block=ledger.find_block,
                    get_record=ledger.get_record,
                )
                take_records(self._enacted, places, fresh)
            return list(self._enacted.found)

    def list_steps(self) -> list[PolicyStep]:
        """The steps to each epoch for which a checkpoint that hands over is known; no gap before the last."""
        with self._lock:
            for enacted in self.list_enacted()[self._chain.newest.epoch :]:
                if not self._take_step(enacted):
                    break
            return list(self._chain.steps)

    def offer(self, checkpoint: str) -> bool:
        """Whether this checkpoint hands over to the next policy that was enacted, which is known then."""
        with self._lock:
            epoch = len(self.list_steps()) + 1
            for enacted in self.list_enacted()[epoch - 1 : epoch]:
                if extend(self._chain, self._ledger, enacted, [checkpoint]) is not None:
                    self._keep(epoch, checkpoint)
                    return True
            return False

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
        epoch = self._chain.newest.epoch + 1
        path = self._get_path(epoch)
        stored = None if path is None else read_file(path)
        candidates = [None if stored is None else stored.decode(), self._ledger.checkpoint, self._witnessed]
        note = extend(self._chain, self._ledger, enacted, [each for each in candidates if each is not None])
        if note is not None:
            self._keep(epoch, note)
        return note is not None

    def _keep(self, epoch: int, note: str) -> None:
        path = self._get_path(epoch)
        if path is not None and not path.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            replace_file(path, note.encode())

    def _get_path(self, epoch: int) -> Path | None:
        return None if self._folder is None else self._folder / name_note(epoch)


def extend(chain: PolicyChain, log: Proving, enacted: Enacted, notes: Iterable[str]) -> str | None:
    """The first of these notes that hands over to the policy, which the chain then knows; or None."""
    epoch = chain.newest.epoch + 1
    for note in notes:
        if _read_size(note) > enacted.block:
            with suppress(Unverified):
                chain.accept(make_step(log, enacted, note, epoch=epoch))
                return note
    return None


def make_step(log: Proving, enacted: Enacted, note: str, *, epoch: int) -> PolicyStep:
    """The step to this epoch, under a checkpoint that is no smaller than the block of its enactment."""
    places = (enacted.propose, enacted.enact, enacted.block)
    proofs = prove_leaves(log, places, size=_read_size(note))
    propose, enact, block = (
        ProvenLeaf(index, log.read_leaves(index, index + 1)[0].decode(), [*map(to_base64url, proof)])
        for index, proof in zip(places, proofs, strict=True)
    )
    return PolicyStep(
        action=enacted.action,
        block=block,
        checkpoint=note,
        enact=enact,
        epoch=epoch,
        propose=propose,
    )


def _read_size(note: str) -> int:
    return parse_checkpoint(split_note(note)[0]).size
