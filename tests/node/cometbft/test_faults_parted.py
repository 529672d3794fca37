"""An alliance whose lines are cut: whoever is more than two thirds goes on, nobody else does, and when the
lines are whole again there is one history with everything that waited.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from node.engine.cometbft.reaching import (
    ALONE_SECONDS_MAX,
    PATIENCE_SECONDS,
    SILENT_SECONDS_MAX,
    Reach,
    count_heard,
    count_peers,
)
from tests.conftest import FULL
from tests.node.cometbft.load import MEMBERS, Load, check_good, end_and_compare
from tests.node.cometbft.networks import Relays, make_network
from tests.node.cometbft.processes import SECONDS

pytestmark = pytest.mark.timeout(3600 if FULL else 900)

HOLD_SECONDS = 20.0 if FULL else 4.0
LONG_SECONDS = 450.0
SOON_SECONDS = 150.0
"""Of itself CometBFT would look again after so long only with luck."""


#   how the lines are cut
@pytest.fixture(params=["best", pytest.param("relays", marks=pytest.mark.full)])
def alliance(request, make_validators):
    made = make_validators(4, Relays(4) if request.param == "relays" else make_network(4))
    made.start()
    made.begin(members=MEMBERS)
    return made


@pytest.fixture
def two(make_validators):
    made = make_validators(2, make_network(2))
    made.start()
    made.begin(members=MEMBERS)
    # Who is cut off before a decision has come hears it only when the line is whole again.
    made.wait_for_same_root()
    return made


def wait_until_still(nodes):
    """The sizes at which they stand, once what was decided before has arrived everywhere it can."""
    end = time.monotonic() + SECONDS
    while True:
        before = [each.get_checkpoint() for each in nodes]
        time.sleep(2)
        if before == [each.get_checkpoint() for each in nodes]:
            return before
        assert time.monotonic() < end, before


def test_three_go_on_without_the_one_that_is_cut_off_and_two_and_two_do_not(alliance):
    load = Load(alliance, senders=4, seed=4, pause_seconds=0.05)
    load.wait_for_more(20)

    *three, alone = alliance.all
    load.nodes = three
    alliance.network.part([0, 1, 2], [3])
    (stands,) = wait_until_still([alone])
    waiting = [load.send_to(alone, f"alone-{number}") for number in range(3)]
    load.wait_for_more(40)
    assert alone.get_checkpoint() == stands
    assert not any(work.done() for work in waiting), "nothing is decided by one"
    assert all(each.get_checkpoint()[0] > stands[0] for each in three)
    alliance.network.heal()
    load.nodes = alliance.all
    for work in waiting:
        work.result(SECONDS)
    load.wait_for_more(10)

    assert [count_peers(each.directory / "cometbft/rpc.sock") for each in alliance.all] == [3, 3, 3, 3]
    alliance.network.part([0, 1], [2, 3])
    stand = wait_until_still(alliance.all)
    waiting = [
        load.send_to(node, f"half-{place}-{number}")
        for place, node in enumerate(alliance.all)
        for number in range(2)
    ]
    time.sleep(HOLD_SECONDS)
    assert [each.get_checkpoint() for each in alliance.all] == stand
    assert not any(work.done() for work in waiting), "nothing is decided by half"
    assert len(dict(stand)) == len(set(stand)), "one root for each size"
    alliance.network.heal()
    for work in waiting:
        work.result(SECONDS)
    end_and_compare(alliance, load)


class Engine:
    """A folder with settings, and a CometBFT's answer about its peers; and what was done to it."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, *, peers: str) -> None:
        self.settings = folder / "config.toml"
        self.settings.write_text(f'[p2p]\npersistent_peers = "{peers}"\n')
        self.found = self.last_block = self.starts = 0
        self.validators = peers.count(",") + 2
        monkeypatch.setattr("node.engine.cometbft.reaching.count_peers", self.count_peers)
        self.reach = Reach(
            self.settings,
            folder / "rpc.sock",
            count_validators=lambda: self.validators,
            get_last_block=lambda: self.last_block,
            start_again=self.start_again,
        )

    def count_peers(self, _rpc: Path) -> int:
        if self.found is None:
            raise ConnectionRefusedError
        return self.found

    def look(self, now: float, found: int | None) -> str | None:
        """Why nothing would be decided, as it says some seconds after this look."""
        self.found = found
        self.reach.look(now)
        return self.reach.find_rest(now + ALONE_SECONDS_MAX)

    def start_again(self) -> None:
        self.starts += 1

    def look_until(self, seconds: int) -> int:
        """How often it was started again so far, looked at every ten seconds."""
        for now in range(0, seconds + 1, 10):
            self.reach.look(now)
        return self.starts


#   peers it should have, peers it has: whether it looks for the others anew
@pytest.mark.parametrize(
    ("peers", "found", "is_alone"),
    [
        ("a,b,c", 0, True),
        ("a,b,c", 1, True),
        ("a,b,c", 2, False),
        ("a", 0, True),
        ("a", 1, False),
        ("", 0, False),
    ],
)
def test_who_reaches_fewer_than_half_looks_for_them_anew(tmp_path, monkeypatch, peers, found, is_alone):
    engine = Engine(tmp_path, monkeypatch, peers=peers)
    engine.found = found
    assert engine.look_until(int(PATIENCE_SECONDS) - 10) == 0
    assert engine.look_until(int(PATIENCE_SECONDS)) == is_alone


