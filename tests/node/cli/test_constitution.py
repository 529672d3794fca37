"""A ledger that begins with a constitution, from a word or from a file."""

from __future__ import annotations

import json
import tomllib
from typing import get_args

import msgspec
import pytest
from msgspec import UNSET

from ledger.genesis import VotingKind
from node.config import load_config

RULES = ", ".join(
    f'{{kind = "{kind}", approve_basis_points = 6000, notice_heights = 5}}' for kind in get_args(VotingKind)
)
TOML = f"""
minimum_voters = 1
trustee = "fresh"
voters = [{{participant = "fresh", weight = 3}}, {{participant = "operator", weight = 1}}]
rules = [{RULES}]
"""


@pytest.fixture
def begin(cli, tmp_path):
    """Begins a ledger of the operator and one merchant: the exit status, what went wrong, and its genesis."""
    status, _, error = cli("key", "new", tmp_path / "fresh", "--participant", "fresh")
    assert status == 0, error

    def run(*options):
        folder = tmp_path / "ledger"
        shop = tmp_path / "fresh" / "participant.json"
        status, _, error = cli("init", folder, "--participant", shop, *options)
        return status, error, load_config(folder).origin.settings if status == 0 else None

    return run


def test_without_one_the_operator_decides_alone(begin):
    assert begin()[2].constitution is UNSET


def test_an_equal_vote_for_everybody_who_begins_with_it(begin):
    constitution = begin("--constitution", "equal")[2].constitution
    assert [(one.participant, one.weight) for one in constitution.voters] == [("fresh", 1), ("operator", 1)]
    assert constitution.minimum_voters == 2
    assert constitution.trustee == "operator"
    rules = {rule.kind: rule for rule in constitution.rules}
    assert tuple(rules) == get_args(VotingKind)
    assert rules["emergency"].approve_basis_points < 5_001 <= rules["resume"].approve_basis_points
    assert rules["emergency"].notice_heights == 0 < rules["rates"].notice_heights


@pytest.mark.parametrize("suffix", ["toml", "json"])
def test_one_that_is_written_down(begin, tmp_path, suffix):

    told = tomllib.loads(TOML)
    path = tmp_path / f"constitution.{suffix}"
    path.write_text(TOML if suffix == "toml" else json.dumps(told, indent=2))
    constitution = begin("--constitution", path)[2].constitution
    assert msgspec.to_builtins(constitution) == told


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("minimum_voters = ", "CONSTITUTION_UNREADABLE"),
        (TOML.replace("minimum_voters", "least_voters"), "CONSTITUTION_UNREADABLE"),
        (TOML.replace("6000", "5000"), "GENESIS_CONSTITUTION"),
        (TOML.replace('trustee = "fresh"', 'trustee = "nobody"'), "GENESIS_CONSTITUTION"),
        (TOML.replace("minimum_voters = 1", "minimum_voters = 3"), "GENESIS_CONSTITUTION"),
    ],
)
def test_none_that_the_rules_would_not_take(begin, tmp_path, text, code):
    path = tmp_path / "constitution.toml"
    path.write_text(text)
    status, error, _ = begin("--constitution", path)
    assert status == 2
    assert code in error
    assert not (tmp_path / "ledger" / "genesis.jsonl").exists()
