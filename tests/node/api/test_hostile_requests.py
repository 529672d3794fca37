"""Whatever is sent: a 4xx with a stable code, never a 5xx, and nothing recorded.

One table for what may be wrong with a transaction, in the order of docs/spec/messages.md; one for requests that no client of
ours would make. Each row is sent to a node that has traded, and its head stays where it was.
"""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from contracts.messages import Enrol, OpenProgram, RevokeKey
from ledger.codec import encode, sha256, to_base64url
from ledger.keys import SeedSigner, signed_text
from ledger.transaction import Header
from node.api.problems import CODES
from tests.contracts.cast import ANNA, FRESH, PETROL, START, make_signer, member_id
from tests.node.api.desk import Desk, code_of, problem_of

PATH = "/v1/transactions"
HOUR = 3_600_000


@pytest.fixture(scope="module")
def busy(tmp_path_factory):
    """A node that has traded, and one of whose tills was revoked."""
    desk = Desk(tmp_path_factory.mktemp("busy"))
    try:
        desk.trade()
        desk.must(FRESH, RevokeKey(key=make_signer(FRESH, "till").key_id))
        yield desk
    finally:
        desk.close()


def sign_header(header: Header, messages: list[bytes], signer: SeedSigner) -> bytes:
    """A transaction under whatever header, signed as if it were right."""
    text = signed_text(purpose="transaction", chain=header.chain, body=encode(header))
    return b'{"header":%b,"messages":[%b],"signature":"%b"}' % (
        encode(header),
        b",".join(messages),
        to_base64url(signer.sign(text)).encode(),
    )


def spoil(desk, **fields) -> bytes:
    """A transaction in order but for these fields of its header; `messages` and `signer` may be told too."""
    messages = fields.pop("messages", [encode(desk.town.earn(500))])
    signer = fields.pop("signer", make_signer(FRESH, "transact"))
    header = Header(
        chain=desk.core.chain,
        count=len(messages),
        digest=to_base64url(sha256(b"".join(map(sha256, messages)))),
        id="hostile",
        key=signer.key_id,
        not_after=desk.clock() + 1_000,
        sender=FRESH,
    )
    return sign_header(replace(header, **fields), messages, signer)


def edit(find: bytes, put: bytes):
    """A transaction in order, of whose bytes one place is changed."""

    def make(desk) -> bytes:
        data = spoil(desk)
        assert find in data
        return data.replace(find, put, 1)

    return make


def nest(depth: int, around: bytes = b"") -> bytes:
    """Arrays in arrays."""
    return b"[" * depth + around + b"]" * depth


