"""The outbox forgets nothing that may have been sent: not on a crash, not beside another process."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys

import pytest

from merchant_sdk import ConfigurationError, OutboxError
from merchant_sdk.outbox import DATED_MILLIS, KEPT_MILLIS, LEASE_MILLIS, Outbox
from merchant_sdk.records import Dated, Evidence, Pending, TrustedNote

ONE = Pending("fresh", "t1", b"signed bytes", 1_000)
TWO = Pending("fresh", "t2", b"other bytes", 2_000)
ELSE = Pending("petrol", "t1", b"somebody else's", 3_000)

WRITER = """
import sys, time
from merchant_sdk.outbox import Outbox
from merchant_sdk.records import Pending
outbox = Outbox(sys.argv[1])
for number in range(10**9):
    outbox.put(Pending("fresh", f"t{number}", b"signed bytes %d" % number, number))
    print(number, flush=True)
    if number % 3 == 0:
        outbox.mark_done(Pending("fresh", f"t{number}", b"", 0), answer=b"answer", trusted=None)
"""

HOLDER = """
import sys
from merchant_sdk.outbox import Outbox
from merchant_sdk.records import Pending
outbox = Outbox(sys.argv[1])
outbox.put(Pending("fresh", "t1", b"signed bytes", 1_000))
print("held", flush=True)
sys.stdin.read()
"""


class Clock:
    def __init__(self):
        self.now = 1_700_000_000_000

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=["file", "memory"])
def outbox(request, tmp_path, clock):
    outbox = Outbox(tmp_path / "outbox.db" if request.param == "file" else None, clock=clock)
    yield outbox
    outbox.close()


def test_what_is_put_is_there_as_it_was_signed(outbox):
    outbox.put(ONE)
    assert outbox.find("fresh", "t1") == ONE
    assert outbox.count_waiting("fresh") == 1
    assert outbox.count_waiting("petrol") == 0


def test_nobody_takes_what_somebody_has_in_hand(outbox):
    outbox.put(ONE)
    assert outbox.claim("fresh") == []


def test_what_is_released_is_claimed_once_in_the_order_it_came(outbox, clock):
    for pending in (TWO, ONE, ELSE):
        outbox.put(pending)
        clock.now += 1
        outbox.release(pending)
    assert outbox.claim("fresh") == [TWO, ONE]
    assert outbox.claim("fresh") == []
    assert outbox.claim("petrol") == [ELSE]


@pytest.mark.parametrize("why", ["refused", "withdrawn", "signed anew"])
def test_what_is_ended_is_never_sent_again(outbox, clock, why):
    outbox.put(ONE)
    outbox.mark_ended(ONE, why=why)
    clock.now += LEASE_MILLIS
    assert outbox.claim("fresh") == []
    assert outbox.find("fresh", "t1") is None


def test_what_is_done_keeps_its_answer(tmp_path, clock):
    path = tmp_path / "outbox.db"
    outbox = Outbox(path, clock=clock)
    outbox.put(ONE)
    outbox.mark_done(ONE, answer=b"answer", trusted=TrustedNote("village", 7, "note 7"))
    outbox.close()
    again = Outbox(path, clock=clock)
    assert again.find_answer("fresh", "t1") == b"answer"
    assert again.load_note("village") == "note 7"
    assert again.count_waiting("fresh") == 0
    again.close()


def test_memory_keeps_nothing_of_what_is_done(clock):
    outbox = Outbox(clock=clock)
    outbox.put(ONE)
    outbox.mark_done(ONE, answer=b"answer", trusted=None)
    assert outbox.find("fresh", "t1") is None


def test_the_trusted_note_never_goes_back(outbox):
    for size in (5, 9, 7, 9, 3):
        outbox.save_note(TrustedNote("village", size, f"note {size}"))
    assert outbox.load_note("village") == "note 9"
    assert outbox.load_note("town") is None


def test_the_moment_given_to_an_order_is_remembered_for_a_day(outbox, clock):
    dated = Dated("earn", "fresh", "A-1", 55)
    outbox.put(ONE, [dated])

    orders = [
        ("earn", "fresh", "A-1"),
        ("redeem", "fresh", "A-1"),
        ("earn", "petrol", "A-1"),
        ("earn", "fresh", "A-2"),
    ]
    assert outbox.list_moments("fresh", orders) == [55, None, None, None]
    assert outbox.list_moments("petrol", orders) == [None] * 4
    clock.now += DATED_MILLIS
    assert outbox.list_moments("fresh", orders) == [None] * 4


def test_evidence_is_kept(outbox):
    evidence = Evidence("SPLIT_VIEW", "one note", "another")
    outbox.save_evidence(evidence)
    assert outbox.list_evidence() == [evidence]


def test_old_business_is_cleared_away_and_open_business_is_not(tmp_path, clock):
    path = tmp_path / "outbox.db"
    outbox = Outbox(path, clock=clock)
    outbox.put(ONE)
    outbox.put(TWO)
    outbox.mark_done(ONE, answer=b"answer", trusted=None)
    outbox.close()
    clock.now += KEPT_MILLIS + 1
    again = Outbox(path, clock=clock)
    assert again.find("fresh", "t1") is None
    assert again.find("fresh", "t2") == TWO
    again.close()


def test_the_file_is_its_owners_alone_and_every_write_is_synced(tmp_path):
    path = tmp_path / "outbox.db"
    outbox = Outbox(path)
    outbox.put(ONE)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert outbox._file.synced.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert outbox._file.synced.execute("PRAGMA synchronous").fetchone() == (2,)
    outbox.close()


def test_two_outboxes_of_one_file_never_hold_the_same_transaction(tmp_path):
    path = tmp_path / "outbox.db"
    first, second = Outbox(path), Outbox(path)
    wanted = [Pending("fresh", f"t{number}", b"", 0) for number in range(20)]
    for pending in wanted:
        first.put(pending)
    assert second.claim("fresh") == []
    for pending in wanted:
        first.release(pending)
    taken = [*second.claim("fresh", limit=7), *first.claim("fresh", limit=7), *second.claim("fresh")]
    assert sorted(taken) == sorted(wanted)
    first.close()
    second.close()


def test_what_a_closed_outbox_held_is_free_at_once(tmp_path):
    path = tmp_path / "outbox.db"
    first = Outbox(path)
    first.put(ONE)
    first.close()
    second = Outbox(path)
    assert second.claim("fresh") == [ONE]
    second.close()


def test_a_killed_process_leaves_every_transaction_it_spoke_of(tmp_path):
    path = tmp_path / "outbox.db"
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        spoken = [int(process.stdout.readline()) for _ in range(40)]
        os.kill(process.pid, signal.SIGKILL)
        spoken += [int(line) for line in process.stdout.read().split("\n")[:-1] if line]
    outbox = Outbox(path)
    for number in spoken:
        assert outbox.find("fresh", f"t{number}").data == b"signed bytes %d" % number
    # Its process is gone, so nothing waits for a lease to run out.
    claimed = {pending.id for pending in outbox.claim("fresh", limit=10_000)}
    assert {f"t{number}" for number in spoken[:-1] if number % 3} <= claimed
    outbox.close()


def test_a_living_process_keeps_what_it_has_in_hand(tmp_path):
    path = tmp_path / "outbox.db"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline() == "held\n"
        outbox = Outbox(path)
        assert outbox.claim("fresh") == []
        process.kill()
        process.wait(10)
        assert outbox.claim("fresh") == [ONE]
        outbox.close()
    finally:
        process.kill()
        process.communicate(timeout=10)


def test_an_outbox_that_cannot_be_opened_says_so(tmp_path):
    with pytest.raises(ConfigurationError, match="outbox"):
        Outbox(tmp_path / "nowhere" / "outbox.db")
    (tmp_path / "letter.txt").write_text("Dear Anna, this is no database. " * 100)
    with pytest.raises(ConfigurationError, match="outbox"):
        Outbox(tmp_path / "letter.txt")


def test_an_outbox_of_a_later_version_is_left_alone(tmp_path):
    path = tmp_path / "outbox.db"
    Outbox(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ConfigurationError, match="version"):
        Outbox(path)


def test_a_write_that_fails_is_a_typed_error(outbox):
    outbox._file.synced.execute("PRAGMA query_only = ON")
    with pytest.raises(OutboxError, match="may only be read"):
        outbox.put(ONE)
    outbox._file.synced.execute("PRAGMA query_only = OFF")
    outbox.put(ONE)
    assert outbox.find("fresh", "t1") == ONE
