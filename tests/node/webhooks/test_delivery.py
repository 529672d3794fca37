"""Delivery: every entry that concerns the participant, in order, signed, until it is taken."""

from __future__ import annotations

import socket
import threading
import time

import msgspec
import pytest
from standardwebhooks import WebhookVerificationError

from contracts.messages import Enrol
from ledger.log.policy import parse_policy
from ledger.receipt import read_receipt, verify_receipt
from node.webhooks import sender
from node.webhooks.schedule import WAITS_MILLIS, compute_wait
from tests.contracts.cast import FRESH, PETROL, PHARMACY, member_id
from tests.node.webhooks.receiver import Answer, verify


def test_everything_that_concerns_a_participant_arrives_in_order_and_nothing_else(post, receive):
    webhooks, receiver = post.open(), receive()
    post.desk.trade()
    expected = post.list_visible(f"participant:{PETROL}")
    endpoint = webhooks.register(PETROL, url=receiver.url, after=0)
    deliveries = receiver.wait(len(expected))
    assert receiver.stays_at(len(expected))
    assert receiver.places == expected
    policy = parse_policy(post.desk.core.policy.encode())
    for delivery in deliveries:
        row = verify(delivery, endpoint.secret)
        assert delivery.path == "/hook?shop=7"
        assert delivery.headers["host"] == f"127.0.0.1:{receiver.port}"
        assert delivery.headers["content-type"] == "application/json"
        assert delivery.headers["webhook-id"] == f"{endpoint.id}_{row['index']}"
        # The receipt inside proves by itself where the entry comes from.
        receipt = read_receipt(msgspec.json.encode(row.pop("receipt"), order="sorted"))
        assert verify_receipt(receipt, policy).leaf_index == row["index"]
        assert msgspec.json.decode(receipt.entry) == row["entry"]
        assert set(row) == {"entry", "height", "index", "time"}
    # What happens now comes at once; what is not petrol's does not come.
    post.desk.must(PHARMACY, Enrol(member=member_id(76)))
    taken = post.desk.must(PETROL, Enrol(member=member_id(77)))
    began = time.monotonic()
    assert receiver.wait(len(expected) + 1)[-1].place == taken.index + 1
    assert time.monotonic() - began < 2


def test_an_endpoint_hears_from_now_on_and_of_the_messages_it_named(post, receive):
    webhooks, receiver = post.open(), receive()
    post.desk.trade()
    webhooks.register(FRESH, url=receiver.url, types=["earn"])
    post.desk.must(FRESH, Enrol(member=member_id(77)))
    taken = post.desk.must(FRESH, post.desk.town.earn(700), post.desk.town.redeem(700, points=1))
    assert receiver.wait(1)[0].place == taken.index + 1
    assert receiver.stays_at(1)


#   what somebody on the way changes
TAMPERED = [
    lambda delivery: delivery._replace(body=delivery.body.replace(b'"index":', b'"index": ')),
    lambda delivery: delivery._replace(body=delivery.body[:-1] + b" }"),
    lambda delivery: delivery._replace(headers={**delivery.headers, "webhook-id": "wh_other_1"}),
    lambda delivery: delivery._replace(
        headers={**delivery.headers, "webhook-timestamp": str(int(delivery.headers["webhook-timestamp"]) - 1)}
    ),
    lambda delivery: delivery._replace(
        headers={**delivery.headers, "webhook-timestamp": str(int(time.time()) - 301)}
    ),
    lambda delivery: delivery._replace(headers={**delivery.headers, "webhook-signature": "v1,AAAA"}),
    lambda delivery: delivery._replace(
        headers={name: value for name, value in delivery.headers.items() if name != "webhook-signature"}
    ),
]


def test_a_merchant_tells_what_is_not_ours_from_what_is(post, receive):
    webhooks, receiver = post.open(), receive()
    one = webhooks.register(FRESH, url=receiver.url)
    other = webhooks.register(FRESH, url=receiver.url, types=["admit"])
    post.desk.must(FRESH, Enrol(member=member_id(77)))
    (delivery,) = receiver.wait(1)
    assert verify(delivery, one.secret)["entry"]["message"]["member"] == member_id(77)
    assert one.secret != other.secret
    with pytest.raises(WebhookVerificationError):
        verify(delivery, other.secret)
    for change in TAMPERED:
        with pytest.raises(WebhookVerificationError):
            verify(change(delivery), one.secret)


