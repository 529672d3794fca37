"""A window from its cut to its last payment, at the command line, with a node of its own.

The node runs through the whole module, and the tests follow one another: the first window is cut, agreed and
paid, the second disputed. So one process runs them all, alone.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import time

import msgspec
import pytest

from contracts.mechanics.statement import hash_statement
from contracts.messages import Earn
from contracts.messages.statement import STATEMENT_DECODER, Statement
from ledger.codec import decode, encode
from ledger.leaves import BLOCK_LEAF_DECODER, BLOCK_START
from ledger.log.tiles import TILE_WIDTH, decode_bundle
from node.config import find_database, load_config
from node.statements import checking
from node.storage.snapshot import Snapshot
from tests.node.cli.conftest import NodeProcess
from tests.node.cli.street import MEMBER, PETROL, begin
from tests.node.statements.mirrored import MirroredLog

PARTIES = ("clearing", "fresh", "petrol")
pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def street(tmp_path_factory, repository):
    os.environ.pop("COMMONPOINT_DATA", None)
    street, node = begin(tmp_path_factory.mktemp("street"), repository, NodeProcess)
    yield street
    node.stop()


@pytest.fixture
def settle(cli, street):
    """Runs a command that signs, with the keys of one of the participants."""

    def run(command, *arguments, who, sure=True):
        signing = ["--url", street.url, "--keys", street.folders[who], "--participant", who]
        return cli("settlement", command, *arguments, *signing, *(["--yes"] if sure else []))

    return run


@pytest.fixture
def state(cli, street):
    """Runs `statement` over the data of the running node, which stores what it signed a moment later."""

    def run(*arguments):
        for _ in range(100):
            status, out, err = cli("settlement", "statement", "--data", street.directory, *arguments)
            if "WINDOW_NOT_CUT" not in err:
                break
            time.sleep(0.1)
        return status, out, err

    return run


def show(street, cli, window):
    status, out, err = cli(
        *("settlement", "show", window, "--url", street.url, "--json"),
        *("--keys", street.folders["fresh"], "--participant", "fresh"),
    )
    assert status == 0, err
    return json.loads(out)


def cut(street, settle):
    """The open window is cut, and nothing was sent that the height did not need."""
    status, _, err = settle("cut", who="clearing")
    assert status == 0, err
    height = int(re.search(r"before height ([\d,]+)", err)[1].replace(",", ""))
    while (
        street.send("fresh", "till", Earn(1_000_000, MEMBER, street.now, "leaf", f"X-{street.count}"))[
            "height"
        ]
        < height
    ):
        pass


def test_a_window_is_cut_and_everybody_recomputes_it(street, settle, state, cli, tmp_path):
    cut(street, settle)
    status, out, err = state("--window", 1)
    assert status == 0, err
    statement = decode(out.encode(), STATEMENT_DECODER)
    assert {each.participant for each in statement.positions} == set(PARTIES)
    told = show(street, cli, 1)
    assert (told["state"], told["statement"] in err) == ("closed", True)
    # Over HTTP with an auditor's token it is the same; so it is into a file, which is nobody else's to read.
    token = cli("key", "token", "--data", street.directory)[1].strip()
    file = tmp_path / "w1.json"
    arguments = ["--url", street.url, "--token", token, "--window", 1, "--chain", street.chain, "--out", file]
    status, _, err = cli("settlement", "statement", *arguments)
    assert (status, file.read_text()) == (0, out), err
    assert file.stat().st_mode & 0o777 == 0o600
    status, _, err = cli("settlement", "statement", *arguments)
    assert (status, "FILE_EXISTS" in err) == (2, True)


def test_a_side_in_a_spreadsheet_has_the_orders_behind_it(state):
    status, out, err = state("--window", 1, "--participant", "petrol", "--format", "csv")
    assert status == 0, err
    rows = list(csv.DictReader(io.StringIO(out, newline="")))
    lines = {
        (row["from"], row["to"], row["reason"]): int(row["micros"]) for row in rows if row["row"] == "line"
    }
    orders = {}
    for row in rows:
        if row["row"] == "order":
            key = row["from"], row["to"], row["reason"]
            orders[key] = orders.get(key, 0) + int(row["micros"])
    assert orders == lines
    assert {row["reference"] for row in rows} >= {"O-1", "O-1.R1", "O-2"}


@pytest.mark.parametrize(
    ("form", "start"), [("html", b"<!doctype html>"), ("pdf", b"%PDF-"), ("parquet", b"PAR1")]
)
def test_each_form_is_written(state, tmp_path, form, start):
    file = tmp_path / f"w1.{form}"
    status, _, err = state(
        "--window", 1, "--participant", "fresh", "--format", form, "--lang", "zh", "--out", file
    )
    assert status == 0, err
    assert file.read_bytes().startswith(start)


def test_payments_come_with_the_accounts_that_are_given(state, tmp_path):
    accounts = tmp_path / "accounts.csv"
    accounts.write_text("participant,name,iban,account,bic\nfresh,Fresh,DE89370400440532013000,,\n")
    arguments = ["--window", 1, "--format", "pain001"]
    assert state(*arguments)[0] == 2
    status, out, err = state(*arguments, "--accounts", accounts)
    assert (status, out) == (2, "")
    assert "ACCOUNT_MISSING" in err
    accounts.write_text(
        accounts.read_text() + "petrol,Petrol,GB29NWBK60161331926819,,\nclearing,Clearing,,6222 1,\n"
    )
    status, out, err = state(*arguments, "--accounts", accounts)
    assert status == 0, err
    assert "<EndToEndId>W1-T0</EndToEndId>" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ("--format", "xls"),
        ("--format", "json", "--participant", "fresh"),
        ("--format", "pdf", "--lang", "fr"),
        ("--format", "csv", "--url", "http://127.0.0.1:1"),
        ("--format", "pain001", "--pay-on", "tomorrow"),
    ],
)
def test_what_cannot_be_meant_is_said_at_once(state, arguments):
    assert state("--window", 1, *arguments)[0] == 2


def test_a_log_whose_entries_add_up_to_something_else_ends_with_one(street, cli, tmp_path):
    """A mirror that was signed anew over other entries: exit status 1, and nothing is written."""
    leaves = read_leaves(street)
    index = next(place for place, leaf in enumerate(leaves) if b'"reason":"redeem"' in leaf)
    leaves[index] = leaves[index].replace(b'"micros":', b'"micros":1', 1)
    forge_mirror(street, leaves, tmp_path / "forged")
    file = tmp_path / "w1.json"
    status, out, err = cli(
        "settlement", "statement", "--data", tmp_path / "forged", "--window", 1, "--out", file
    )
    assert (status, out, file.exists()) == (1, "", False)
    assert "STATEMENT_DIFFERS" in err
    # Asked at once: `state` would wait for a window that nobody cuts.
    assert cli("settlement", "statement", "--data", street.directory, "--window", 99)[0] == 2


def test_nobody_signs_what_does_not_add_up(street, settle, monkeypatch, cli):
    """The node hands out a statement in which a payment was changed: it is not even asked to be signed."""
    genuine = checking.decode

    def forge(data, decoder):
        return genuine(data.replace(b'"units":', b'"units":1', 1), decoder)

    monkeypatch.setattr(checking, "decode", forge)
    status, _, err = settle("sign", 1, who="petrol")
    assert status == 1
    assert "STATEMENT_DOES_NOT_ADD_UP" in err
    assert show(street, cli, 1)["agreed"] == []


def test_a_mirror_that_says_otherwise_than_the_node_is_not_signed_after(street, settle, tmp_path, cli):
    """A whole history of its own, each statement as its entries add up: but not the node's."""
    leaves = read_leaves(street)
    index = next(place for place, leaf in enumerate(leaves) if b'"@type":"cut"' in leaf)
    block = next(place for place in range(index, len(leaves)) if leaves[place].startswith(BLOCK_START))
    told = decode(leaves[block], BLOCK_LEAF_DECODER)
    leaves[block] = encode(msgspec.structs.replace(told, time=told.time + 1))
    leaves = [leaf.replace(b'"time":%d' % told.time, b'"time":%d' % (told.time + 1)) for leaf in leaves]
    found = json.loads(cli("settlement", "statement", "--data", street.directory, "--window", 1)[1])
    found["closed_at"] += 1
    digest = hash_statement(encode(msgspec.convert(found, Statement)))
    leaves[index] = re.sub(rb'"statement":"[^"]+"', b'"statement":"%b"' % digest.encode(), leaves[index])
    forge_mirror(street, leaves, tmp_path / "forged")
    status, _, err = settle("sign", 1, "--data", tmp_path / "forged", who="petrol")
    assert (status, "STATEMENT_DIFFERS" in err, digest in err) == (1, True, True)
    assert show(street, cli, 1)["agreed"] == []


