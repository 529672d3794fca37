"""`commonpoint proposal`, from making one to its enactment, against a running node; and its preview."""

from __future__ import annotations

import hashlib
import io
import json
import re

import httpx2
import pytest

from contracts.messages import Earn
from ledger.log.tiles import TILE_WIDTH, decode_bundle
from node.cli.proposal_words import tell_government, tell_proposal
from node.remote.connection import Connection
from node.storage.snapshot import Snapshot
from tests.node.cli.conftest import NodeProcess
from tests.node.cli.street import MEMBER, begin


@pytest.fixture(scope="module")
def town(tmp_path_factory, repository):
    """A running node whose operator decides alone: (street, node)."""
    street, node = begin(tmp_path_factory.mktemp("council"), repository, NodeProcess)
    yield street, node
    node.stop()


@pytest.fixture
def run(cli, town):
    """Runs `commonpoint proposal` for the operator: (exit status, standard output, standard error)."""
    street, _ = town

    def ask(command, *arguments, keys="clearing"):
        signing = ("--keys", street.folders[keys], "--participant", keys)
        return cli("proposal", command, *arguments, "--url", street.url, *signing)

    return ask


@pytest.fixture
def look(cli, town):
    """Runs `commonpoint proposal preview` over the running node's folder."""
    street, _ = town
    return lambda *arguments: cli("proposal", "preview", *arguments, "--data", street.directory)


def read_chain(street):
    return httpx2.get(f"{street.url}/v1/chain", timeout=30).json()


def read_parameter(street, name):
    rows = httpx2.get(f"{street.url}/v1/parameters", timeout=30).json()["parameters"]
    return next(row["value"] for row in rows if row["name"] == name)


def go_on(street, count):
    """So many blocks with something small in each."""
    for _ in range(count):
        street.send("fresh", "till", Earn(1_000_000, MEMBER, street.now, "leaf", f"G-{street.count}"))


def test_a_proposal_is_made_shown_voted_on_and_enacted(run, town, look):
    street, _ = town
    status, out, err = run(
        "new", "--set", "commission_basis_points=300", "--name", "dearer", "--days", "2", "--yes"
    )
    assert (status, out) == (0, "dearer\n")
    # What is signed is printed before, and it is what the log holds.
    signed = next(line for line in err.splitlines() if line.startswith('{"@type":"propose"'))
    assert f"of clearing, for {street.chain}" in err
    assert "1. commission_basis_points becomes 300" in err
    status, shown, _ = run("show", "dearer", "--json")
    told = json.loads(shown)
    assert (status, told["state"], told["yes"], told["weight_all"]) == (0, "open", [], 1)
    leaf = read_entry(street, told["index"])
    assert leaf.startswith('{"@type":"entry","message":' + signed)

    status, out, _ = run("show")
    assert status == 0
    assert "votes: clearing (1); configuration 0" in out
    assert "it takes 100 % of all weight: 1 of 1" in out
    assert "not voted yet: clearing (1)" in out

    # Looked at before it is voted on: the operator's fee trebles, and the folder is left as it is.
    before = fingerprint(street.directory)
    status, out, err = look("dearer", "--from-height", "1")
    assert status == 0, err
    assert "verified against the log" in out
    assert re.search(r"clearing +fees .* \+0\.\d+\n", out)
    assert fingerprint(street.directory) == before

    status, _, err = run("vote", "dearer", "yes", "--yes")
    assert status == 0, err
    assert "It has passed, and is enacted at height" in err
    assert '{"@type":"vote","choice":"yes","configuration":0,"proposal":"dearer"}' in err
    enacts_at = json.loads(run("show", "dearer", "--json")[1])["enacts_at"]
    assert read_parameter(street, "commission_basis_points") == 100
    go_on(street, enacts_at - read_chain(street)["height"])
    assert read_parameter(street, "commission_basis_points") == 300
    assert "it was enacted" in run("show", "dearer")[1]


