"""C2SP tlog-witness clause by clause: what a witness answers, and what races to it."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import httpx2
import pytest

from ledger.keys import SeedSigner
from ledger.log.merkle import EMPTY_ROOT
from ledger.log.note import decode_vkey, open_note, parse_checkpoint, sign_checkpoint, split_note
from node.witness.protocol import format_submission
from node.witnessing.client import WitnessClient, WitnessRefused
from tests.node.witness.conftest import HandLog
from tests.node.witness.scripted import submit

STRANGER = SeedSigner(bytes(32))
PLAIN, SIZE = "text/plain; charset=utf-8", "text/x.tlog.size"
SECONDS = 1_700_000_000


def lines_of(note):
    return note[len(split_note(note)[0]) + 1 :]


def sign_empty(log, root=EMPTY_ROOT):
    return sign_checkpoint(origin=log.origin, size=0, root=root, signer=log.signer)


class Asked(NamedTuple):
    """What a witness has cosigned before (0: nothing), what it is asked then, and what it must answer."""

    clause: str
    seen: int
    ask: object
    status: int
    kind: str = PLAIN
    body: str | None = None


#   The order of the rows is that of the specification's own paragraphs.
WITNESS = [
    Asked("a first checkpoint, of any size", 0, lambda log: log.ask(0, 9), 200),
    Asked("an empty tree", 0, lambda log: log.ask(0, 0, note=sign_empty(log), proof=[]), 200),
    Asked("a larger tree with its proof", 4, lambda log: log.ask(4, 9), 200),
    Asked("the same tree again, without a proof", 4, lambda log: log.ask(4, 4), 200),
    Asked(
        "several signatures, those of unknown keys too",
        4,
        lambda log: log.ask(4, 9) + (lines_of(log.note(9, signer=STRANGER)) + "— x AAAAAAA=\n").encode(),
        200,
    ),
    Asked(
        "the log's line after others",
        4,
        lambda log: log.ask(4, 9, note=log.note(9, signer=STRANGER) + lines_of(log.note(9))),
        200,
    ),
    Asked("63 lines of a proof are looked at", 4, lambda log: log.ask(4, 9, proof=[bytes(32)] * 63), 422),
    Asked("64 are not", 4, lambda log: log.ask(4, 9, proof=[bytes(32)] * 64), 400),
    Asked("an unknown origin", 0, lambda _log: HandLog(2_000).ask(0, 3), 404),
    Asked("an unknown origin is not judged further", 0, lambda _log: HandLog(2_000).ask(7, 3, proof=[]), 404),
    Asked("no line of a trusted key", 4, lambda log: log.ask(4, 9, note=log.note(9, signer=STRANGER)), 403),
    Asked(
        "a trusted key's line that does not verify",
        4,
        lambda log: log.ask(4, 9, note=split_note(log.note(9))[0] + "\n" + lines_of(log.note(8))),
        403,
    ),
    Asked(
        "a good line of a trusted key beside a bad one",
        4,
        lambda log: log.ask(4, 9, note=log.note(9) + lines_of(log.note(8))),
        403,
    ),
    Asked("an old size above the checkpoint's", 4, lambda log: log.ask(10, 9, proof=[]), 400),
    Asked("an old size below what was cosigned", 4, lambda log: log.ask(3, 9), 409, SIZE, "4\n"),
    Asked("an old size of nothing", 4, lambda log: log.ask(0, 9), 409, SIZE, "4\n"),
    Asked("an old size above what was cosigned", 4, lambda log: log.ask(5, 9), 409, SIZE, "4\n"),
    Asked("an old size where nothing was cosigned", 0, lambda log: log.ask(5, 9), 409, SIZE, "0\n"),
    Asked("a smaller tree than was cosigned", 4, lambda log: log.ask(2, 3), 409, SIZE, "4\n"),
    Asked(
        "an empty tree of another root",
        0,
        lambda log: log.ask(0, 0, note=sign_empty(log, bytes(32)), proof=[]),
        422,
    ),
    Asked("a proof from size zero", 0, lambda log: log.ask(0, 9, proof=[bytes(32)]), 422),
    Asked("no proof where one is needed", 4, lambda log: log.ask(4, 9, proof=[]), 422),
    Asked("a proof cut short", 4, lambda log: log.ask(4, 9, proof=log.prove(4, 9)[:-1]), 422),
    Asked("a proof too long", 4, lambda log: log.ask(4, 9, proof=[*log.prove(4, 9), bytes(32)]), 422),
    Asked("another history", 4, lambda log: log.ask(4, 9, "another"), 422),
    Asked("one size, two roots", 4, lambda log: log.ask(4, 4, "another"), 422),
    Asked("one size, and a proof", 4, lambda log: log.ask(4, 4, proof=[bytes(32)]), 422),
    Asked("no line feed at the end", 4, lambda log: log.ask(4, 9)[:-1], 400),
    Asked("no empty line", 4, lambda log: log.ask(4, 9).replace(b"\n\n", b"\n", 1), 400),
    Asked("a leading zero", 4, lambda log: log.ask(4, 9).replace(b"old 4", b"old 04", 1), 400),
    Asked("two spaces", 4, lambda log: log.ask(4, 9).replace(b"old 4", b"old  4", 1), 400),
    Asked("other digits", 4, lambda log: log.ask(4, 9).replace(b"old 4", "old ٤".encode(), 1), 400),
    Asked("base64 without padding", 4, lambda log: log.ask(4, 9).replace(b"=\n", b"\n", 1), 400),
    Asked("base64 of a URL", 4, lambda log: log.ask(4, 9, proof=[b"\xff" * 32]).replace(b"/", b"_"), 400),
]


@pytest.mark.parametrize("row", WITNESS, ids=[row.clause for row in WITNESS])
def test_a_witness_answers_each_request_as_specified(witness, hand_log, row):
    log = hand_log
    if row.seen:
        assert witness.add(log.ask(0, row.seen)).status_code == 200
    response = witness.add(row.ask(log))
    assert (response.status_code, response.headers["content-type"]) == (row.status, row.kind), response.text
    if row.body is not None:
        assert response.text == row.body
    key = decode_vkey((witness.directory / "witness.vkey").read_text().strip())
    if row.status == 200:
        # One or more lines, each begun with the dash and ended; the witness's own, with a time.
        assert re.fullmatch(r"(— [^ +\n]+ [A-Za-z0-9+/]+=*\n)+", response.text)
        body = row.ask(log).decode().partition("\n\n")[2].partition("\n\n")[0] + "\n"
        size = parse_checkpoint(body).size
        (signature,) = open_note(f"{body}\n{response.text}", [key]).signatures
        assert signature.time_seconds > 0
        check_seen(witness, log, size)
    else:
        # What was not cosigned has left no trace in what is answered next.
        assert "—" not in response.text
        check_seen(witness, log, row.seen)


def check_seen(witness, log, size):
    """The size that the witness has cosigned last, as it says itself."""
    told = witness.add(log.ask(size + 1, size + 1, proof=[]))
    assert (told.status_code, told.headers["content-type"], told.text) == (409, SIZE, f"{size}\n")


def test_logs_that_submit_one_size_side_by_side_are_all_cosigned_and_another_history_never(witness, hand_log):
    """Both roles at once: eight clients, as an operator has who runs its node twice, race to one size."""
    log = hand_log
    key = decode_vkey((witness.directory / "witness.vkey").read_text().strip())
    clients = [WitnessClient(witness.url, key) for _ in range(8)]
    barrier = threading.Barrier(len(clients))

    def run(place):
        told = []
        for size in (20, 30, 45):
            barrier.wait(60)
            try:
                submit(clients[place], log, size, "another" if place % 2 else "true")
                told.append((size, place % 2))
            except WitnessRefused as refused:
                told.append(refused.code)
        return told

    with ThreadPoolExecutor(len(clients)) as threads:
        told = list(threads.map(run, range(len(clients))))
    for client in clients:
        client.close()
    won = {each[1] for row in told for each in row if isinstance(each, tuple)}
    assert len(won) == 1
    for place, row in enumerate(told):
        expected = [(size, place % 2) for size in (20, 30, 45)] if {place % 2} == won else None
        assert row == (expected or ["WITNESS_DISAGREES"] * 3), (place, row)


def test_of_the_same_checkpoint_submitted_at_once_each_is_answered_and_none_twice(witness, hand_log):
    log = hand_log
    assert witness.add(log.ask(0, 5)).status_code == 200
    body = log.ask(5, 25)
    with ThreadPoolExecutor(8) as threads:
        replies = list(threads.map(lambda _: witness.add(body), range(8)))
    assert sorted(reply.status_code for reply in replies) == [200] + [409] * 7
    assert {(reply.headers["content-type"], reply.text) for reply in replies if reply.status_code == 409} == {
        (SIZE, "25\n")
    }


def test_a_request_is_a_post_and_no_larger_than_any_can_be(witness, hand_log):
    log = hand_log
    for method in ("GET", "PUT", "DELETE"):
        assert httpx2.request(method, f"{witness.url}/add-checkpoint").status_code == 405
    largest = format_submission(old=0, proof=[], note=log.note(9))
    padded = largest + ("— " + "x" * 200 + " AAAAAAA=\n").encode() * 99
    assert witness.add(padded).status_code == 200
    assert witness.add(largest + b"x" * 65_536).status_code == 400
