"""C2SP tlog-witness clause by clause: what a log asks, and what it makes of each answer."""

from __future__ import annotations

import re
from typing import NamedTuple

import pytest

from ledger.keys import SeedSigner
from ledger.log.note import cosign, encode_base64, split_note
from node.witnessing.client import WitnessRefused
from tests.node.witness.conftest import HandLog
from tests.node.witness.scripted import LISTED, STRANGER, Scripted, submit

PLAIN, SIZE = "text/plain; charset=utf-8", "text/x.tlog.size"
SECONDS = 1_700_000_000


class Answered(NamedTuple):
    """What a log hears, as (status, media type, body) a request, and what it makes of it."""

    clause: str
    heard: list
    code: str | None
    """None where it takes the cosignature."""
    asked: int = 1
    """How often it has asked by then."""


def line(asked, *, name="w", signer=STRANGER, seconds=SECONDS, body=None):
    body = asked.body if body is None else body
    return cosign(body=body, name=name, time_seconds=seconds, signer=signer)


def forge(asked):
    """A line under the witness's name and id that does not verify."""
    name, key, encoded = line(asked).removesuffix("\n").split(" ")
    return f"{name} {key} {encoded[:-6]}AAAAA=\n".replace("AAAAA=", "AAAA" + encoded[-2:])


def sign_more(asked):
    """The witness's signature under a text that goes on after the checkpoint's."""
    text = f"{asked.body}\nmore\n"
    signature = STRANGER.sign(b"cosignature/v1\ntime %d\n%b" % (SECONDS, text.encode()))
    raw = LISTED.note_id + SECONDS.to_bytes(8, "big") + signature
    return f"more\n\n— w {encode_base64(raw)}\n"


OTHER = SeedSigner(b"5" * 32)
LONG = f"— w {encode_base64(b'mldsa' + bytes(2_500))}\n"
CLIENT = [
    Answered("one line", [(200, PLAIN, line)], None),
    Answered("any media type", [(200, "application/octet-stream", line)], None),
    Answered("none", [(200, None, line)], None),
    Answered("a key of the same name that is unknown", [(200, PLAIN, lambda a: LONG + line(a))], None),
    Answered(
        "several lines, unknown keys before and after",
        [(200, PLAIN, lambda a: line(a, name="v", signer=OTHER) + line(a) + line(a, signer=OTHER) + LONG)],
        None,
    ),
    Answered("its line twice", [(200, PLAIN, lambda a: line(a) + line(a, seconds=SECONDS + 1))], None),
    Answered(
        "unknown keys alone", [(200, PLAIN, lambda a: LONG + line(a, signer=OTHER))], "WITNESS_ANSWERED"
    ),
    Answered("no line", [(200, PLAIN, "")], "WITNESS_ANSWERED"),
    Answered("a line without end", [(200, PLAIN, lambda a: line(a)[:-1])], "WITNESS_ANSWERED"),
    Answered("words before the line", [(200, PLAIN, lambda a: "ok\n" + line(a))], "WITNESS_ANSWERED"),
    Answered("an empty line after it", [(200, PLAIN, lambda a: line(a) + "\n")], "WITNESS_ANSWERED"),
    Answered("an empty line before it", [(200, PLAIN, lambda a: "\n" + line(a))], "WITNESS_ANSWERED"),
    Answered("a text that goes on", [(200, PLAIN, sign_more)], "WITNESS_ANSWERED"),
    Answered("carriage returns", [(200, PLAIN, lambda a: line(a)[:-1] + "\r\n")], "WITNESS_ANSWERED"),
    Answered(
        "bytes that are no UTF-8", [(200, PLAIN, lambda a: b"\xff\n" + line(a).encode())], "WITNESS_ANSWERED"
    ),
    Answered(
        "a name that is no UTF-8",
        [(200, PLAIN, lambda a: line(a).encode() + b"\xe2\x80\x94 \xff AAAAAAA=\n")],
        "WITNESS_ANSWERED",
    ),
    Answered("its line, which does not verify", [(200, PLAIN, forge)], "WITNESS_ANSWERED"),
    Answered(
        "a good line of it and a bad one", [(200, PLAIN, lambda a: line(a) + forge(a))], "WITNESS_ANSWERED"
    ),
    Answered("no time", [(200, PLAIN, lambda a: line(a, seconds=0))], "WITNESS_ANSWERED"),
    Answered(
        "another checkpoint's",
        [(200, PLAIN, lambda a: line(a, body=split_note(a.log.note(2))[0]))],
        "WITNESS_ANSWERED",
    ),
    Answered("a megabyte", [(200, PLAIN, lambda a: line(a) + LONG * 300)], "WITNESS_ANSWERED"),
    Answered(
        "the size that it has seen",
        [(409, SIZE, "3\n"), (200, PLAIN, line)],
        None,
        asked=2,
    ),
    Answered("that of the checkpoint", [(409, SIZE, "9\n"), (200, PLAIN, line)], None, asked=2),
    Answered(
        "parameters after the type", [(409, SIZE + "; charset=utf-8", "3\n"), (200, PLAIN, line)], None, 2
    ),
    Answered(
        "another size each time", [(409, SIZE, f"{size}\n") for size in (3, 4, 5)], "WITNESS_ANSWERED", 3
    ),
    Answered("the size that was asked from", [(409, SIZE, "0\n")], "WITNESS_ANSWERED"),
    Answered("a size above the log's", [(409, SIZE, "10\n")], "WITNESS_AHEAD"),
    Answered("a size of another type", [(409, PLAIN, "3\n")], "WITNESS_ANSWERED"),
    Answered("a size without a type", [(409, None, "3\n")], "WITNESS_ANSWERED"),
    Answered("a size without a line feed", [(409, SIZE, "3")], "WITNESS_ANSWERED"),
    Answered("a size with a leading zero", [(409, SIZE, "03\n")], "WITNESS_ANSWERED"),
    Answered("a size in other digits", [(409, SIZE, "٣\n")], "WITNESS_ANSWERED"),
    Answered("a negative size", [(409, SIZE, "-3\n")], "WITNESS_ANSWERED"),
    Answered("two sizes", [(409, SIZE, "3\n4\n")], "WITNESS_ANSWERED"),
    Answered("a size in a megabyte", [(409, SIZE, "3" * 1_000_000)], "WITNESS_ANSWERED"),
    Answered("bad request", [(400, PLAIN, "no\n")], "WITNESS_ANSWERED"),
    Answered("forbidden", [(403, PLAIN, "no\n")], "WITNESS_ANSWERED"),
    Answered("not found", [(404, PLAIN, "no\n")], "WITNESS_ANSWERED"),
    Answered("it does not continue", [(422, PLAIN, "no\n")], "WITNESS_DISAGREES"),
    Answered("a failure", [(500, PLAIN, "no\n")], "WITNESS_ANSWERED"),
    Answered("busy", [(503, PLAIN, "")], "WITNESS_ANSWERED"),
    Answered("a redirect", [(308, PLAIN, "")], "WITNESS_ANSWERED"),
    Answered("success of another kind", [(201, PLAIN, line)], "WITNESS_ANSWERED"),
]


