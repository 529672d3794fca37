"""kill -9: every acknowledged transaction is there once, and the next start needs nobody.

A commit is executed, appended, committed, signed, and now and then noted and folded. The process is killed
right after each of these, early and late, while several senders trade; and anywhere at all, from outside.
"""

from __future__ import annotations

import os
import random
import signal
import time

import pytest

from tests.conftest import FULL
from tests.node.crash.conftest import OFTEN, RARELY

COMMIT = ("executed", "appended", "committed", "signed")
#   what a step leaves: whether the block in hand stands in the log when the process dies right after it
DURABLE_AFTER = {"executed": False, "appended": True, "committed": True, "signed": True}
SEEDS = range(20 if FULL else 3)


@pytest.mark.parametrize("occurrence", [1, 14], ids=["early", "late"])
@pytest.mark.parametrize("step", COMMIT)
def test_killed_after_a_step_of_a_commit_nothing_acknowledged_is_lost(mortuary, step, occurrence):
    left = mortuary.kill(step, occurrence)
    heights = [line["height"] for line in mortuary.diary]
    # The block in hand was answered to nobody; it stands in the log if it was appended, and only then.
    assert max(heights, default=0) == occurrence - 1
    found = sum(leaf.startswith(b'{"@type":"block"') for leaf in left.leaves)
    assert found == occurrence - 1 + DURABLE_AFTER[step]
    mortuary.bury(left=left)


@pytest.mark.parametrize("occurrence", [1, 20], ids=["early", "late"])
def test_killed_in_the_middle_of_writing_a_block_nothing_of_it_is_there(mortuary, occurrence):
    left = mortuary.kill("node.storage.log:LogStore._write_leaves:after", occurrence)
    assert max((line["height"] for line in mortuary.diary), default=0) == occurrence - 1
    assert sum(leaf.startswith(b'{"@type":"block"') for leaf in left.leaves) == occurrence - 1
    mortuary.bury(left=left)


@pytest.mark.parametrize("occurrence", [1, 5], ids=["early", "late"])
@pytest.mark.parametrize("step", ["noted", "folded"])
def test_killed_around_a_fold_nothing_acknowledged_is_lost(mortuary, step, occurrence):
    left = mortuary.kill(step, occurrence)
    # The checkpoint is stored first. State and look-ups follow it in their own time, while blocks go on.
    begun = len(mortuary.town.origin.leaves)
    assert left.folded_size <= left.signed_size <= len(left.leaves)
    if step == "noted":
        assert left.folded_size < left.signed_size == len(left.leaves)
    else:
        assert left.folded_size > begun
    assert len(mortuary.diary) > occurrence
    mortuary.bury(left=left)


@pytest.mark.parametrize("occurrence", [1, 5], ids=["early", "late"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_in_the_middle_of_a_fold_nothing_of_it_is_there(mortuary, when, occurrence):
    # The records are written, what has had its time is deleted, and then the look-ups: one transaction.
    left = mortuary.kill(f"node.storage.sweep:Sweep.run:{when}", occurrence)
    begun = len(mortuary.town.origin.leaves)
    assert begun <= left.folded_size < left.signed_size <= len(left.leaves)
    assert (left.folded_size == begun) == (occurrence == 1)
    mortuary.bury(left=left)


def test_killed_with_many_blocks_unfolded_all_of_them_are_executed_again(mortuary):
    left = mortuary.kill("appended", 30, settings=RARELY, count=120)
    assert left.folded_size == len(mortuary.town.origin.leaves)
    assert left.signed_size == left.folded_size
    mortuary.bury(left=left, count=120)


def test_killed_while_it_executes_the_tail_again_it_starts_all_the_same(mortuary):
    before = mortuary.kill("committed", 30, settings=RARELY, count=120)
    again = mortuary.kill("node.chain:ChainKeeper.take_up:before", 10, settings=RARELY, at_start=True)
    assert again == before, "what was executed again and not folded leaves no trace"
    # With folds on the way the start gets further each time it is killed, and signs that far.
    halfway = mortuary.kill("folded", 3, at_start=True)
    assert halfway.leaves == before.leaves
    assert before.folded_size < halfway.folded_size <= halfway.signed_size < len(before.leaves)
    signed = mortuary.kill("signed", 1, at_start=True, settings=RARELY)
    assert (signed.folded_size, signed.signed_size) == (halfway.folded_size, halfway.signed_size)
    noted = mortuary.kill("noted", 1, at_start=True, settings=RARELY)
    assert (noted.folded_size, noted.signed_size) == (halfway.folded_size, len(before.leaves))
    mortuary.bury(count=120)


BEGINNINGS = [
    "node.storage.schema:Schema.__init__:after",
    "node.storage.log:LogStore.__init__:after",
    "node.storage.fold:FoldStore.__init__:after",
    "node.storage.log:LogStore.append_genesis:before",
    "node.storage.log:LogStore.append_genesis:after",
    "node.storage.fold:FoldStore.fold:before",
    "node.storage.fold:FoldStore.fold:after",
    "signed",
    "noted",
]


def test_killed_in_its_very_first_start_it_begins_again(mortuary):
    sizes = []
    for place in BEGINNINGS:
        left = mortuary.kill(place, at_start=True)
        sizes.append((len(left.leaves), left.folded_size, left.signed_size))
        assert not mortuary.diary
    size = len(mortuary.town.origin.leaves)
    # Each start was killed one place later than the one before: it took up what that had left.
    assert sizes == [
        *[(0, 0, -1)] * 4,
        *[(size, 0, -1)] * 2,
        *[(size, size, -1)] * 2,
        (size, size, size),
    ]
    mortuary.bury()


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_anywhere_again_and_again_under_load_nothing_is_lost_or_done_twice(mortuary, seed):
    draw = random.Random(seed)
    for _ in range(3):
        heard = len(mortuary.diary)
        wanted = draw.randint(0, 25)
        pid = mortuary.start(seed=seed, count=150, settings=draw.choice((OFTEN, RARELY)), senders=8)
        end = time.monotonic() + 60
        while len(mortuary.diary) < heard + wanted and time.monotonic() < end:
            time.sleep(0.002)
        time.sleep(draw.random() * 0.02)
        os.kill(pid, signal.SIGKILL)
        mortuary.wait()
        mortuary.look()
    mortuary.bury(seed=seed, count=150)


def test_killed_and_robbed_of_its_views_it_makes_them_again(mortuary):
    mortuary.kill("folded", 5)
    for file in mortuary.town.database.parent.glob("views.db*"):
        file.unlink()
    left = mortuary.look()
    assert left.folded_size == 0 < left.signed_size
    mortuary.bury(left=left)
