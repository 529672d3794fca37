"""A node over the demo's ledger is an ordinary transparency log to programs that know nothing of us."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request

import pytest

from tests.conftest import FULL

HOUSEHOLDS = "12" if FULL else "4"


def commonpoint(*arguments):
    """The command line of this environment."""
    command = [sys.executable, "-P", "-m", "node.cli.main", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def told(repository, tmp_path_factory):
    """The folder of a ledger in which a part of the demo's year was told."""
    folder = tmp_path_factory.mktemp("year") / "ledger"
    subprocess.run(
        [repository / "scripts/demo", "--once", "--households", HOUSEHOLDS, "--data", folder],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=240,
        check=True,
    )
    return folder


@pytest.fixture(scope="module")
def served(told):
    """The address of a node over that ledger."""
    command = [sys.executable, "-P", "-m", "node.cli.main", "node", "--data", told, "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as node:
        try:
            for line in node.stdout:
                found = re.search(r"http://127\.0\.0\.1:\d+", line)
                if found:
                    yield found[0]
                    break
            else:
                raise AssertionError("the node ended without telling its address")
        finally:
            node.terminate()
            node.wait(timeout=30)


def test_tesseras_fsck_finds_nothing_wrong_with_a_node(fsck, told, served, tmp_path):
    vkey = tmp_path / "log.vkey"
    vkey.write_text(commonpoint("show", "--data", told, "vkey") + "\n")
    token = commonpoint("key", "token", "--data", told, "--role", "auditor")
    options = [f"-storage_url={served}/", f"-bearer_token={token}", f"-public_key={vkey}"]
    done = subprocess.run(
        [fsck, "-ui=false", "-N=2", *options], capture_output=True, text=True, timeout=200, check=False
    )
    assert "Successfully fsck'd log with size" in done.stderr.splitlines()[-1], done.stderr[-2000:]


def test_fsck_is_refused_the_entries_without_a_token(fsck, told, served, tmp_path):
    vkey = tmp_path / "log.vkey"
    vkey.write_text(commonpoint("show", "--data", told, "vkey") + "\n")
    options = [f"-storage_url={served}/", f"-public_key={vkey}"]
    done = subprocess.run(
        [fsck, "-ui=false", "-N=2", *options], capture_output=True, text=True, timeout=200, check=False
    )
    assert "Successfully" not in done.stderr
    assert "401" in done.stderr


def test_gos_note_library_opens_a_nodes_checkpoint(logcheck, told, served):
    with urllib.request.urlopen(f"{served}/checkpoint", timeout=10) as answer:
        note = answer.read().decode()
    vkey = commonpoint("show", "--data", told, "vkey")
    done = logcheck("note", json.dumps({"vkey": vkey, "note": note}))
    assert done.returncode == 0, done.stderr
