"""A node as a process: it says where it is, serves, and stops when told; its folder is its own meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import time

import httpx2
import pytest

from node.auditing import audit_data_dir
from tests.node.cli.conftest import MEMBER
from tests.node.storage.makes import change_leaves


@pytest.fixture
def ledger(begun, tmp_path):
    shutil.copytree(begun, tmp_path / "ledger")
    return tmp_path / "ledger"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_node_serves_and_stops_cleanly(start, ledger, number):
    node = start(ledger)
    chain = httpx2.get(f"{node.url}/v1/chain").json()
    assert chain["height"] == 5
    assert httpx2.get(f"{node.url}/readyz").status_code == 200
    status, said = node.stop(number)
    assert status == 0
    assert said.splitlines()[-1] == "stopped"
    report = audit_data_dir(ledger, policy=None, chain=chain["chain"], progress=lambda *_: None)
    assert (report.is_good, report.unsigned_leaves) == (True, 0)


def test_a_node_that_is_told_again_and_again_until_it_is_gone_ends_as_if_told_once(start, ledger):
    """Python gives signals back to the system before it ends."""
    node = start(ledger)
    while node.process.poll() is None:
        node.process.send_signal(signal.SIGTERM)
        time.sleep(0.001)
    status, said = node.stop()
    assert (status, "stopped" in said.splitlines()) == (0, True)


def test_what_a_node_writes_is_its_owners_alone(start, ledger):
    for path in ledger.glob("*.db*"):
        path.unlink()
    before = os.umask(0o022)
    try:
        start(ledger).stop()
    finally:
        os.umask(before)
    for path in ledger.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


def test_a_folder_is_used_by_one_process_at_a_time(cli, start, ledger):
    node = start(ledger)
    for command in ("node", "rebuild"):
        status, _, err = cli(command, "--data", ledger)
        assert status == 2
        assert "DATA_DIR_IN_USE" in err
    # Looking needs no turn.
    assert cli("show", "head", "--data", ledger)[0] == 0
    assert cli("verify", "--data", ledger)[0] == 0
    assert node.stop()[0] == 0
    assert cli("rebuild", "--data", ledger)[0] == 0


def test_a_killed_node_leaves_no_lock_and_a_good_folder(start, ledger):
    assert start(ledger).stop(signal.SIGKILL)[0] == -signal.SIGKILL
    node = start(ledger)
    assert httpx2.get(f"{node.url}/v1/chain").json()["height"] == 5
    assert node.stop()[0] == 0


def test_an_address_that_is_taken_is_told(cli, start, ledger, begun, tmp_path):
    node = start(ledger)
    shutil.copytree(begun, tmp_path / "second")
    status, _, err = cli("node", "--data", tmp_path / "second", "--port", node.url.rpartition(":")[2])
    assert status == 2
    assert "ADDRESS_NOT_FREE" in err


def test_a_served_log_verifies_with_an_auditors_token_alone(cli, start, ledger, monkeypatch):
    node = start(ledger)
    status, _, err = cli("verify", "--url", node.url)
    assert status == 2
    assert "TOKEN_REFUSED" in err
    merchant = cli("key", "token", "--data", ledger, "--role", "participant:fresh")[1].strip()
    status, _, err = cli("verify", "--url", node.url, "--token", merchant)
    assert status == 2
    assert "ENTRIES_WITHHELD" in err
    monkeypatch.setenv("COMMONPOINT_TOKEN", cli("key", "token", "--data", ledger)[1].strip())
    status, out, _ = cli("verify", "--url", node.url, "--policy", ledger / "policy.txt", "--json")
    report = json.loads(out)
    assert (status, report["good"], report["operations"]) == (0, True, 303)
    status, out, err = cli("verify", "--url", f"{node.url}/")
    assert status == 0
    assert "--chain" in err


def test_a_leaf_that_was_changed_is_found_over_http_as_well(cli, start, ledger):
    change_leaves(ledger / "ledger.db", b'"reference":"o-3-7"', b'"reference":"o-3-T"')
    node = start(ledger)
    token = cli("key", "token", "--data", ledger)[1].strip()
    status, out, _ = cli("verify", "--url", node.url, "--token", token, "--json")
    assert status == 1
    served = json.loads(out)["first_bad"]
    assert served == json.loads(cli("verify", "--data", ledger, "--json")[1])["first_bad"]
    assert served["check"] == "LEAF_HASH_DIFFERS"


def test_the_settings_come_from_the_environment_too(cli, ledger, monkeypatch):
    monkeypatch.setenv("COMMONPOINT_DATA", str(ledger))
    status, out, _ = cli("show", "account", MEMBER)
    assert status == 0
    assert "600" in out
    monkeypatch.setenv("COMMONPOINT_HOST", "127.0.0.2")
    monkeypatch.setenv("COMMONPOINT_PORT", "99999")
    assert cli("node")[0] == 2
