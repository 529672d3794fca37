"""The log's side: what a witness has seen is found out, what it says is checked, and a quorum is gathered."""

from __future__ import annotations

import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

from ledger.errors import Refused
from ledger.keys import SeedSigner
from ledger.log.note import COSIGNATURE_V1, VerifierKey, cosign, decode_vkey, open_note, split_note
from ledger.log.policy import Group, Log, Policy, Witness, format_policy, parse_policy, verify_checkpoint
from ledger.policy_chain import derive_policy
from node.keystore import Unusable
from node.witness.protocol import parse_submission
from node.witnessing.client import WitnessClient, WitnessRefused
from node.witnessing.gathering import Gatherer, OnePolicy, read_witnesses
from tests.node.follower.conftest import founded, leader  # noqa: F401 - fixtures
from tests.node.witness.conftest import HandLog, WitnessProcess

STRANGER = SeedSigner(bytes(32))


def key_of(witness):
    return decode_vkey((witness.directory / "witness.vkey").read_text().strip())


@pytest.fixture
def client(witness):
    client = WitnessClient(witness.url, key_of(witness))
    yield client
    client.close()


def submit(client, log, size, story="true"):
    note = log.note(size, story)
    from ledger.log.note import parse_checkpoint

    checkpoint = parse_checkpoint(split_note(note)[0])
    lines = client.submit(checkpoint, note, prove=lambda old, new: log.prove(old, new, story))
    return open_note(note + lines, [client.key]).signatures[0]


def test_a_log_that_does_not_know_what_was_seen_is_told_and_goes_on_from_there(witness, client, hand_log):
    assert submit(client, hand_log, 7).key == key_of(witness)
    fresh = WitnessClient(witness.url, key_of(witness))
    assert submit(fresh, hand_log, 9).time_seconds > 0
    # The first one thinks of 7 still.
    assert submit(client, hand_log, 12).time_seconds > 0
    assert submit(client, hand_log, 12).time_seconds > 0
    fresh.close()


def test_a_log_restored_from_an_old_backup_hears_that_it_is_behind(witness, client, hand_log):
    submit(client, hand_log, 9)
    fresh = WitnessClient(witness.url, key_of(witness))
    with pytest.raises(WitnessRefused) as caught:
        submit(fresh, hand_log, 7)
    assert (caught.value.code, caught.value.facts["seen"]) == ("WITNESS_AHEAD", 9)
    fresh.close()


def test_a_log_that_tells_another_story_hears_that_too(client, hand_log):
    submit(client, hand_log, 9)
    for size in (9, 12):
        with pytest.raises(WitnessRefused) as caught:
            submit(client, hand_log, size, "another")
        assert (caught.value.code, caught.value.facts["status"]) == ("WITNESS_DISAGREES", 422)


def test_a_log_that_is_not_known_or_not_signed_hears_so(client, hand_log):
    for log, status in ((HandLog(1000), 404), (HandLog(1000), 404)):
        with pytest.raises(WitnessRefused) as caught:
            submit(client, log, 3)
        assert (caught.value.code, caught.value.facts["status"]) == ("WITNESS_ANSWERED", status)
    hand_log.signer = STRANGER
    with pytest.raises(WitnessRefused) as caught:
        submit(client, hand_log, 3)
    assert caught.value.facts["status"] == 403


def test_a_witness_that_is_not_there_is_no_fault_of_the_log(hand_log):
    client = WitnessClient("http://127.0.0.1:9", VerifierKey("w", COSIGNATURE_V1, STRANGER.public))
    with pytest.raises(WitnessRefused) as caught:
        submit(client, hand_log, 3)
    assert caught.value.code == "WITNESS_UNREACHABLE"


class Liar:
    """A witness that answers what a test wants."""

    def __init__(self) -> None:
        self.replies = []
        liar = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                data = self.rfile.read(int(self.headers["content-length"]))
                status, kind, body = liar.replies.pop(0)(parse_submission(data))
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.key = VerifierKey("w", COSIGNATURE_V1, STRANGER.public)
        self.client = WitnessClient(f"http://127.0.0.1:{self.server.server_port}", self.key)


@pytest.fixture
def liar():
    liar = Liar()
    yield liar
    liar.client.close()
    liar.server.shutdown()
    liar.server.server_close()


def sign(submission, *, name="w", body=None, seconds=1_700_000_000):
    body = split_note(submission.note)[0] if body is None else body
    return cosign(body=body, name=name, time_seconds=seconds, signer=STRANGER).encode()


LIES = {
    "a cosignature of another checkpoint": lambda asked: (
        200,
        "text/plain",
        sign(asked, body=split_note(HandLog(3).note(2))[0]),
    ),
    "one of somebody else alone": lambda asked: (200, "text/plain", sign(asked, name="other")),
    "one without a time": lambda asked: (200, "text/plain", sign(asked, seconds=0)),
    "no cosignature": lambda _asked: (200, "text/plain", b""),
    "something else": lambda _asked: (200, "text/plain", b"ok\n"),
    "the same old size again": lambda asked: (409, "text/x.tlog.size", b"%d\n" % asked.old),
    "a conflict without a size": lambda _asked: (409, "text/x.tlog.size", b"many\n"),
    "a size of another type": lambda _asked: (409, "text/plain", b"1\n"),
    "a redirect": lambda _asked: (307, "text/plain", b""),
}


