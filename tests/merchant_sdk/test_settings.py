"""Settings come from arguments or the environment, and what is missing is named."""

from __future__ import annotations

import pytest

from ledger.codec import to_base64url
from ledger.keys import SeedSigner
from ledger.log.note import VerifierKey
from ledger.log.policy import Policy, format_policy
from merchant_sdk import ConfigurationError, load_signer
from merchant_sdk.settings import read_settings
from node.keystore import make_folder, write_key, write_keys

SEED = b"a seed has thirty-two bytes, yes"
KEY_ID = SeedSigner(SEED).key_id
CHAIN = "village/" + "0" * 32
ENVIRONMENT = {
    "COMMONPOINT_URL": "https://one.example, https://two.example/",
    "COMMONPOINT_PARTICIPANT": "fresh",
    "COMMONPOINT_CHAIN": CHAIN,
    "COMMONPOINT_KEY": to_base64url(SEED),
    "COMMONPOINT_KEY_CUSTODY": to_base64url(bytes(32)),
    "COMMONPOINT_OUTBOX": "outbox.db",
}
NOTHING = dict.fromkeys(("participant", "url", "key", "keys", "chain", "policy", "outbox"))


def read(environment=ENVIRONMENT, **given):
    return read_settings(**{**NOTHING, **given}, environment=environment)


def without(*names):
    return {name: value for name, value in ENVIRONMENT.items() if name not in names}


def test_everything_may_come_from_the_environment():
    settings = read()
    assert settings.participant == "fresh"
    assert settings.urls == ("https://one.example", "https://two.example")
    assert settings.chain == CHAIN
    assert settings.outbox == "outbox.db"
    assert {purpose: signer.key_id for purpose, signer in settings.signers.items()} == {
        "transact": KEY_ID,
        "custody": SeedSigner(bytes(32)).key_id,
    }


def test_an_argument_wins_over_the_environment():
    settings = read(participant="petrol", url=["http://127.0.0.1:1"], key=bytes(32), outbox="other.db")
    assert (settings.participant, settings.urls, settings.outbox) == (
        "petrol",
        ("http://127.0.0.1:1",),
        "other.db",
    )
    assert list(settings.signers) == ["transact"]


def test_a_policy_file_names_the_chain():
    policy = Policy.for_log(VerifierKey.for_log(CHAIN, SeedSigner(SEED).public))
    text = format_policy(policy).decode()
    assert read(without("COMMONPOINT_CHAIN"), policy=text).chain == CHAIN
    assert read(without("COMMONPOINT_CHAIN"), policy=text).policy == policy


#   what is wrong, what the message must name, arguments, environment
WRONG = [
    ("no participant", "COMMONPOINT_PARTICIPANT", {}, without("COMMONPOINT_PARTICIPANT")),
    ("no node", "COMMONPOINT_URL", {}, without("COMMONPOINT_URL")),
    ("no chain", "COMMONPOINT_CHAIN", {}, without("COMMONPOINT_CHAIN")),
    ("no key", "COMMONPOINT_KEY", {}, without("COMMONPOINT_KEY", "COMMONPOINT_KEY_CUSTODY")),
    ("a malformed participant", "participant", {"participant": "Fresh Ltd"}, ENVIRONMENT),
    ("a malformed chain", "chain", {"chain": "village"}, ENVIRONMENT),
    ("a malformed address", "address", {"url": "node.example"}, ENVIRONMENT),
    ("another scheme", "address", {"url": "ftp://node.example"}, ENVIRONMENT),
    ("a short seed", "32 bytes", {"key": b"short"}, ENVIRONMENT),
    ("a key that is none", "signer", {"key": 5}, ENVIRONMENT),
    ("an unknown purpose", "purposes", {"keys": {"member": SEED}}, ENVIRONMENT),
    ("a key file that is not there", "key file", {"key": "nowhere.key"}, ENVIRONMENT),
    ("a policy that is none", "policy", {"policy": "quorum none"}, ENVIRONMENT),
    ("two spellings of a seed", "base64url", {"key": "A" * 42 + "B"}, ENVIRONMENT),
]


@pytest.mark.parametrize(
    ("word", "given", "environment"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG]
)
def test_what_is_wrong_is_named(word, given, environment):
    with pytest.raises(ConfigurationError, match=word):
        read(environment, **given)


@pytest.mark.parametrize("content", [SEED, to_base64url(SEED).encode(), to_base64url(SEED).encode() + b"\n"])
def test_a_key_file_holds_a_seed(tmp_path, content):
    path = tmp_path / "shop.key"
    path.write_bytes(content)
    path.chmod(0o600)
    assert load_signer(path).key_id == KEY_ID
    assert load_signer(str(path)).key_id == KEY_ID


def test_a_key_file_that_others_may_read_is_refused(tmp_path):
    path = tmp_path / "shop.key"
    path.write_bytes(SEED)
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        load_signer(path)


def test_a_nodes_own_key_file_opens_with_its_passphrase(tmp_path):
    write_key(tmp_path / "transact.pem", seed=SEED, passphrase=b"open sesame")
    path = str(tmp_path / "transact.pem")
    assert load_signer(path, passphrase="open sesame").key_id == KEY_ID
    settings = read({**ENVIRONMENT, "COMMONPOINT_KEY": path, "COMMONPOINT_PASSPHRASE": "open sesame"})
    assert settings.signers["transact"].key_id == KEY_ID
    with pytest.raises(ConfigurationError, match="COMMONPOINT_PASSPHRASE"):
        load_signer(path, passphrase="wrong")
    with pytest.raises(ConfigurationError, match="COMMONPOINT_PASSPHRASE"):
        load_signer(path)


def test_a_passphrase_beside_the_key_opens_it_too(tmp_path):
    write_key(tmp_path / "transact.pem", seed=SEED, passphrase=b"open sesame")
    beside = tmp_path / "passphrase"
    beside.write_text("open sesame\n")
    beside.chmod(0o600)
    assert load_signer(tmp_path / "transact.pem").key_id == KEY_ID


def test_a_folder_of_keys_has_one_for_each_purpose(tmp_path):
    folder = tmp_path / "keys"
    make_folder(folder)
    write_keys(folder, {"transact": SEED, "custody": bytes(32)})
    for settings in (read(key=folder), read({**ENVIRONMENT, "COMMONPOINT_KEY": str(folder)})):
        assert {purpose: signer.key_id for purpose, signer in settings.signers.items()} == {
            "transact": KEY_ID,
            "custody": SeedSigner(bytes(32)).key_id,
        }
    with pytest.raises(ConfigurationError, match="no key"):
        read(key=tmp_path)


def test_a_signer_of_ones_own_is_taken_as_it_is():
    signer = SeedSigner(SEED)
    assert load_signer(signer) is signer


def test_no_key_is_shown():
    assert to_base64url(SEED) not in repr(read())