def test_what_the_ledger_turns_down_is_said_with_what_to_do(run):
    assert run("new", "--set", "debt_points_max=5", "--name", "twice", "--yes")[0] == 0
    #   command, code, a word of the advice
    cases = [
        (("new", "--set", "debt_points_max=5", "--name", "twice", "--yes"), "PROPOSAL_EXISTS", "--name"),
        (("new", "--set", "debt_points_max=5", "--height", "1", "--yes"), "NOTICE_TOO_SHORT", "--height"),
        (("new", "--set", "nothing_at_all=5", "--yes"), "PARAMETER_UNKNOWN", "governance.md"),
        (("new", "--set", "debt_points_max=x", "--yes"), "ACTIONS_MALFORMED", ""),
        (("vote", "never", "yes", "--yes"), "PROPOSAL_UNKNOWN", "show lists"),
        (("cancel", "never", "--yes"), "PROPOSAL_UNKNOWN", ""),
    ]
    for command, code, word in cases:
        status, out, err = run(*command)
        assert (status, out) == (2, ""), (command, err)
        assert f"commonpoint: {code}" in err
        assert word in err
    status, _, err = run("vote", "twice", "yes", "--yes", keys="fresh")
    assert status == 2
    assert "NOT_A_VOTER" in err
    assert run("cancel", "twice", "--yes")[0] == 0
    assert "its proposer took it back" in run("show", "twice")[1]
    status, _, err = run("vote", "twice", "no", "--yes")
    assert (status, "PROPOSAL_FINAL" in err) == (2, True)


def test_nothing_is_signed_without_a_yes(run, town, monkeypatch):
    street, _ = town
    size = read_chain(street)["size"]
    for said in ("n\n", "\n", ""):
        monkeypatch.setattr("sys.stdin", io.StringIO(said))
        status, out, err = run("new", "--set", "debt_points_max=5", "--name", "unsure")
        assert (status, out.strip()) == (1, "")
        assert '"proposal":"unsure"' in err
        assert "Sign and send this?" in err
    assert read_chain(street)["size"] == size
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert run("new", "--set", "debt_points_max=5", "--name", "sure")[0] == 0


def test_a_voter_is_not_shown_what_the_log_does_not_hold(run, monkeypatch):
    """A node that tells other actions than were proposed is found out before the ballot is signed."""
    assert run("new", "--set", "debt_points_max=7", "--name", "honest", "--yes")[0] == 0
    real = Connection.get_json

    def lie(self, *path, **query):
        told = real(self, *path, **query)
        if path[-1] == "honest":
            told["actions"][0]["value"] = 8
        return told

    monkeypatch.setattr(Connection, "get_json", lie)
    status, _, err = run("vote", "honest", "yes", "--yes")
    assert (status, "PROPOSAL_DIFFERS" in err) == (2, True)
    monkeypatch.setattr(Connection, "get_json", real)
    assert json.loads(run("show", "honest", "--json")[1])["yes"] == []


def test_a_preview_is_a_table_json_and_a_picture(look, tmp_path):
    actions = tmp_path / "actions.toml"
    actions.write_text(
        '[[actions]]\ntype = "set_debit_cap"\nparticipant = "fresh"\ncap = 0\n', encoding="utf-8"
    )
    picture, page = tmp_path / "impact.svg", tmp_path / "impact.html"
    status, out, err = look(actions, "--from-height", "3", "--chart", picture, "--language", "zh")
    assert status == 0, err
    assert "fresh may owe 0.00 that is not settled" in out
    assert "ISSUER_CAP" in out
    assert "净头寸" in picture.read_text("utf-8")
    status, out, _ = look(actions, "--from-height", "3", "--json", "--chart", page)
    told = json.loads(out)
    assert status == 0
    assert told["@type"] == "preview"
    assert {(flip["type"], flip["before"]) for flip in told["flips"] if flip["after"] == "ISSUER_CAP"} == {
        ("hold", "OK"),
        ("redeem", "OK"),
    }
    assert "<svg" in page.read_text("utf-8")
    assert look(actions, "--from-height", "3", "--json")[1] == out


