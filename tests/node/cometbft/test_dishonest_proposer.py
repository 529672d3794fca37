"""One validator of four proposes what nobody should, whenever it is its turn: the others vote it down or take
from it what is right, and the ledger goes on without a fork and without a loss.
"""

from __future__ import annotations

import re
import time

import pytest

from tests.node.cometbft.dishonest import ATTACKS, MODULE
from tests.node.cometbft.load import MEMBERS, Load, end_and_compare
from tests.node.cometbft.processes import SECONDS

VOTED_DOWN = {
    *("far ahead", "far behind", "no time", "two times", "rubbish", "a bomb", "calls to wake up"),
}
"""What no honest validator votes for; the rest is executed, and what is wrong in it leaves no leaf."""


@pytest.mark.full
@pytest.mark.timeout(600)
def test_a_dishonest_proposer_loses_nothing_for_anybody_and_forks_nothing(make_validators):
    alliance = make_validators(4)
    alliance.start()
    alliance.begin(members=MEMBERS)
    *honest, dishonest = alliance.all
    dishonest.stop()
    dishonest.start(module=MODULE)
    load = Load(alliance, senders=4, seed=9)
    load.nodes = honest
    end = time.monotonic() + 4 * SECONDS
    # Until it has had its turn with everything it knows, twice.
    while count_turns(dishonest) < 2 * len(ATTACKS):
        load.wait_for_more(5)
        assert time.monotonic() < end
    load.nodes = alliance.all
    load.wait_for_more(20)
    end_and_compare(alliance, load)
    said = list(map(read_said, alliance.all))
    assert set(re.findall(r"proposed: (.+)", said[-1])) == set(ATTACKS)
    turned_down = sum(each.count("a proposed block was turned down") for each in said[:-1])
    assert turned_down >= len(VOTED_DOWN)


def count_turns(validator) -> int:
    return read_said(validator).count("proposed: ")


def read_said(validator) -> str:
    """What it has told people since it was started last."""
    return validator.directory.with_name(f"{validator.directory.name}.said").read_text()
