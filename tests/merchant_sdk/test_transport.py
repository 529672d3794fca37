"""What fails in passing is sent again as it is; what may have been taken is never called not sent."""

from __future__ import annotations

import asyncio
import time

import httpx2
import pytest

from merchant_sdk import NotFound, NotSent, RefusedByNode, UnknownOutcome
from merchant_sdk.responses import judge
from merchant_sdk.transport import Transport

BODY = b"signed bytes"


class Script(httpx2.AsyncBaseTransport):
    """Answers as it is told, one attempt after the other."""

    def __init__(self, *acts):
        self.acts = list(acts)
        self.met = []

    async def handle_async_request(self, request):
        self.met.append((str(request.url), await request.aread()))
        act = self.acts.pop(0)
        if isinstance(act, Exception):
            raise act
        status, *rest = act
        body = rest[0] if rest else b""
        headers = rest[1] if len(rest) > 1 else {}
        return httpx2.Response(status, content=body, headers=headers)


def problem(code):
    return b'{"code":"%b"}' % code.encode()


OK = (200, b"answer")
BUSY = (429, problem("BUSY"), {"retry-after": "0"})
STOPPING = (503, problem("STOPPING"))
INTERNAL = (500, problem("INTERNAL"))
EXPIRED = (400, problem("EXPIRED"))
UNPLUGGED = httpx2.ConnectError("refused")
LOST = httpx2.ReadError("lost")
SLOW = httpx2.ReadTimeout("slow")
BROKEN = httpx2.RemoteProtocolError("server disconnected")
HALF = httpx2.WriteError("broken pipe")
CROWDED = httpx2.PoolTimeout("no connection free")

#   what happens at each attempt, and how it ends: the answer, or the error and its code
ENDINGS = [
    ([OK], b"answer"),
    ([UNPLUGGED, OK], b"answer"),
    ([LOST, OK], b"answer"),
    ([SLOW, BROKEN, OK], b"answer"),
    ([BUSY, BUSY, OK], b"answer"),
    ([STOPPING, OK], b"answer"),
    ([INTERNAL, INTERNAL, OK], b"answer"),
    ([(408,), OK], b"answer"),
    ([(409, problem("IN_FLIGHT"), {"retry-after": "0"}), OK], b"answer"),
    ([UNPLUGGED, UNPLUGGED, UNPLUGGED], (NotSent, "NOT_SENT")),
    ([CROWDED, httpx2.ConnectTimeout("slow"), UNPLUGGED], (NotSent, "NOT_SENT")),
    ([BUSY, BUSY, BUSY], (RefusedByNode, "BUSY")),
    ([UNPLUGGED, BUSY, UNPLUGGED], (RefusedByNode, "BUSY")),
    ([BUSY, UNPLUGGED, UNPLUGGED], (RefusedByNode, "BUSY")),
    ([EXPIRED], (RefusedByNode, "EXPIRED")),
    ([(409, problem("ID_CONFLICT"))], (RefusedByNode, "ID_CONFLICT")),
    ([(413, b"<html>too large</html>")] * 3, (UnknownOutcome, "UNKNOWN_OUTCOME")),
    ([(403, b"<html>blocked</html>"), OK], b"answer"),
    ([(429, b"<html>slow down</html>")] * 3, (UnknownOutcome, "UNKNOWN_OUTCOME")),
    ([(400, b'{"code":"EXPIRED","status":200}')] * 3, (UnknownOutcome, "UNKNOWN_OUTCOME")),
    ([(200, b"<html>log in</html>", {"content-type": "text/html"})] * 3, (UnknownOutcome, "UNKNOWN_OUTCOME")),
    ([(204,)] * 3, (UnknownOutcome, "UNKNOWN_OUTCOME")),
    ([(200, b"x", {"content-encoding": "gzip"})] * 3, (UnknownOutcome, "UNKNOWN_OUTCOME")),
    ([(404, problem("NOT_FOUND"))], (NotFound, "NOT_FOUND")),
    ([(302, b"", {"location": "http://elsewhere"})] * 3, (UnknownOutcome, "UNKNOWN_OUTCOME")),
    ([UNPLUGGED, EXPIRED], (RefusedByNode, "EXPIRED")),
    ([LOST, LOST, LOST], (UnknownOutcome, "UNKNOWN_OUTCOME")),
    ([LOST, UNPLUGGED, UNPLUGGED], (UnknownOutcome, "UNKNOWN_OUTCOME")),
    ([HALF, UNPLUGGED, UNPLUGGED], (UnknownOutcome, "UNKNOWN_OUTCOME")),
    ([LOST, BUSY, BUSY], (UnknownOutcome, "UNKNOWN_OUTCOME")),
    ([LOST, EXPIRED], (UnknownOutcome, "UNKNOWN_OUTCOME")),
    ([UNPLUGGED, LOST, EXPIRED], (UnknownOutcome, "UNKNOWN_OUTCOME")),
    ([INTERNAL, INTERNAL, INTERNAL], (UnknownOutcome, "UNKNOWN_OUTCOME")),
    ([STOPPING, UNPLUGGED, UNPLUGGED], (UnknownOutcome, "UNKNOWN_OUTCOME")),
    ([(502, b"<html>"), UNPLUGGED, UNPLUGGED], (UnknownOutcome, "UNKNOWN_OUTCOME")),
]  # fmt: skip


