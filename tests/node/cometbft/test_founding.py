"""How a ledger with validators begins, and with which program beside it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from ledger.codec import encode
from ledger.errors import InvalidBlock, InvariantBroken
from ledger.genesis import read_genesis
from node.config import init_data_dir, load_config
from node.core import NodeCore
from node.engine.cometbft import binary
from node.engine.cometbft.founding import found_ledger, join_ledger, make_validator, read_validator
from node.engine.cometbft.home import make_chain_id, parse_peer
from node.engine.cometbft.making import find_engine_maker
from node.keystore import Unusable
from tests.contracts.cast import FRESH, OPERATOR, START, make_participant


@pytest.fixture
def founded(tmp_path):
    keys = [tmp_path / f"keys-{number}" for number in range(2)]
    made = [
        make_validator(folder, participant=name, address=f"127.0.0.1:{26_000 + number}")
        for number, (folder, name) in enumerate(zip(keys, (OPERATOR, FRESH), strict=True))
    ]
    config = found_ledger(
        tmp_path / "n0",
        keys=keys[0],
        validators=made,
        name="a-very-long-name-of-an-alliance-of-merchants",
        operator=OPERATOR,
        participants=[make_participant(FRESH)],
        time=START,
    )
    return config, keys, made


def test_whoever_joins_has_the_same_genesis_and_another_key(founded, tmp_path):
    config, keys, made = founded
    joined = join_ledger(tmp_path / "n1", genesis=config.origin.leaves, keys=keys[1], validators=made)
    assert joined.origin == config.origin
    assert joined.policy == config.policy
    assert config.policy.count(b"log ") == 2
    genesis = [(each.directory / "cometbft/config/genesis.json").read_bytes() for each in (config, joined)]
    assert genesis[0] == genesis[1]
    read = json.loads(genesis[0])
    assert read["chain_id"] == make_chain_id(config.origin.chain)
    assert len(read["chain_id"]) == 50
    assert read["chain_id"].endswith(config.origin.chain.split("/")[1])
    signers = [each.open_signer("log").public for each in (config, joined)]
    # In the genesis they stand in the order of the participants' ids.
    assert sorted(signers) == sorted(config.origin.log_keys)
    settings = (joined.directory / "cometbft/config/config.toml").read_text()
    assert made[0].address in settings
    assert made[1].address not in settings
    for path in (joined.directory / "cometbft").rglob("*"):
        assert path.stat().st_mode & 0o077 == 0, path


def test_strangers_cannot_join_and_keys_of_nobody_found_nothing(founded, tmp_path):
    config, _, made = founded
    folder = tmp_path / "stranger"
    stranger = make_validator(folder, participant=FRESH, address="127.0.0.1:26009")
    with pytest.raises(Unusable, match="NOT_A_VALIDATOR"):
        join_ledger(tmp_path / "n9", genesis=config.origin.leaves, keys=folder, validators=[*made, stranger])
    with pytest.raises(Unusable, match="NOT_A_VALIDATOR"):
        join_ledger(tmp_path / "n9", genesis=config.origin.leaves, keys=folder, validators=made)
    assert not (tmp_path / "n9").exists()
    (folder / "validator.json").chmod(0o600)
    line = (folder / "validator.json").read_bytes()
    (folder / "validator.json").write_bytes(line.replace(b"127.0.0.1:26009", b"127.0.0.1"))
    with pytest.raises(Unusable, match="ADDRESS_MALFORMED"):
        read_validator(folder / "validator.json")


@pytest.mark.parametrize(
    "change",
    [
        {"engine": "solo"},
        {"clock": "simulated"},
        {"validators": []},
        {"log_key": "A" * 43},
    ],
    ids=["a sequencer", "told time", "none", "a log key that is nobody's"],
)
def test_a_genesis_with_validators_is_one_throughout(founded, change):
    config, _, _ = founded
    settings = {**json.loads(config.origin.leaves[0]), **change}
    with pytest.raises(InvalidBlock, match=r"GENESIS_VALIDATORS|GENESIS_MALFORMED"):
        read_genesis([encode(settings), *config.origin.leaves[1:]])


def test_validators_stand_once_each_and_in_order(founded):
    config, _, _ = founded
    settings = json.loads(config.origin.leaves[0])
    first, second = settings["validators"]
    same_key = {**second, "consensus_key": first["consensus_key"]}
    nobody = {**second, "participant": "zz-nobody"}
    for wrong in ([second, first], [first, first], [first, same_key], [first, nobody]):
        leaf = encode({**settings, "validators": wrong})
        with pytest.raises(InvalidBlock, match="GENESIS_VALIDATORS"):
            read_genesis([leaf, *config.origin.leaves[1:]])


def test_a_ledger_with_validators_has_no_engine_without_them(founded, tmp_path):
    config, _, _ = founded
    with pytest.raises(InvariantBroken, match="ENGINE_DIFFERS"):
        NodeCore.open(tmp_path / "ledger.db", genesis=config.origin.leaves, signer=config.open_signer("log"))


def make_program(folder: Path, *, version: str) -> Path:
    program = folder / "cometbft"
    program.write_text(f"#!/bin/sh\necho {version}\n")
    program.chmod(0o700)
    return program


def test_only_the_pinned_cometbft_is_started(founded, tmp_path, monkeypatch):
    config, _, _ = founded
    monkeypatch.setenv(binary.PROGRAM_VARIABLE, str(tmp_path / "nowhere"))
    with pytest.raises(Unusable, match="COMETBFT_MISSING") as missing:
        find_engine_maker(config)
    assert "scripts/cometbft" in missing.value.advice
    assert "Go" in missing.value.advice
    program = make_program(tmp_path, version="0.37.0")
    monkeypatch.setenv(binary.PROGRAM_VARIABLE, str(program))
    with pytest.raises(Unusable, match="COMETBFT_VERSION"):
        find_engine_maker(config)
    program = make_program(tmp_path, version=binary.VERSION)
    assert find_engine_maker(config) is not None
    record = program.with_name("cometbft.sha256")
    record.write_text(hashlib.sha256(b"another").hexdigest() + "  cometbft\n")
    with pytest.raises(Unusable, match="COMETBFT_CHECKSUM"):
        find_engine_maker(config)
    record.write_text(hashlib.sha256(program.read_bytes()).hexdigest() + "  cometbft\n")
    assert find_engine_maker(config) is not None


def test_scripts_build_the_version_that_nodes_ask_for(repository):
    assert f"cometbft_version=v{binary.VERSION}\n" in (repository / "scripts/versions").read_text()


@pytest.mark.parametrize(
    "text", ["", "x@h:1", "0" * 40 + "@h", "0" * 40 + "@:1", "0" * 40 + "@h:0", "0" * 40 + '@h",:1']
)
def test_an_address_is_an_id_a_host_and_a_port(text):
    assert parse_peer(text) is None
    assert str(parse_peer("0" * 40 + "@[::1]:26656")) == "0" * 40 + "@[::1]:26656"


def test_a_solo_ledger_has_no_use_for_it(tmp_path):
    init_data_dir(tmp_path / "solo", name="solo", operator=OPERATOR, time=START)
    assert find_engine_maker(load_config(tmp_path / "solo")) is None
