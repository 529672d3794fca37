"""A follower is a witness as C2SP has it: policies may name it, and its cosignature says that it executed."""

from __future__ import annotations

import shutil
import signal
import socket

import httpx2
import pytest

from ledger.log.note import decode_vkey, open_note, parse_checkpoint, sign_checkpoint, split_note
from ledger.log.policy import Group, Policy, Witness, format_policy, verify_checkpoint
from ledger.policy_chain import derive_policy
from node import keystore
from node.witness.desk import hash_origin
from node.witness.protocol import SIZE_TYPE, format_submission
from tests.node.follower.conftest import Leader
from tests.node.witness.test_asking import read, wait_until


def find_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def key_of(directory):
    return decode_vkey((directory / "cosigner.vkey").read_text().strip())


class Alliance:
    """A leader on a port of its own, and two followers that its list names, one of which has a worker."""

    def __init__(self, leader, folder) -> None:
        self.leader = leader
        self.port = find_port()
        self.folders = [folder / name for name in ("one", "two")]
        led = self.start()
        self.followers = [leader.follow(each, led.url) for each in self.folders]
        listed = tuple(
            Witness(f"f{at}", key_of(each), follower.url)
            for at, (each, follower) in enumerate(zip(self.folders, self.followers, strict=True))
        )
        self.policy = Policy(
            derive_policy(leader.config.origin).logs, listed, (Group("both", 2, ("f0", "f1")),), "both"
        )
        (leader.directory / "witnesses.txt").write_bytes(format_policy(self.policy))
        assert led.end()[0] == 0
        self.led = self.start()

    def start(self, *options, **how):
        return self.leader.start("--port", str(self.port), *options, **how)

    def follow_again(self, number, *options):
        """The follower starts once more, at the address that the list names."""
        port = self.followers[number].url.rpartition(":")[2]
        return self.leader.run(
            "node.cli.main",
            "node",
            "--data",
            self.folders[number],
            "--port",
            port,
            "--follow",
            self.led.url,
            *options,
            COMMONPOINT_TOKEN=self.leader.make_token(),
        )

    def is_met(self) -> bool:
        note = read(self.led.url)
        if len(split_note(note)[1]) < 3:
            return False
        return verify_checkpoint(self.policy, note).size > 0

    def add(self, number, old, note, proof=()):
        body = format_submission(old=old, proof=proof, note=note)
        return httpx2.post(f"{self.followers[number].url}/add-checkpoint", content=body, timeout=30)

    def sign(self, size, root, signer=None):
        signer = signer or keystore.open_signer(self.leader.directory / "keys", "log")
        return sign_checkpoint(origin=self.leader.chain, size=size, root=root, signer=signer)


@pytest.fixture(scope="module")
def alliance(founded, tmp_path_factory, repository):
    folder = tmp_path_factory.mktemp("cosigning")
    leader = Leader(shutil.copytree(founded, folder / "leader"), repository)
    yield Alliance(leader, folder)
    leader.stop()


def test_a_quorum_of_followers_is_gathered_and_shown(alliance):
    for number in range(3):
        alliance.leader.send(alliance.led.url, number)
        wait_until(alliance.is_met, seconds=60)
    note = read(alliance.led.url)
    size = parse_checkpoint(split_note(note)[0]).size
    for at, folder in enumerate(alliance.folders):
        assert open_note(note, [key_of(folder)]).signatures[0].time_seconds > 0
        # And monitors are shown what was asked for, under the name that witnesses show it by.
        url = f"{alliance.followers[at].url}/{hash_origin(alliance.leader.chain)}/checkpoint"
        shown = httpx2.get(url)
        assert parse_checkpoint(split_note(shown.text)[0]).size == size
    kept = (alliance.leader.directory / "witnessed.note").read_text()
    assert verify_checkpoint(alliance.policy, kept).size == size


def test_it_signs_nothing_but_what_it_has_executed(alliance):
    wait_until(alliance.is_met, seconds=60)
    note = read(alliance.led.url)
    checkpoint = parse_checkpoint(split_note(note)[0])
    size = checkpoint.size
    # What it has seen last, and nobody told us: then the size it is at.
    answer = alliance.add(0, 0, note)
    assert (answer.status_code, answer.text) == (409, f"{size}\n")
    assert answer.headers["content-type"] == SIZE_TYPE
    assert alliance.add(0, size, note).status_code == 200
    # The log's own key under another tree of the same size, and of one that there is not.
    for asked, root, status in ((size, bytes(32), 422), (size + 7, bytes(32), 503)):
        answer = alliance.add(0, size, alliance.sign(asked, root))
        assert (answer.status_code, "—" in answer.text) == (status, False)
    stranger = keystore.open_signer(alliance.leader.keys, "till")
    assert alliance.add(0, size, alliance.sign(size, checkpoint.root, stranger)).status_code == 403
    assert httpx2.post(f"{alliance.followers[0].url}/add-checkpoint", content=b"old 1\n").status_code == 400
    assert httpx2.get(f"{alliance.followers[0].url}/add-checkpoint").status_code == 405
    # All of it changed nothing.
    assert alliance.add(0, size, note).status_code == 200
    assert httpx2.get(f"{alliance.followers[0].url}/readyz").text == "ready\n"


def test_what_it_cosigned_is_known_to_it_after_it_was_killed(alliance):
    wait_until(alliance.is_met, seconds=60)
    note = read(alliance.led.url)
    size = parse_checkpoint(split_note(note)[0]).size
    alliance.followers[1].end(signal.SIGKILL)
    again = alliance.followers[1] = alliance.follow_again(1, "--workers", "1")
    answer = alliance.add(1, 0, note)
    assert (answer.status_code, answer.text) == (409, f"{size}\n")
    # Through a worker it is the same witness.
    assert alliance.add(1, size, note).status_code == 200
    url = f"{again.url}/{hash_origin(alliance.leader.chain)}/checkpoint"
    assert open_note(httpx2.get(url).text, [key_of(alliance.folders[1])]).signatures


def test_a_leader_restored_from_an_old_backup_signs_nothing_its_followers_know_better(alliance, tmp_path):
    """Followers alone have seen what came after it."""
    wait_until(alliance.is_met, seconds=60)
    assert alliance.led.end()[0] == 0
    backup = shutil.copytree(alliance.leader.directory, tmp_path / "backup")
    alliance.led = alliance.start()
    alliance.leader.send(alliance.led.url, 50)
    wait_until(alliance.is_met, seconds=60)
    assert alliance.led.end()[0] == 0
    shutil.rmtree(alliance.leader.directory)
    shutil.copytree(backup, alliance.leader.directory)
    status, said = start_and_fail(alliance)
    assert (status != 0, "HEAD_BEHIND_WITNESSES" in said) == (True, True)


def start_and_fail(alliance) -> tuple[int, str]:
    process = alliance.leader.run(
        "node.cli.main", "node", "--data", alliance.leader.directory, "--port", str(alliance.port), wait=False
    )
    return process.end(0, seconds=120)
