"""A follower copies, executes, serves and cosigns; and it is taken in by nobody."""

from __future__ import annotations

import shutil
import signal
import time

import httpx2
import pytest

from ledger.log.note import decode_vkey, open_note, parse_checkpoint, split_note
from node.auditing import audit_data_dir
from tests.node.cli.conftest import MEMBER
from tests.node.follower.conftest import Leader


def read_checkpoint(url):
    return httpx2.get(f"{url}/checkpoint").text


def size_of(note):
    return parse_checkpoint(split_note(note)[0]).size


def wait_for_size(url, size, *, seconds=20):
    end = time.monotonic() + seconds
    while size_of(note := read_checkpoint(url)) < size:
        assert time.monotonic() < end, f"still at {size_of(note)}, not {size}"
        time.sleep(0.05)
    return note


def audit(directory):
    report = audit_data_dir(directory, policy=None, chain=None, progress=lambda _done, _total: None)
    assert report.is_good, report.first_bad
    return report


class Pair:
    """A leader, its follower, and the follower's folder."""

    def __init__(self, leader, directory) -> None:
        self.leader, self.directory = leader, directory
        self.led = leader.start()
        self.follower = leader.follow(directory, self.led.url)

    def trade(self, number):
        """A transaction is in the log, and the follower has it."""
        self.leader.send(self.led.url, number)
        return wait_for_size(self.follower.url, size_of(read_checkpoint(self.led.url)))


@pytest.fixture(scope="module")
def pair(founded, tmp_path_factory, repository):
    """One for all tests that leave it running; each sends transactions of numbers of its own."""
    base = tmp_path_factory.mktemp("pair")
    leader = Leader(shutil.copytree(founded, base / "leader"), repository)
    yield Pair(leader, base / "follower")
    leader.stop()


def test_it_serves_the_log_under_its_own_cosignature(pair):
    note = pair.trade(1)
    assert split_note(note)[0] == split_note(read_checkpoint(pair.led.url))[0]
    key = decode_vkey((pair.directory / "cosigner.vkey").read_text().strip())
    (signature,) = open_note(note, [key]).signatures
    assert abs(signature.time_seconds - time.time()) < 120
    assert httpx2.get(f"{pair.follower.url}/readyz").text == "ready\n"


def test_it_answers_the_same_reads_and_takes_no_transaction(pair):
    pair.trade(2)
    answers = []
    for url, folder in ((pair.led.url, pair.leader.directory), (pair.follower.url, pair.directory)):
        token = pair.leader.make_token("auditor", folder)
        headers = {"authorization": f"Bearer {token}"}
        answers.append(httpx2.get(f"{url}/v1/members/{MEMBER}", headers=headers).json())
    assert answers[0] == answers[1]
    assert "code" not in answers[0]
    refused = httpx2.post(f"{pair.follower.url}/v1/transactions", content=pair.leader.sign(99).encode())
    told = refused.json()
    assert (refused.status_code, told["code"], told["leader"]) == (503, "NOT_READY", pair.led.url)
    # What is in the log is answered wherever it is asked.
    again = httpx2.post(f"{pair.follower.url}/v1/transactions", content=pair.leader.sign(2).encode())
    assert again.status_code == 200


def test_it_is_restarted_where_it_was_killed_and_is_a_ledger_that_verifies(pair):
    pair.trade(3)
    pair.follower.end(signal.SIGKILL)
    pair.leader.send(pair.led.url, 4)
    pair.follower = pair.leader.follow(pair.directory, pair.led.url, pin=False)
    size = size_of(pair.trade(5))
    status, said = pair.follower.end()
    assert status == 0, said
    report = audit(pair.directory)
    assert (report.size, report.records > 0) == (size, True)
    # Nobody is there, and it has all it needs.
    pair.follower = pair.leader.follow(pair.directory, "http://127.0.0.1:9", pin=False)
    assert size_of(read_checkpoint(pair.follower.url)) == size
    pair.follower.end()
    pair.follower = pair.leader.follow(pair.directory, pair.led.url, pin=False)


def test_a_leader_under_an_altered_rule_is_halted_at_and_the_height_is_named(leader, tmp_path):
    directory = tmp_path / "follower"
    led = leader.start()
    follower = leader.follow(directory, led.url)
    honest = size_of(read_checkpoint(follower.url))
    led.end()
    altered = leader.start("--port", led.url.rsplit(":", 1)[1], module="tests.node.follower.altered")
    height = httpx2.get(f"{led.url}/v1/chain").json()["height"] + 1
    leader.send(altered.url, 1)
    status, said = follower.end(0)
    assert (status, "commonpoint: ENTRY_DIFFERS" in said) == (1, True), said
    assert f"height: {height}, index: {honest + 1})" in said
    assert audit(directory).size == honest


def test_the_operators_own_folder_is_not_followed_into(leader):
    run = leader.follow(leader.directory, "http://127.0.0.1:9", wait=False)
    assert "NOT_A_FOLLOWER" in run.end(0)[1]


def test_a_followers_folder_makes_no_blocks(leader, tmp_path):
    (tmp_path / "cosigner.vkey").touch()
    run = leader.run("node.cli.main", "node", "--data", tmp_path, wait=False)
    status, said = run.end(0)
    assert (status, "--follow" in said) == (2, True)
