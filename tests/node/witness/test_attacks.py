"""Witnesses that mean ill: what they answer costs a node neither its memory nor its time, and the others'
cosignatures are gathered as ever.
"""

from __future__ import annotations

import gzip
import threading
import time
import tracemalloc
from contextlib import suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ledger.keys import SeedSigner
from ledger.log.note import COSIGNATURE_V1, VerifierKey, cosign, split_note
from ledger.log.policy import Group, Log, Policy, Witness, verify_checkpoint
from node import head_check
from node.head_check import HeadCheck
from node.witness.protocol import parse_submission
from node.witnessing import client as witnessing
from node.witnessing import gathering
from node.witnessing.client import WitnessClient, WitnessRefused
from node.witnessing.gathering import Gatherer, OnePolicy
from tests.node.witness.conftest import HandLog
from tests.node.witness.scripted import submit
from tests.node.witness.test_asking import StillLog

MIB = 1024 * 1024
KEYS = [SeedSigner(bytes([number]) * 32) for number in range(1, 4)]


def start(at, status=200, **headers):
    at.send_response(status)
    for name, value in headers.items():
        at.send_header(name.replace("_", "-"), value)
    at.end_headers()


def hundred_megabytes(at, _stopping):
    start(at, content_length=str(100 * MIB))
    for _ in range(100):
        at.wfile.write(b"\n" * MIB)


def endless(at, stopping):
    start(at, 409, content_type="text/x.tlog.size")
    while not stopping.is_set():
        at.wfile.write(b"1" * MIB)


@cache
def make_bomb():
    return gzip.compress(bytes(128 * MIB), 9)


def bomb(at, _stopping):
    start(at, content_encoding="gzip", content_length=str(len(make_bomb())))
    at.wfile.write(make_bomb())


def drip(at, stopping):
    start(at, content_length="1000")
    while not stopping.wait(0.05):
        at.wfile.write(b"\n")


def drip_in_the_head(at, stopping):
    """Before any header ends there is nothing that a reader of bodies could stop."""
    at.wfile.write(b"HTTP/1.1 200 OK\r\nx: ")
    while not stopping.wait(0.05):
        at.wfile.write(b"x")


def hang_up(at, _stopping):
    at.wfile.write(b"HTTP/1.1 2")


def rubbish(at, _stopping):
    at.wfile.write(bytes(range(256)) * 100)


ATTACKS = {
    each.__name__: each
    for each in (hundred_megabytes, endless, bomb, drip, drip_in_the_head, hang_up, rubbish)
}


class Hostile:
    """A witness that does this, or with no attack what a witness should."""

    def __init__(self, attack=None, signer=KEYS[0]) -> None:
        self.stopping = threading.Event()
        self.key = VerifierKey("w", COSIGNATURE_V1, signer.public)
        hostile = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                data = self.rfile.read(int(self.headers["content-length"]))
                with suppress(OSError):
                    if attack is not None:
                        attack(self, hostile.stopping)
                        return
                    body = split_note(parse_submission(data).note)[0]
                    line = cosign(body=body, name="w", time_seconds=1_700_000_000, signer=signer).encode()
                    start(self, content_length=str(len(line)))
                    self.wfile.write(line)

            def do_GET(self):
                with suppress(OSError):
                    attack(self, hostile.stopping)

            def log_message(self, *_arguments):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def make_witness(monkeypatch):
    monkeypatch.setattr(witnessing, "_TIMEOUT_SECONDS", 1.0)
    monkeypatch.setattr(gathering, "ANSWERS_SECONDS", 3.0)
    monkeypatch.setattr(head_check, "_TIMEOUT_SECONDS", 1.0)
    make_bomb()  # before anybody counts memory
    made = []

    def make(*how):
        made.append(Hostile(*how))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.mark.parametrize("attack", sorted(set(ATTACKS) - {"drip_in_the_head"}))
def test_no_answer_takes_more_memory_or_time_than_any_answer_may(make_witness, attack):
    hostile = make_witness(ATTACKS[attack])
    client = WitnessClient(hostile.url, hostile.key)
    began = time.monotonic()
    tracemalloc.start()
    with pytest.raises(WitnessRefused) as caught:
        submit(client, HandLog(0), 3)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    client.close()
    assert caught.value.code in ("WITNESS_ANSWERED", "WITNESS_UNREACHABLE")
    assert len(str(caught.value)) < 2_000
    assert peak < 8 * MIB
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("attack", ATTACKS)
def test_beside_one_that_means_ill_the_others_are_gathered(make_witness, tmp_path, attack):
    """Also round after round, and the node can stop."""
    log = HandLog(0)
    honest = [make_witness(None, signer) for signer in KEYS[1:]]
    hostile = make_witness(ATTACKS[attack])
    named = dict(zip("abc", [hostile, *honest], strict=True))
    listed = tuple(Witness(name, each.key, each.url) for name, each in named.items())
    policy = Policy((Log(log.key),), listed, (Group("two", 2, ("a", "b", "c")),), "two")
    core = StillLog(log, 5)
    gatherer = Gatherer(core, OnePolicy(core, policy), tmp_path)
    began = time.monotonic()
    for size in (5, 8, 13):
        core.checkpoint = log.note(size)
        done = gatherer.gather()
        assert done.is_met
        assert len(done.refusals) == 1
        assert verify_checkpoint(policy, (tmp_path / "witnessed.note").read_text()).size == size
    gatherer.stop()
    # Nobody is listened to any more, so the process can end.
    while any(thread.name.startswith("witness") for thread in threading.enumerate()):
        assert time.monotonic() - began < 60
        time.sleep(0.05)


@pytest.mark.parametrize("attack", sorted(set(ATTACKS) - {"drip_in_the_head"}))
def test_a_node_starts_whatever_a_witness_shows_it(make_witness, tmp_path, attack):
    """What is no checkpoint of the witness's says nothing."""
    log = HandLog(0)
    hostile = make_witness(ATTACKS[attack])
    policy = Policy((Log(log.key),), (Witness("a", hostile.key, hostile.url),), (), "a")
    began = time.monotonic()
    tracemalloc.start()
    HeadCheck(log.origin, policy, tmp_path)(5, lambda size: log.tree(size).root())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 * MIB
    assert time.monotonic() - began < 30
