"""What a node delivers is believed for its signature, proven by its receipt, and worked on once."""

from __future__ import annotations

import threading
import time
from email.message import Message

import msgspec
import pytest
from flask import Flask, request
from werkzeug import datastructures as werkzeug

from merchant_sdk import ConfigurationError, Unverified, WebhookError, Webhooks
from merchant_sdk.webhooks import sign_delivery
from node.access import Role
from node.api.entries import Found, encode_receipt
from node.feed import Feed
from node.sandbox import sandbox
from node.webhooks.courier import encode_delivery

SECRET = "whsec_" + "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0ISEhISE="
OLD_SECRET = "whsec_" + "b2xkIG9sZCBvbGQgb2xkIG9sZCBvbGQgb2xkIG9sZCE="


@pytest.fixture(scope="module")
def delivered():
    """What the real node would deliver of an earning and of a spending at petrol, and the policy."""
    with sandbox(merchants=("fresh", "petrol")) as alliance:
        fresh, petrol = alliance.merchant("fresh"), alliance.merchant("petrol")
        wallet = alliance.wallet()
        fresh.enrol(wallet)
        fresh.earn(wallet.member, "45.60", "A-1")
        petrol.redeem(wallet.points_code("fresh", 40, "petrol"), 30, "P-7")
        step = Feed(alliance.core).read(Role("participant", "fresh"), after=0)
        bodies = []
        for item in step.items[-2:]:
            checkpoint, proof = alliance.core.prove_entry(item.index)
            found = Found(item.index, item.leaf, item.transaction, item.concerned)
            bodies.append(encode_delivery(item, encode_receipt(found, checkpoint=checkpoint, proof=proof)))
        return bodies, fresh.policy()


@pytest.fixture
def hooks(delivered, tmp_path):
    hooks = Webhooks(SECRET, policy=delivered[1], remember=tmp_path / "webhooks.db")
    yield hooks
    hooks.close()


def sign(body, **options):
    return sign_delivery(options.pop("secret", SECRET), body, **{"delivery_id": "wh_1_7", **options})


def test_a_delivery_becomes_a_typed_event_with_a_verified_receipt(hooks, delivered):
    (earned, spent), policy = delivered
    event = hooks.receive(earned, sign(earned))
    assert (event.id, event.kind, event.code, event.message["reference"]) == ("wh_1_7", "earn", "OK", "A-1")
    assert (event.receipt.index, event.receipt.time, event.receipt.sender) == (
        event.index,
        event.time,
        "fresh",
    )
    assert event.outcome.points == 45
    event = hooks.receive(spent, sign(spent))
    assert (event.outcome.legs[0].source, event.outcome.legs[0].destination) == ("fresh", "petrol")
    assert event.receipt.verify(policy).message.reference == "P-7"
    # Without a policy it is the node's word, and says so.
    unproven = Webhooks(SECRET).receive(spent, sign(spent))
    assert (unproven.receipt, unproven.sender) == (None, None)


def test_an_event_says_who_sent_it_whoever_chose_the_number(hooks, delivered):
    """Petrol's own order of fresh's points may have any number, one of fresh's too."""
    earned, spent = delivered[0]
    assert hooks.receive(earned, sign(earned)).sender == "fresh"
    event = hooks.receive(spent, sign(spent))
    assert (event.sender, event.message["reference"], event.points) == ("petrol", "P-7", 30)


def test_headers_are_taken_as_frameworks_have_them(hooks, delivered):
    body = delivered[0][0]
    signed = sign(body)
    message = Message()
    for name, value in signed.items():
        message[name] = value
    for headers in (signed, werkzeug.Headers(list(signed.items())), message):
        assert hooks.receive(body, headers).kind == "earn"


def test_header_names_are_read_in_any_case_and_old_secrets_still_count(delivered):
    body = delivered[0][0]
    hooks = Webhooks([SECRET, OLD_SECRET])
    loud = {name.title(): value for name, value in sign(body, secret=OLD_SECRET).items()}
    assert hooks.receive(body, loud).kind == "earn"
    both = sign(body)
    both["webhook-signature"] = "v2,AAAA " + sign(body, secret=OLD_SECRET)["webhook-signature"]
    assert hooks.receive(body, both).kind == "earn"


def without(name):
    return lambda body, headers: (body, {key: value for key, value in headers.items() if key != name})


def with_header(name, value):
    return lambda body, headers: (body, {**headers, name: value})