DEEP = 200_000
EARN = b'{"@type":"earn",'
#   what is wrong, the bytes, status and code
REFUSED = [
    ("50 MB", lambda _: b" " * 50_000_000, 413, "TOO_LARGE"),
    ("one byte above the body's limit", lambda _: b" " * (2_101_248 + 1), 413, "TOO_LARGE"),
    ("one byte above a transaction's limit", lambda _: b" " * 2_097_153, 413, "TOO_LARGE"),
    ("nothing", lambda _: b"", 400, "MALFORMED"),
    ("not JSON", lambda _: b"hello", 400, "MALFORMED"),
    ("a NUL", lambda _: b"\x00", 400, "MALFORMED"),
    ("null", lambda _: b"null", 400, "MALFORMED"),
    ("not UTF-8", edit(b"order-", b"\xff\xfe--"), 400, "MALFORMED"),
    ("an overlong encoding", edit(b"order-", b"\xc0\xafrd-"), 400, "MALFORMED"),
    ("a byte order mark", lambda desk: b"\xef\xbb\xbf" + spoil(desk), 400, "MALFORMED"),
    ("UTF-16", lambda desk: spoil(desk).decode().encode("utf-16"), 400, "MALFORMED"),
    ("nested 200,000 deep", lambda _: nest(DEEP), 400, "MALFORMED"),
    ("nested and never closed", lambda _: b"[" * 1_000_000, 400, "MALFORMED"),
    ("objects 200,000 deep", lambda _: b'{"a":' * DEEP + b"1" + b"}" * DEEP, 400, "MALFORMED"),
    ("a message nested deep", lambda desk: spoil(desk, messages=[nest(DEEP)]), 400, "MALFORMED"),
    ("an unknown field nested deep", edit(EARN, EARN + b'"z":' + nest(DEEP) + b","), 400, "MALFORMED"),
    ("a field nested deep", edit(b'"amount":5000000', b'"amount":' + nest(DEEP)), 400, "MALFORMED"),
    ("a lone surrogate", edit(b'"order-', b'"\\ud800'), 400, "MALFORMED"),
    ("a lone surrogate as bytes", edit(b"order-", b"\xed\xa0\x80"), 400, "MALFORMED"),
    ("an integer of 5,000 digits", edit(b"5000000", b"9" * 5_000), 400, "MALFORMED"),
    ("a negative one", edit(b"5000000", b"-" + b"9" * 5_000), 400, "MALFORMED"),
    ("an exponent of 5,000 digits", edit(b"5000000", b"1e" + b"9" * 5_000), 400, "MALFORMED"),
    ("2^53", edit(b"5000000", b"9007199254740992"), 400, "MALFORMED"),
    ("1.5", edit(b"5000000", b"1.5"), 400, "MALFORMED"),
    ("true for a number", edit(b"5000000", b"true"), 400, "MALFORMED"),
    ("NaN", edit(b"5000000", b"NaN"), 400, "MALFORMED"),
    ("a text for a number", edit(b"5000000", b'"5000000"'), 400, "MALFORMED"),
    ("null for a number", edit(b"5000000", b"null"), 400, "MALFORMED"),
    ("a leading zero", edit(b"5000000", b"05000000"), 400, "MALFORMED"),
    ("an unknown field", edit(EARN, EARN + b'"aaa":1,'), 400, "MALFORMED"),
    ("a missing field", edit(b'"program":"leaf",', b""), 400, "MALFORMED"),
    ("an unknown type", edit(b'"earn"', b'"mint"'), 400, "MALFORMED"),
    ("a type of step 2", edit(b'"earn"', b'"gift"'), 400, "MALFORMED"),
    ("a system message", lambda desk: spoil(desk, messages=[b'{"@type":"expire","day":1,"member":"m","program":"p"}'])
     , 400, "MALFORMED"),
    ("a bad id", edit(b'"hostile"', b'"hos tile"'), 400, "MALFORMED"),
    ("a NUL in an id", edit(b'"hostile"', b'"hos\\u0000"'), 400, "MALFORMED"),
    ("a signature of another length", lambda desk: spoil(desk)[:-4] + b'"}', 400, "MALFORMED"),
    ("a false after atomic", edit(b'{"header":{', b'{"header":{"atomic":false,'), 400, "MALFORMED"),
    ("a duplicate key", edit(b'"amount":', b'"amount":1,"amount":'), 400, "NOT_CANONICAL"),
    ("a duplicate message list", edit(b'"messages":', b'"messages":[],"messages":'), 400, "NOT_CANONICAL"),
    
    ("1.0", edit(b'"amount":5000000', b'"amount":5000000.0'), 400, "MALFORMED"),
    ("1e6", edit(b'"amount":5000000', b'"amount":5e6'), 400, "MALFORMED"),
    ("-0", edit(b'"amount":5000000', b'"amount":-0'), 400, "NOT_CANONICAL"),
    ("a space", edit(b'{"header"', b'{ "header"'), 400, "NOT_CANONICAL"),
    ("a line feed at the end", lambda desk: spoil(desk) + b"\n", 400, "NOT_CANONICAL"),
    ("an escape", edit(b'"leaf"', b'"\\u006ceaf"'), 400, "NOT_CANONICAL"),
    ("another key order", edit(b'"count":1,', b""), 400, "MALFORMED"),
    ("keys in another order", lambda desk: json.dumps(
        dict(reversed(json.loads(spoil(desk)).items())), separators=(",", ":")).encode(), 400, "NOT_CANONICAL"),
    ("8,193 messages", lambda desk: spoil(desk, messages=[encode(desk.town.earn(500))] * 8_193), 400,
     "TOO_MANY_MESSAGES"),
    ("no message", lambda desk: spoil(desk, messages=[]), 400, "EMPTY"),
    ("a wrong count", lambda desk: spoil(desk, count=2), 400, "COUNT_MISMATCH"),
    ("a count beyond", lambda desk: spoil(desk, count=2**53 - 1), 400, "COUNT_MISMATCH"),
    ("another chain", lambda desk: spoil(desk, chain="town/" + "0" * 32), 400, "WRONG_CHAIN"),
    ("another digest", lambda desk: spoil(desk, digest="A" * 43), 400, "DIGEST_MISMATCH"),
    ("expired", lambda desk: spoil(desk, not_after=START - 1), 400, "EXPIRED"),
    ("expired long ago", lambda desk: spoil(desk, not_after=0), 400, "EXPIRED"),
    ("good for too long", lambda desk: spoil(desk, not_after=START + 2 * HOUR), 400, "NOT_AFTER_TOO_FAR"),
    ("good for ever", lambda desk: spoil(desk, not_after=2**53 - 1), 400, "NOT_AFTER_TOO_FAR"),
    ("a key nobody has", lambda desk: spoil(desk, signer=make_signer("nobody")), 401, "UNKNOWN_KEY"),
    ("another participant's key", lambda desk: spoil(desk, signer=make_signer(PETROL, "transact")), 401,
     "UNKNOWN_KEY"),
    ("another sender", lambda desk: spoil(desk, sender=PETROL), 401, "UNKNOWN_KEY"),
    ("a sender that is not there", lambda desk: spoil(desk, sender="not-admitted"), 401, "UNKNOWN_KEY"),
    ("a member's key", lambda desk: spoil(desk, signer=make_signer(ANNA)), 401, "UNKNOWN_KEY"),
    ("a revoked key", lambda desk: spoil(desk, signer=make_signer(FRESH, "till")), 401, "KEY_NOT_VALID"),
    ("a key of another purpose", lambda desk: spoil(desk, signer=make_signer(FRESH, "custody")), 403,
     "WRONG_PURPOSE"),
    ("a purpose that covers half", lambda desk: spoil(desk, messages=[
        encode(desk.town.earn(500)), encode(OpenProgram(name="N", program="nn", spend_per_point=10**6))]), 403,
     "WRONG_PURPOSE"),
    ("another's signature", lambda desk: sign_as(desk, make_signer(PETROL, "transact")), 401, "SIGNATURE_INVALID"),
    ("a signature of something else", edit(b'"hostile"', b'"hostila"'), 401, "SIGNATURE_INVALID"),
    ("a signature of small order", lambda desk: put_signature(desk, bytes(64)), 401, "SIGNATURE_INVALID"),
    ("a signature with S beyond the order", lambda desk: put_signature(desk, b"\xff" * 64), 401,
     "SIGNATURE_INVALID"),
    ("a second spelling of the signature", lambda desk: respell(spoil(desk)), 400, "MALFORMED"),
    ("an id that stands for something else", lambda desk: desk.town.sign(
        FRESH, "desk-1", Enrol(member=member_id(5)), not_after=START + 1_000), 409, "ID_CONFLICT"),
]


