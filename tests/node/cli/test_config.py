"""A data directory begins whole or not at all, is its owner's alone, and says what is wrong with it."""

from __future__ import annotations

import os
import stat

import pytest

from ledger.codec import encode
from ledger.errors import InvalidBlock, Refused
from ledger.keys import SeedSigner
from ledger.log.note import sign_checkpoint
from ledger.log.policy import parse_policy, verify_checkpoint
from node import keystore
from node.config import init_data_dir, load_config, read_participant
from node.keystore import Unusable
from tests.contracts.cast import FRESH, START, make_participant

SEEDS = {
    purpose: bytes([number]) * 32 for number, purpose in enumerate(("log", "govern", "transact", "custody"))
}


@pytest.fixture(autouse=True)
def no_passphrase(monkeypatch):
    monkeypatch.delenv("COMMONPOINT_PASSPHRASE", raising=False)


def init(directory, **how):
    return init_data_dir(directory, **{"name": "trial", "operator": "clearing", "time": START, **how})


def code_of(call, *arguments, **how):
    with pytest.raises((Unusable, InvalidBlock, Refused)) as caught:
        call(*arguments, **how)
    return caught.value.code


def test_a_data_directory_is_read_back_as_it_began(tmp_path):
    begun = init(tmp_path / "node", participants=[make_participant(FRESH)], parameters={"due_entries_max": 9})
    read = load_config(tmp_path / "node")
    assert read == begun
    settings = read.origin.settings
    assert (settings.name, settings.operator, settings.clock) == ("trial", "clearing", "system")
    assert [each.participant for each in read.origin.participants] == ["clearing", FRESH]
    assert [(each.name, each.value) for each in settings.parameters] == [("due_entries_max", 9)]


def test_its_policy_believes_its_log_key_and_no_other(tmp_path):
    config = init(tmp_path / "node")
    policy = parse_policy(config.policy)
    note = sign_checkpoint(
        origin=config.origin.chain, size=1, root=bytes(32), signer=config.open_signer("log")
    )
    assert verify_checkpoint(policy, note).size == 1
    (log,) = policy.logs
    assert log.key.public == config.open_signer("log").public != config.open_signer("govern").public


def test_its_keys_are_those_of_the_genesis(tmp_path):
    config = init(tmp_path / "node")
    (operator,) = config.origin.participants
    for key in operator.keys:
        assert keystore.describe_participant(
            participant="clearing",
            name="clearing",
            seeds={
                key.purpose: keystore.read_seed(
                    config.keys / f"{key.purpose}.pem", passphrase=keystore.read_passphrase(config.keys)
                )
            },
        ).keys == [key]


def test_seeds_make_the_same_ledger_every_time(tmp_path):
    one, other = (init(tmp_path / name, seeds=SEEDS) for name in ("one", "other"))
    assert one.origin == other.origin
    assert one.origin.chain != init(tmp_path / "third").origin.chain


def test_every_file_is_its_owners_alone_whatever_the_umask(tmp_path):
    before = os.umask(0o000)
    try:
        init(tmp_path / "node")
    finally:
        os.umask(before)
    for path in [tmp_path / "node", *(tmp_path / "node").rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_no_private_key_stands_readable_in_any_file(tmp_path):
    init(tmp_path / "node", seeds=SEEDS)
    for path in (tmp_path / "node").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            for seed in SEEDS.values():
                assert seed not in data
                assert keystore.to_base64url(seed).encode() not in data
    for path in (tmp_path / "node/keys").glob("*.pem"):
        assert path.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")


def test_a_passphrase_from_the_environment_is_written_nowhere(tmp_path, monkeypatch):
    monkeypatch.setenv("COMMONPOINT_PASSPHRASE", "correct horse")
    config = init(tmp_path / "node", seeds=SEEDS)
    assert not (config.keys / "passphrase").exists()
    assert config.open_signer("log").public == SeedSigner(SEEDS["log"]).public
    monkeypatch.setenv("COMMONPOINT_PASSPHRASE", "wrong horse")
    assert code_of(config.open_signer, "log") == "KEY_UNREADABLE"
    monkeypatch.delenv("COMMONPOINT_PASSPHRASE")
    assert code_of(config.open_signer, "log") == "PASSPHRASE_MISSING"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644])
@pytest.mark.parametrize("name", ["keys/log.pem", "keys/passphrase", "keys/token.secret", "keys/govern.pem"])
def test_a_private_file_others_may_touch_is_refused(tmp_path, name, mode):
    config = init(tmp_path / "node")
    config.check_private()
    (tmp_path / "node" / name).chmod(mode)
    with pytest.raises(Unusable) as caught:
        config.check_private()
    assert caught.value.code == "MODE_TOO_WIDE"
    assert f"chmod 600 {tmp_path / 'node' / name}" in caught.value.advice