@pytest.mark.parametrize(
    "edit",
    [
        lambda body, headers: (body.replace(b"A-1", b"A-2"), headers),
        lambda body, headers: (body + b" ", headers),
        lambda body, headers: (b"\xff" + body, headers),
        lambda body, _: (body, sign(body, secret=OLD_SECRET)),
        lambda body, _: (body, sign(body, seconds=int(time.time()) - 301)),
        lambda body, _: (body, sign(body, seconds=int(time.time()) + 302)),
        lambda body, headers: (body, {**headers, "webhook-id": "wh_1_8"}),
        without("webhook-id"),
        without("webhook-signature"),
        without("webhook-timestamp"),
        with_header("webhook-signature", "v1"),
        with_header("webhook-signature", "v1,a"),
        with_header("webhook-signature", "v1,ä"),
        with_header("webhook-signature", "v1,a,b"),
        with_header("webhook-timestamp", "nan"),
        with_header("webhook-timestamp", "1e400"),
        with_header("webhook-timestamp", "yesterday"),
    ],
)
def test_what_the_secret_did_not_sign_now_is_refused(hooks, delivered, edit):
    body = delivered[0][0]
    with pytest.raises(WebhookError) as caught:
        hooks.receive(*edit(body, sign(body)))
    assert (caught.value.code, caught.value.status) == ("WEBHOOK_REFUSED", 401)


def test_a_signed_body_of_another_shape_is_malformed(hooks):
    for body in (b"{}", b"[]", b"nothing", b'{"entry":{},"height":1,"index":1,"time":1}', b"[" * 10_000):
        with pytest.raises(WebhookError) as caught:
            hooks.receive(body, sign(body))
        assert (caught.value.code, caught.value.status) == ("WEBHOOK_MALFORMED", 400)
    with pytest.raises(WebhookError, match="larger"):
        hooks.receive(b" " * (2**21 + 1), {})


def test_a_node_that_tells_something_else_than_it_can_prove_is_found_out(hooks, delivered):
    """It knows the secret, so it can sign what it likes; a receipt it can only have."""
    earned, spent = (msgspec.json.decode(body) for body in delivered[0])
    lies = [
        {**earned, "receipt": spent["receipt"]},
        {**earned, "index": earned["index"] + 1},
        {**earned, "time": earned["time"] + 1},
        {**earned, "height": earned["height"] + 1},
        {**earned, "entry": spent["entry"]},
        {**earned, "entry": {**earned["entry"], "message": {**earned["entry"]["message"], "amount": 1}}},
        {**earned, "receipt": {**earned["receipt"], "proof": spent["receipt"]["proof"]}},
        {key: value for key, value in earned.items() if key != "receipt"},
    ]
    assert hooks.receive(delivered[0][0], sign(delivered[0][0]))
    for lie in lies:
        body = msgspec.json.encode(lie)
        with pytest.raises(Unverified):
            hooks.receive(body, sign(body))


def test_a_delivery_is_worked_on_once(hooks, delivered, tmp_path):
    body = delivered[0][0]
    event = hooks.receive(body, sign(body))
    with pytest.raises(ZeroDivisionError), hooks.once(event) as is_new:
        _ = 1 // (not is_new)
    # The work was not done, so it comes again.
    with hooks.once(event) as is_new:
        assert is_new
        # Meanwhile another process of the shop gets it too, and has the node come back later.
        with (
            pytest.raises(WebhookError) as caught,
            Webhooks(SECRET, remember=tmp_path / "webhooks.db").once(event),
        ):
            pytest.fail("taken twice")
        assert (caught.value.code, caught.value.status) == ("WEBHOOK_BUSY", 503)
    for again in (hooks, Webhooks(SECRET, remember=tmp_path / "webhooks.db")):
        with again.once(event) as is_new:
            assert not is_new
    other = hooks.receive(body, sign(body, delivery_id="wh_2_7"))
    with hooks.once(other) as is_new:
        assert is_new


def test_what_a_dead_process_had_in_hand_is_taken_up_after_a_minute(hooks, delivered, monkeypatch):
    body = delivered[0][0]
    event = hooks.receive(body, sign(body))
    hooks._claim(event.id)
    with pytest.raises(WebhookError, match="WEBHOOK_BUSY"):
        hooks._claim(event.id)
    later = time.time_ns() + 61 * 10**9
    monkeypatch.setattr("merchant_sdk.webhooks.time.time_ns", lambda: later)
    assert hooks._claim(event.id)


def test_many_deliveries_at_once_are_worked_on_once(hooks, delivered):
    body = delivered[0][0]
    event = hooks.receive(body, sign(body))
    begin, worked, busy = threading.Barrier(8), [], []

    def deliver():
        begin.wait()
        try:
            with hooks.once(event) as is_new:
                if is_new:
                    worked.append(1)
        except WebhookError:
            busy.append(1)

    threads = [threading.Thread(target=deliver) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worked == [1]


def test_a_flask_shop_receives_it(hooks, delivered):
    app, seen = Flask(__name__), []

    @app.post("/points")
    def receive():
        try:
            event = hooks.receive(request.get_data(), request.headers)
            with hooks.once(event) as is_new:
                if is_new:
                    seen.append(event.message["reference"])
        except WebhookError as error:
            return "", error.status
        return "", 204

    shop, body = app.test_client(), delivered[0][1]
    for _ in range(2):
        assert shop.post("/points", data=body, headers=sign(body)).status_code == 204
    assert shop.post("/points", data=body + b"\n", headers=sign(body)).status_code == 401
    assert seen == ["P-7"]


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_a", [], ["whsec_"]])
def test_a_secret_that_is_none_is_said_to_be_none(secret):
    with pytest.raises(ConfigurationError):
        Webhooks(secret)
