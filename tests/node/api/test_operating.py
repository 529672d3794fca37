"""Operating: health, readiness, figures, the page without a CDN, and what happens when something breaks."""

from __future__ import annotations

import base64
import hashlib
import re

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from contracts.messages import Enrol
from ledger.codec import encode
from ledger.errors import InvariantBroken
from ledger.outcome import Outcome
from node.api.app import make_app
from node.metrics import Metrics, get_family
from tests.contracts.cast import ANNA, FRESH, STRANGER, member_id
from tests.node.api.desk import Desk, code_of, problem_of


def read_figures(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """The samples by name and labels."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_figures_tell_what_happened(desk):
    desk.trade()
    async with desk.client() as client:
        await client.post("/v1/transactions", content=b"{}")
        await client.post("/v1/transactions", content=desk.sign(FRESH, desk.town.earn(9, member=404)))
        for path in ("/v1/chain", f"/v1/members/{ANNA}", f"/v1/members/{STRANGER}", "/no/such/path"):
            await client.get(path, headers=desk.asks("auditor"))
        found = read_figures((await client.get("/metrics")).text)
    head = desk.core.head
    assert found["commonpoint_blocks_total", ()] == head.height
    assert found["commonpoint_transactions_total", ()] == head.transactions
    assert found["commonpoint_entries_total", (("result", "applied"),)] == head.accepted
    assert found["commonpoint_entries_total", (("result", "rejected"),)] == 1
    assert found["commonpoint_head_size", ()] == head.size
    assert found["commonpoint_head_height", ()] == head.height
    assert found["commonpoint_head_time_seconds", ()] == head.time / 1000
    assert found["commonpoint_waiting_transactions", ()] == 0
    assert found["commonpoint_ready", ()] == 1
    assert found["commonpoint_refused_total", (("code", "MALFORMED"),)] == 1
    assert found["commonpoint_refused_total", (("code", "NOT_FOUND"),)] == 2
    routes = {
        (dict(labels)["route"], dict(labels)["status"]): value
        for (name, labels), value in found.items()
        if name == "commonpoint_http_requests_total"
    }
    assert routes["/v1/transactions", "200"] == routes["/v1/transactions", "400"] == 1
    assert routes["/v1/members/{member}", "200"] == routes["/v1/members/{member}", "404"] == 1
    assert routes["none", "404"] == 1
    assert not any(ANNA in str(labels) or STRANGER in str(labels) for _, labels in found)


async def test_what_strangers_send_makes_no_new_figures(desk):
    async with desk.client() as client:
        for number in range(50):
            await client.get(f"/v1/entries/{number}")
            await client.get(f"/nothing/{number}")
            await client.request(f"VERB{number}", "/v1/chain")
        found = read_figures((await client.get("/metrics")).text)
    labels = {labels for (name, labels) in found if name == "commonpoint_http_requests_total"}
    assert len(labels) == 3, labels


def test_figures_of_a_block_are_counted_by_family():
    metrics = Metrics()
    codes = ["OK", "CONSENT_USED", "CONSENT_EXPIRED", "GRANT_MISSING", "OK"]
    metrics.count_block(seconds=0.02, outcomes=[encode(Outcome(code=code, balance=5)) for code in codes])
    found = read_figures(metrics.render().decode())
    assert found["commonpoint_entries_rejected_by_family_total", (("family", "CONSENT"),)] == 2
    assert found["commonpoint_entries_rejected_by_family_total", (("family", "GRANT"),)] == 1
    assert found["commonpoint_commit_seconds_count", ()] == 1
    assert get_family(encode(Outcome(code="OK"))) == "OK"


async def test_two_apps_in_one_process_do_not_share_figures(desk):
    other = make_app(desk.core, tokens=desk.tokens, clock=desk.clock)
    async with desk.client() as client, desk.client(app=other) as second:
        await client.get("/v1/chain")
        assert 'route="/v1/chain"' not in (await second.get("/metrics")).text


async def test_a_node_that_stops_lives_and_is_not_ready(tmp_path, monkeypatch):
    desk = Desk(tmp_path)
    async with desk.client() as client:
        assert (await client.get("/readyz")).text == "ready\n"
        monkeypatch.setattr(type(desk.core), "is_ready", property(lambda _: False))
        answer = await client.get("/readyz")
        assert (answer.status_code, code_of(answer)) == (503, "NOT_READY")
        assert read_figures((await client.get("/metrics")).text)["commonpoint_ready", ()] == 0
        assert (await client.get("/healthz")).text == "ok\n"
    monkeypatch.undo()
    desk.close()


async def test_the_page_asks_nothing_of_another_host(traded):
    desk, _ = traded
    async with desk.client() as client:
        page = await client.get("/docs")
        assert page.status_code == 200
        policy = page.headers["content-security-policy"]
        assert policy.startswith("default-src 'self'; script-src 'self' 'sha256-")
        assert "unsafe-eval" not in policy
        assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
        assert not re.search(r"https?://|//[a-z]", page.text.replace("<!DOCTYPE", ""))
        for script in re.findall(r"<script>(.*?)</script>", page.text, re.DOTALL):
            digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy
        parts = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert len(parts) == 3
        for part in parts:
            assert (await client.get(part)).status_code == 200
        assert (await client.get("/openapi.json")).json()["openapi"].startswith("3.")
        assert (await client.get("/redoc")).status_code == 404


@pytest.fixture
def broken(desk, monkeypatch):
    """A desk whose next read breaks a promise, and what was told of it."""
    told: list[InvariantBroken] = []
    desk.app = make_app(desk.core, tokens=desk.tokens, clock=desk.clock, on_broken=told.append)

    def fail(*_):
        raise InvariantBroken("TILE_CORRUPT", secret="the inside of the node")

    monkeypatch.setattr(desk.core, "list_records", fail)
    monkeypatch.setattr(desk.core, "prove", lambda **_: fail())
    return desk, told


async def test_a_fault_of_ours_is_logged_and_tells_nothing(broken):
    desk, told = broken
    async with desk.client() as client:
        with structlog.testing.capture_logs() as logs:
            answer = await client.get("/v1/participants", headers=desk.asks("auditor"))
            sent = await client.post("/v1/transactions", content=desk.sign(FRESH, Enrol(member=member_id(1))))
    for each in (answer, sent):
        problem = problem_of(each)
        assert (each.status_code, problem["code"]) == (500, "INTERNAL")
        assert "inside" not in each.text
        assert "TILE_CORRUPT" not in each.text
    incidents = [entry["incident"] for entry in logs if entry["event"] == "unexpected fault"]
    assert incidents == [problem_of(answer)["incident"], problem_of(sent)["incident"]]
    assert [error.code for error in told] == ["TILE_CORRUPT"] * 2


async def test_any_other_fault_is_ours_too_and_stops_nothing(desk, monkeypatch):
    told: list[InvariantBroken] = []
    desk.app = make_app(desk.core, tokens=desk.tokens, clock=desk.clock, on_broken=told.append)
    monkeypatch.setattr(desk.core, "list_records", lambda *_: 1 // 0)
    async with desk.client() as client:
        answer = await client.get("/v1/participants", headers=desk.asks("auditor"))
        assert (answer.status_code, code_of(answer)) == (500, "INTERNAL")
        assert (await client.get("/checkpoint")).status_code == 200
    assert told == []
