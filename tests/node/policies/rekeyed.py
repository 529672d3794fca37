"""A real ledger whose log key an alliance changed twice: data directories, keys and nodes as operators have
them, and copies from before, between and after.
"""

from __future__ import annotations

import shutil
import socket
import time
from pathlib import Path

import httpx2
import pytest

from contracts.messages import Propose, Vote
from ledger.log.note import parse_checkpoint, split_note
from ledger.transaction import sign_transaction
from node import keystore
from node.backup import back_up
from node.core import get_system_time
from node.keystore import Unusable
from node.log_key import plan_next, take_next
from node.storage.snapshot import Snapshot
from tests.node.follower.conftest import Leader, Process

STAGES = ("before", "between", "after")
FOLDED = "after, with views"


def read_note(url: str) -> str:
    return httpx2.get(f"{url}/checkpoint", timeout=30).text


def size_of(note: str) -> int:
    return parse_checkpoint(split_note(note)[0]).size


def wait_for_size(url: str, size: int, *, seconds: float = 60) -> str:
    end = time.monotonic() + seconds
    while size_of(note := read_note(url)) < size:
        assert time.monotonic() < end, f"still at {size_of(note)}, not {size}"
        time.sleep(0.05)
    return note


class Rekeyed:
    """The ledger. ``stages`` are copies of its directory, made while it was stopped."""

    def __init__(self, base: Path, founded: Path, repository: Path) -> None:
        self.base = base
        self.leader = Leader(shutil.copytree(founded, base / "leader"), repository)
        self.directory, self.chain = self.leader.directory, self.leader.chain
        self.origin = self.leader.config.origin
        self.signers = [keystore.open_signer(self.directory / "keys", "log")]
        """Every log key, the oldest first."""
        self.stages: dict[str, Path] = {}
        self.mirrors: dict[str, Path] = {}
        self.node: Process | None = None
        self._count = 0
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]

    def start(self) -> str:
        """It runs, always at the same address, so that whoever follows it need not be told another."""
        self.node = self.leader.start("--port", str(self._port))
        return self.node.url

    def decide(self, url: str, action: object) -> None:
        """The operator, who decides alone, has it enacted by the next block."""
        self._count += 1
        name = f"trust-{self._count}"
        height = httpx2.get(f"{url}/v1/chain", timeout=30).json()["height"]
        proposal = Propose(
            actions=[action],
            configuration=0,
            effective_height=height + 1,
            expires=get_system_time() + 600_000,
            proposal=name,
        )
        for number, message in enumerate((proposal, Vote("yes", 0, name))):
            signed = sign_transaction(
                [message],
                chain=self.chain,
                sender="clearing",
                transaction_id=f"{name}-{number}",
                not_after=get_system_time() + 600_000,
                signer=keystore.open_signer(self.directory / "keys", "govern"),
            )
            answer = httpx2.post(f"{url}/v1/transactions", content=signed.encode(), timeout=30)
            assert answer.json()["outcomes"][0]["code"] == "OK", answer.text

    def change_key(self, url: str) -> None:
        """Another log key is made and voted for; the node, which has the old one, stops over the block of
        that, and the key is taken.
        """
        config = self.leader.config
        action = plan_next(config)
        assert plan_next(config) == action
        with pytest.raises(Unusable, match="DATA_DIR_IN_USE"):
            take_next(config)
        self.decide(url, action)
        self.leader.send(url, 10_000 + self._count, count=1)
        status, said = self.node.end(0)
        assert (status, "LOG_KEY_RETIRED" in said) == (3, True), (status, said)
        size = take_next(config)
        former, fresh = (keystore.open_signer(config.keys, each) for each in (f"log-until-{size}", "log"))
        assert former.public == self.signers[-1].public
        self.signers.append(fresh)

    def keep(self, stage: str) -> None:
        """A copy of what stands there while the node runs: without views, as backups are."""
        back_up(self.directory, self.base / stage, with_keys=True)
        self.stages[stage] = self.base / stage

    def keep_stopped(self, stage: str) -> None:
        """The directory itself, with its views, now that nothing uses it."""
        status, said = self.node.end()
        assert status == 0, said
        self.stages[stage] = shutil.copytree(self.directory, self.base / stage)

    def read_note(self, stage: str) -> str:
        with Snapshot(self.stages[stage] / "ledger.db") as snapshot:
            return snapshot.read_checkpoint()

    def mirror(self, url: str, stage: str) -> None:
        """Every file of the log and what is shown of its policies, in a folder."""
        folder = self.leader.mirror(url, self.base / f"{stage}-mirror")
        (folder / "v1").mkdir()
        (folder / "v1" / "policies").write_bytes(httpx2.get(f"{url}/v1/policies", timeout=30).content)
        self.mirrors[stage] = folder
