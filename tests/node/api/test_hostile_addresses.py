"""Whatever is asked for, in whatever way.

A problem with a stable code, never a 5xx, and nothing sent back of what came.
"""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.contracts.cast import ANNA
from tests.node.api.desk import code_of, problem_of

PATH = "/v1/transactions"


#   a path and query no client of ours would ask for
STRANGE = [
    "/v1/members/%00",
    "/v1/members/%ff%fe",
    "/v1/members/%zz",
    "/v1/members/" + "m" * 1_500,
    f"/v1/members/{ANNA}%0a",
    f"/v1/members/{ANNA}/",
    f"/v1//members/{ANNA}",
    f"/v1/members/{ANNA}/balances/../../chain",
    "/v1/members/..%2f..%2fetc%2fpasswd",
    "/docs/static/../../pyproject.toml",
    "/docs/static/%2e%2e/%2e%2e/pyproject.toml",
    "/docs/static/",
    "/docs/static/%00",
    "/docs/static/" + "a" * 900,
    "/tile/0/0",
    "/tile/0/000.p/0",
    "/tile/0/000.p/257",
    "/tile/0/000.p/256",
    "/tile/00/000.p/1",
    "/tile/-1/000.p/1",
    "/tile/64/000",
    "/tile/0/x999/x999/x999/x999/x999/x999/999",
    "/tile/0/" + "x999/" * 150 + "999",
    "/tile/٣/000",
    "/tile/entries/000.p/",
    "/tile/",
    "/v1/entries/" + "9" * 900,
    "/v1/entries/9007199254740992",
    "/v1/entries/+1",
    "/v1/entries/1_0",
    "/v1/entries/0x1",
    "/v1/entries/٣",
    "/v1/entries/1.0",
    "/v1/entries/01",
    "/v1/entries/true",
    "/v1/receipts/" + "9" * 20,
    "/v1/orders/%E2%82%AC?sender=fresh-market",
    "/v1/orders/a%20b?sender=fresh-market",
    "/v1/transactions/fresh-market/" + "a" * 65,
    "/v1/transactions/FRESH/desk-1",
    "/v1/programs/leaf%00",
    "/v1/\U0001f4a9",
    "/problems/%00",
    "/..",
    "//",
    "/v1",
]


@pytest.mark.parametrize("path", STRANGE, ids=range(len(STRANGE)))
async def test_a_strange_path_is_not_found(traded, path):
    async with traded[0].client() as client:
        answer = await client.get(path, headers=traded[0].asks("auditor"))
    assert (answer.status_code, code_of(answer)) == (404, "NOT_FOUND")
    assert problem_of(answer).keys() == {"type", "title", "status", "detail", "code"}


#   a known path with a query that cannot be
QUERIES = [
    "/v1/chain?min_height=x",
    "/v1/chain?min_height=",
    "/v1/chain?min_height=-1",
    "/v1/chain?min_height=1.0",
    "/v1/chain?min_height=%2B1",
    "/v1/chain?min_height=" + "9" * 1_900,
    "/v1/chain?min_height=9007199254740992",
    "/v1/chain?min_height=1&min_height=1",
    "/v1/chain?min_hieght=1",
    "/v1/chain?%00=1",
    "/v1/chain?a[]=1",
    "/v1/chain?" + "&".join(f"a{number}" for number in range(500)),
    "/v1/chain?" + "a" * 3_000,
    "/v1/chain?min_height=\ud7ff",
    "/checkpoint?a=1",
    "/healthz?a=1",
    "/tile/0/000.p/1?a=1",
    "/v1/consistency",
    "/v1/consistency?old=1",
    "/v1/consistency?old=1&new=x",
    "/v1/quote",
    "/v1/quote?program=leaf&series=leaf-1&target=mile",
    "/v1/quote?program=leaf&series=leaf-1&target=mile&points=0",
    "/v1/quote?program=leaf&series=leaf-1&target=mile&points=1000000001",
    "/v1/quote?program=leaf&series=leaf-1&target=mile&points=1&points=2",
    "/v1/quote?program=LEAF&series=leaf-1&target=mile&points=1",
    "/v1/quote?program=leaf%00&series=leaf-1&target=mile&points=1",
    "/v1/quote?program=leaf%0a&series=leaf-1&target=mile&points=1",
    "/v1/quote?program=%ff&series=leaf-1&target=mile&points=1",
    f"/v1/members/{ANNA}/history?limit=0",
    f"/v1/members/{ANNA}/history?limit=201",
    f"/v1/members/{ANNA}/history?before=-1",
    f"/v1/members/{ANNA}/history?before=x",
    f"/v1/members/{ANNA}/balances?program=",
    "/v1/tallies?program=%E2%82%AC",
    "/v1/orders/x?sender=%00",
    "/v1/transactions/fresh-market/desk-1?digest=x",
    "/v1/transactions/fresh-market/desk-1?digest=" + "A" * 44,
    "/v1/transactions/fresh-market/desk-1?trusted_size=x",
]


async def test_a_long_query_is_not_even_read(traded):
    async with traded[0].client() as client:
        problem = problem_of(await client.get("/v1/chain?" + "a" * 2_049))
    assert (problem["code"], problem["allowed"]) == ("BAD_REQUEST", 2_048)


@pytest.mark.parametrize("path", QUERIES, ids=range(len(QUERIES)))
async def test_a_parameter_that_cannot_be_is_named(traded, path):
    async with traded[0].client() as client:
        answer = await client.get(path, headers=traded[0].asks("auditor"))
    problem = problem_of(answer)
    assert (answer.status_code, problem["code"]) == (400, "BAD_REQUEST")
    assert "reason" in problem
    assert len(answer.content) < 1_000, "what came is not sent back"


@pytest.mark.parametrize(
    "method", ["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "POST", "GET", "WEIRD"]
)
async def test_another_method_is_a_problem_too(traded, method):
    async with traded[0].client() as client:
        for path in (
            "/v1/chain",
            PATH,
            "/v1/tokens",
            "/checkpoint",
            "/healthz",
            "/problems/EMPTY",
            "/v1/entries/1",
        ):
            answer = await client.request(method, path)
            allowed = "POST" if path in (PATH, "/v1/tokens") else "GET"
            if method == allowed:
                continue
            assert answer.status_code == 405
            assert answer.headers["allow"] == allowed
            if method != "HEAD":
                assert code_of(answer) == "METHOD_NOT_ALLOWED"


PRINTABLE = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="#"), max_size=60)


@given(path=PRINTABLE, query=PRINTABLE)
@settings(max_examples=200)
def test_no_address_at_all_makes_a_fault(traded, path, query):
    async def ask():
        async with traded[0].client() as client:
            url = "/" + quote(path, safe="/%") + "?" + quote(query, safe="=&%")
            answer = await client.get(url, headers=traded[0].asks("auditor"))
            assert answer.status_code < 500

    asyncio.run(ask())
