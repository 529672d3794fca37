"""The endpoint obeys C2SP tlog-witness, status by status."""

from __future__ import annotations

import os
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from ledger.keys import SeedSigner
from ledger.log.merkle import EMPTY_ROOT
from ledger.log.note import decode_vkey, open_note, sign_checkpoint, split_note
from ledger.log.policy import NO_QUORUM, Log, Policy, format_policy
from node.witness.desk import WitnessDesk, hash_origin
from tests.node.witness.conftest import HandLog, WitnessProcess

STRANGER = SeedSigner(bytes(32))


def tell(response):
    """(status, content type, body)."""
    return response.status_code, response.headers["content-type"], response.text


def check_conflict(response, size):
    assert tell(response) == (409, "text/x.tlog.size", f"{size}\n")


def test_what_continues_is_cosigned_with_the_time(witness, hand_log):
    key = decode_vkey((witness.directory / "witness.vkey").read_text().strip())
    for old, new in ((0, 1), (1, 5), (5, 5), (5, 300), (300, 1000)):
        response = witness.add(hand_log.ask(old, new))
        assert response.status_code == 200, (old, new, response.text)
        note = hand_log.note(new) + response.text
        (signature,) = open_note(note, [key]).signatures
        assert abs(signature.time_seconds - time.time()) < 120
        shown = httpx2.get(f"{witness.url}/{hash_origin(hand_log.origin)}/checkpoint")
        assert (shown.status_code, shown.text) == (200, note)


def test_lines_of_others_are_let_go_and_the_logs_is_enough(witness, hand_log):
    other = sign_checkpoint(origin=hand_log.origin, size=3, root=hand_log.tree(3).root(), signer=STRANGER)
    line = other[len(split_note(other)[0]) + 1 :]
    body = hand_log.ask(0, 3) + line.encode()
    assert witness.add(body).status_code == 200
    shown = httpx2.get(f"{witness.url}/{hash_origin(hand_log.origin)}/checkpoint").text
    assert line not in shown


