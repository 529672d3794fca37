"""Problems and bodies: what is told of a mistake, and how much of one is read."""

from __future__ import annotations

import msgspec
import pytest

from ledger.errors import Refused
from node.api.bodies import Disconnected, read_body
from node.api.problems import CODES, make_problem


@pytest.mark.parametrize("code", CODES)
def test_a_problem_has_its_code_its_status_and_a_place_to_read_on(code):
    problem = make_problem(code)
    told = msgspec.json.decode(problem.body)
    assert (told["code"], told["status"], told["type"]) == (code, CODES[code].status, f"/problems/{code}")
    headers = dict(problem.headers)
    assert headers[b"content-length"] == b"%d" % len(problem.body)
    assert (b"www-authenticate" in headers) == (problem.status == 401)
    # Who has handed over to validators takes nothing any more: there is no later to wait for.
    is_for_good = code == "ENGINE_SWITCHED"
    assert (b"retry-after" in headers) == (problem.status in (429, 503) and not is_for_good)


def test_a_rules_code_is_told_in_the_rules_words():
    told = msgspec.json.decode(make_problem("EXCHANGE_TOO_SMALL").body)
    assert told["status"] == 400
    assert told["title"] == "Too few points for a single point of the target."


def test_not_found_tells_nothing_more_whatever_is_known():
    assert make_problem("NOT_FOUND", {"member": "m_1", "index": 5}).body == make_problem("NOT_FOUND").body


def test_facts_are_shown_in_bounds_and_never_as_they_came():
    facts = {
        "code": "OK",
        "status": 200,
        "huge": 10**5_000,
        "number": 5,
        "yes": True,
        "surrogate": "\ud800",
        "control": "a\x1b[2J\nb",
        "long": "x" * 10_000,
        "bytes": b"\xff",
        "list": list(range(10_000)),
    }
    told = msgspec.json.decode(make_problem("MALFORMED", facts).body)
    assert (told["code"], told["status"]) == ("MALFORMED", 400)
    assert told["huge"] == "an integer beyond 2^53"
    assert (told["number"], told["yes"]) == (5, True)
    assert told["surrogate"] == "\\ud800"
    assert told["control"] == "a\\x1b[2J\\nb"
    assert all(len(str(told[name])) <= 200 for name in ("long", "list", "bytes"))


class Sender:
    """Somebody who sends a body in pieces, and does not stop by themselves."""

    def __init__(self, *, pieces: int | None = None, size: int = 100) -> None:
        self.sent = 0
        self._pieces = pieces
        self._size = size

    async def __call__(self):
        if self.sent == self._pieces:
            return {"type": "http.disconnect"}
        self.sent += 1
        return {"type": "http.request", "body": b"x" * self._size, "more_body": True}


async def test_a_body_without_end_is_read_to_the_limit_and_no_further():
    sender = Sender()
    with pytest.raises(Refused, match="TOO_LARGE"):
        await read_body([(b"transfer-encoding", b"chunked")], sender, limit=1_000)
    assert sender.sent == 11


@pytest.mark.parametrize("length", [b"1001", b"9" * 5_000, b"-1", b"", b"1_0", b"+5", b"0x1"])
async def test_a_length_above_the_limit_or_none_at_all_is_refused_unread(length):
    sender = Sender()
    with pytest.raises(Refused, match="TOO_LARGE"):
        await read_body([(b"content-length", length)], sender, limit=1_000)
    assert sender.sent == 0


async def test_a_length_that_lies_is_found_at_the_first_byte_too_many():
    sender = Sender()
    with pytest.raises(Refused, match="TOO_LARGE"):
        await read_body([(b"content-length", b"5")], sender, limit=1_000)
    assert sender.sent == 11


async def test_who_hangs_up_is_not_answered():
    with pytest.raises(Disconnected):
        await read_body([], Sender(pieces=3), limit=1_000)