@pytest.mark.parametrize("name", [".", "keys"])
def test_a_folder_others_may_enter_is_refused(tmp_path, name):
    config = init(tmp_path / "node")
    (tmp_path / "node" / name).chmod(0o755)
    assert code_of(config.check_private) == "MODE_TOO_WIDE"


def test_what_is_in_a_folder_already_stays(tmp_path):
    init(tmp_path / "node")
    before = {path: path.read_bytes() for path in (tmp_path / "node").rglob("*") if path.is_file()}
    assert code_of(init, tmp_path / "node") == "FOLDER_NOT_EMPTY"
    assert before == {path: path.read_bytes() for path in (tmp_path / "node").rglob("*") if path.is_file()}
    (tmp_path / "file").touch()
    assert code_of(init, tmp_path / "file") == "NOT_A_FOLDER"


#   what is asked, how, the code
UNFIT = [
    ("a name with a capital", {"name": "Trial"}, "GENESIS_MALFORMED"),
    ("an operator without a name", {"operator_name": "\x07"}, "GENESIS_MALFORMED"),
    ("a currency that is none", {"currency": "yuan"}, "GENESIS_MALFORMED"),
    ("a time before 1970", {"time": -1}, "GENESIS_MALFORMED"),
    ("the operator twice", {"participants": [make_participant("clearing")]}, "GENESIS_PARTICIPANTS"),
    ("somebody twice", {"participants": [make_participant(FRESH)] * 2}, "GENESIS_PARTICIPANTS"),
    ("a parameter that is none", {"parameters": {"no_such_thing": 1}}, "GENESIS_PARAMETER"),
    ("a parameter out of bounds", {"parameters": {"due_entries_max": 0}}, "GENESIS_PARAMETER"),
]


@pytest.mark.parametrize(("_what", "how", "code"), UNFIT, ids=[row[0] for row in UNFIT])
def test_a_genesis_no_node_would_take_leaves_no_trace(tmp_path, _what, how, code):
    assert code_of(init, tmp_path / "node", **how) == code
    assert not (tmp_path / "node").exists()


def test_one_key_in_two_hands_is_refused(tmp_path):
    fresh = make_participant(FRESH)
    twin = type(fresh)(keys=fresh.keys, name="Twin", participant="twin")
    assert code_of(init, tmp_path / "node", participants=[fresh, twin]) == "GENESIS_KEY"


#   what happened to the directory, the code
DAMAGE = [
    (lambda node: (node / "genesis.jsonl").unlink(), "NOT_A_DATA_DIRECTORY"),
    (lambda node: (node / "policy.txt").unlink(), "NOT_A_DATA_DIRECTORY"),
    (lambda node: (node / "genesis.jsonl").write_bytes(b""), "GENESIS_MALFORMED"),
    (lambda node: (node / "genesis.jsonl").write_bytes(b"{}\n"), "GENESIS_MALFORMED"),
    (lambda node: cut(node / "genesis.jsonl"), "GENESIS_MALFORMED"),
]


def cut(path):
    path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize(("damage", "code"), DAMAGE)
def test_a_damaged_directory_is_told_as_what_it_is(tmp_path, damage, code):
    init(tmp_path / "node")
    damage(tmp_path / "node")
    assert code_of(load_config, tmp_path / "node") == code


def test_a_damaged_key_is_told_as_what_it_is(tmp_path):
    config = init(tmp_path / "node")
    (config.keys / "log.pem").write_bytes(b"-----BEGIN NOTHING-----\n")
    assert code_of(config.open_signer, "log") == "KEY_UNREADABLE"
    (config.keys / "token.secret").write_bytes(b"short\n")
    assert code_of(config.read_token_secret) == "SECRET_UNREADABLE"
    (config.keys / "govern.pem").unlink()
    assert code_of(config.open_signer, "govern") == "KEYS_MISSING"


def test_a_participant_brings_its_public_keys_in_one_line(tmp_path):
    described = make_participant(FRESH)
    (tmp_path / "participant.json").write_bytes(encode(described) + b"\n")
    assert read_participant(tmp_path / "participant.json") == described
    (tmp_path / "other.json").write_bytes(encode(described).replace(b":", b": ", 1))
    assert code_of(read_participant, tmp_path / "other.json") == "PARTICIPANT_UNREADABLE"
    assert code_of(read_participant, tmp_path / "none.json") == "PARTICIPANT_UNREADABLE"
