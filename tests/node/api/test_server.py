"""On a real socket: bounds on what a connection may cost, and a problem for whatever is not even HTTP."""

from __future__ import annotations

import socket
import threading
import time

import httpx2
import msgspec
import pytest
import uvicorn

from contracts.messages import Enrol
from node.api.server import HEAD_BYTES_MAX, make_server_config
from tests.contracts.cast import FRESH, member_id
from tests.node.api.desk import Desk, code_of


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A desk, served on a port of this machine."""
    desk = Desk(tmp_path_factory.mktemp("served"))
    server = uvicorn.Server(make_server_config(desk.app))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            time.sleep(0.01)
        yield desk, server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(30)
        desk.close()
    assert not thread.is_alive()


def talk(port: int, *parts: bytes, seconds: float = 20.0) -> bytes:
    """What the server says until it closes the connection."""
    said = b""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as line:
        for part in parts:
            line.sendall(part)
        while piece := line.recv(65_536):
            said += piece
    return said


def read_problem(said: bytes) -> tuple[int, str]:
    """Status and code of a problem as it came over the line."""
    head, _, body = said.partition(b"\r\n\r\n")
    assert b"application/problem+json" in head
    problem = msgspec.json.decode(body)
    assert head.startswith(b"HTTP/1.1 %d " % problem["status"])
    return problem["status"], problem["code"]


END = b"\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
#   what is sent, status and code
SENT = [
    (b"GET /v1/\xff\xfe HTTP/1.1" + END, (400, "BAD_REQUEST")),
    (b"GET /v1/\x00 HTTP/1.1" + END, (400, "BAD_REQUEST")),
    (b"HELLO\r\n\r\n", (400, "BAD_REQUEST")),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", (400, "BAD_REQUEST")),
    (b"FOO /v1/chain HTTP/1.1" + END, (400, "BAD_REQUEST")),
    (b"GET /v1/members/%00%ff%zz HTTP/1.1" + END, (404, "NOT_FOUND")),
    (b"OPTIONS * HTTP/1.1" + END, (404, "NOT_FOUND")),
    (b"GET /v1/programs HTTP/1.1\r\nAuthorization: Bearer \xff\xfe" + END, (401, "TOKEN_INVALID")),
    (
        b"POST /v1/transactions HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
        (400, "BAD_REQUEST"),
    ),
    (b"POST /v1/transactions HTTP/1.1\r\nContent-Length: -3\r\n\r\nabc", (400, "BAD_REQUEST")),
    (b"POST /v1/transactions HTTP/1.1\r\nTransfer-Encoding: chunked" + END + b"zz\r\n", (400, "BAD_REQUEST")),
    (b"POST /v1/transactions HTTP/1.1\r\nContent-Length: 9" + END + b"not JSON!", (400, "MALFORMED")),
    (b"GET /v1/chain HTTP/1.1\r\nX: " + b"a" * 3_000_000 + END, (400, "BAD_REQUEST")),
    (b"GET /" + b"a" * 60_000 + b" HTTP/1.1" + END, (400, "BAD_REQUEST")),
    (b"GET /v1/chain HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + END, (400, "BAD_REQUEST")),
]


@pytest.mark.parametrize(("sent", "expected"), SENT, ids=range(len(SENT)))
def test_what_is_hardly_http_gets_a_problem(served, sent, expected):
    # A little at a time, so that the server may answer before everything is out.
    pieces = [sent[start : start + 16_384] for start in range(0, len(sent), 16_384)]
    try:
        said = talk(served[1], *pieces)
    except (ConnectionResetError, BrokenPipeError):
        # It was hung up on while it still sent: the answer may be lost, the bound is not.
        assert len(sent) > HEAD_BYTES_MAX
        return
    assert read_problem(said) == expected


def make_body(size: int, *, is_chunked: bool) -> list[bytes]:
    """A request with a body of so many bytes."""
    if not is_chunked:
        head = b"POST /v1/transactions HTTP/1.1\r\nContent-Length: %d" % size + END
        return [head, *[b" " * 1_000_000] * (size // 1_000_000)]
    head = b"POST /v1/transactions HTTP/1.1\r\nTransfer-Encoding: chunked" + END
    chunk = b"%x\r\n" % 1_000_000 + b" " * 1_000_000 + b"\r\n"
    return [head, *[chunk] * (size // 1_000_000), b"0\r\n\r\n"]


@pytest.mark.parametrize("is_chunked", [False, True], ids=["with a length", "chunked"])
def test_fifty_megabytes_are_refused_and_the_refusal_arrives(served, is_chunked):
    desk, port = served
    head = desk.core.head
    said = talk(port, *make_body(50_000_000, is_chunked=is_chunked))
    assert read_problem(said) == (413, "TOO_LARGE")
    assert desk.core.head == head


def test_a_body_that_never_comes_whole_is_nobodys_wait(served):
    with socket.create_connection(("127.0.0.1", served[1]), timeout=20) as line:
        line.sendall(b"POST /v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        time.sleep(0.1)
        line.shutdown(socket.SHUT_WR)
        assert line.recv(65_536) == b""
    with httpx2.Client(base_url=f"http://127.0.0.1:{served[1]}") as client:
        assert client.get("/healthz").text == "ok\n"


def test_a_head_that_never_ends_in_time_is_let_go(served, monkeypatch):
    monkeypatch.setattr("node.api.server.HEAD_SECONDS", 0.3)
    started = time.monotonic()
    with socket.create_connection(("127.0.0.1", served[1]), timeout=20) as line:
        assert line.recv(65_536) == b""
        assert time.monotonic() - started < 10
    with socket.create_connection(("127.0.0.1", served[1]), timeout=20) as line:
        line.sendall(b"GET /v1/chain HTTP/1.1\r\nX: ")
        assert line.recv(65_536) == b""
    assert time.monotonic() - started < 15


def test_a_body_that_trickles_is_let_go(served, monkeypatch):
    monkeypatch.setattr("node.api.server.BODY_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", served[1]), timeout=20) as line:
        line.sendall(b"POST /v1/transactions HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc")
        assert line.recv(65_536) == b""


def test_one_connection_serves_many_requests(served):
    desk, port = served
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}") as client:
        for number in range(5):
            data = desk.sign(FRESH, Enrol(member=member_id(number)))
            answer = client.post("/v1/transactions", content=data)
            assert answer.json()["outcomes"] == [{"code": "OK"}]
            assert code_of(client.post("/v1/transactions", content=b" " * 3_000_000)) == "TOO_LARGE"
            assert client.get("/v1/chain").json()["size"] == desk.core.head.size
            assert code_of(client.get("/nope")) == "NOT_FOUND"


def test_pipelined_requests_are_answered_in_order(served):
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    last = b"GET /readyz HTTP/1.1" + END
    said = talk(served[1], request * 3 + last)
    assert [part for part in said.split(b"\n") if part in (b"ok", b"ready")] == [b"ok"] * 3 + [b"ready"]
