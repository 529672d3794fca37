"""A follower may be killed at any moment, on its way to where the log is or when it is there: the next start
takes up where it was, and comes to the same tree.
"""

from __future__ import annotations

import random
import signal
import time

import httpx2
import pytest

from ledger.log.note import split_note
from node.auditing import audit_data_dir

START_SECONDS = 4.0
"""About how long a start takes: kills lie before and after its end."""


def read(url):
    return split_note(httpx2.get(f"{url}/checkpoint", timeout=30).text)[0]


def wait_until_equal(follower, led, *, seconds=120):
    end = time.monotonic() + seconds
    while read(follower.url) != read(led.url):
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("kills", [2, pytest.param(10, marks=pytest.mark.full)])
def test_killed_at_random_it_comes_to_the_same_tree(leader, tmp_path, kills):
    dice = random.Random(f"killed {kills}")
    directory = tmp_path / "follower"
    led = leader.start("--limit", "transactions=0", "--limit", "messages=0")
    sent = 0
    for number in range(kills):
        is_there = number % 2 == 1
        follower = leader.follow(directory, led.url, wait=is_there)
        # Further on each time, so that every start has something to execute.
        until = time.monotonic() + dice.uniform(0, 1.5 if is_there else START_SECONDS)
        while time.monotonic() < until or sent <= number:
            leader.send(led.url, sent, count=dice.randrange(1, 400))
            sent += 1
        status, said = follower.end(signal.SIGKILL)
        assert status == -signal.SIGKILL, said
    follower = leader.follow(directory, led.url)
    wait_until_equal(follower, led)
    status, said = follower.end()
    assert status == 0, said
    report = audit_data_dir(directory, policy=None, chain=None, progress=lambda _done, _total: None)
    assert report.is_good, report.first_bad
    assert report.size == int(read(led.url).splitlines()[1])
