"""Three organisations with votes of different weight decide through the command line, with notice."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import get_args

import msgspec
import pytest
from msgspec.structs import replace

from contracts.messages import AddKey
from ledger.codec import to_base64url
from ledger.genesis import (
    Constitution,
    Genesis,
    GenesisParticipant,
    Voter,
    VotingKind,
    VotingRule,
    encode_genesis,
    read_genesis,
)
from ledger.keys import SeedSigner
from ledger.log.policy import format_policy
from ledger.policy_chain import derive_policy
from node.cli.proposing import Table
from tests.node.cli.conftest import NodeProcess
from tests.node.cli.street import Street

WEIGHTS = {"clearing": 1, "fresh": 2, "petrol": 2}
NOTICE = 4


def constitute(directory):
    """A data directory that was just made begins with a constitution instead."""
    first, *others = (directory / "genesis.jsonl").read_bytes().splitlines()
    constitution = Constitution(
        minimum_voters=2,
        rules=[VotingRule(6_667, kind, NOTICE) for kind in sorted(get_args(VotingKind))],
        trustee="clearing",
        voters=[Voter(name, weight) for name, weight in sorted(WEIGHTS.items())],
    )
    settings = replace(msgspec.json.decode(first, type=Genesis), constitution=constitution)
    participants = [msgspec.json.decode(line, type=GenesisParticipant) for line in others]
    leaves = encode_genesis(settings, participants)
    (directory / "genesis.jsonl").write_bytes(b"".join(leaf + b"\n" for leaf in leaves))
    (directory / "policy.txt").write_bytes(format_policy(derive_policy(read_genesis(leaves))))


@pytest.fixture(scope="module")
def council(tmp_path_factory, repository):
    """A running node with three voters, and where their keys are."""
    base = tmp_path_factory.mktemp("council")
    run = [sys.executable, "-m", "node.cli.main"]
    folders = {name: base / name for name in ("fresh", "petrol")}
    told = []
    for name, folder in folders.items():
        arguments = ["key", "new", folder, "--participant", name]
        subprocess.run([*run, *arguments], cwd=repository, check=True, capture_output=True)
        told += ["--participant", folder / "participant.json"]
    directory = base / "ledger"
    subprocess.run(
        [*run, "init", directory, "--operator", "clearing", *told],
        cwd=repository,
        check=True,
        capture_output=True,
    )
    constitute(directory)
    folders["clearing"] = directory / "keys"
    node = NodeProcess(repository, directory)
    yield Street(node.url, directory, folders)
    node.stop()


@pytest.fixture
def run(cli, council):
    """Runs `commonpoint proposal` as one of them: (exit status, standard output, standard error)."""

    def ask(who, command, *arguments):
        keys = ("--keys", council.folders[who], "--participant", who)
        return cli("proposal", command, *arguments, "--url", council.url, *keys)

    return ask


def read(run, name):
    return json.loads(run("fresh", "show", name, "--json")[1])


def pass_heights(council, count):
    """So many blocks in which little happens."""
    for _ in range(count):
        key = SeedSigner(council.count.to_bytes(32, "big"))
        council.send("fresh", "govern", AddKey(to_base64url(key.public), "till"))


def test_enough_weight_decides_and_the_notice_is_kept(run, council):
    status, _, err = run("fresh", "new", "--set", "debt_points_max=5", "--name", "less-debt", "--yes")
    assert status == 0, err
    made = read(run, "less-debt")
    assert made["notice_heights"] == NOTICE
    out = run("clearing", "show", "less-debt")[1]
    assert "it takes 66.67 % of all weight: 4 of 5" in out
    assert "0 are for it, 4 are missing" in out
    assert run("fresh", "vote", "less-debt", "yes", "--yes")[0] == 0
    assert run("clearing", "vote", "less-debt", "no", "--yes")[0] == 0
    out = run("clearing", "show", "less-debt")[1]
    assert "2 are for it, 2 are missing" in out
    assert "for it: fresh; against it: clearing" in out
    assert "not voted yet: petrol (2)" in out
    status, _, err = run("clearing", "vote", "less-debt", "yes", "--yes")
    assert (status, "ALREADY_VOTED" in err) == (2, True)
    status, _, err = run("petrol", "vote", "less-debt", "yes", "--yes")
    passed = read(run, "less-debt")
    assert (status, passed["state"]) == (0, "passed")
    assert f"It has passed, and is enacted at height {passed['enacts_at']:,}" in err
    height = passed["height"]
    assert passed["enacts_at"] >= height + NOTICE
    pass_heights(council, passed["enacts_at"] - height - 1)
    assert read(run, "less-debt")["state"] == "passed"
    pass_heights(council, 1)
    assert read(run, "less-debt")["state"] == "enacted"


def test_a_proposal_that_came_too_late_for_its_height_is_made_for_a_later_one(run, monkeypatch):
    """On a busy ledger heights pass between the question and the answer."""
    real, asked = Table.read_government, []

    def read_late(self):
        told = real(self)
        asked.append(told["height"])
        return {**told, "height": told["height"] - 5} if len(asked) == 1 else told

    monkeypatch.setattr(Table, "read_government", read_late)
    status, out, err = run("petrol", "new", "--set", "debt_points_max=6", "--name", "later", "--yes")
    assert (status, out) == (0, "later\n"), err
    assert len(asked) == 2
    assert read(run, "later")["effective_height"] > asked[1] + NOTICE


def test_only_its_proposer_takes_a_proposal_back(run):
    assert run("petrol", "new", "--set", "debt_points_max=7", "--name", "mine", "--yes")[0] == 0
    status, _, err = run("fresh", "cancel", "mine", "--yes")
    assert (status, "NOT_PROPOSER" in err) == (2, True)
    assert run("petrol", "cancel", "mine", "--yes")[0] == 0
    assert read(run, "mine")["state"] == "cancelled"
