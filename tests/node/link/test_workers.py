"""Workers come and go; what was acknowledged stays, and the node with it."""

from __future__ import annotations

import asyncio
import http.client
import json
import signal
import stat
import threading
import time

import msgspec
import pytest

from contracts.messages import Earn, Enrol
from node.auditing import audit_data_dir
from node.config import init_data_dir
from node.link.client import LocalClient
from tests.contracts.cast import ANNA, FRESH, OPERATOR, make_participant, member_id
from tests.node.api.race import get_time
from tests.node.link.spawned import Spawned, kill, runs, wait_until

COUNT = 400


@pytest.fixture
def alliance(repository, tmp_path):
    alliance = Spawned(repository, tmp_path / "ledger", workers=2)
    yield alliance
    alliance.node.stop(signal.SIGKILL)


def test_a_node_with_workers_begins_serves_and_stops_cleanly(alliance):
    workers = alliance.list_workers()
    assert len(workers) == 2
    assert stat.S_IMODE(alliance.socket.stat().st_mode) == 0o600
    alliance.begin()
    alliance.earn(5)
    assert alliance.get_balance() == 5
    assert alliance.read("/v1/chain")["height"] == 3
    # What was just told by one is known to the other: each answer may come from either.
    for points in range(6, 26):
        alliance.earn(1)
        assert alliance.get_balance() == points
    status, said = alliance.node.stop()
    assert status == 0, said
    assert said.splitlines()[-1] == "stopped"
    assert not alliance.socket.exists()
    assert not any(map(runs, workers))
    report = audit_data_dir(alliance.directory, policy=None, chain=alliance.chain, progress=lambda *_: None)
    assert (report.is_good, report.unsigned_leaves) == (True, 0)


def test_what_was_acknowledged_outlives_every_worker_that_said_so(alliance):
    alliance.begin()
    transactions = [
        alliance.sign(
            FRESH, "transact", f"load-{number}", Earn(500_000, ANNA, get_time(), "leaf", f"l-{number}")
        )
        for number in range(COUNT)
    ]
    acknowledged: dict[int, int] = {}
    left = list(range(COUNT))
    lock = threading.Lock()

    def send() -> None:
        while True:
            with lock:
                if not left:
                    return
                number = left.pop()
            while number not in acknowledged:
                line = http.client.HTTPConnection(alliance.host, timeout=60)
                try:
                    line.request("POST", "/v1/transactions", body=transactions[number])
                    answer = line.getresponse()
                    body = json.loads(answer.read())
                    assert answer.status == 200, body
                    acknowledged[number] = body["index"]
                except (OSError, http.client.HTTPException):
                    time.sleep(0.01)  # that worker is gone: the same bytes again
                finally:
                    line.close()

    first = alliance.list_workers()
    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for victim in first:
        before = len(acknowledged)
        wait_until(lambda before=before: len(acknowledged) > before + 20 or not left)
        kill(victim, signal.SIGKILL)
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    wait_until(lambda: len(alliance.list_workers()) == 2)
    assert not set(first) & set(alliance.list_workers())
    assert sorted(acknowledged) == list(range(COUNT))
    assert alliance.get_balance() == COUNT
    # Each once, and where it was said to be.
    for number in (0, COUNT // 2, COUNT - 1):
        (row,) = alliance.read(f"/v1/orders/l-{number}?sender={FRESH}")["rows"]
        assert row["index"] == acknowledged[number] + 1
    alliance.check_conserved()
    assert alliance.node.stop()[0] == 0


def test_workers_end_with_a_core_that_is_killed(alliance):
    workers = alliance.list_workers()
    assert alliance.node.stop(signal.SIGKILL)[0] == -signal.SIGKILL
    wait_until(lambda: not any(map(runs, workers)))


def test_a_node_that_was_killed_starts_again_over_its_old_socket(repository, alliance):
    alliance.begin()
    alliance.node.stop(signal.SIGKILL)
    assert alliance.socket.exists()
    again = type(alliance.node)(repository, alliance.directory, "--workers", "1")
    try:
        alliance.host = again.url.removeprefix("http://")
        alliance.earn(3)
        assert alliance.get_balance() == 3
    finally:
        assert again.stop()[0] == 0


def test_a_worker_that_is_told_to_end_ends_and_another_takes_its_place(alliance):
    alliance.begin()
    (victim, other) = alliance.list_workers()
    kill(victim, signal.SIGTERM)
    wait_until(lambda: not runs(victim))
    wait_until(lambda: len(alliance.list_workers()) == 2)
    assert other in alliance.list_workers()
    alliance.earn(1)
    assert alliance.node.stop()[0] == 0


def test_a_folder_whose_path_has_no_room_for_a_socket_is_told(cli, tmp_path):
    directory = tmp_path / ("long" * 30)
    init_data_dir(
        directory, name="deep", operator=OPERATOR, time=get_time(), participants=[make_participant(FRESH)]
    )
    status, _, err = cli("node", "--data", directory, "--port", "0", "--workers", "1")
    assert status == 2
    assert "SOCKET_PATH_TOO_LONG" in err


async def test_the_local_socket_answers_as_http_does(alliance):
    await asyncio.to_thread(alliance.begin)
    data = alliance.sign(FRESH, "custody", "local-1", Enrol(member=member_id(900)))
    async with await LocalClient.open(alliance.socket) as node:
        told = await node.submit(data)
        assert told.status == 200
        assert msgspec.json.decode(told.body)["outcomes"] == [{"code": "OK"}]
        (over_http,) = await asyncio.to_thread(alliance.send_at_once, [data])
        assert over_http.body == msgspec.json.decode(told.body)
        crowd = [
            alliance.sign(FRESH, "custody", f"local-{number}", Enrol(member=member_id(number)))
            for number in range(1_000, 1_300)
        ]
        heard = await asyncio.gather(*[node.submit(each) for each in [*crowd, *crowd]])
        assert {each.status for each in heard} == {200}
        places = [msgspec.json.decode(each.body)["index"] for each in heard]
        assert places[:300] == places[300:]
        assert len(set(places)) == 300
    assert await asyncio.to_thread(alliance.node.stop) is not None