MALFORMED = {
    "nothing": lambda _log: b"",
    "no empty line": lambda log: b"old 0\n" + log.note(3).encode(),
    "no old size": lambda log: log.ask(0, 3).removeprefix(b"old 0\n"),
    "leading zero": lambda log: log.ask(0, 3).replace(b"old 0\n", b"old 00\n", 1),
    "negative": lambda log: log.ask(0, 3).replace(b"old 0\n", b"old -1\n", 1),
    "carriage return": lambda log: log.ask(0, 3).replace(b"old 0\n", b"old 0\r\n", 1),
    "beyond all sizes": lambda log: log.ask(0, 3).replace(b"old 0\n", b"old 9223372036854775808\n", 1),
    "a proof line that is no hash": lambda log: log.ask(0, 3).replace(b"old 0\n", b"old 0\nAAAA\n", 1),
    "64 proof lines": lambda log: log.ask(0, 3, proof=[bytes(32)] * 64),
    "old size above the checkpoint's": lambda log: log.ask(3, 3).replace(b"old 3\n", b"old 4\n", 1),
    "no signature": lambda log: b"old 0\n\n" + split_note(log.note(3))[0].encode(),
    "not UTF-8": lambda log: log.ask(0, 3) + b"\xff",
    "a body without end": lambda log: log.ask(0, 3) + b"x" * 100_000,
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_400_what_is_no_request(witness, hand_log, kind):
    assert witness.add(MALFORMED[kind](hand_log)).status_code == 400


def test_404_a_log_that_is_not_known(witness):
    assert witness.add(HandLog(1000).ask(0, 3)).status_code == 404


def test_403_what_the_log_has_not_signed(witness, hand_log):
    assert witness.add(hand_log.ask(0, 3, note=hand_log.note(3, signer=STRANGER))).status_code == 403
    # A line under the log's own name and id that does not verify spoils the note, whatever else is under it.
    good = hand_log.note(3)
    body, _ = split_note(good)
    other = hand_log.note(4)
    line = other[len(split_note(other)[0]) + 1 :]
    for note in (f"{body}\n{line}", good + line):
        assert witness.add(hand_log.ask(0, 3, note=note)).status_code == 403
    assert witness.add(hand_log.ask(0, 3)).status_code == 200


def test_409_names_the_size_it_has_seen(witness, hand_log):
    check_conflict(witness.add(hand_log.ask(2, 3)), 0)
    assert witness.add(hand_log.ask(0, 3)).status_code == 200
    for old, new in ((0, 5), (2, 5), (4, 5), (0, 3)):
        check_conflict(witness.add(hand_log.ask(old, new)), 3)
    # Which comes first is of the specification: the size is looked at before the proof.
    check_conflict(witness.add(hand_log.ask(4, 5, proof=[bytes(32)])), 3)


def test_422_what_does_not_continue(witness, hand_log):
    assert witness.add(hand_log.ask(0, 3, proof=[bytes(32)])).status_code == 422
    empty = sign_checkpoint(origin=hand_log.origin, size=0, root=bytes(32), signer=hand_log.signer)
    assert witness.add(hand_log.ask(0, 0, note=empty, proof=[])).status_code == 422
    assert witness.add(hand_log.ask(0, 3)).status_code == 200
    proof = hand_log.prove(3, 5)
    for wrong in ([], proof[:-1], [*proof, bytes(32)], [bytes(32), *proof[1:]]):
        assert witness.add(hand_log.ask(3, 5, proof=wrong)).status_code == 422
    assert witness.add(hand_log.ask(3, 5, "another")).status_code == 422
    assert witness.add(hand_log.ask(3, 3, "another")).status_code == 422
    assert witness.add(hand_log.ask(3, 5)).status_code == 200


def test_an_empty_log_is_cosigned_as_empty(witness, hand_log):
    note = sign_checkpoint(origin=hand_log.origin, size=0, root=EMPTY_ROOT, signer=hand_log.signer)
    assert witness.add(hand_log.ask(0, 0, note=note, proof=[])).status_code == 200
    check_conflict(witness.add(hand_log.ask(1, 3)), 0)


def test_two_histories_of_one_size_are_kept_as_evidence(witness, hand_log):
    assert witness.add(hand_log.ask(0, 3)).status_code == 200
    witness.add(hand_log.ask(3, 3, "another"))
    kept = witness.directory / "logs" / f"{hash_origin(hand_log.origin)}.evidence"
    assert hand_log.note(3, "another").splitlines()[2] in kept.read_text()


def send_at_once(witness, bodies):
    """The answers to requests that were sent side by side."""
    with ThreadPoolExecutor(len(bodies)) as threads:
        return list(threads.map(witness.add, bodies))


def test_of_two_histories_that_race_from_one_size_one_is_cosigned_and_the_other_never(witness, hand_log):
    stories = ("true", "another")
    assert witness.add(hand_log.ask(0, 1)).status_code == 200
    bodies = [hand_log.ask(1, 30, stories[at % 2]) for at in range(8)]
    replies = send_at_once(witness, bodies)
    assert sorted(reply.status_code for reply in replies) == [200] + [409] * 7
    assert {reply.text for reply in replies if reply.status_code == 409} == {"30\n"}
    won = stories[[reply.status_code for reply in replies].index(200) % 2]
    for story in stories:
        status = 200 if story == won else 422
        assert witness.add(hand_log.ask(30, 30, story)).status_code == status


def test_of_two_sizes_that_race_neither_takes_the_other_back(witness, hand_log):
    assert witness.add(hand_log.ask(0, 3)).status_code == 200
    seen = 3
    for _ in range(4):
        replies = send_at_once(witness, [hand_log.ask(seen, seen + at) for at in range(1, 7)])
        assert sorted(reply.status_code for reply in replies) == [200] + [409] * 5
        (seen,) = {int(reply.text) for reply in replies if reply.status_code == 409}


def test_other_methods_and_paths_are_told_apart(witness):
    assert httpx2.get(f"{witness.url}/add-checkpoint").status_code == 405
    assert httpx2.post(f"{witness.url}/{'0' * 64}/checkpoint").status_code == 405
    for path in ("", "checkpoint", "0" * 64 + "/checkpoint", "ab/checkpoint"):
        assert httpx2.get(f"{witness.url}/{path}").status_code == 404


def test_connections_are_kept_alive(witness, hand_log):
    with httpx2.Client() as client:
        for old, new in ((0, 1), (1, 2)):
            client.post(f"{witness.url}/add-checkpoint", content=hand_log.ask(old, new))
        host, port = witness.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as raw:
            body = hand_log.ask(2, 3)
            head = b"POST /add-checkpoint HTTP/1.1\r\nhost: w\r\ncontent-length: %d\r\n\r\n" % len(body)
            for status in (b"200", b"409"):
                raw.sendall(head + body)
                answer = raw.recv(65_536)
                while b"\n" not in answer.partition(b"\r\n\r\n")[2]:
                    answer += raw.recv(65_536)
                assert answer.split(b" ", 2)[1] == status


def test_after_a_kill_it_knows_what_it_has_seen(repository, tmp_path, known_logs):
    log = HandLog(0)
    first = WitnessProcess(repository, tmp_path / "w", known_logs)
    try:
        assert first.add(log.ask(0, 7)).status_code == 200
    finally:
        first.end(signal.SIGKILL)
    again = WitnessProcess(repository, tmp_path / "w", known_logs)
    try:
        check_conflict(again.add(log.ask(0, 9)), 7)
        assert again.add(log.ask(7, 7, "another")).status_code == 422
        shown = httpx2.get(f"{again.url}/{hash_origin(log.origin)}/checkpoint")
        assert shown.text.startswith(log.note(7))
    finally:
        again.end()


@pytest.mark.parametrize("step", ["kept", "signed"])
def test_killed_before_it_answers_it_has_kept_what_it_would_have_signed(tmp_path, step):
    log = HandLog(0)
    how = {"name": "w", "signer": STRANGER, "logs": [log.key], "clock": lambda: 1_700_000_000}
    child = os.fork()
    if child == 0:
        try:
            die = lambda at: os.kill(os.getpid(), signal.SIGKILL) if at == step else None  # noqa: E731
            WitnessDesk(tmp_path, on_step=die, **how).add_checkpoint(log.ask(0, 7))
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    desk = WitnessDesk(tmp_path, **how)
    assert desk.read_checkpoint(hash_origin(log.origin)) is None
    assert desk.add_checkpoint(log.ask(0, 5)).status == 409
    assert desk.add_checkpoint(log.ask(7, 7)).status == 200


def test_a_log_may_have_several_keys(tmp_path):
    log, other = HandLog(0), SeedSigner(b"2" * 32)
    second = log.key._replace(public=other.public)
    path = tmp_path / "logs.txt"
    path.write_bytes(format_policy(Policy((Log(log.key), Log(second)), (), (), NO_QUORUM)))
    desk = WitnessDesk(
        tmp_path, name="w", signer=STRANGER, logs=[log.key, second], clock=lambda: 1_700_000_000
    )
    assert desk.add_checkpoint(log.ask(0, 3)).status == 200
    assert desk.add_checkpoint(log.ask(3, 5, note=log.note(5, signer=other))).status == 200
