"""A dispute bundle: made from a real ledger, read by a stranger, refused whatever part of it is changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from node.bundle.verifying import verify_bundle
from tests.node.cli.conftest import NodeProcess
from tests.node.cli.street import MEMBER, begin

EVERYTHING = ["earn", "hold", "capture", "refund", "refund", "refund", "return_order"]
ELSEWHERE = "demo/" + "0" * 32


@pytest.fixture(scope="module")
def evening(tmp_path_factory, repository):
    """A ledger with an evening's trade, its node stopped. Not to be changed."""
    os.environ.pop("COMMONPOINT_DATA", None)
    street, node = begin(tmp_path_factory.mktemp("street"), repository, NodeProcess)
    status, said = node.stop()
    assert status == 0, said
    return street


@pytest.fixture
def make(cli, tmp_path, evening):
    """Makes a bundle from the data directory and answers its bytes."""

    def run(order="O-1", *, data=evening.directory, sender="petrol"):
        file = tmp_path / f"{order}-{len(list(tmp_path.iterdir()))}.bundle"
        status, _, err = cli(
            "bundle", "make", "--data", data, "--sender", sender, "--order", order, "-o", file
        )
        assert status == 0, err
        return file.read_bytes()

    return run


@pytest.fixture(scope="module")
def made(evening, tmp_path_factory):
    """The bundle of O-1, made once."""
    file = tmp_path_factory.mktemp("made") / "bundle"
    subprocess.run(
        [
            *(sys.executable, "-m", "node.cli.main", "bundle", "make", "--data", evening.directory),
            *("--sender", "petrol", "--order", "O-1", "-o", file),
        ],
        check=True,
        capture_output=True,
    )
    return file.read_bytes()


def get_kinds(verified):
    return [entry.kind for entry in verified.entries]


def test_it_holds_all_that_became_of_the_order_and_nothing_else(made, evening):
    verified = verify_bundle(made, chain=evening.chain)
    assert get_kinds(verified) == EVERYTHING
    assert {entry.sender for entry in verified.entries} == {"petrol"}
    assert verified.remarks == []
    # petrol's key was added later, and the member's came with the enrolment: both lead back to the genesis.
    assert [entry.kind for entry in verified.context] == ["add_key", "enrol"]
    assert [each.is_verified for each in verified.consents] == [True]


def test_the_file_needs_neither_the_ledger_nor_a_network(made, evening, tmp_path):
    (tmp_path / "b").write_bytes(made)
    said = subprocess.run(
        [sys.executable, "-m", "node.cli.main", "bundle", "verify", tmp_path / "b", "--chain", evening.chain],
        env={"PATH": "", "TERM": "dumb", "http_proxy": "http://127.0.0.1:9"},
        check=True,
        capture_output=True,
        text=True,
    )
    assert said.stdout.startswith(f"GOOD  {evening.chain}\n")
    assert "refund O-1.R3: TURNED DOWN\n  asked       refund of 200 points of leaf\n" in said.stdout
    assert "refundable  150 of 250 points of O-1" in said.stdout
    assert "returnable  goods for 35.600000 of 45.600000 of O-1" in said.stdout
    # 250 points at 0.01 less 1 %, less 100 refunded likewise, less 45 earned, plus 9 returned.
    assert "fresh owes petrol 1.125000 CNY" in said.stdout
    assert "fresh owes clearing 0.015000 CNY" in said.stdout
    assert max(map(len, said.stdout.splitlines())) <= 80


def test_the_same_for_programs(made, evening, cli, tmp_path):
    (tmp_path / "b").write_bytes(made)
    status, out, err = cli("bundle", "verify", tmp_path / "b", "--chain", evening.chain, "--json")
    assert (status, err) == (0, "")
    told = json.loads(out)
    assert told["good"] is True
    assert [event["kind"] for event in told["events"]][:3] == ["earn", "hold", "capture"]
    assert {(each["what"], each.get("points")) for each in told["open"]} == {
        ("refundable", 150),
        ("returnable", None),
    }
    assert told["owed"] == [
        {"source": "fresh", "destination": "clearing", "micros": 15_000},
        {"source": "fresh", "destination": "petrol", "micros": 1_125_000},
    ]
    assert told["consents"][0]["holder"] == MEMBER


def test_the_same_head_gives_the_same_bytes(made, make, evening, tmp_path):
    assert make() == made
    shutil.copytree(evening.directory, tmp_path / "copy")
    (tmp_path / "copy/views.db").unlink()
    assert make(data=tmp_path / "copy") == made


@pytest.mark.parametrize("order", ["O-1.R1", "O-1.R2", "O-1.R3"])
def test_whichever_part_is_asked_for_its_family_comes(make, evening, order):
    verified = verify_bundle(make(order), chain=evening.chain)
    assert get_kinds(verified) == ["hold", "capture", "refund", "refund", "refund"]