def test_all_agree_and_pay_and_the_window_is_settled(street, settle, cli):
    for who in PARTIES:
        how = ("--data", street.directory) if who == "petrol" else ()
        status, _, err = settle("sign", 1, *how, who=who)
        assert status == 0, err
        assert ("With --data DIR" in err) == (who != "petrol")
        assert f"{who} agrees with window 1" in err
    assert "Window 1 is confirmed" in err
    status, _, err = settle("sign", 1, who="petrol")
    assert (status, "WINDOW_NOT_CLOSED" in err) == (2, True)
    told = show(street, cli, 1)
    for place, transfer in enumerate(told["transfers"]):
        for who in (transfer["from"], transfer["to"]):
            status, _, err = settle("attest", 1, place, "--reference", f"B-{place}", who=who)
            assert status == 0, err
    assert "Window 1 is settled" in err
    told = show(street, cli, 1)
    assert (told["state"], told["transfers"][0]["payer_reference"]) == ("settled", "B-0")
    status, _, err = settle("attest", 1, 0, "--reference", "B-9", who=told["transfers"][0]["from"])
    assert (status, "WINDOW_NOT_CONFIRMED" in err) == (2, True)


def test_a_dispute_names_lines_of_ones_own(street, settle, state, cli):
    street.send("petrol", PETROL, Earn(7_000_000, MEMBER, street.now, "leaf", "Y-1"))
    cut(street, settle)
    statement = decode(state("--window", 2)[1].encode(), STATEMENT_DECODER)
    own = [place for place, each in enumerate(statement.lines) if "petrol" in (each.source, each.destination)]
    status, _, err = settle("dispute", 2, "--line", len(statement.lines), who="petrol")
    assert (status, "LINE_UNKNOWN" in err) == (2, True)
    status, _, err = settle("dispute", 2, "--line", own[0], who="petrol")
    assert status == 0, err
    line = statement.lines[own[0]]
    assert f"disputed line {own[0]}: {line.source} owes {line.destination}" in err
    assert f'"lines":[{own[0]}]' in err  # what is signed is shown
    assert show(street, cli, 2)["disputed"] == ["petrol"]