def sign_as(desk, signer: SeedSigner) -> bytes:
    """The header names one key, and another signs."""
    data = spoil(desk)
    header = msgspec.json.decode(data, type=dict[str, msgspec.Raw])["header"]
    text = signed_text(purpose="transaction", chain=desk.core.chain, body=bytes(header))
    return put_signature(desk, signer.sign(text))


def put_signature(desk, signature: bytes) -> bytes:
    """A transaction in order under whatever 64 bytes."""
    data = spoil(desk)
    start = data.rindex(b'"signature":"') + len(b'"signature":"')
    return data[:start] + to_base64url(signature).encode() + b'"}'


def respell(data: bytes) -> bytes:
    """The last character of an unpadded group has spare bits: the same bytes, spelled otherwise."""
    last = data[-3:-2].decode()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return data[:-3] + alphabet[alphabet.index(last) ^ 1].encode() + data[-2:]


@pytest.mark.parametrize(("make", "status", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
async def test_what_cannot_be_taken_is_refused_and_not_recorded(busy, make, status, code):
    head, data = busy.core.head, make(busy)
    async with busy.client() as client:
        answer = await client.post(PATH, content=data, headers={"content-type": "application/json"})
        assert (answer.status_code, code_of(answer)) == (status, code), answer.text
        # In pieces and without a length it is the same.
        pieces = [data[start : start + 65_536] for start in range(0, len(data), 65_536)]
        answer = await client.post(PATH, content=send(pieces))
        assert (answer.status_code, code_of(answer)) == (status, code)
    assert busy.core.head == head
    assert busy.core.is_ready


async def send(pieces):
    """A body without a declared length."""
    for piece in pieces:
        yield piece


async def test_what_is_in_order_is_taken_so_the_table_breaks_one_thing_each(busy):
    async with busy.client() as client:
        answer = await client.post(PATH, content=spoil(busy))
    assert answer.status_code == 200
    assert answer.json()["outcomes"][0]["code"] == "OK"


def test_every_code_of_a_refusal_stands_in_the_table():
    told = {code for *_, code in REFUSED}
    order = list(CODES)
    assert told == set(order[: order.index("UNAUTHENTICATED")])


async def test_a_replay_is_the_first_answer_and_not_recorded(busy):
    data = busy.sign(FRESH, busy.town.earn(600))
    async with busy.client() as client:
        first = (await client.post(PATH, content=data)).json()
        head = busy.core.head
        for _ in range(3):
            assert (await client.post(PATH, content=data)).json() == first
    assert busy.core.head == head


async def test_the_same_signed_by_another_hand_is_no_replay(busy):
    data = busy.town.sign(FRESH, "replayed", busy.town.earn(601), not_after=busy.clock() + 1_000)
    async with busy.client() as client:
        assert (await client.post(PATH, content=data)).status_code == 200
        forged = data[: data.rindex(b'"signature":"')] + b'"signature":"' + b"A" * 86 + b'"}'
        answer = await client.post(PATH, content=forged)
    assert answer.status_code == 401, "an answer was given to somebody who holds no key"
    assert code_of(answer) == "SIGNATURE_INVALID"


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "text/html"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": ""},
        {"content-type": "\xff"},
        {"content-encoding": "gzip"},
        {"content-length": "-1"},
        {"content-length": "5" * 5_000},
        {"content-length": "0x10"},
        {"accept": "image/png"},
        {"accept-encoding": "br;q=nonsense"},
        {"cookie": "a=" + "b" * 9_000},
        {"range": "bytes=0-0"},
        {"if-none-match": "*"},
        {"expect": "200-ok"},
        {"x-http-method-override": "DELETE"},
    ],
    ids=str,
)
async def test_strange_headers_change_nothing_but_the_length_they_lie_about(busy, headers):
    async with busy.client() as client:
        lines = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        answer = await client.post(PATH, content=b"{}", headers=lines)
        assert answer.status_code in (400, 413)
        assert code_of(answer) in ("MALFORMED", "TOO_LARGE")


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
async def test_a_strange_path_is_not_found(busy, path):
    async with busy.client() as client:
        answer = await client.get(path, headers=busy.asks("auditor"))
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


