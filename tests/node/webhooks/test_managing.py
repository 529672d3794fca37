"""Managing endpoints: a participant's own, with a key that may decide such things, and nobody else's."""

from __future__ import annotations

import msgspec
import pytest

from contracts.messages import Enrol
from ledger.keys import key_id
from node.access import parse_role
from node.api import feed_answers as answers
from node.api.app import make_app
from node.webhooks import delivery
from tests.contracts.cast import ANNA, FRESH, PETROL, make_signer, member_id
from tests.node.api.desk import code_of
from tests.node.webhooks.receiver import Answer, verify

URL = "http://127.0.0.1:8000/hook"


@pytest.fixture
def managed(post):
    """A post whose webhooks are managed through the API."""
    webhooks = post.open()
    post.app = make_app(
        post.desk.core,
        tokens=post.desk.tokens,
        clock=post.desk.clock,
        feed=post.feed,
        webhooks=webhooks,
    )
    return post


def client_of(post):
    return post.desk.client(app=post.app)


def asks_with(post, purpose, participant=FRESH):
    """The headers of a participant whose token was given for a key of this purpose."""
    key = key_id(make_signer(participant, purpose).public)
    role = parse_role(f"participant:{participant}")
    return {"authorization": f"Bearer {post.desk.tokens.issue(role, seconds=900, key=key)[0]}"}


async def test_an_endpoint_is_registered_used_looked_at_and_removed(managed, receive):
    receiver, asks = receive(), asks_with(managed, "transact")
    async with client_of(managed) as client:
        made = await client.post("/v1/webhooks", json={"url": receiver.url, "types": ["enrol"]}, headers=asks)
        new = answers.NewWebhook.model_validate_json(made.content, strict=True)
        assert made.headers["cache-control"] == "no-store"
        assert (new.state, new.types, new.failures) == ("enabled", ["enrol"], [])
        assert new.cursor == managed.desk.core.head.size - 1
        managed.desk.must(FRESH, Enrol(member=member_id(77)))
        (delivered,) = receiver.wait(1)
        verify(delivered, new.secret)
        listed = await client.get("/v1/webhooks", headers=asks)
        rows = answers.Webhooks.model_validate_json(listed.content, strict=True).rows
        one = await client.get(f"/v1/webhooks/{new.id}", headers=asks)
        shown = answers.OneWebhook.model_validate_json(one.content, strict=True)
        assert [row.id for row in rows] == [new.id] == [shown.id]
        for answer in (listed, one):
            assert new.secret.encode() not in answer.content
            assert b"secret" not in answer.content
            assert msgspec.json.encode(answer.json(), order="sorted") == answer.content
        removed = await client.delete(f"/v1/webhooks/{new.id}", headers=asks)
        assert answers.RemovedWebhook.model_validate_json(removed.content, strict=True).id == new.id
        assert code_of(await client.get(f"/v1/webhooks/{new.id}", headers=asks)) == "NOT_FOUND"
        assert code_of(await client.delete(f"/v1/webhooks/{new.id}", headers=asks)) == "NOT_FOUND"


async def test_failures_are_shown_and_a_disabled_endpoint_is_set_going_again(managed, receive):
    receiver, asks = receive(lambda _count, _delivery: Answer(410)), asks_with(managed, "govern")
    async with client_of(managed) as client:
        new = (await client.post("/v1/webhooks", json={"url": receiver.url}, headers=asks)).json()
        taken = managed.desk.must(FRESH, Enrol(member=member_id(77)), Enrol(member=member_id(78)))
        managed.wait_for_state(new["id"], "disabled")
        path = f"/v1/webhooks/{new['id']}"
        shown = (await client.get(path, headers=asks)).json()
        (failure,) = shown["failures"]
        assert (shown["state"], shown["reason"]) == ("disabled", "GONE")
        assert (failure["index"], failure["attempt"], failure["reason"]) == (taken.index + 1, 1, "HTTP_410")
        receiver.script = lambda _count, _delivery: Answer()
        again = await client.post(f"{path}/enable", headers=asks)
        assert answers.OneWebhook.model_validate_json(again.content, strict=True).state == "enabled"
        receiver.wait(3)
        again = await client.post(f"{path}/redeliver", json={"after": taken.index + 1}, headers=asks)
        assert answers.OneWebhook.model_validate_json(again.content, strict=True).cursor == taken.index + 1
        receiver.wait(4)
    assert receiver.places == [taken.index + place for place in (1, 1, 2, 2)]