def test_windows_are_listed_for_people(street, cli):
    token = cli("key", "token", "--data", street.directory)[1].strip()
    status, out, err = cli("settlement", "show", "--url", street.url, "--token", token)
    assert status == 0, err
    rows = [line.split() for line in out.splitlines()]
    assert [row[:2] for row in rows] == [
        ["window", "state"],
        ["3", "open"],
        ["2", "closed"],
        ["1", "settled"],
    ]
    status, out, _ = cli("settlement", "show", 2, "--url", street.url, "--token", token)
    assert re.search(r"disputed +petrol\n", out)
    assert re.search(r"silent +clearing fresh\n", out)


def test_without_saying_yes_nothing_is_signed(street, settle, monkeypatch, cli):
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    status, _, err = settle("sign", 2, who="fresh", sure=False)
    assert status != 0
    assert "Sign and send this?" in err
    assert show(street, cli, 2)["agreed"] == []


def test_only_the_operator_cuts(settle):
    status, _, err = settle("cut", who="fresh")
    assert (status, "NOT_OPERATOR" in err) == (2, True)


def read_leaves(street):
    """The log as it is stored."""
    with Snapshot(find_database(street.directory)) as snapshot:
        size = snapshot.read_size()
        return [
            leaf
            for index in range(-(-size // TILE_WIDTH))
            for leaf in decode_bundle(snapshot.read_bundle(index, TILE_WIDTH))
        ]


def forge_mirror(street, leaves, folder):
    """What whoever holds the log's key could hand out."""
    folder.mkdir()
    log = MirroredLog(folder)
    log.add(*leaves)
    log.finish(street.chain, signer=load_config(street.directory).open_signer("log"))
