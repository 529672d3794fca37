"""`commonpoint evidence` says what a file proves, against whom, and by its exit status."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from ledger.codec import encode
from ledger.log.note import VerifierKey, encode_vkey
from ledger.promise import sign_promise
from node.cli.main import app
from tests.ledger.test_evidence import (
    BASE,
    CHAIN,
    LOG,
    ONE,
    OTHER,
    STRANGER,
    BrokenPromise,
    absent,
    contradict,
    make_header,
)

KEY = encode_vkey(VerifierKey.for_log(CHAIN, LOG.public))


@pytest.fixture
def check(tmp_path):
    def run(evidence, *options: str):
        path = tmp_path / "evidence.json"
        path.write_bytes(encode(evidence) + b"\n")
        return CliRunner().invoke(app, ["evidence", str(path), *options])

    return run


def test_a_split_view_is_told_in_words_with_the_key_that_signed_both(check):
    result = check(contradict(ONE.note(30), OTHER.note(30)), "--chain", CHAIN)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"PROVEN  {CHAIN}  TWO_ROOTS\n")
    assert "30 leaves" in result.stdout
    assert result.stdout.endswith(f"Against whoever holds:\n    {KEY}\n")


def test_a_broken_promise_is_told_with_its_times(check):
    promise = sign_promise(make_header(), by=5_000, signer=LOG)
    result = check(BrokenPromise(**BASE, promise=promise, absence=absent(time=5_001)), "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert (told["code"], told["proven"], told["against"]) == ("NEVER_TAKEN", True, [KEY])
    assert told["facts"] == {"by": 5000, "id": "t1", "sender": "clearing", "size": 50, "time": 5001}
    words = check(BrokenPromise(**BASE, promise=promise, absence=absent(time=5_001))).stdout
    assert "by 1970-01-01 00:00:05.000 UTC" in words


def test_what_is_not_proven_is_said_and_accuses_nobody(check):
    result = check(contradict(ONE.note(21), OTHER.note(70), proof_from=21))
    assert result.exit_code == 1
    assert result.stdout.startswith("NOT PROVEN")
    assert KEY not in result.stdout


def test_a_forged_file_is_bad_and_another_chain_is_named(check):
    forged = check(contradict(ONE.note(30), OTHER.note(30, signer=STRANGER)))
    assert (forged.exit_code, "LOG_SIGNATURE_MISSING" in forged.stdout) == (1, True)
    other = check(contradict(ONE.note(30), OTHER.note(30)), "--chain", "town/" + "0" * 32)
    assert (other.exit_code, "WRONG_CHAIN" in other.stdout) == (1, True)