def test_who_sees_blocks_is_left_alone(tmp_path, monkeypatch):
    engine = Engine(tmp_path, monkeypatch, peers="a,b,c")
    engine.last_block = 60
    assert engine.look_until(int(PATIENCE_SECONDS) + 50) == 0
    assert engine.look_until(int(PATIENCE_SECONDS) + 60) == 1


def test_a_peer_that_is_silent_for_longer_than_peers_are_is_out_of_reach():
    def answer(*seconds):
        told = [{"connection_status": {"RecvMonitor": {"Idle": str(each * 10**9)}}} for each in seconds]
        return {"result": {"n_peers": str(len(seconds)), "peers": told}}

    longest = int(SILENT_SECONDS_MAX)
    assert count_heard(answer()) == 0
    assert count_heard(answer(0, longest, longest + 1)) == 2
    for other in ({}, {"result": {"peers": [{}]}}, {"error": "none"}):
        with pytest.raises(ValueError, match="no answer"):
            count_heard(other)


#   how many validators there are, how many others one of them reaches: whether it is enough for a block
@pytest.mark.parametrize(
    ("validators", "found", "is_enough"),
    [
        (1, 0, True),
        (2, 0, False),
        (2, 1, True),
        (3, 1, False),
        (3, 2, True),
        (4, 1, False),
        (4, 2, True),
        (7, 3, False),
        (7, 4, True),
        # More are connected than are in the set.
        (4, 5, True),
    ],
)
def test_who_reaches_too_few_for_a_block_is_not_ready(tmp_path, monkeypatch, validators, found, is_enough):
    engine = Engine(tmp_path, monkeypatch, peers="a,b,c")
    engine.validators = validators
    assert engine.look(10, validators) is None
    reason = engine.look(14, found)
    assert (reason is None) is is_enough
    assert reason is None or f"too few of {validators} validators" in reason


def test_a_line_that_is_lost_for_a_moment_is_told_to_nobody(tmp_path, monkeypatch):
    engine = Engine(tmp_path, monkeypatch, peers="a,b,c")
    engine.look(10, 3)
    assert engine.look(14, 0) is not None
    assert engine.reach.find_rest(14 + ALONE_SECONDS_MAX - 1) is None
    assert engine.look(18, 3) is None


def test_before_enough_were_seen_for_the_first_time_nothing_is_taken_on_trust(tmp_path, monkeypatch):
    engine = Engine(tmp_path, monkeypatch, peers="a,b,c")
    engine.look(10, None)
    assert engine.reach.find_rest(10) == "cometbft does not answer"
    # What is replayed at the start comes from nobody.
    engine.last_block = 11
    assert "too few" in engine.look(12, 0)
    assert engine.look(14, 2) is None
    assert engine.look(18, None) == "cometbft does not answer"


def test_blocks_that_come_through_the_one_peer_that_is_left_say_that_it_is_enough(tmp_path, monkeypatch):
    engine = Engine(tmp_path, monkeypatch, peers="a,b,c")
    engine.look(10, 3)
    assert engine.look(20, 1) is not None
    engine.last_block = 21
    assert engine.look(24, 1) is None
    # That peer is gone as well, and so is the way.
    assert engine.look(28, 0) is not None


def wait_until_ready(validator, status):
    """What it says once it says this."""
    end = time.monotonic() + SECONDS
    while (said := validator.ask("GET", "/readyz"))[0] != status:
        assert time.monotonic() < end, said
        time.sleep(0.2)
    return said[1]


def test_who_has_lost_the_others_is_not_ready_while_nobody_sends_anything(make_validators):
    alliance = make_validators(2)
    alliance.start()
    alliance.begin(members=MEMBERS)
    one, other = alliance.all
    wait_until_ready(one, 200)
    stands = one.get_checkpoint()
    other.stop()
    assert wait_until_ready(one, 503)["reason"] == "too few of 2 validators are in reach: 0"
    assert "commonpoint_ready 0.0" in one.ask("GET", "/metrics")[1]
    other.start()
    wait_until_ready(one, 200)
    assert one.get_checkpoint() == stands


@pytest.mark.full
def test_who_is_cut_off_without_a_word_is_not_ready_soon(two):
    for each in two.all:
        wait_until_ready(each, 200)
    two.network.part([0], [1])
    begun = time.monotonic()
    for each in two.all:
        assert "too few" in wait_until_ready(each, 503)["reason"]
    # CometBFT by itself would give a peer up after 105 seconds.
    assert time.monotonic() - begun < SILENT_SECONDS_MAX + 30
    two.network.heal()
    for each in two.all:
        wait_until_ready(each, 200)


@pytest.mark.full
def test_lines_that_are_whole_again_after_minutes_are_found_in_a_minute_or_two(two):
    two.network.part([0], [1])
    time.sleep(LONG_SECONDS)
    stands = two.wait_for_same_root()
    two.network.heal()
    status, answer = two.all[0].ask("POST", "/v1/transactions", two.earn("late"), seconds=SOON_SECONDS)
    assert (status, answer["index"]) == (200, stands[0])
    two.wait_for_same_root(least=stands[0] + 1)
    for each in two.all:
        each.stop()
        check_good(each.directory)