def test_what_is_not_taken_is_tried_again_and_nothing_overtakes_it(post, receive):
    webhooks = post.open()
    statuses = [500, 302, 404, 429, 200, 503, 204]

    def script(count, _delivery):
        status = statuses[count] if count < len(statuses) else 200
        return Answer(status, headers=(("location", "http://127.0.0.1:9/"),) if status == 302 else ())

    receiver = receive(script)
    endpoint = webhooks.register(FRESH, url=receiver.url)
    first = post.desk.must(FRESH, Enrol(member=member_id(71)), Enrol(member=member_id(72)))
    receiver.wait(7)
    assert receiver.places == [first.index + 1] * 5 + [first.index + 2] * 2
    ids = [delivery.headers["webhook-id"] for delivery in receiver.deliveries]
    assert len(set(ids)) == 2
    for delivery in receiver.deliveries:
        verify(delivery, endpoint.secret)
    assert [failure.reason for failure in webhooks.store.list_failures(endpoint.id)] == [
        "HTTP_503",
        "HTTP_429",
        "HTTP_404",
        "HTTP_302",
        "HTTP_500",
    ]
    assert [failure.attempt for failure in webhooks.store.list_failures(endpoint.id)] == [1, 4, 3, 2, 1]
    post.wait_for_cursor(endpoint, first.index + 2)
    found = webhooks.store.find(endpoint.id)
    assert (found.attempts, found.next_at, found.state) == (0, 0, "enabled")
    assert found.delivered_at > 0


def test_an_endpoint_that_is_gone_is_asked_no_more(post, receive):
    webhooks, receiver = post.open(), receive(lambda _count, _delivery: Answer(410))
    endpoint = webhooks.register(FRESH, url=receiver.url)
    taken = post.desk.must(FRESH, Enrol(member=member_id(77)))
    found = post.wait_for_state(endpoint.id, "disabled")
    assert (found.reason, found.cursor) == ("GONE", taken.index - 1)
    post.desk.must(FRESH, Enrol(member=member_id(78)))
    assert receiver.stays_at(1)
    # Once it is back, nothing was lost.
    receiver.script = lambda _count, _delivery: Answer()
    webhooks.restart(endpoint.id)
    receiver.wait(3)
    assert receiver.places == [taken.index + 1, taken.index + 1, taken.index + 4]


def test_an_endpoint_that_never_takes_anything_is_disabled_after_the_last_attempt(post, receive):
    webhooks = post.open(wait=lambda attempt, _seconds: 10 if attempt < 5 else None)
    receiver = receive(lambda _count, _delivery: Answer(500))
    endpoint = webhooks.register(FRESH, url=receiver.url)
    post.desk.must(FRESH, Enrol(member=member_id(77)))
    found = post.wait_for_state(endpoint.id, "disabled")
    assert (found.reason, found.attempts, len(receiver.deliveries)) == ("RETRIES_EXHAUSTED", 5, 5)
    assert receiver.stays_at(5)


def test_the_waits_grow_to_about_three_days_and_are_never_quite_the_same():
    for attempt, wait in enumerate(WAITS_MILLIS, start=1):
        drawn = {compute_wait(attempt) for _ in range(200)}
        assert len(drawn) > 50
        assert wait * 4 // 5 <= min(drawn) <= max(drawn) <= wait * 6 // 5
    assert list(WAITS_MILLIS) == sorted(WAITS_MILLIS)
    assert 71 * 3_600_000 < sum(WAITS_MILLIS) < 73 * 3_600_000
    assert compute_wait(len(WAITS_MILLIS) + 1) is None
    assert compute_wait(1, retry_after_seconds=3_600) == 3_600_000