def test_a_preview_that_cannot_be_enacted_ends_with_one_and_an_impossible_one_with_two(look, tmp_path):
    actions = tmp_path / "actions.json"
    actions.write_text('[{"type":"remove","participant":"clearing"}]', encoding="utf-8")
    status, out, _ = look(actions, "--blocks", "2")
    assert (status, "OPERATOR_STAYS" in out, "No difference anywhere." in out) == (1, True, True)
    status, _, err = look("never-proposed")
    assert (status, "PROPOSAL_UNKNOWN" in err) == (2, True)
    status, _, err = look(actions, "--from-height", "1000000")
    assert (status, "NOTHING_TO_REPLAY" in err) == (2, True)


def test_a_mirror_gives_the_same_preview_as_the_folder(cli, look, town):
    """Over HTTP with an auditor's token; what is not under the signed checkpoint yet is not served."""
    street, _ = town
    token = cli("key", "token", "--data", street.directory)[1].strip()
    setting = ("--set", "commission_basis_points=300", "--from-height", "2", "--json")
    status, served, err = cli("proposal", "preview", *setting, "--url", street.url, "--token", token)
    assert status == 0, err
    stored = json.loads(look(*setting)[1])
    told = json.loads(served)
    for each in (stored, told):
        del each["verified"]
    assert told == stored


def test_an_open_proposal_says_what_is_missing():
    government = {
        "configuration": 2,
        "rules": [{"approve_basis_points": 6_667, "kind": "parameters", "notice_heights": 100}],
        "voters": [
            {"participant": name, "weight": weight} for name, weight in (("a", 3), ("b", 2), ("c", 1))
        ],
    }
    told = {
        "actions": [{"@type": "suspend", "participant": "shop"}],
        "approve_basis_points": 6_667,
        "configuration": 2,
        "effective_height": 1_500,
        "expires": 1_767_225_600_000,
        "index": 12_345,
        "no": ["c"],
        "notice_heights": 100,
        "proposal": "p-1",
        "proposer": "b",
        "state": "open",
        "weight_all": 6,
        "weight_for": 2,
        "yes": ["b"],
    }
    assert tell_government(government).splitlines() == [
        "votes: a (3), b (2), c (1); configuration 2",
        "  parameters: 66.67 % of all weight, 100 heights of notice",
    ]
    assert tell_proposal(told, government, utc_offset_minutes=480).splitlines() == [
        "p-1  open",
        "  1. shop is suspended",
        "  proposed by b in entry 12,345",
        "  for it: b; against it: c",
        "  it takes 66.67 % of all weight: 5 of 6",
        "  2 are for it, 3 are missing",
        "  not voted yet: a (3)",
        "  it can be voted on until 2026-01-01 08:00 (+08:00)",
        "  enacted at height 1,500 at the earliest",
        "  and no sooner than 100 heights after it has passed",
    ]
    late = tell_proposal({**told, "configuration": 1}, government, utc_offset_minutes=480)
    assert late.endswith("it cannot pass any more: voters or voting rules are others since it was made")


def fingerprint(directory):
    """Everything in the folder but what a running node itself keeps writing."""
    names = ("genesis.jsonl", "policy.txt", "ledger.db")
    return [hashlib.sha256((directory / name).read_bytes()).hexdigest() for name in names]


def read_entry(street, index):
    with Snapshot(street.directory / "ledger.db") as snapshot:
        bundle, place = divmod(index, TILE_WIDTH)
        width = min(TILE_WIDTH, snapshot.read_size() - bundle * TILE_WIDTH)
        return decode_bundle(snapshot.read_bundle(bundle, width))[place].decode()
