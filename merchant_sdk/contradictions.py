"""A log that contradicts itself: the error, and the one file that shows it to others.

The file is evidence by itself (`ledger.evidence`): both signed notes, the proof, the genesis and the policies
they are judged by. `commonpoint evidence FILE` checks it offline. Where the outbox is a file, it is written
beside it, under a name that follows from what it holds: the same finding is one file, however often met.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from ledger.codec import encode, sha256
from ledger.evidence import Contradiction
from ledger.genesis import Origin
from ledger.log.note import parse_checkpoint, split_note
from ledger.policy_steps import HASHES_MAX, PolicyStep
from merchant_sdk.errors import Unverified

_NAME_DIGITS: Final = 16


class LogContradiction(Unverified):
    """What the log's key signed cannot all be true, or was not shown to be. An alarm.

    ``evidence_file`` names the file that says so (`commonpoint evidence FILE` checks it); without an outbox
    in a file there is none, and ``evidence_data`` is to be kept.
    """

    what_to_do = "Stop counting on this node. Give the evidence file to the alliance's auditor."

    def __init__(
        self,
        code: str,
        detail: str = "",
        facts: Mapping[str, Any] | None = None,
        *,
        finding: Contradiction,
        evidence: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code, detail, facts, evidence=evidence)
        self.finding = finding
        """What the file holds."""
        self.evidence_file: str | None = None

    @property
    def evidence_data(self) -> bytes:
        """The bytes of the evidence file."""
        data: bytes = encode(self.finding) + b"\n"
        return data

    def prove_with(self, proof: Sequence[str], *, begin: int) -> None:
        """A proof that shows more than the one that failed."""
        fields = {"proof": list(proof)[: HASHES_MAX + 1], "proof_from": begin}
        self.finding = msgspec.structs.replace(self.finding, **fields)


def make_finding(
    origin: Origin, *notes: str, policies: Sequence[PolicyStep], proof: Sequence[str], begin: int
) -> Contradiction:
    """The contradiction of these notes; an empty one stands for the genesis."""
    return Contradiction(
        chain=origin.chain,
        genesis=[leaf.decode() for leaf in origin.leaves],
        notes=sorted(filter(None, notes), key=lambda note: (read_size(note), note)),
        policies=list(policies),
        proof=list(proof)[: HASHES_MAX + 1],
        proof_from=begin,
    )


def read_size(note: str) -> int:
    """The size that a note states, which was opened before."""
    return parse_checkpoint(split_note(note)[0]).size


def write_evidence(error: LogContradiction, outbox: str | None) -> None:
    """The evidence stands in one file beside the outbox, durably, and the error names it.

    Raises `OSError` where the disk does not take it; without an outbox in a file there is nothing to do.
    """
    if outbox is not None:
        error.evidence_file = write_file(outbox, error.evidence_data, named_by=error.evidence_data)


def write_file(outbox: str, data: bytes, *, named_by: bytes) -> str:
    """The path of the file beside the outbox in which this evidence stands, durably; one that stands there
    under the same name stays.
    """
    path = Path(f"{outbox}.evidence-{sha256(named_by).hex()[:_NAME_DIGITS]}.json")
    if not path.exists():
        fresh = path.with_name(path.name + ".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    return str(path)
