"""A leader with a small ledger, followers as processes of their own, and a mirror that can be spoiled."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from contracts.messages import Earn
from ledger.log.note import parse_checkpoint, split_note
from ledger.log.tiles import TILE_LEVELS, TILE_WIDTH, entries_path, tile_path
from ledger.transaction import Transaction, sign_transaction
from node import keystore
from node.access import parse_role
from node.config import load_config
from node.core import get_system_time
from node.tokens import TokenIssuer
from tests.node.cli.conftest import MEMBER, NodeProcess, trade

RUN = [sys.executable, "-m", "node.cli.main"]


class Process:
    """A command that serves, from its start to its end."""

    def __init__(self, repository: Path, *arguments: object, wait: bool = True, **environment: str) -> None:
        plain = {name: value for name, value in os.environ.items() if not name.startswith("COMMONPOINT_")}
        self.process = subprocess.Popen(
            [sys.executable, "-m", *map(str, arguments)],
            cwd=repository,
            env={**plain, "PYTHONPATH": str(repository), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url = ""
        if wait:
            self.url = self.process.stdout.readline().strip()
            assert self.url.startswith("http://127.0.0.1:"), self.end()

    def end(self, number: int = signal.SIGTERM, *, seconds: float = 60) -> tuple[int, str]:
        """(exit status, what it said to people)."""
        if self.process.poll() is None and number:
            self.process.send_signal(number)
        _, said = self.process.communicate(timeout=seconds)
        return self.process.returncode, said


@pytest.fixture(scope="session")
def founded(tmp_path_factory, repository):
    """A folder with a ledger that has traded a little and was stopped. Not to be changed."""
    base = tmp_path_factory.mktemp("leader")
    folder, directory = base / "fresh", base / "ledger"
    for arguments in (
        ["key", "new", folder, "--participant", "fresh", "--name", "Fresh Market"],
        ["init", directory, "--operator", "clearing", "--participant", folder / "participant.json"],
    ):
        subprocess.run([*RUN, *arguments], cwd=repository, check=True, capture_output=True)
    node = NodeProcess(repository, directory)
    try:
        trade(node.url, directory, folder)
    finally:
        status, said = node.stop()
    assert status == 0, said
    return base


@pytest.fixture
def leader(founded, tmp_path, repository):
    """The leader's folder, and a way to start nodes over it."""
    leader = Leader(shutil.copytree(founded, tmp_path / "leader"), repository)
    yield leader
    leader.stop()


class Leader:
    """An operator's ledger."""

    def __init__(self, base: Path, repository: Path) -> None:
        self.keys, self.directory = base / "fresh", base / "ledger"
        self.config = load_config(self.directory)
        self.chain = self.config.origin.chain
        self._repository = repository
        self._running: list[Process] = []
        self._signed: dict[int, Transaction] = {}

    def make_token(self, role: str = "follower", directory: Path | None = None) -> str:
        """A token as the owner of a data directory prints one."""
        secret = load_config(directory or self.directory).read_token_secret()
        issuer = TokenIssuer(secret=secret, chain=self.chain, clock=get_system_time)
        return issuer.issue(parse_role(role), seconds=3_600)[0]

    def start(self, *options: str, module: str = "node.cli.main") -> Process:
        """The leader runs."""
        return self.run(module, "node", "--data", self.directory, "--port", "0", *options)

    def follow(
        self, directory: Path, *sources: object, wait: bool = True, pin: bool = True, **environment: str
    ):
        """A follower runs."""
        told = [each for source in sources for each in ("--follow", source)]
        if pin:
            told += ["--chain", self.chain]
        environment.setdefault("COMMONPOINT_TOKEN", self.make_token())
        return self.run(
            "node.cli.main", "node", "--data", directory, "--port", "0", *told, wait=wait, **environment
        )

    def run(self, *arguments: object, wait: bool = True, **environment: str) -> Process:
        process = Process(self._repository, *arguments, wait=wait, **environment)
        self._running.append(process)
        return process

    def stop(self) -> None:
        for process in self._running:
            if process.process.poll() is None:
                process.end(signal.SIGKILL)

    def sign(self, number: int, *, count: int = 20) -> Transaction:
        """A transaction of so many purchases; the same number makes the same one."""
        if number not in self._signed:
            now = get_system_time()
            purchases = [
                Earn(
                    amount=2_000_000,
                    member=MEMBER,
                    occurred_at=now,
                    program="leaf",
                    reference=f"{number}-{each}",
                )
                for each in range(count)
            ]
            self._signed[number] = sign_transaction(
                purchases,
                chain=self.chain,
                sender="fresh",
                transaction_id=f"more-{number}",
                not_after=now + 600_000,
                signer=keystore.open_signer(self.keys, "till"),
            )
        return self._signed[number]

    def send(self, url: str, number: int, *, count: int = 20) -> None:
        """The transaction is in the log."""
        signed = self.sign(number, count=count)
        answer = httpx2.post(f"{url}/v1/transactions", content=signed.encode(), timeout=30)
        assert answer.status_code == 200, answer.text

    def mirror(self, url: str, folder: Path) -> Path:
        """Every file of the log in a folder, as any mirroring tool leaves it."""
        headers = {"authorization": f"Bearer {self.make_token()}"}

        def copy(path: str) -> bytes:
            answer = httpx2.get(f"{url}/{path}", headers=headers, timeout=30)
            assert answer.status_code == 200, (path, answer.text)
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(answer.content)
            return answer.content

        note = copy("checkpoint").decode()
        size = parse_checkpoint(split_note(note)[0]).size
        for index in range(-(-size // TILE_WIDTH)):
            copy(entries_path(index, min(TILE_WIDTH, size - index * TILE_WIDTH)))
        level = 0
        while known := size >> (TILE_LEVELS * level):
            for index in range(-(-known // TILE_WIDTH)):
                copy(tile_path(level, index, min(TILE_WIDTH, known - index * TILE_WIDTH)))
            level += 1
        return folder
