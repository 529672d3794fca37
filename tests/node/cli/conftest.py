"""The command line as people use it: in this process where nothing runs on, as a process of its own where it
does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from contracts.messages import Earn, Enrol, OpenProgram, OpenSeries
from ledger.transaction import sign_transaction
from node import keystore
from node.cli import main
from node.config import load_config

MEMBER = "m_00000000000000000000000042"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    """Nothing of whoever runs the tests decides what a command does."""
    for name in [name for name in os.environ if name.startswith("COMMONPOINT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("TERM", "dumb")


@pytest.fixture
def cli(monkeypatch, capsys):
    """Runs one command in this process: (exit status, standard output, standard error)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["commonpoint", *map(str, arguments)])
        capsys.readouterr()
        try:
            main.run()
            status = 0
        except SystemExit as ended:
            status = ended.code or 0
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


class NodeProcess:
    """A node of its own, from its start to its end."""

    def __init__(self, repository: Path, directory: Path, *options: str) -> None:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("COMMONPOINT_")
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "node.cli.main", "node", "--data", directory, "--port", "0", *options],
            cwd=repository,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http://127.0.0.1:"), self.stop()

    def stop(self, number=signal.SIGTERM):
        """(exit status, what it said to people)."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


@pytest.fixture
def start(repository):
    """Starts nodes, and leaves none behind."""
    started = []

    def run(directory, *options):
        started.append(NodeProcess(repository, directory, *options))
        return started[-1]

    yield run
    for node in started:
        node.stop(signal.SIGKILL)


@pytest.fixture(scope="session")
def begun(tmp_path_factory, repository):
    """A folder with a ledger that has traded a little and was stopped. Not to be changed."""
    base = tmp_path_factory.mktemp("ledger")
    folder, directory = base / "fresh", base / "ledger"
    run = [sys.executable, "-m", "node.cli.main"]
    for arguments in (
        ["key", "new", folder, "--participant", "fresh", "--name", "Fresh Market"],
        ["init", directory, "--operator", "clearing", "--participant", folder / "participant.json"],
    ):
        subprocess.run([*run, *arguments], cwd=repository, check=True, capture_output=True)
    node = NodeProcess(repository, directory)
    try:
        trade(node.url, directory, folder)
    finally:
        status, said = node.stop()
    assert status == 0, said
    return directory


def trade(url, directory, folder):
    """A program, a member, some purchases: over HTTP, signed with the keys that `key new` made."""
    chain = load_config(directory).origin.chain
    now = time.time_ns() // 1_000_000

    def send(number, purpose, *messages):
        signed = sign_transaction(
            messages,
            chain=chain,
            sender="fresh",
            transaction_id=f"cli-{number}",
            not_after=now + 600_000,
            signer=keystore.open_signer(folder, purpose),
        )
        answer = httpx2.post(f"{url}/v1/transactions", content=signed.encode(), timeout=30)
        assert answer.status_code == 200, answer.text
        assert all(outcome["code"] == "OK" for outcome in answer.json()["outcomes"]), answer.text

    series = OpenSeries(
        effective_height=2,
        expiry_months=12,
        par_accrue=10_000,
        par_redeem=10_000,
        program="leaf",
        series="s1",
    )
    send(1, "govern", OpenProgram(name="Leaf", program="leaf", spend_per_point=1_000_000), series)
    send(2, "custody", Enrol(member=MEMBER))
    for number in range(3, 6):
        purchases = [
            Earn(
                amount=2_000_000,
                member=MEMBER,
                occurred_at=now,
                program="leaf",
                reference=f"o-{number}-{each}",
            )
            for each in range(100)
        ]
        send(number, "till", *purchases)
