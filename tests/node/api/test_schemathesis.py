"""The API's own description, read by a machine that then asks whatever comes to its mind, in every role.

schemathesis makes the requests: good ones and bad ones, from `/openapi.json` as it is served. Each is sent by
everybody, over a real socket to a node that has traded. Whatever comes back is what the description says, and
a no is a problem with a code that stands there.
"""

from __future__ import annotations

import pytest
import requests
import schemathesis
from hypothesis import given
from schemathesis import Case

from node.api import simulation
from tests.conftest import FULL
from tests.contracts.cast import (
    DAY_MILLIS,
    START,
)
from tests.node.api.described import (
    CASES,
    CONFORMS,
    DRAWN,
    EXAMPLES,
    OPERATIONS,
    ROLES,
    SECONDS,
    check_problem,
    draw_cases,
    list_known,
    send,
    serve,
)
from tests.node.api.desk import Desk


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=map(" ".join, OPERATIONS))
def test_whatever_is_asked_by_whomever_the_answer_is_one_that_is_described(described, method, path):
    asked = []

    @DRAWN
    @given(case=draw_cases(described.schema, (method, path), list_known(described)))
    def ask_in_every_role(case: Case) -> None:
        for role in ROLES.values():
            answer = send(case, f"http://{described.host}", described.make_headers(role))
            asked.append(answer.status_code)
            if answer.status_code >= 400:
                check_problem(described.openapi, method, path, answer)
            case.validate_response(answer, checks=CONFORMS)

    ask_in_every_role()
    assert not FULL or path == "/v1/tokens" or 200 in asked, "nobody was ever given anything"
    assert len(asked) == EXAMPLES * len(ROLES)


def test_a_stream_is_one_for_those_who_may_and_a_problem_for_all_others(described):
    heard = {}
    for name, role in ROLES.items():
        headers = {**described.make_headers(role), "accept": "text/event-stream"}
        url = f"http://{described.host}/v1/events"
        with requests.get(url, headers=headers, stream=True, timeout=SECONDS) as answer:
            heard[name] = answer.status_code
            if answer.status_code == 200:
                assert answer.headers["content-type"].startswith("text/event-stream")
                # It has no end: what is looked at is its beginning.
                assert next(answer.iter_content(64)).startswith(b"retry: ")
            else:
                check_problem(described.openapi, "GET", "/v1/events", answer)
    assert heard == {
        "anonymous": 401,
        "issuer": 200,
        "custodian": 200,
        "other participant": 200,
        "member": 200,
        "auditor": 200,
        "follower": 404,
        "operator": 404,
    }


def test_a_simulated_chain_is_told_the_time_by_its_operator_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(simulation, "_GATHER_SECONDS_MAX", 0.01)
    (path,) = (route.path for route in simulation.router.routes)
    desk = Desk(tmp_path, kind="simulated")
    known = {path: [{"time": START}, {"time": START + 500 * DAY_MILLIS, "transactions": 0}]}
    heard = []
    try:
        desk.trade()
        with serve(desk) as (host, openapi):
            schema = schemathesis.openapi.from_dict(openapi)

            @DRAWN
            @given(case=draw_cases(schema, ("POST", path), known))
            def ask_in_every_role(case: Case) -> None:
                for name, role in ROLES.items():
                    answer = send(case, f"http://{host}", {} if role is None else desk.asks(role))
                    heard.append((name, answer.status_code))
                    if answer.status_code >= 400:
                        check_problem(openapi, "POST", path, answer)
                    case.validate_response(answer, checks=CONFORMS)

            ask_in_every_role()
    finally:
        desk.close()
    assert {name for name, status in heard if status == 200} == {"operator"}
    assert {status for name, status in heard if name not in ("operator", "anonymous")} <= {401, 404}


def test_the_doses_add_up():
    assert len(OPERATIONS) * EXAMPLES * len(ROLES) >= CASES