def test_another_participants_order_of_that_name_is_another_order(cli, evening, tmp_path):
    given = ("bundle", "make", "--data", evening.directory, "--order", "O-1", "-o", tmp_path / "b")
    status, _, err = cli(*given, "--sender", "fresh")
    assert status == 2
    assert "ORDER_UNKNOWN" in err
    assert not (tmp_path / "b").exists()


def test_what_stands_beside_it_in_its_transaction_is_a_hash_only(make, evening):
    data = make("O-3")
    verified = verify_bundle(data, chain=evening.chain)
    assert get_kinds(verified) == ["earn"]
    assert len(verified.bundle.transactions[0].messages) == 2
    assert b'"reference":"O-2"' not in data
    assert b"redeem" not in data


def test_a_file_that_is_there_is_never_overwritten(cli, evening, tmp_path):
    (tmp_path / "b").write_text("mine")
    given = ("bundle", "make", "--data", evening.directory, "--sender", "petrol", "--order", "O-1")
    status, _, err = cli(*given, "-o", tmp_path / "b")
    assert status == 2
    assert "FILE_EXISTS" in err
    assert (tmp_path / "b").read_text() == "mine"


def test_over_http_an_auditor_makes_the_very_same_file(cli, start, evening, made, tmp_path):
    node = start(evening.directory)
    _, token, _ = cli("key", "token", "--data", evening.directory)
    order = ("bundle", "make", "--url", node.url, "--sender", "petrol", "--order", "O-1")
    status, out, err = cli(*order, "--token", token.strip(), "--chain", evening.chain, "-o", tmp_path / "a")
    assert status == 0, err
    assert (tmp_path / "a").read_bytes() == made
    assert out == f"commonpoint bundle verify {tmp_path / 'a'} --chain {evening.chain}\n"
    status, _, err = cli(*order, "--token", token.strip(), "--chain", ELSEWHERE, "-o", tmp_path / "c")
    assert (status, "WRONG_CHAIN" in err) == (2, True)
    status, _, err = cli(*order, "-o", tmp_path / "d")
    assert (status, "ENTRIES_WITHHELD" in err) == (2, True)


def test_the_sender_makes_one_with_its_own_key_and_what_it_cannot_prove_is_said(
    cli, start, evening, tmp_path
):
    node = start(evening.directory)
    keys = evening.folders["petrol"]
    given = ("bundle", "make", "--url", node.url, "--keys", keys, "--sender", "petrol", "--order", "O-1")
    status, _, err = cli(*given, "-o", tmp_path / "b")
    assert status == 0, err
    assert "is the word of whoever made this file" in err
    verified = verify_bundle((tmp_path / "b").read_bytes(), chain=evening.chain)
    assert get_kinds(verified) == EVERYTHING
    assert [(each.participant, each.purpose) for each in verified.bundle.stated] == [("petrol", "till")]
    assert [each.is_verified for each in verified.consents] == [False]
    assert len(verified.remarks) == 2


def test_bad_is_told_and_is_exit_status_1(cli, made, evening, tmp_path):
    (tmp_path / "b").write_bytes(made.replace(b"O-1.R1", b"O-1.R9"))
    status, out, _ = cli("bundle", "verify", tmp_path / "b", "--chain", evening.chain)
    assert status == 1
    assert out.splitlines()[:2] == [f"BAD   {tmp_path / 'b'}", "      ROOT_MISMATCH"]
    status, out, _ = cli("bundle", "verify", tmp_path / "b", "--chain", evening.chain, "--json")
    assert (status, json.loads(out)["good"], json.loads(out)["check"]) == (1, False, "ROOT_MISMATCH")


def test_what_cannot_be_read_is_exit_status_2(cli, tmp_path):
    status, _, err = cli("bundle", "verify", tmp_path / "nothing", "--chain", ELSEWHERE)
    assert (status, "BUNDLE_UNREADABLE" in err) == (2, True)


def test_witnesses_that_were_asked_for_are_missed(cli, made, evening, tmp_path):
    from ledger.keys import SeedSigner
    from ledger.log.note import COSIGNATURE_V1, VerifierKey, encode_vkey

    (tmp_path / "b").write_bytes(made)
    _, own, _ = cli("show", "policy", "--data", evening.directory)
    witness = encode_vkey(VerifierKey("w.example", COSIGNATURE_V1, SeedSigner(b"x" * 32).public))
    asked = own.replace("quorum none", f"witness w {witness}\nquorum w")
    (tmp_path / "policy").write_text(asked)
    given = ("bundle", "verify", tmp_path / "b", "--chain", evening.chain, "--policy", tmp_path / "policy")
    status, out, _ = cli(*given)
    assert (status, "QUORUM_NOT_MET" in out) == (1, True)
