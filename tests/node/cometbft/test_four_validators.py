"""Four organisations keep one ledger: what any of them acknowledges stands in all of them, once, whatever is
killed meanwhile. A smaller load than this is killed amid in every run: `test_faults_killed.py`.
"""

from __future__ import annotations

import os
import signal

import pytest

from tests.node.cometbft.load import MEMBERS, Load, check_solo_store, end_and_compare


@pytest.fixture
def alliance(make_validators):
    made = make_validators(4)
    made.start()
    made.begin(members=MEMBERS)
    return made


@pytest.mark.full
def test_four_have_one_history_whatever_is_killed_and_a_solo_store_comes_to_its_root(alliance, tmp_path):
    load = Load(alliance, senders=8, seed=1)
    load.wait_for(100)
    for whom in ("application", "cometbft"):
        os.kill(getattr(alliance.all[1], whom), signal.SIGKILL)
        load.wait_for(len(load.acknowledged) + 60)
    leaves = end_and_compare(alliance, load)
    check_solo_store(leaves, alliance.all[0].config, tmp_path / "solo")
