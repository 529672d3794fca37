"""A node that has traded, on a real socket, and a machine that makes requests from its own description.

schemathesis makes them, good ones and bad ones; beside what it makes up they name what is there. Each is sent
in every role.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from contracts.messages import Enrol
from contracts.messages.reject_codes import REJECT_CODES
from node.api import simulation, site
from node.api.app import list_routes, make_app
from node.api.limits import UNLIMITED
from node.api.problems import CODES, make_problem
from node.api.server import make_server_config
from node.api.transactions import PATH
from node.feed import Feed
from node.webhooks.delivery import Webhooks
from tests.conftest import FULL
from tests.contracts.cast import (
    ANNA,
    BORIS,
    CINEMA,
    CLARA,
    FRESH,
    PETROL,
    STRANGER,
    member_id,
)
from tests.node.api.desk import Desk, Traded

SECONDS = 30
ROLES = {
    "anonymous": None,
    "issuer": f"participant:{FRESH}",
    "custodian": f"participant:{PETROL}",
    "other participant": f"participant:{CINEMA}",
    "member": f"member:{ANNA}",
    "auditor": "auditor",
    "follower": "follower",
    "operator": "operator",
}
OPERATIONS = sorted(
    {(method, route.path.replace(":path}", "}")) for route in list_routes() for method in route.methods}
    - {("GET", "/docs"), *(("POST", route.path) for route in simulation.router.routes)}
    | {("POST", PATH)}
)
CASES = 10_000 if FULL else 1_500
EXAMPLES = -(-CASES // (len(OPERATIONS) * len(ROLES)))
REJECTIONS = {"negative_data_rejection": {"expected-statuses": ["4xx", "5xx"]}}
"""What breaks the description is turned down, whatever for: a body may well be too large first (413)."""
NOT_FOUND = make_problem("NOT_FOUND")
NOSNIFF = (b"x-content-type-options", b"nosniff")
CONFORMS = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
DRAWN = settings(
    max_examples=EXAMPLES,
    phases=[Phase.generate],
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


class Served(NamedTuple):
    """A node that has traded, where it is served, and what it says of itself."""

    desk: Desk
    places: Traded
    host: str
    schema: Any
    openapi: dict[str, Any]
    webhooks: Webhooks

    def get_endpoints(self) -> dict[str, str]:
        """A webhook of each of two participants; who removed theirs has a new one."""
        found = {}
        for who in (FRESH, PETROL):
            own = self.webhooks.store.list_of(who) or [
                self.webhooks.register(who, url="https://hooks.example/x", types=(), after=None)
            ]
            found[who] = own[0].id
        return found

    def make_headers(self, role: str | None) -> dict[str, str]:
        """Somebody who asks through a proxy: what is for this machine alone is not for them."""
        through = {"via": "1.1 proxy.example"}
        return through if role is None else {**through, **self.desk.asks(role)}

    def ask(self, method: str, path: str, role: str | None, body: bytes | None = None) -> tuple[Any, ...]:
        """The whole answer as it came over the line, but for the clock's header."""
        line = http.client.HTTPConnection(self.host, timeout=SECONDS)
        try:
            line.request(method, path, body=body, headers=self.make_headers(role))
            answer = line.getresponse()
            headers = [(name, value) for name, value in answer.getheaders() if name != "date"]
            return answer.version, answer.status, answer.reason, headers, answer.read()
        finally:
            line.close()


def open_described(folder: Path) -> Iterator[Served]:
    """The node, with two participants' webhooks, which find no address to deliver to."""
    desk = Desk(folder)
    places = desk.trade()
    desk.decide()
    feed = Feed(desk.core)
    webhooks = Webhooks(folder / "webhooks.db", feed=feed, clock=desk.clock, resolve=find_no_address)
    webhooks.start()
    desk.app = make_app(
        desk.core, tokens=desk.tokens, clock=desk.clock, rates=UNLIMITED, feed=feed, webhooks=webhooks
    )
    with pytest.MonkeyPatch.context() as patch, serve(desk) as (host, described):
        # Heights that will not come are asked for often.
        patch.setattr(site, "MIN_HEIGHT_SECONDS", 0.01)
        schema = schemathesis.openapi.from_dict(
            described, config=schemathesis.Config.from_dict({"checks": REJECTIONS})
        )
        yield Served(desk, places, host, schema, described, webhooks)
        feed.close()
    webhooks.stop()
    desk.close()


@contextmanager
def serve(desk: Desk) -> Iterator[tuple[str, dict[str, Any]]]:
    """The desk's app on a port of this machine, and what it says of itself."""
    server = uvicorn.Server(make_server_config(desk.app))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            host = f"127.0.0.1:{listener.getsockname()[1]}"
            yield host, requests.get(f"http://{host}/openapi.json", timeout=SECONDS).json()
        finally:
            server.should_exit = True
            thread.join(SECONDS)
    assert not thread.is_alive()


