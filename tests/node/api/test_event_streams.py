"""Streams: what concerns the asker comes as it happens, without a gap or a repeat, whatever is cut."""

from __future__ import annotations

import contextlib
import threading
import time

import httpx2
import msgspec
import pytest

from contracts.messages import Enrol, RevokeKey
from ledger.keys import key_id
from node.access import parse_role
from node.api import events, streams
from tests.contracts.cast import FRESH, PETROL, make_signer, member_id
from tests.node.api.desk import code_of
from tests.node.api.streaming import Client, Served, list_visible


@pytest.fixture
def served(tmp_path):
    served = Served(tmp_path)
    yield served
    served.close()


def test_a_stream_begins_where_it_is_told_and_goes_on_with_the_next_block(served):
    desk = served.desk
    desk.trade()
    expected = list_visible(desk, f"participant:{PETROL}")
    client = served.open(f"participant:{PETROL}")
    assert client.answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert client.answer.headers["cache-control"] == "no-store"
    first = client.next()
    assert (first.event, int(first.id)) == ("grant", expected[0])
    row = msgspec.json.decode(first.data)
    assert row["entry"]["message"]["@type"] == "grant"
    assert [row["index"], *(row["index"] for row in client.take(len(expected) - 1))] == expected
    # What happens now is pushed at once, and what is not petrol's never comes.
    desk.must(FRESH, Enrol(member=member_id(77)))
    began = time.monotonic()
    taken = desk.must(PETROL, Enrol(member=member_id(78)))
    event = client.next()
    assert (event.event, int(event.id)) == ("enrol", taken.index + 1)
    assert time.monotonic() - began < 2


def test_a_stream_that_is_cut_anywhere_goes_on_without_a_gap_or_a_repeat(served):
    desk = served.desk
    desk.trade()
    role = f"participant:{FRESH}"
    expected, found, last = list_visible(desk, role), [], "0"
    while len(found) < len(expected):
        client = served.open(role, "/v1/events?after=0", **{"last-event-id": last})
        found += [row["index"] for row in client.take(min(2, len(expected) - len(found)))]
        last = client.last_id
        client.close()
    assert found == expected


def test_streams_that_come_and_go_while_blocks_are_made_miss_nothing(served):
    desk = served.desk
    desk.trade()
    start = desk.core.head.size - 1
    stop = threading.Event()
    numbers = iter(range(100, 100_000))

    def trade():
        while not stop.is_set():
            desk.must(FRESH, *[Enrol(member=member_id(next(numbers))) for _ in range(3)])

    thread = threading.Thread(target=trade)
    thread.start()
    try:
        found, last = [], str(start)
        for _ in range(12):
            client = served.open(f"participant:{FRESH}", **{"last-event-id": last})
            found += [row["index"] for row in client.take(5)]
            last = client.last_id
            client.close()
    finally:
        stop.set()
        thread.join()
    mine = [index for index in list_visible(desk, f"participant:{FRESH}") if start < index <= found[-1]]
    assert found == mine


def test_a_quiet_stream_is_kept_alive_and_moves_its_cursor(served, monkeypatch):
    monkeypatch.setattr(events, "KEEP_ALIVE_SECONDS", 0.2)
    desk = served.desk
    desk.trade()
    client = served.open("participant:not-admitted")
    event = client.next()
    assert (event.comment, event.data, event.event) == (True, "", "")
    assert int(event.id) == desk.core.head.size - 1
    desk.must(FRESH, Enrol(member=member_id(77)))
    for _ in range(3):
        event = client.next()
    assert int(event.id) == desk.core.head.size - 1


def test_a_token_that_expires_ends_its_stream(served, monkeypatch):
    monkeypatch.setattr(events, "KEEP_ALIVE_SECONDS", 0.1)
    desk = served.desk
    client = served.open(f"participant:{FRESH}", f"/v1/events?after={desk.core.head.size - 1}")
    assert client.next().comment
    desk.clock.at += 3_600_001
    event = client.next()
    while event.comment:
        event = client.next()
    assert (event.event, event.data, event.id) == ("end", '{"code":"TOKEN_INVALID"}', None)
    with pytest.raises(EOFError):
        client.next()


def test_a_key_that_is_revoked_ends_the_stream_before_anything_more_is_shown(served):
    desk = served.desk
    desk.trade()
    key = key_id(make_signer(FRESH, "transact").public)
    token = desk.tokens.issue(parse_role(f"participant:{FRESH}"), seconds=900, key=key)[0]
    client = Client(
        served.url,
        {"authorization": f"Bearer {token}"},
        f"/v1/events?after={desk.core.head.size - 1}",
    )
    served.clients.append(client)
    desk.must(FRESH, Enrol(member=member_id(77)))
    assert client.next().event == "enrol"
    desk.must(FRESH, RevokeKey(key=key))
    desk.must(FRESH, Enrol(member=member_id(78)))
    event = client.next()
    assert (event.event, event.data) == ("end", '{"code":"TOKEN_INVALID"}')


def test_streams_are_bounded_for_each_asker_and_in_all(served, monkeypatch):
    monkeypatch.setattr(streams, "STREAMS_PER_ASKER_MAX", 2)
    monkeypatch.setattr(streams, "STREAMS_MAX", 3)
    role = f"participant:{FRESH}"
    first, second = served.open(role), served.open(role)
    assert {first.answer.status_code, second.answer.status_code} == {200}
    full = served.open(role)
    assert (full.answer.status_code, full.answer.headers["retry-after"]) == (429, "1")
    full.answer.read()
    assert code_of(full.answer) == "BUSY"
    assert served.open(f"participant:{PETROL}").answer.status_code == 200
    assert served.open("auditor").answer.status_code == 429
    # Who leaves makes room.
    first.close()
    for _ in range(100):
        again = served.open("auditor")
        if again.answer.status_code == 200:
            return
        time.sleep(0.05)
    pytest.fail("a closed stream keeps its place")


def test_a_reader_that_takes_nothing_is_let_go_and_holds_no_more_than_a_step(served, monkeypatch):
    monkeypatch.setattr(events, "SEND_SECONDS", 0.5)
    desk = served.desk
    desk.trade()
    client = served.open("auditor", f"/v1/events?after={desk.core.head.size - 1}")
    open_streams = desk.app._api.state.site.streams
    assert open_streams._open.total() == 1
    number = iter(range(100, 10**6))
    # More than the sockets between the two hold.
    for _ in range(20):
        desk.must(FRESH, *[Enrol(member=member_id(next(number))) for _ in range(2_000)])
    for _ in range(200):
        if open_streams._open.total() == 0:
            break
        time.sleep(0.05)
    assert open_streams._open.total() == 0
    # It reads what was on its way, and goes on from there.
    last = int(client.last_id or 0)
    with contextlib.suppress(EOFError, httpx2.HTTPError):
        while True:
            last = client.take(1)[0]["index"]
    assert last < desk.core.head.size - 2
    again = served.open("auditor", **{"last-event-id": str(last)})
    assert again.take(1)[0]["index"] in (last + 1, last + 2, last + 3)


def test_a_node_that_stops_ends_its_streams_at_once(served):
    clients = [served.open(f"participant:{FRESH}") for _ in range(3)]
    assert served.stop() < 3
    for client in clients:
        event = client.next()
        assert (event.event, event.data) == ("end", '{"code":"STOPPING"}')