def test_who_answers_with_retry_after_is_heard(post, receive):
    heard = []
    webhooks = post.open(wait=lambda attempt, seconds: heard.append((attempt, seconds)) or 10)
    answers = {0: "7", 1: "soon", 2: "999999999"}
    receiver = receive(
        lambda count, _delivery: (
            Answer(503, headers=(("retry-after", answers[count]),)) if count in answers else Answer()
        )
    )
    webhooks.register(FRESH, url=receiver.url)
    post.desk.must(FRESH, Enrol(member=member_id(77)))
    receiver.wait(4)
    assert heard == [(1, 7), (2, 0), (3, 86_400)]


def test_a_wait_outlives_the_node(post, receive):
    webhooks = post.open(wait=lambda _attempt, _seconds: 1_500)
    receiver = receive(lambda count, _delivery: Answer(500 if count == 0 else 200))
    webhooks.register(FRESH, url=receiver.url)
    post.desk.must(FRESH, Enrol(member=member_id(77)))
    receiver.wait(1)
    time.sleep(0.2)
    began = time.monotonic()
    post.stop()
    assert time.monotonic() - began < 2, "a wait holds up the stop"
    post.open()
    assert receiver.stays_at(1, 0.5), "it was tried before its time"
    receiver.wait(2)


def test_a_dead_endpoint_delays_no_other(post, receive, monkeypatch):
    monkeypatch.setattr(sender, "READ_SECONDS", 30.0)
    monkeypatch.setattr(sender, "TOTAL_SECONDS", 30.0)
    webhooks, receiver = post.open(), receive()
    let_go = threading.Event()
    hanging = receive(lambda _count, _delivery: Answer() if let_go.wait(30) else Answer(500))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        refusing = f"http://127.0.0.1:{unused.getsockname()[1]}/"
    dead = [webhooks.register(FRESH, url=url) for url in (hanging.url, refusing, "http://no.such.invalid/")]
    alive = webhooks.register(FRESH, url=receiver.url)
    try:
        taken = [post.desk.must(FRESH, Enrol(member=member_id(number))) for number in range(60, 70)]
        began = time.monotonic()
        receiver.wait(10)
        assert receiver.places == [each.index + 1 for each in taken]
        assert time.monotonic() - began < 5
        hanging.wait(1)
        assert len(hanging.deliveries) == 1
        reasons = {failure.reason for each in dead[1:] for failure in webhooks.store.list_failures(each.id)}
        assert reasons == {"CONNECT_FAILED", "NO_PUBLIC_ADDRESS"}
        post.wait_for_cursor(alive, taken[-1].index + 1)
    finally:
        let_go.set()


def test_an_answer_that_never_ends_is_cut_short(post, receive, monkeypatch):
    monkeypatch.setattr(sender, "READ_SECONDS", 0.3)
    monkeypatch.setattr(sender, "TOTAL_SECONDS", 1.0)
    webhooks = post.open()
    # A length that is promised and never sent, and one that is sent to the last byte.
    answers = [
        Answer(200, headers=(("content-length", "1000"),), body=b"x"),
        Answer(200, body=b"x" * 50_000_000),
        Answer(200, body=b"short"),
    ]
    receiver = receive(lambda count, _delivery: answers[min(count, 2)])
    endpoint = webhooks.register(FRESH, url=receiver.url)
    first = post.desk.must(FRESH, Enrol(member=member_id(71)))
    receiver.wait(2)
    second = post.desk.must(FRESH, Enrol(member=member_id(72)))
    receiver.wait(3)
    assert receiver.places == [first.index + 1, first.index + 1, second.index + 1]
    post.wait_for_cursor(endpoint, second.index + 1)
    assert [each.reason for each in webhooks.store.list_failures(endpoint.id)] == ["TIMEOUT"]
    assert receiver.unread == 1


def test_one_connection_serves_many_deliveries(post, receive):
    webhooks, receiver = post.open(), receive()
    webhooks.register(FRESH, url=receiver.url)
    accepted = []
    take = receiver._server.get_request
    receiver._server.get_request = lambda: accepted.append(take()) or accepted[-1]
    post.desk.must(FRESH, *[Enrol(member=member_id(number)) for number in range(50, 80)])
    receiver.wait(30)
    assert len(accepted) == 1