def find_no_address(*_: Any) -> Any:
    """No name leads anywhere."""
    raise OSError("no such name")


def make_transaction(desk: Desk, number: int) -> Any:
    """A good one, new in the first role that sends it and a repeat in all others."""
    data = desk.sign(FRESH, Enrol(member=member_id(5_000 + number)))
    return json.loads(data)


def list_known(served: Served) -> dict[str, list[Any]]:
    """What a parameter of this name may stand for, beside what the machine makes up."""
    return {
        "/v1/tokens": [{"subject": f"participant:{FRESH}"}],
        "/v1/transactions": [make_transaction(served.desk, number) for number in range(3)],
        "/v1/webhooks": [{"types": ["redeem"], "url": "https://hooks.example/y"}],
        "/v1/webhooks/{webhook}/redeliver": [{"after": 5}],
        "after": ["0", "20", "48"],
        "before": ["30"],
        "code": [*CODES, "NONE"],
        "digest": ["A" * 43],
        "id": ["desk-1", "desk-2", "desk-8"],
        "index": [*map(str, served.places), "0", "1", "999999"],
        "limit": ["1", "200"],
        "member": [ANNA, BORIS, CLARA, STRANGER],
        "min_height": ["1", str(served.desk.core.head.height)],
        "new": ["20"],
        "old": ["1", "10"],
        "place": ["0/000.p/9", "000.p/9"],
        "points": ["160"],
        "program": ["leaf", "mile", "drop", "none"],
        "proposal": ["fees-1", "fees-2", "none"],
        "reference": ["pump-7", "swap-1", "order-fresh-market-1"],
        "sender": [FRESH, PETROL, CINEMA],
        "series": ["leaf-1", "mile-1"],
        "state": ["open", "enacted"],
        "target": ["mile", "leaf", "none"],
        "trusted_size": ["1", "9", "49"],
        "window": ["1", "2"],
        "webhook": [*served.get_endpoints().values(), "wh_0123456789abcdef"],
    }


@st.composite
def draw_cases(
    draw: Any,
    schema: Any,
    place: tuple[str, str],
    known: dict[str, list[Any]],
    kinds: tuple[str, ...] = ("known", "good", "known", "bad"),
) -> Case:
    """A request that the description allows or forbids, or an allowed one about what is there."""
    method, path = place
    operation = schema[path][method]
    has_input = bool(operation.path_parameters.items or operation.query.items or operation.body.items)
    kind = draw(st.sampled_from(kinds)) if has_input else "good"
    if kind == "bad":
        return draw(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    case = draw(operation.as_strategy(generation_mode=GenerationMode.POSITIVE))
    # An operation without input is asked as often as all others.
    draw(st.integers(0, 2**32))
    if kind == "known":
        for name in case.path_parameters or ():
            case.path_parameters[name] = draw(st.sampled_from(known[name]))
        optional = {each.name for each in operation.query.items if not each.is_required}
        for name in list(case.query or ()):
            if name in optional and draw(st.booleans()):
                del case.query[name]
            elif name in known:
                case.query[name] = draw(st.sampled_from(known[name]))
        if operation.body.items:
            case.body = draw(st.sampled_from(known[path]))
    return case


def check_problem(described: dict[str, Any], method: str, path: str, answer: Any) -> None:
    """A no has a code that is known, that has this status, and that the description has on this route."""
    assert answer.headers["content-type"] == "application/problem+json"
    problem = json.loads(answer.content)
    code = problem["code"]
    assert problem["status"] == answer.status_code
    assert problem["type"] == f"/problems/{code}"
    assert answer.status_code < 500 or (answer.status_code == 503 and code in ("NOT_YET", "NOT_READY"))
    if code in CODES:
        assert CODES[code].status == answer.status_code
        responses = described["paths"][path][method.lower()]["responses"]
        told = responses[str(answer.status_code)]["content"]["application/problem+json"]
        assert code in told["examples"], (method, path, code)
    else:
        assert (answer.status_code, path) == (400, "/v1/quote")
        assert code in REJECT_CODES
    if answer.status_code == 404:
        told = [
            (name.lower().encode(), value.encode())
            for name, value in answer.headers.items()
            if name != "date"
        ]
        assert (answer.content, told) == (NOT_FOUND.body, [*NOT_FOUND.headers, NOSNIFF])


def send(case: Case, url: str, headers: dict[str, str]) -> Any:
    """The answer to a case."""
    sent = case.as_transport_kwargs(base_url=url, headers=headers)
    if "json" in sent:
        # As it would be signed: without a space, in the order it has.
        sent["data"] = json.dumps(sent.pop("json"), separators=(",", ":"), ensure_ascii=False).encode()
    return requests.request(**sent, timeout=SECONDS)
