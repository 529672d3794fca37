"""A long export: read while it is sent, few at once, and never by half without anybody noticing."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import tracemalloc
from contextlib import suppress

import httpx2
import pytest
import uvicorn

from contracts.messages import Enrol
from node.access import parse_role
from node.api import export
from node.api.entry_rows import COLUMNS, EntryScan
from node.api.server import make_server_config
from node.api.view import View
from tests.contracts.cast import (
    CLARA,
    FRESH,
    PETROL,
    member_id,
)
from tests.node.api.desk import Desk, code_of
from tests.node.api.test_export import ENTRIES, read_rows


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    """A desk with some ten thousand entries, served on a port of this machine."""
    desk = Desk(tmp_path_factory.mktemp("grown"))
    desk.trade()
    for number in range(3):
        earns = [desk.town.earn(10_000 * number + each, points=2) for each in range(100, 3_400)]
        desk.must(FRESH, *earns)
    server = uvicorn.Server(make_server_config(desk.app))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # What is sent and not taken stays with the server, and not in the kernel's megabytes.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8_192)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield desk, listener.getsockname()[1]
        server.should_exit = True
        thread.join(30)
    desk.close()
    assert not thread.is_alive()


def test_memory_does_not_grow_with_the_log(grown):
    desk, _ = grown
    view = View(desk.app._api.state.site.core)

    def measure(end: int) -> int:
        scan = EntryScan(view, parse_role(f"participant:{PETROL}"), first=0, end=end, limit=None)
        tracemalloc.start()
        while scan.read_some() is not None:
            pass
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    measure(600)
    # Others' threads are measured along with it: what one of three runs did without was not its own.
    few = measure(1_200)
    many = min(measure(5_000) for _ in range(3))
    assert view.head.size > 5_000
    assert many < few * 2, (few, many)


def test_a_long_export_comes_whole_over_a_real_line(grown):
    desk, port = grown
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        answer = client.get(ENTRIES, headers=desk.asks(f"participant:{FRESH}"))
    assert "content-length" not in answer.headers
    rows = read_rows(answer.text)
    assert tuple(rows[0]) == COLUMNS
    assert sum(row["kind"] == "earn" and row["points"] == "2" for row in rows) == 9_900
    assert len({row["reference"] for row in rows if row["kind"] == "earn"}) > 9_900


def ask_and_take_nothing(desk, port, role="auditor"):
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    line.connect(("127.0.0.1", port))
    asks = f"Host: 127.0.0.1\r\nAuthorization: Bearer {desk.token(role)}"
    line.sendall(f"GET {ENTRIES} HTTP/1.1\r\n{asks}\r\n\r\n".encode())
    assert line.recv(15) == b"HTTP/1.1 200 OK"
    return line


def until(condition) -> None:
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise TimeoutError


def test_few_run_at_once_and_fewer_of_one_asker(grown):
    desk, port = grown
    under_way = desk.app._api.state.site.long_reads._under_way
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        lines = [ask_and_take_nothing(desk, port) for _ in range(2)]
        answer = client.get(ENTRIES, headers=desk.asks("auditor"))
        assert (answer.status_code, code_of(answer), answer.headers["retry-after"]) == (429, "BUSY", "1")
        # Nobody else is in their way: neither an export nor anything else.
        asks = desk.asks(f"participant:{PETROL}")
        assert client.get(ENTRIES, headers=asks).status_code == 200
        assert client.get("/v1/export/positions.csv", headers=desk.asks("auditor")).status_code == 200
        desk.must(FRESH, Enrol(member=member_id(90_001)))
        # Who hangs up has made room at once.
        for line in lines:
            line.close()
        until(lambda: not under_way)
        assert client.get(ENTRIES, headers=desk.asks("auditor")).status_code == 200


def test_who_does_not_take_what_was_sent_is_let_go(grown, monkeypatch):
    desk, port = grown
    monkeypatch.setattr(export, "TAKE_SECONDS", 0.3)
    under_way = desk.app._api.state.site.long_reads._under_way
    with ask_and_take_nothing(desk, port) as line:
        assert under_way == {"auditor": 1}
        until(lambda: not under_way)
        rest = b""
        with suppress(ConnectionError):
            while piece := line.recv(65_536):
                rest += piece
        assert not rest.endswith(b"0\r\n\r\n"), "it is seen to be cut short"


def test_a_node_that_stops_ends_an_export(grown, monkeypatch):
    desk, port = grown
    under_way = desk.app._api.state.site.long_reads._under_way
    monkeypatch.setattr(type(desk.core), "is_ready", property(lambda _: False))
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        with pytest.raises(httpx2.RemoteProtocolError):
            client.get(ENTRIES, headers=desk.asks("auditor"))
        until(lambda: not under_way)
        assert client.get("/healthz").status_code == 200


async def test_the_same_in_process_nobody_left_behind(traded):
    desk, _ = traded
    async with desk.client() as client:
        answers = await asyncio.gather(
            *[client.get(ENTRIES, headers=desk.asks(f"member:{CLARA}")) for _ in range(3)],
            *[client.get(ENTRIES, headers=desk.asks("auditor")) for _ in range(2)],
        )
    assert [answer.status_code for answer in answers] == [404] * 3 + [200] * 2
    assert not desk.app._api.state.site.long_reads._under_way
