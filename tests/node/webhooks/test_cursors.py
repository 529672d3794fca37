"""Cursors: what was taken is behind them for good, whoever stops, starts, sets back or removes."""

from __future__ import annotations

import threading
import time

from contracts.messages import Enrol
from ledger.errors import InvariantBroken
from tests.contracts.cast import FRESH, PHARMACY, member_id
from tests.node.webhooks.receiver import Answer


def test_what_is_set_back_is_delivered_once_more_under_the_same_ids(post, receive):
    webhooks, receiver = post.open(), receive()
    endpoint = webhooks.register(FRESH, url=receiver.url)
    taken = post.desk.must(FRESH, *[Enrol(member=member_id(number)) for number in range(60, 65)])
    receiver.wait(5)
    webhooks.restart(endpoint.id, after=taken.index + 2)
    deliveries = receiver.wait(8)
    assert receiver.places[5:] == [taken.index + 3, taken.index + 4, taken.index + 5]
    ids = [delivery.headers["webhook-id"] for delivery in deliveries]
    assert ids[5:] == ids[2:5]
    assert receiver.stays_at(8)


def test_a_cursor_set_back_while_a_delivery_is_under_way_stays_set_back(post, receive):
    webhooks = post.open()
    arrived, let_go = threading.Event(), threading.Event()

    def script(count, _delivery):
        if count == 2:
            arrived.set()
            let_go.wait(20)
        return Answer()

    receiver = receive(script)
    endpoint = webhooks.register(FRESH, url=receiver.url)
    taken = post.desk.must(FRESH, *[Enrol(member=member_id(number)) for number in range(60, 64)])
    assert arrived.wait(20)
    webhooks.restart(endpoint.id, after=taken.index)
    try:
        receiver.wait(4)
    finally:
        let_go.set()
    receiver.wait(7)
    assert receiver.places == [taken.index + place for place in (1, 2, 3, 1, 2, 3, 4)]


def test_an_endpoint_that_is_removed_hears_no_more_and_is_forgotten(post, receive):
    webhooks, receiver = post.open(), receive()
    endpoint = webhooks.register(FRESH, url=receiver.url)
    post.desk.must(FRESH, Enrol(member=member_id(71)))
    receiver.wait(1)
    webhooks.remove(endpoint.id)
    post.desk.must(FRESH, Enrol(member=member_id(72)))
    assert receiver.stays_at(1)
    assert webhooks.store.find(endpoint.id) is None
    post.stop()
    assert endpoint.secret.encode() not in post.path.read_bytes()


def test_a_node_that_stops_finishes_what_is_under_way_and_repeats_nothing(post, receive):
    webhooks = post.open()
    receiver = receive(lambda _count, _delivery: time.sleep(0.3) or Answer())
    endpoint = webhooks.register(FRESH, url=receiver.url)
    taken = post.desk.must(FRESH, *[Enrol(member=member_id(number)) for number in range(60, 64)])
    receiver.wait(2)
    post.stop()
    count = len(receiver.deliveries)
    webhooks = post.open()
    receiver.wait(4)
    post.wait_for_cursor(endpoint, taken.index + 4)
    assert (receiver.places, count) == ([taken.index + place for place in (1, 2, 3, 4)], 2)


def test_what_was_not_for_the_endpoint_is_not_walked_through_again(post, receive, monkeypatch):
    monkeypatch.setattr("node.webhooks.courier.PASSED_LEAVES_MAX", 10)
    webhooks, receiver = post.open(), receive()
    endpoint = webhooks.register(PHARMACY, url=receiver.url)
    post.desk.must(FRESH, *[Enrol(member=member_id(number)) for number in range(50, 90)])
    post.wait_for_cursor(endpoint, post.desk.core.head.size - 1)
    assert (receiver.deliveries, webhooks.store.find(endpoint.id).delivered_at) == ([], 0)


def test_a_log_that_cannot_be_read_stops_the_node_and_not_by_silence(post, receive, monkeypatch):
    broken = []
    webhooks, receiver = post.open(on_broken=broken.append), receive()

    def fail(*_arguments, **_how):
        raise InvariantBroken("LEAVES_MISSING", index=7)

    monkeypatch.setattr(post.feed, "read", fail)
    webhooks.register(FRESH, url=receiver.url)
    for _ in range(200):
        if broken:
            break
        time.sleep(0.02)
    assert [error.code for error in broken] == ["LEAVES_MISSING"]
    assert receiver.deliveries == []
