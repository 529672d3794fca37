"""A witness as a process of its own, and logs made by hand that ask it."""

from __future__ import annotations

import hashlib

import httpx2
import pytest

from ledger.keys import SeedSigner
from ledger.log.merkle import compute_consistency_proof, compute_leaf_hashes
from ledger.log.note import VerifierKey, sign_checkpoint
from ledger.log.policy import NO_QUORUM, Log, Policy, format_policy
from ledger.log.tiles import HashTree
from node.witness.protocol import format_submission
from tests.node.follower.conftest import Process

LOGS = 160


class HandLog:
    """A log of numbered leaves, and the checkpoints it signs; another ``story`` is another history."""

    def __init__(self, number: int) -> None:
        self.origin = f"log-{number}/" + hashlib.sha256(b"%d" % number).hexdigest()[:32]
        self.signer = SeedSigner(hashlib.sha256(b"log %d" % number).digest())
        self.key = VerifierKey.for_log(self.origin, self.signer.public)

    def tree(self, size: int, story: str = "true") -> HashTree:
        tree = HashTree(cached_tiles=1000)
        tree.extend(compute_leaf_hashes([f"{story if at else 'begin'} {at}".encode() for at in range(size)]))
        return tree

    def note(self, size: int, story: str = "true", signer: SeedSigner | None = None) -> str:
        root = self.tree(size, story).root()
        return sign_checkpoint(origin=self.origin, size=size, root=root, signer=signer or self.signer)

    def prove(self, old: int, new: int, story: str = "true") -> list[bytes]:
        return compute_consistency_proof(old=old, new=new, node=self.tree(new, story).node)

    def ask(self, old: int, new: int, story: str = "true", **changed) -> bytes:
        """A request's body, in which some parts may be others."""
        proof = changed["proof"] if "proof" in changed else self.prove(old, new, story)
        note = changed["note"] if "note" in changed else self.note(new, story)
        return format_submission(old=old, proof=proof, note=note)


@pytest.fixture(scope="session")
def logs():
    return iter([HandLog(number) for number in range(LOGS)])


@pytest.fixture
def hand_log(logs):
    """A log that the running witness knows, and has not heard of yet."""
    return next(logs)


@pytest.fixture(scope="session")
def known_logs(tmp_path_factory):
    """A policy file with all the logs by hand."""
    keys = tuple(Log(HandLog(number).key) for number in range(LOGS))
    path = tmp_path_factory.mktemp("policy") / "logs.txt"
    path.write_bytes(format_policy(Policy(keys, (), (), NO_QUORUM)))
    return path


class WitnessProcess(Process):
    """`commonpoint witness`."""

    def __init__(self, repository, directory, *logs, name="witness.example/w1") -> None:
        told = [each for log in logs for each in ("--log", log)]
        super().__init__(
            repository, "node.cli.main", "witness", "--data", directory, "--port", "0", "--name", name, *told
        )
        self.directory = directory

    def add(self, body: bytes):
        return httpx2.post(f"{self.url}/add-checkpoint", content=body, timeout=30)


@pytest.fixture(scope="session")
def witness(repository, tmp_path_factory, known_logs):
    """One for all tests, each of which brings its own log."""
    process = WitnessProcess(repository, tmp_path_factory.mktemp("witness"), known_logs)
    yield process
    process.end()
