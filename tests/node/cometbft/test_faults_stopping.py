"""A validator that is told to stop ends in order, however often and whenever it is told."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from node.engine.cometbft.proposals import TOLERANCE_MILLIS
from tests.node.cometbft.load import MEMBERS, Load, check_good, check_once, read_leaves
from tests.node.cometbft.processes import list_children


def tell_often(validator, *, gap_seconds):
    """(exit status, what it said): told three times."""
    processes = validator.processes
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
        if validator.node.process.poll() is None:
            validator.node.process.send_signal(number)
        time.sleep(gap_seconds)
    told = validator.node.wait()
    assert [pid for pid in processes[1:] if Path(f"/proc/{pid}").exists()] == []
    return told


#   seconds between one word and the next
@pytest.mark.parametrize("gap_seconds", [0.05, pytest.param(0, marks=pytest.mark.full)])
def test_told_twice_and_thrice_under_load_it_ends_once_and_whole(make_validators, gap_seconds):
    alliance = make_validators(1)
    alliance.start()
    alliance.begin(members=MEMBERS)
    (validator,) = alliance.all
    load = Load(alliance, senders=3, seed=8)
    load.wait_for_more(20)
    status, said = tell_often(validator, gap_seconds=gap_seconds)
    assert (status, "stopped" in said, "Traceback" in said) == (0, True, False), said
    # Who was not answered sends again, and is answered then.
    validator.start()
    load.end()
    validator.stop()
    check_once(read_leaves(validator.directory), load.acknowledged)
    check_good(validator.directory)


#   what it waits for before it tells: nothing of it is there yet, its node, its CometBFT, the first of its
#   databases (which it then may not have finished: `test_unfinished_databases.py`)
@pytest.mark.parametrize(
    "moment",
    [
        "at once",
        pytest.param("node", marks=pytest.mark.full),
        "cometbft",
        pytest.param("databases", marks=pytest.mark.full),
    ],
)
def test_told_while_it_starts_it_ends_as_well(make_validators, moment):
    alliance = make_validators(1)
    (validator,) = alliance.all
    validator.begin()
    if moment == "at once":
        while not list_children(validator.node.process.pid):
            time.sleep(0.001)
    elif moment == "databases":
        while not (validator.directory / "cometbft/data/blockstore.db").exists():
            time.sleep(0.001)
    else:
        _ = validator.application if moment == "node" else validator.cometbft
    status, said = tell_often(validator, gap_seconds=0.02)
    assert (status, "Traceback" in said) == (0, False), said
    # What it may have voted for is older now than a block that is new may be.
    time.sleep(TOLERANCE_MILLIS / 1000 + 0.5)
    validator.start()
    alliance.begin(members=1)
    validator.stop()
    check_good(validator.directory)
