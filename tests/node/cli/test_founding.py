"""A ledger that several validators keep is founded by one of them and joined by the others, as
docs/how-to/cometbft.md tells.
"""

from __future__ import annotations

import pytest

from node.config import load_config


@pytest.fixture
def organisations(cli, tmp_path):
    """Two organisations with a participant's line and a validator's."""
    for port, name in enumerate(("clearing", "fresh"), start=26_656):
        folder, address = tmp_path / f"{name}-validator", f"127.0.0.1:{port}"
        for command in (
            ("key", "new", tmp_path / name, "--participant", name),
            ("validator", "new", folder, "--participant", name, "--address", address),
        ):
            status, _, error = cli(*command)
            assert status == 0, error
    return [
        option
        for name in ("clearing", "fresh")
        for option in ("--validators", tmp_path / f"{name}-validator" / "validator.json")
    ]


def found(cli, tmp_path, *options):
    return cli(
        *("init", tmp_path / "founded", "--engine", "cometbft", "--operator", "clearing", "--time", 5),
        *("--participant", tmp_path / "fresh" / "participant.json", *options),
    )


def test_all_validators_come_to_the_same_chain(cli, organisations, tmp_path):
    status, chain, error = found(
        cli, tmp_path, *organisations, "--validator-keys", tmp_path / "clearing-validator"
    )
    assert status == 0, error
    genesis = tmp_path / "founded" / "genesis.jsonl"
    status, joined, error = cli(
        *("init", tmp_path / "joined", "--genesis", genesis, *organisations),
        *("--validator-keys", tmp_path / "fresh-validator"),
    )
    assert status == 0, error
    assert joined == chain
    origin = load_config(tmp_path / "joined").origin
    assert (origin.settings.engine, len(origin.validators)) == ("cometbft", 2)
    for name in ("founded", "joined"):
        assert (tmp_path / name / "cometbft" / "config" / "genesis.json").exists()


def test_what_a_validator_lacks_is_told(cli, organisations, tmp_path):
    keys = tmp_path / "clearing-validator"
    for options in ((), tuple(organisations), ("--validator-keys", keys)):
        status, _, error = found(cli, tmp_path, *options)
        assert status == 2
        assert "commonpoint validator new" in error
    status, _, error = cli("init", tmp_path / "solo", *organisations, "--validator-keys", keys)
    assert status == 2
    assert "--engine cometbft" in error
    status, _, error = cli(
        *("init", tmp_path / "joined", "--genesis", tmp_path / "nowhere", *organisations),
        *("--validator-keys", keys),
    )
    assert status == 2
    assert "nowhere" in error
    assert not (tmp_path / "founded").exists()
