"""What one may not see answers like what there is not: on every path with an id, in every role."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import Case

from tests.contracts.cast import (
    CLARA,
    FRESH,
    STRANGER,
)
from tests.node.api.described import (
    DRAWN,
    OPERATIONS,
    ROLES,
    draw_cases,
    list_known,
)

#   a path with an id in it: what is there, and what is not, of the same form
TWINS = {
    "/problems/{code}": ("NOT_FOUND", "NOT_FOUNT"),
    "/tile/entries/{place}": ("000.p/9", "900.p/9"),
    "/tile/{place}": ("0/000.p/9", "0/900.p/9"),
    "/v1/entries/{index}": ("{redeem_elsewhere}", "90"),
    "/v1/members/{member}": (CLARA, STRANGER),
    "/v1/members/{member}/balances": (CLARA, STRANGER),
    "/v1/members/{member}/history": (CLARA, STRANGER),
    "/v1/orders/{reference}": ("swap-1", "swap-0"),
    "/v1/programs/{program}": ("leaf", "lief"),
    "/v1/proposals/{proposal}": ("fees-1", "fees-9"),
    "/v1/receipts/{index}": ("{redeem_elsewhere}", "90"),
    "/v1/transactions/{sender}/{id}": ("fresh-market/desk-1", "fresh-market/none-1"),
    "/v1/transactions/{sender}/{id}/absence": ("fresh-market/none-1", "fresh-market/desk-1"),
    "/v1/webhooks/{webhook}": ("{webhook}", "wh_0123456789abcdef"),
    "/v1/webhooks/{webhook}/enable": ("{webhook}", "wh_0123456789abcdef"),
    "/v1/webhooks/{webhook}/redeliver": ("{webhook}", "wh_0123456789abcdef"),
    "/v1/windows/{window}": ("1", "9"),
    "/v1/windows/{window}/statement": ("1", "9"),
}
SEEN_WITH = {"/v1/orders/{reference}": f"?sender={FRESH}"}
"""What an auditor has to say besides, to see it."""
MANAGED = [path for path in TWINS if path.startswith("/v1/webhooks/")]
"""What only its owner sees, and nobody else at all."""


def test_every_path_with_an_id_has_its_twins():
    assert {path for _, path in OPERATIONS if "{" in path} == TWINS.keys()


@pytest.mark.parametrize(
    ("method", "path"),
    [each for each in OPERATIONS if "{" in each[1]],
    ids=[" ".join(each) for each in OPERATIONS if "{" in each[1]],
)
def test_what_one_may_not_see_answers_like_what_there_is_not(described, method, path):
    """Byte for byte: status, headers in their order, body; with whatever query and body; by any method."""
    names = {**described.places._asdict(), "webhook": described.get_endpoints()[FRESH]}
    there, ghost = (fill(path, each.format(**names)) for each in TWINS[path])
    operation = described.schema[path][method]
    known = list_known(described)
    plain = there + SEEN_WITH.get(path, "")
    blind = [
        role
        for role in ROLES.values()
        if (
            role != f"participant:{FRESH}" if path in MANAGED else described.ask("GET", plain, role)[1] != 200
        )
    ]
    hidden = set()

    def compare(verb: str, query: dict[str, str], body: bytes | None) -> None:
        text = "?" + urlencode(query) if query else ""
        for role in blind:
            answers = [described.ask(verb, each + text, role, body) for each in (there, ghost)]
            assert answers[0] == answers[1], (verb, there, query, role)
            hidden.add(answers[0][1])

    # Each parameter by itself, with whatever would mean something to those who may see, then as it comes.
    bodies = [json.dumps(each).encode() for each in known.get(path, ())] or [None]
    for body in bodies:
        compare(method, {}, body)
        for each in operation.query.items:
            for value in known.get(each.name, ()):
                compare(method, {each.name: value}, body)

    @DRAWN
    @given(
        case=draw_cases(described.schema, (method, path), known, ("known", "good")),
        other=st.sampled_from(["HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE", "GET"]),
    )
    def compare_drawn(case: Case, other: str) -> None:
        query = {name: str(value) for name, value in (case.query or {}).items()}
        body = json.dumps(case.body).encode() if operation.body.items else None
        compare(method, query, body)
        compare(other, query, body)

    compare_drawn()
    expected = {"/problems/{code}": set(), "/tile/{place}": set(), "/v1/programs/{program}": {401}}
    assert expected.get(path, {401, 404}) <= hidden, "it was hidden from somebody"


def fill(path: str, value: str) -> str:
    """The path with this for its ids."""
    begin, _, rest = path.partition("{")
    return begin + value + rest.rpartition("}")[2]
