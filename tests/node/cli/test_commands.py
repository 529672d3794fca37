"""What each command prints, and that a mistake gets one clear line instead of a traceback."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import time

import pytest
import typer

from ledger.log.note import decode_vkey, open_note
from node.cli.main import app
from tests.node.cli.conftest import MEMBER
from tests.node.storage.makes import change_leaves


@pytest.fixture
def copy(begun, tmp_path):
    shutil.copytree(begun, tmp_path / "copy")
    return tmp_path / "copy"


def test_help_is_quick_and_names_every_command(repository):
    started = time.monotonic()
    said = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "node.cli.main", "--help"],
        cwd=repository,
        check=True,
        capture_output=True,
        text=True,
    )
    assert time.monotonic() - started < 10
    for name in ("init", "node", "key", "show", "rebuild", "verify"):
        assert name in said.stdout
    # How long it takes hangs on the machine; what makes it slow does not.
    for heavy in ("sqlalchemy", "fastapi", "uvicorn", "httpx2", "cryptography", "contracts.rulebook"):
        assert not re.search(rf"\| +{re.escape(heavy)}$", said.stderr, re.MULTILINE), heavy


def test_init_prints_the_chain_string_and_nothing_else(cli, tmp_path):
    status, out, err = cli("init", tmp_path / "ledger", "--name", "trial", "--simulated", "--time", "5")
    assert status == 0
    assert re.fullmatch(r"trial/[0-9a-f]{32}\n", out)
    assert "passphrase" in err
    genesis = json.loads((tmp_path / "ledger/genesis.jsonl").read_text().splitlines()[0])
    assert (genesis["clock"], genesis["time"]) == ("simulated", 5)


def test_init_says_nothing_of_a_passphrase_file_that_is_not_there(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("COMMONPOINT_PASSPHRASE", "correct horse")
    status, _, err = cli("init", tmp_path / "ledger")
    assert status == 0
    assert "passphrase" not in err


def test_key_new_prints_what_init_takes(cli, tmp_path):
    status, out, _ = cli("key", "new", tmp_path / "fresh", "--participant", "fresh", "--name", "Fresh 市场")
    assert status == 0
    assert out.strip() == (tmp_path / "fresh/participant.json").read_text().strip()
    assert {key["purpose"] for key in json.loads(out)["keys"]} == {"govern", "transact", "till", "custody"}
    status, _, _ = cli("init", tmp_path / "ledger", "--participant", tmp_path / "fresh/participant.json")
    assert status == 0
    assert "Fresh 市场" in (tmp_path / "ledger/genesis.jsonl").read_text()


def test_key_show_prints_public_keys_and_nothing_private(cli, tmp_path):
    _, line, _ = cli("key", "new", tmp_path / "fresh", "--participant", "fresh", "--purpose", "till")
    status, out, _ = cli("key", "show", tmp_path / "fresh")
    assert status == 0
    ((purpose, _, public),) = [row.split("\t") for row in out.splitlines()]
    assert (purpose, public) == ("till", json.loads(line)["keys"][0]["public"])


def test_vkey_is_one_line_that_opens_the_checkpoint(cli, begun):
    status, out, err = cli("show", "vkey", "--data", begun)
    assert (status, err, out.count("\n")) == (0, "", 1)
    # The directory may stand before the command as well.
    assert cli("show", "--data", begun, "vkey") == (status, out, err)
    _, head, _ = cli("show", "head", "--data", begun)
    note = head[head.index("\n\n") + 2 :]
    assert open_note(note, [decode_vkey(out.strip())]).signatures


def test_show_prints_what_the_ledger_says(cli, begun):
    _, out, _ = cli("show", "account", MEMBER, "--data", begun)
    assert out.splitlines()[1].split() == ["leaf", "600", "0"]
    assert out.splitlines()[2].split()[:2] == ["s1", "600"]
    _, out, _ = cli("show", "head", "--data", begun)
    assert re.search(r"^operations +303$", out, re.MULTILINE)
    assert re.search(r"^height +5$", out, re.MULTILINE)
    _, out, _ = cli("show", "entry", "0", "--data", begun)
    assert out == (begun / "genesis.jsonl").read_text().splitlines()[0] + "\n"
    _, out, _ = cli("show", "policy", "--data", begun)
    assert out == (begun / "policy.txt").read_text()
    status, out, _ = cli("show", "positions", "--data", begun)
    assert (status, out.split()[:2]) == (0, ["participant", "net"])


def test_a_token_is_one_line(cli, begun):
    status, out, err = cli("key", "token", "--data", begun, "--role", "auditor", "--minutes", "1")
    assert (status, err, out.count("\n")) == (0, "", 1)


def test_verify_tells_people_and_machines(cli, begun):
    status, out, _ = cli("verify", "--data", begun)
    assert status == 0
    assert out.startswith("GOOD")
    status, out, _ = cli("verify", "--data", begun, "--json")
    report = json.loads(out)
    assert (status, report["good"], report["operations"], report["first_bad"]) == (0, True, 303, None)
    assert report["records"] > 300


def test_verify_names_the_first_bad_leaf_and_ends_with_1(cli, copy):
    change_leaves(copy / "ledger.db", b'"reference":"o-4-50"', b'"reference":"o-4-5O"')
    status, out, _ = cli("verify", "--data", copy)
    assert status == 1
    _, told, _ = cli("verify", "--data", copy, "--json")
    report = json.loads(told)
    index = report["first_bad"]["index"]
    assert f"leaf {index}: {report['first_bad']['check']}" in out
    _, leaf, _ = cli("show", "entry", index, "--data", copy)
    assert "o-4-5O" in leaf


def test_verify_holds_a_policy_and_a_chain_string_against_the_log(cli, copy, begun, tmp_path):
    chain = json.loads(cli("verify", "--data", begun, "--json")[1])["chain"]
    assert cli("verify", "--data", copy, "--chain", chain, "--policy", begun / "policy.txt")[0] == 0
    assert cli("verify", "--data", copy, "--chain", chain[:-1] + "!")[0] == 1
    cli("init", tmp_path / "other")
    status, out, _ = cli("verify", "--data", copy, "--policy", tmp_path / "other/policy.txt")
    assert status == 1
    assert "LOG_UNKNOWN" in out


def test_rebuild_makes_good_what_verify_found(cli, copy):
    with sqlite3.connect(copy / "views.db") as views:
        views.execute("UPDATE state_account SET value = CAST(replace(value, '600', '900') AS BLOB)")
    views.close()
    status, out, _ = cli("verify", "--data", copy)
    assert status == 1
    assert "RECORD_DIFFERS" in out
    assert MEMBER in out
    assert cli("rebuild", "--data", copy)[0] == 0
    assert cli("verify", "--data", copy)[0] == 0


def test_without_views_the_log_is_verified_and_a_rebuild_brings_them_back(cli, copy):
    for path in copy.glob("views.db*"):
        path.unlink()
    status, out, _ = cli("verify", "--data", copy, "--json")
    assert (status, json.loads(out)["records"]) == (0, 0)
    assert cli("rebuild", "--data", copy)[0] == 0
    assert json.loads(cli("verify", "--data", copy, "--json")[1])["records"] > 300


#   command, exit status, what the line names
MISTAKES = [
    (["verify", "--data", "{nowhere}"], 2, "NOT_A_DATA_DIRECTORY"),
    (["verify", "--url", "http://127.0.0.1:9"], 2, "SOURCE_UNREACHABLE"),
    (["verify", "--url", "nonsense"], 2, "URL_INVALID"),
    (["verify"], 2, "--data"),
    (["verify", "--data", "{copy}", "--url", "http://127.0.0.1:9"], 2, "--url"),
    (["verify", "--data", "{copy}", "--policy", "{copy}/genesis.jsonl"], 2, "POLICY_MALFORMED"),
    (["verify", "--data", "{copy}", "--policy", "{nowhere}"], 2, "POLICY_UNREADABLE"),
    (["init", "{copy}"], 2, "FOLDER_NOT_EMPTY"),
    (["init", "{nowhere}", "--name", "Bad Name"], 2, "GENESIS_MALFORMED"),
    (["init", "{nowhere}", "--parameter", "due_entries_max=0"], 2, "GENESIS_PARAMETER"),
    (["init", "{nowhere}", "--parameter", "due_entries_max"], 2, "NAME=VALUE"),
    (["init", "{nowhere}", "--participant", "{copy}/policy.txt"], 2, "PARTICIPANT_UNREADABLE"),
    (["node", "--data", "{nowhere}"], 2, "NOT_A_DATA_DIRECTORY"),
    (["rebuild", "--data", "{nowhere}"], 2, "NOT_A_DATA_DIRECTORY"),
    (["show", "head", "--data", "{nowhere}"], 2, "NOT_A_DATA_DIRECTORY"),
    (["show", "entry", "99999", "--data", "{copy}"], 2, "leaves"),
    (["show", "entry", "-1", "--data", "{copy}"], 2, "-1"),
    (["key", "new", "{copy}", "--participant", "fresh"], 2, "FOLDER_NOT_EMPTY"),
    (["key", "new", "{nowhere}", "--participant", "Not An Id"], 2, "MALFORMED"),
    (["key", "new", "{nowhere}", "--participant", "fresh", "--purpose", "log"], 2, "purpose"),
    (["key", "show", "{nowhere}"], 2, "KEYS_MISSING"),
    (["key", "token", "--data", "{copy}", "--role", "king"], 2, "BAD_REQUEST"),
    (["key", "token", "--data", "{copy}", "--minutes", "0"], 2, "minutes"),
]


@pytest.mark.parametrize(("command", "status", "named"), MISTAKES, ids=[" ".join(row[0]) for row in MISTAKES])
def test_a_mistake_is_one_clear_line(cli, copy, tmp_path, *, command, status, named):
    places = {"copy": str(copy), "nowhere": str(tmp_path / "nowhere")}
    found, out, err = cli(*[word.format(**places) for word in command])
    assert (found, out) == (status, "")
    assert named in err
    assert "Traceback" not in err
    assert not (tmp_path / "nowhere").exists()


def test_a_key_others_may_read_is_refused_with_the_command_that_helps(cli, copy):
    (copy / "keys/log.pem").chmod(0o644)
    for command in (["node"], ["rebuild"], ["key", "token"]):
        status, _, err = cli(*command, "--data", copy)
        assert status == 2
        assert f"chmod 600 {copy}/keys/log.pem" in err
    # Whoever only looks needs no key.
    assert cli("verify", "--data", copy)[0] == 0
    assert cli("show", "vkey", "--data", copy)[0] == 0


def test_commands_in_the_how_to_pages_exist(repository):
    seen = set()
    for page in ("admin", "auditor"):
        text = (repository / f"docs/how-to/{page}.md").read_text().replace("\\\n", " ")
        for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            for line in re.findall(r"^commonpoint ([^\n;>]*)", block, re.MULTILINE):
                words = re.findall(r'"[^"]*"|\S+', line)
                command = typer.main.get_command(app)
                context = command.make_context("commonpoint", words[:1], resilient_parsing=True)
                while hasattr(command, "resolve_command"):
                    name, command, words = command.resolve_command(context, words)
                # A name or an option that is not there raises.
                command.make_context(name, words, parent=context)
                seen.add(name)
    assert {"init", "node", "new", "token", "vkey", "account", "rebuild", "verify", "head"} <= seen


def test_the_drill_in_the_how_to_rings(repository, copy, tmp_path):
    copy.rename(tmp_path / "ledger")
    program = tmp_path / "bin/commonpoint"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={repository} exec {sys.executable} -m node.cli.main "$@"\n')
    program.chmod(0o755)
    text = (repository / "docs/how-to/auditor.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```", text[text.index("## A drill") :], re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        ["bash", "-c", "".join(blocks)],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{program.parent}:{os.environ['PATH']}"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
    assert re.findall(r"^\d+$", done.stdout, re.MULTILINE) == ["1", "1"]
    rotten, forged = re.findall(r"first bad: (.*)", done.stdout)
    assert re.fullmatch(r"leaf \d+: [A-Z_]+", rotten)
    assert forged.endswith("RECORD_DIFFERS")
    assert MEMBER in done.stdout