def tell(act):
    return type(act).__name__ if isinstance(act, Exception) else str(act[0])


def make(script, urls=("http://one",), **options):
    return Transport(urls, http=script, retry_wait_seconds=0.001, **options)


@pytest.mark.parametrize(("acts", "ending"), ENDINGS, ids=["-".join(map(tell, row[0])) for row in ENDINGS])
async def test_a_transaction_ends_in_one_of_four_ways(acts, ending):
    script = Script(*acts)
    transport = make(script)
    try:
        if isinstance(ending, bytes):
            assert await transport.send_transaction(BODY, transaction_id="t1", trusted_size=7) == (
                ending,
                "http://one",
            )
        else:
            kind, code = ending
            with pytest.raises(kind) as caught:
                await transport.send_transaction(BODY, transaction_id="t1", trusted_size=7)
            assert type(caught.value) is kind
            assert caught.value.code == code
    finally:
        await transport.close()
    assert script.acts == []
    assert set(script.met) == {("http://one/v1/transactions?trusted_size=7", BODY)}


async def test_an_unknown_outcome_names_its_transaction():
    with pytest.raises(UnknownOutcome) as caught:
        await make(Script(LOST), retries=0).send_transaction(BODY, transaction_id="t1", trusted_size=7)
    assert caught.value.transaction_id == "t1"


async def test_a_question_that_is_not_answered_was_not_sent():
    with pytest.raises(NotSent):
        await make(Script(LOST, LOST, LOST)).request("GET", "/v1/chain", headers={})


async def test_what_is_good_once_is_sent_once():
    script = Script(LOST, OK)
    with pytest.raises(NotSent):
        await make(script).request("POST", "/v1/tokens", headers={}, at="http://one")
    assert len(script.met) == 1


async def test_the_next_attempt_goes_to_the_next_node():
    script = Script(UNPLUGGED, STOPPING, OK, OK)
    transport = make(script, urls=("http://one", "http://two"))
    await transport.send_transaction(BODY, transaction_id="t1", trusted_size=7)
    await transport.send_transaction(BODY, transaction_id="t2", trusted_size=7)
    hosts = [url.split("/")[2] for url, _ in script.met]
    assert hosts == ["one", "two", "one", "one"]


async def test_a_node_that_asks_to_wait_is_given_time():
    script = Script((429, problem("BUSY"), {"retry-after": "1"}), OK)
    begun = time.monotonic()
    await make(script).send_transaction(BODY, transaction_id="t1", trusted_size=7)
    assert time.monotonic() - begun >= 1


async def test_no_node_makes_us_wait_for_ever():
    script = Script((429, problem("BUSY"), {"retry-after": "99999999"}), OK)
    task = asyncio.create_task(make(script).send_transaction(BODY, transaction_id="t1", trusted_size=7))
    await asyncio.sleep(0.05)
    assert not task.done()
    task.cancel()
    assert judge(429, {"retry-after": "99999999"}, problem("BUSY")).wait_seconds == 30
    assert judge(429, {"retry-after": "9" * 5000}, problem("BUSY")).wait_seconds == 30


@pytest.mark.parametrize("asked", ["", "soon", "-5", "1e9", "²"])
async def test_a_wait_that_is_no_number_is_left_aside(asked):
    assert judge(429, {"retry-after": asked}, problem("BUSY")).wait_seconds == 0