@pytest.fixture
def scripted():
    scripted = Scripted(HandLog(3_000))
    yield scripted
    scripted.close()


@pytest.mark.parametrize("row", CLIENT, ids=[row.clause for row in CLIENT])
def test_a_log_makes_of_each_answer_what_is_specified(scripted, row):
    scripted.replies = list(row.heard)
    if row.code is None:
        signed_by = {each.key for each in submit(scripted.client, scripted.log, 9).signatures}
        assert signed_by == {LISTED, scripted.log.key}
    else:
        with pytest.raises(WitnessRefused) as caught:
            submit(scripted.client, scripted.log, 9)
        assert caught.value.code == row.code
        assert str(caught.value).encode()  # it can be written down
    assert (len(scripted.heard), scripted.replies) == (row.asked, [])


def test_what_a_log_asks_is_a_request_as_specified(scripted):
    sizes = [(0, 1), (1, 2), (2, 2), (2, 255), (255, 256), (256, 257), (257, 1_000), (1_000, 1_000)]
    scripted.replies = [(200, PLAIN, line) for _ in sizes]
    log = scripted.log
    for old, new in sizes:
        submit(scripted.client, log, new)
        asked = scripted.heard[-1]
        assert (asked.method, asked.path) == ("POST", "/prefix/add-checkpoint")
        found = re.fullmatch(
            r"old (0|[1-9][0-9]*)\n((?:[A-Za-z0-9+/]{43}=\n){0,63})\n(.*\n)", asked.data.decode(), re.DOTALL
        )
        assert int(found[1]) == old
        proof = log.prove(old, new) if 0 < old < new else []
        assert found[2].split("\n")[:-1] == [encode_base64(each) for each in proof]
        assert found[3] == log.note(new)


def test_after_a_conflict_it_asks_from_the_size_that_it_was_told(scripted):
    scripted.replies = [(409, SIZE, "3\n"), (200, PLAIN, line), (200, PLAIN, line)]
    submit(scripted.client, scripted.log, 9)
    submit(scripted.client, scripted.log, 12)
    assert [asked.data.split(b"\n", 1)[0] for asked in scripted.heard] == [b"old 0", b"old 3", b"old 9"]
