"""Only who has a stored transaction in hand says that it is over, and the queue keeps its order."""

from __future__ import annotations

import sqlite3
import subprocess
import sys

import pytest

from merchant_sdk import outbox_file
from merchant_sdk.outbox import LEASE_MILLIS, Outbox
from merchant_sdk.records import Pending

ONE = Pending("fresh", "t1", b"signed bytes", 1_000)
TWO = Pending("fresh", "t2", b"other bytes", 2_000)


class Clock:
    now = 1_700_000_000_000

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


def test_a_lease_runs_out_for_others_and_never_for_who_still_has_it(tmp_path, clock):
    first, second = (Outbox(tmp_path / "outbox.db", clock=clock) for _ in range(2))
    first.put(ONE)
    assert second.claim("fresh") == []
    clock.now += LEASE_MILLIS
    assert first.claim("fresh") == []
    assert second.claim("fresh") == [ONE]
    first.close()
    second.close()


def test_only_who_has_it_in_hand_can_say_that_it_is_over(tmp_path, clock):
    """Else one process would say "never sent" of bytes that another one is sending."""
    first, second = (Outbox(tmp_path / "outbox.db", clock=clock) for _ in range(2))
    first.put(ONE)
    clock.now += LEASE_MILLIS
    assert second.claim("fresh") == [ONE]
    assert first.mark_ended(ONE, why="withdrawn") is None
    assert first.replace(ONE, TWO) is False
    first.release(ONE)
    assert second.mark_ended(ONE, why="refused") == 0
    first.close()
    second.close()


def test_another_process_that_comes_and_goes_takes_nothing_from_under_us(tmp_path):
    """Whoever closes a database last clears its log away; so it must see that we still have it open."""
    path = tmp_path / "outbox.db"
    first, second = Outbox(path), Outbox(path)
    second.close()
    log = path.with_name("outbox.db-wal")
    first.put(ONE)
    before = log.stat().st_ino
    come_and_go = "import sys; from merchant_sdk.outbox import Outbox; Outbox(sys.argv[1]).close()"
    subprocess.run([sys.executable, "-c", come_and_go, str(path)], check=True, timeout=60)
    assert log.stat().st_ino == before
    first.put(TWO)
    first.close()
    third = Outbox(path)
    assert third.count_waiting("fresh") == 2
    third.close()


def test_what_was_signed_anew_is_found_under_its_first_id(outbox):
    outbox.put(ONE)
    assert outbox.replace(ONE, TWO)
    assert outbox.find("fresh", "t1") == TWO
    assert outbox.count_waiting("fresh") == 1


def test_the_queue_keeps_its_order_and_has_one_carrier_at_a_time(tmp_path, clock):
    first, second = (Outbox(tmp_path / "outbox.db", clock=clock) for _ in range(2))
    first.queue("fresh", [b"1", b"2"])
    second.queue("fresh", [b"3"])
    rows = second.list_queued("fresh", limit=2)
    assert [data for _, data in rows] == [b"1", b"2"]
    numbers = [number for number, _ in rows]
    assert first.put_carrier(ONE, numbers)
    assert not second.put_carrier(TWO, numbers)
    assert second.list_queued("fresh", limit=9) == []
    # Turned away as a whole: its messages are at the head of the queue again.
    assert first.mark_ended(ONE, why="refused") == 2
    assert second.put_carrier(TWO, numbers)
    second.mark_done(TWO, answer=b"answer", trusted=None)
    assert [data for _, data in first.list_queued("fresh", limit=9)] == [b"3"]
    assert first.count_queued("fresh") == 1
    first.close()
    second.close()


def test_an_outbox_of_the_version_before_is_taken_over(tmp_path):
    path = tmp_path / "outbox.db"
    connection = sqlite3.connect(path)
    for statement in outbox_file._SCHEMA.split(";"):
        connection.execute(statement)
    row = ("fresh", "t1", b"signed bytes", 1_000, 1, "waiting", "1:old", 0)
    connection.execute("INSERT INTO transactions VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL)", row)
    connection.execute("PRAGMA user_version = 1")
    connection.commit()
    connection.close()
    outbox = Outbox(path)
    assert outbox.claim("fresh") == [ONE]
    outbox.queue("fresh", [b"1"])
    outbox.close()