#   who asks, how, what comes of it
@pytest.mark.parametrize(
    ("who", "code"),
    [
        ("transact", None),
        ("govern", None),
        ("printed by the operator", None),
        ("till", "WRONG_PURPOSE"),
        ("custody", "WRONG_PURPOSE"),
        ("nobody", "UNAUTHENTICATED"),
        ("member", "NOT_FOUND"),
        ("auditor", "NOT_FOUND"),
        ("follower", "NOT_FOUND"),
        ("operator", "NOT_FOUND"),
    ],
)
async def test_only_keys_that_may_decide_it_manage_endpoints(managed, who, code):
    asks = {
        "printed by the operator": managed.desk.asks(f"participant:{FRESH}"),
        "nobody": {},
        "member": managed.desk.asks(f"member:{ANNA}"),
        **{role: managed.desk.asks(role) for role in ("auditor", "follower", "operator")},
    }.get(who) or ({} if who == "nobody" else asks_with(managed, who))
    known = managed.webhooks.register(FRESH, url=URL)
    requests = [
        ("POST", "/v1/webhooks", {"url": URL}),
        ("GET", "/v1/webhooks", None),
        ("GET", f"/v1/webhooks/{known.id}", None),
        ("POST", f"/v1/webhooks/{known.id}/enable", None),
        ("POST", f"/v1/webhooks/{known.id}/redeliver", {"after": 0}),
        ("DELETE", f"/v1/webhooks/{known.id}", None),
    ]
    async with client_of(managed) as client:
        for method, path, body in requests:
            answer = await client.request(method, path, json=body, headers=asks)
            if code is None:
                assert answer.status_code == 200, answer.text
            else:
                assert code_of(answer) == code


async def test_what_somebody_else_registered_does_not_exist(managed):
    foreign = managed.webhooks.register(PETROL, url=URL)
    asks = asks_with(managed, "govern")
    async with client_of(managed) as client:
        assert (await client.get("/v1/webhooks", headers=asks)).json()["rows"] == []
        bodies = set()
        for name in (foreign.id, "wh_0000000000000000", "wh_x", "..."):
            for method, path, body in [
                ("GET", f"/v1/webhooks/{name}", None),
                ("DELETE", f"/v1/webhooks/{name}", None),
                ("POST", f"/v1/webhooks/{name}/enable", None),
                ("POST", f"/v1/webhooks/{name}/redeliver", {"after": 0}),
            ]:
                answer = await client.request(method, path, json=body, headers=asks)
                assert code_of(answer) == "NOT_FOUND"
                bodies.add(answer.content)
    assert len(bodies) == 1
    assert managed.webhooks.store.find(foreign.id).revision == 0


#   the body, code, the parameter that is at fault
BODIES = [
    (b"", "MALFORMED", None),
    (b"{}", "MALFORMED", None),
    (b"[]", "MALFORMED", None),
    (b'{"url":7}', "MALFORMED", None),
    (b'{"url":"http://127.0.0.1:8000/","secret":"x"}', "MALFORMED", None),
    (b'{"url":"http://127.0.0.1:8000/","after":-1}', "MALFORMED", None),
    (b'{"url":"http://127.0.0.1:8000/","after":1.5}', "MALFORMED", None),
    (b'{"url":"http://127.0.0.1:8000/","types":[]}', "MALFORMED", None),
    (b'{"url":"' + b"a" * 4_100 + b'"}', "TOO_LARGE", None),
    (b'{"url":"http://127.0.0.1:8000/","types":["no_such"]}', "BAD_REQUEST", "types"),
    (b'{"url":"http://127.0.0.1:8000/","after":999999}', "BAD_REQUEST", "after"),
    (b'{"url":"http://169.254.169.254/"}', "BAD_REQUEST", "url"),
    (b'{"url":"http://2130706433:8000/"}', "BAD_REQUEST", "url"),
    (b'{"url":"ftp://shop.example/"}', "BAD_REQUEST", "url"),
]


@pytest.mark.parametrize(("body", "code", "parameter"), BODIES, ids=[str(row[0][:50]) for row in BODIES])
async def test_what_cannot_be_registered_is_told_why(managed, body, code, parameter):
    asks = asks_with(managed, "govern")
    async with client_of(managed) as client:
        answer = await client.post("/v1/webhooks", content=body, headers=asks)
        assert (code_of(answer), answer.json().get("parameter")) == (code, parameter)
        assert (await client.get("/v1/webhooks", headers=asks)).json()["rows"] == []


async def test_endpoints_are_bounded_for_each_participant_and_in_all(managed, monkeypatch):
    monkeypatch.setattr(delivery, "PARTICIPANT_ENDPOINTS_MAX", 2)
    monkeypatch.setattr(delivery, "ENDPOINTS_MAX", 3)
    fresh, petrol = asks_with(managed, "govern"), asks_with(managed, "govern", PETROL)
    async with client_of(managed) as client:
        statuses = [
            (await client.post("/v1/webhooks", json={"url": URL}, headers=asks)).status_code
            for asks in (fresh, fresh, fresh, petrol, petrol)
        ]
        assert statuses == [200, 200, 400, 200, 400]
        rows = (await client.get("/v1/webhooks", headers=fresh)).json()["rows"]
        assert len(rows) == 2
        await client.delete(f"/v1/webhooks/{rows[0]['id']}", headers=fresh)
        assert (await client.post("/v1/webhooks", json={"url": URL}, headers=petrol)).status_code == 200


async def test_a_node_that_delivers_nothing_has_no_endpoints(managed):
    asks = asks_with(managed, "govern")
    async with managed.desk.client() as client:
        assert code_of(await client.get("/v1/webhooks", headers=asks)) == "NOT_FOUND"
        assert code_of(await client.post("/v1/webhooks", json={"url": URL}, headers=asks)) == "NOT_FOUND"
