"""Whatever of an alliance is killed or stands still for a while: what was acknowledged is in the log once,
all have one root, to which a store without validators comes as well, and each folder verifies.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager, nullcontext
from pathlib import Path
from random import Random

import pytest

from node.engine.cometbft import binary
from node.keystore import Unusable
from tests.conftest import FULL
from tests.node.cometbft.load import MEMBERS, Load, check_solo_store, end_and_compare

pytestmark = pytest.mark.timeout(3600 if FULL else 900)

KILLS = 50 if FULL else 10
PAUSE_SECONDS = 30.0 if FULL else 8.0
"""The others wait two seconds for a proposer that is down (`node.engine.cometbft.home`): either is rounds."""


@pytest.fixture
def alliance(make_validators):
    made = make_validators(4)
    made.start()
    made.begin(members=MEMBERS)
    return made


def choose_victims(alliance, random):
    """Each application and each CometBFT at least once, in any order."""
    each = [(node, part) for node in alliance.all for part in ("application", "cometbft")]
    chosen = each + random.choices(each, k=KILLS - len(each))
    random.shuffle(chosen)
    return chosen


def test_kills_of_every_application_and_every_engine_under_load_lose_nothing(alliance, tmp_path):
    random = Random(7)
    load = Load(alliance, senders=6, seed=2, pause_seconds=0.05)
    for victim, part in choose_victims(alliance, random):
        load.wait_for_more(random.randrange(3, 20))
        os.kill(getattr(victim, part), signal.SIGKILL)
    load.wait_for_more(20)
    leaves = end_and_compare(alliance, load)
    check_solo_store(leaves, alliance.all[0].config, tmp_path / "solo")


def test_who_stands_still_holds_up_nobody_and_catches_up(alliance):
    load = Load(alliance, senders=3, seed=3, pause_seconds=0.2)
    load.wait_for_more(10)
    *others, paused = alliance.all
    load.nodes = others
    with stand_still(paused) as processes:
        end = time.monotonic() + PAUSE_SECONDS
        load.wait_for_more(10)
        while time.monotonic() < end:
            load.wait_for_more(5)
        assert {read_state(pid) for pid in processes} == {"T"}
        ahead = max(each.get_checkpoint()[0] for each in others)
    alliance.wait_for_size(paused, ahead)
    load.nodes = alliance.all
    load.wait_for_more(10)
    end_and_compare(alliance, load)


#   how often it is killed amid the question
@pytest.mark.parametrize(("kills", "is_found"), [(1, True), (2, True), (3, False)])
def test_an_engine_that_is_killed_as_its_version_is_asked_is_asked_again(
    tmp_path, monkeypatch, kills, is_found
):
    program = tmp_path / "cometbft"
    program.write_text(
        f"#!/bin/sh\necho >>{tmp_path}/asked\n"
        f'[ "$(wc -l <{tmp_path}/asked)" -le {kills} ] && kill -9 $$\necho {binary.VERSION}\n'
    )
    program.chmod(0o700)
    monkeypatch.setenv(binary.PROGRAM_VARIABLE, str(program))
    with nullcontext() if is_found else pytest.raises(Unusable, match="COMETBFT_UNUSABLE"):
        assert binary.find_program() == program


@contextmanager
def stand_still(validator):
    """Nothing of it runs meanwhile."""
    stopped = []
    try:
        # From the top down, and again: what starts processes stands still before those are looked for.
        while new := [pid for pid in validator.processes if pid not in stopped]:
            for pid in new:
                stopped.append(pid)
                os.kill(pid, signal.SIGSTOP)
        assert len(stopped) >= 3
        yield stopped
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


def read_state(pid):
    """One letter: T is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