@pytest.mark.parametrize("lie", LIES)
def test_nothing_else_is_taken_for_a_cosignature(liar, hand_log, lie):
    liar.replies = [LIES[lie]] * 3
    with pytest.raises(WitnessRefused) as caught:
        submit(liar.client, hand_log, 3)
    assert caught.value.code == "WITNESS_ANSWERED"


def test_lines_of_unknown_keys_beside_its_own_are_let_go(liar, hand_log):
    liar.replies = [lambda asked: (200, "text/plain", sign(asked, name="other") + sign(asked))]
    assert submit(liar.client, hand_log, 3).key == liar.key


def test_a_witness_that_always_names_another_size_is_given_up(liar, hand_log):
    liar.replies = [
        (lambda _asked, size=size: (409, "text/x.tlog.size", b"%d\n" % size)) for size in (1, 2, 1, 2)
    ]
    with pytest.raises(WitnessRefused):
        submit(liar.client, hand_log, 3)
    assert len(liar.replies) == 1


class StillLog:
    """A node's core that stands still."""

    def __init__(self, log, size) -> None:
        self.log, self.checkpoint = log, log.note(size)

    def prove_consistency(self, old, new):
        return self.log.prove(old, new)

    def add_cosignatures(self, note):
        self.checkpoint = note


def test_a_quorum_of_two_of_three_is_met_by_two(witness, liar, hand_log, tmp_path):
    liar.replies = [lambda asked: (200, "text/plain", sign(asked))]
    policy = Policy(
        (Log(hand_log.key),),
        (
            Witness("a", key_of(witness), witness.url),
            Witness("b", liar.key, f"http://127.0.0.1:{liar.server.server_port}"),
            Witness(
                "c", VerifierKey("gone", COSIGNATURE_V1, SeedSigner(b"3" * 32).public), "http://127.0.0.1:9"
            ),
        ),
        (Group("two", 2, ("a", "b", "c")),),
        "two",
    )
    core = StillLog(hand_log, 5)
    gatherer = Gatherer(core, OnePolicy(core, policy), tmp_path)
    done = gatherer.gather()
    assert (done.is_met, [refusal.code for refusal in done.refusals]) == (True, ["WITNESS_UNREACHABLE"])
    for note in (core.checkpoint, (tmp_path / "witnessed.note").read_text()):
        assert verify_checkpoint(policy, note).size == 5
    # A later checkpoint that one of them alone cosigns is shown so, and is not the witnessed one.
    liar.replies = [lambda _asked: (500, "text/plain", b"")]
    core.checkpoint = hand_log.note(8)
    assert not gatherer.gather().is_met
    assert len(open_note(core.checkpoint, [key_of(witness), hand_log.key]).signatures) == 2
    assert verify_checkpoint(policy, (tmp_path / "witnessed.note").read_text()).size == 5
    gatherer.stop()


def test_a_policy_of_another_log_is_not_gathered_for(tmp_path, hand_log):
    assert read_witnesses(tmp_path, chain=hand_log.origin) is None
    (tmp_path / "witnesses.txt").write_bytes(format_policy(Policy.for_log(hand_log.key)))
    assert read_witnesses(tmp_path, chain=hand_log.origin).quorum == "none"
    with pytest.raises(Unusable):
        read_witnesses(tmp_path, chain="another/log")
    (tmp_path / "witnesses.txt").write_text("quorum\n")
    with pytest.raises(Refused):
        read_witnesses(tmp_path, chain=hand_log.origin)


def test_a_node_goes_on_without_its_witnesses(leader, repository, tmp_path):  # noqa: F811
    own = tmp_path / "own.txt"
    own.write_bytes(format_policy(derive_policy(leader.config.origin)))
    witnesses = [
        WitnessProcess(repository, tmp_path / name, own, name=f"{name}.example/w") for name in ("one", "two")
    ]
    listed = tuple(Witness(f"w{at}", key_of(each), each.url) for at, each in enumerate(witnesses))
    policy = Policy(
        derive_policy(leader.config.origin).logs, listed, (Group("both", 2, ("w0", "w1")),), "both"
    )
    (leader.directory / "witnesses.txt").write_bytes(format_policy(policy))
    try:
        led = leader.start()
        for number in range(2):
            wait_until(lambda: is_witnessed(policy, read(led.url)))
            leader.send(led.url, number)
        wait_until(lambda: is_witnessed(policy, read(led.url)))
        kept = (leader.directory / "witnessed.note").read_text()
        assert parse_policy(format_policy(policy)) == policy
        size = verify_checkpoint(policy, kept).size
        witnesses[1].end(signal.SIGKILL)
        leader.send(led.url, 7)
        wait_until(lambda: len(split_note(read(led.url))[1]) == 2)
        assert verify_checkpoint(policy, (leader.directory / "witnessed.note").read_text()).size == size
        status, said = led.end()
        assert (status, "WITNESS_UNREACHABLE" in said) == (0, True)
    finally:
        for each in witnesses:
            each.end(signal.SIGKILL)


def read(url):
    return httpx2.get(f"{url}/checkpoint").text


def is_witnessed(policy, note):
    return len(split_note(note)[1]) == 1 + len(policy.witnesses) and bool(verify_checkpoint(policy, note))


def wait_until(holds, *, seconds=20):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.05)