@pytest.mark.parametrize("path", QUERIES, ids=range(len(QUERIES)))
async def test_a_parameter_that_cannot_be_is_named(busy, path):
    async with busy.client() as client:
        answer = await client.get(path, headers=busy.asks("auditor"))
    problem = problem_of(answer)
    assert (answer.status_code, problem["code"]) == (400, "BAD_REQUEST")
    assert "reason" in problem
    assert len(answer.content) < 1_000, "what came is not sent back"


@pytest.mark.parametrize("method", ["HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "POST", "GET", "WEIRD"])
async def test_another_method_is_a_problem_too(busy, method):
    async with busy.client() as client:
        for path in ("/v1/chain", PATH, "/v1/tokens", "/checkpoint", "/healthz", "/problems/EMPTY", "/v1/entries/1"):
            answer = await client.request(method, path)
            allowed = "POST" if path in (PATH, "/v1/tokens") else "GET"
            if method == allowed:
                continue
            assert answer.status_code == 405
            assert answer.headers["allow"] == allowed
            if method != "HEAD":
                assert code_of(answer) == "METHOD_NOT_ALLOWED"


@given(data=st.binary(max_size=300))
@settings(max_examples=300)
def test_no_bytes_at_all_make_a_fault(busy, data):
    import asyncio

    async def ask():
        async with busy.client() as client:
            answer = await client.post(PATH, content=data)
            assert 400 <= answer.status_code < 500
            assert code_of(answer) in CODES

    asyncio.run(ask())


@given(
    place=st.integers(min_value=0, max_value=400),
    cut=st.integers(min_value=0, max_value=4),
    put=st.binary(max_size=4),
)
@settings(max_examples=300)
def test_no_change_to_a_good_transactions_bytes_makes_a_fault_or_goes_through(busy, place, cut, put):
    import asyncio

    data = spoil(busy)
    changed = data[:place] + put + data[place + cut :]
    if changed == data:
        return
    head = busy.core.head

    async def ask():
        async with busy.client() as client:
            answer = await client.post(PATH, content=changed)
            assert 400 <= answer.status_code < 500, (changed, answer.text)
            assert code_of(answer) in CODES

    asyncio.run(ask())
    assert busy.core.head == head


PRINTABLE = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="#"), max_size=60)


@given(path=PRINTABLE, query=PRINTABLE)
@settings(max_examples=200)
def test_no_address_at_all_makes_a_fault(busy, path, query):
    import asyncio
    from urllib.parse import quote

    async def ask():
        async with busy.client() as client:
            url = "/" + quote(path, safe="/%") + "?" + quote(query, safe="=&%")
            answer = await client.get(url, headers=busy.asks("auditor"))
            assert answer.status_code < 500

    asyncio.run(ask())
