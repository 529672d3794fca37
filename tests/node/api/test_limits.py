"""Limits: a bucket gives what its rate says, memory stays where it is, the operator sets the rates."""

from __future__ import annotations

import sys

import pytest
from prometheus_client import CollectorRegistry

from contracts.messages import Enrol
from ledger.errors import Refused
from node.api.limits import (
    BURST_SECONDS,
    KEYS_MAX,
    UNLIMITED,
    Buckets,
    Limits,
    Rates,
    get_address_key,
    get_default_rates,
    read_rates,
)
from node.keystore import Unusable
from tests.contracts.cast import FRESH, member_id
from tests.node.api.desk import Desk
from tests.node.engine.town import submit

SECOND = 1_000_000_000


class Nanoseconds:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = 5 * SECOND

    def __call__(self) -> int:
        return self.at


@pytest.fixture
def clock():
    return Nanoseconds()


def test_a_bucket_gives_ten_seconds_at_once_and_then_its_rate(clock):
    buckets = Buckets(2, clock=clock)
    for _ in range(2 * BURST_SECONDS):
        assert buckets.find_wait("a") == 0
        buckets.take("a")
    assert buckets.find_wait("a") == SECOND // 2
    clock.at += SECOND // 2 - 1
    assert buckets.find_wait("a") == 1
    clock.at += 1
    assert buckets.find_wait("a") == 0
    assert buckets.find_wait("a", 2) == SECOND // 2
    assert buckets.find_wait("b", 2 * BURST_SECONDS) == 0


def test_more_than_a_bucket_holds_is_given_out_of_a_full_one_and_owed(clock):
    buckets = Buckets(1, clock=clock)
    assert buckets.find_wait("a", 1_000) == 0
    buckets.take("a", 1_000)
    assert buckets.find_wait("a") == (1_000 - BURST_SECONDS + 1) * SECOND
    buckets.take("b")
    assert buckets.find_wait("b", 1_000) == SECOND


def test_no_rate_is_no_limit_and_remembers_nobody(clock):
    buckets = Buckets(0, clock=clock)
    for number in range(1_000):
        buckets.take(str(number), 10**6)
    assert (len(buckets), buckets.find_wait("1", 10**6)) == (0, 0)


def test_however_many_come_memory_stays_and_nobody_has_less_for_it(clock):
    buckets = Buckets(1, clock=clock)
    for number in range(KEYS_MAX * 3):
        buckets.take(f"198.51.{number}", BURST_SECONDS)
    assert len(buckets) == KEYS_MAX
    assert sys.getsizeof(buckets._full_at) < 2**21
    assert buckets.find_wait("192.0.2.1") == 0
    # Who goes on asking is not forgotten, whatever else comes.
    for number in range(KEYS_MAX * 2):
        if number % 1_000 == 0:
            buckets.take("busy", BURST_SECONDS)
        buckets.take(f"203.0.{number}")
    assert buckets.find_wait("busy") > 0


#   address, what it is counted under
ADDRESSES = [
    (None, None),
    (("127.0.0.1", 5), None),
    (("127.8.9.1", 5), None),
    (("::1", 5), None),
    (("::ffff:127.0.0.1", 5), None),
    (("192.0.2.7", 5), "192.0.2.7"),
    (("::ffff:192.0.2.7", 5), "192.0.2.7"),
    (("2001:db8:1:2:3::4", 5), "20010db800010002::/64"),
    (("2001:db8:1:2:ffff::1%eth0", 5), "20010db800010002::/64"),
    (("2001:db8:1:3::1", 5), "20010db800010003::/64"),
    (("somewhere", 5), "somewhere"),
]


@pytest.mark.parametrize(("client", "key"), ADDRESSES)
def test_an_address_is_counted_under_its_network_and_this_machine_not_at_all(client, key):
    assert get_address_key(client) == key


def test_a_chain_with_a_clock_of_its_own_is_limited_unless_it_is_told(desk, tmp_path):
    assert get_default_rates("system") == Rates() != UNLIMITED
    assert get_default_rates("simulated") == UNLIMITED
    assert desk.app._limits._transactions._burst == Rates().transactions * BURST_SECONDS
    # What one participant may send at once leaves half of the queue to the others.
    from node.mempool import MESSAGES_MAX, TRANSACTIONS_MAX

    assert Rates().transactions * BURST_SECONDS * 2 <= TRANSACTIONS_MAX
    assert Rates().messages * BURST_SECONDS * 2 <= MESSAGES_MAX
    (tmp_path / "told").mkdir()
    told = Desk(tmp_path / "told", kind="simulated")
    assert told.app._limits._transactions._burst == 0
    told.close()


def test_a_core_without_an_app_limits_nobody(tmp_path):
    from tests.node.engine.town import Town

    town = Town(tmp_path)
    core = town.open()
    try:
        for number in range(30):
            submit(core, town.sign(FRESH, f"t-{number}", Enrol(member=member_id(number))))
    finally:
        town.close()


def test_the_operator_sets_a_rate_by_its_name():
    rates = read_rates(["messages=5", "reads=0", "messages=7"], default=Rates())
    assert rates == Rates()._replace(messages=7, reads=0)
    assert read_rates([], default=UNLIMITED) == UNLIMITED


@pytest.mark.parametrize(
    "option", ["", "reads", "reads=", "reads=-1", "reads=1.5", "reads=1000001", "writes=5", "reads=5 ", "=5"]
)
def test_a_rate_that_cannot_be_is_told(option):
    with pytest.raises(Unusable) as told:
        read_rates([option], default=Rates())
    assert told.value.code == "BAD_LIMIT"


def test_counting_a_submission_costs_next_to_nothing(desk):
    import time

    limits = Limits(Rates(), tokens=desk.tokens, registry=CollectorRegistry())
    started = time.perf_counter()
    for number in range(5_000):
        limits.count_submission(f"p-{number % 50}", 3)
    # A signature alone takes some forty microseconds; this is a bound for a busy machine, not a measurement.
    assert (time.perf_counter() - started) / 5_000 < 0.00004
    full = [limits.count_submission("p-1", 8_192) for _ in range(BURST_SECONDS * 2)]
    assert len(full) == BURST_SECONDS * 2
    with pytest.raises(Refused):
        limits.count_submission("p-1", 200_000)
