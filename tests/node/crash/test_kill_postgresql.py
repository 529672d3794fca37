"""kill -9 of a node over PostgreSQL: the same promises as over SQLite, and the lock goes with the node."""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from tests.conftest import FULL
from tests.node.crash.conftest import OFTEN, RARELY

#   where it dies, and whether the block in hand stands in the log then
PLACES = {
    "executed": False,
    "node.storage.log:LogStore._write_leaves:after": False,
    "node.storage.log:LogStore._write_tiles:after": False,
    "appended": True,
    "signed": True,
}
SEEDS = range(10 if FULL else 1)


@pytest.mark.parametrize("place", PLACES)
def test_killed_at_a_step_of_a_commit_nothing_acknowledged_is_lost(postgresql_mortuary, place):
    left = postgresql_mortuary.kill(place, 14)
    heights = [line["height"] for line in postgresql_mortuary.diary]
    found = sum(leaf.startswith(b'{"@type":"block"') for leaf in left.leaves)
    assert (max(heights), found) == (13, 13 + PLACES[place])
    postgresql_mortuary.bury(left=left)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_in_the_middle_of_a_fold_nothing_of_it_is_there(postgresql_mortuary, when):
    left = postgresql_mortuary.kill(f"node.storage.sweep:Sweep.run:{when}", 3)
    begun = len(postgresql_mortuary.town.origin.leaves)
    assert begun < left.folded_size < left.signed_size <= len(left.leaves)
    postgresql_mortuary.bury(left=left)


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_anywhere_again_and_again_under_load_nothing_is_lost_or_done_twice(postgresql_mortuary, seed):
    draw = random.Random(seed)
    for _ in range(3):
        heard = len(postgresql_mortuary.diary)
        wanted = draw.randint(0, 25)
        pid = postgresql_mortuary.start(
            seed=seed, count=150, settings=draw.choice((OFTEN, RARELY)), senders=8
        )
        end = time.monotonic() + 60
        while len(postgresql_mortuary.diary) < heard + wanted and time.monotonic() < end:
            time.sleep(0.002)
        time.sleep(draw.random() * 0.02)
        os.kill(pid, signal.SIGKILL)
        assert postgresql_mortuary.wait() == -signal.SIGKILL
    postgresql_mortuary.bury(seed=seed, count=150)
