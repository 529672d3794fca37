"""A till spends without a line what was held for it before, for as long as it was held, and settles once."""

from __future__ import annotations

import time

import pytest

from merchant_sdk import (
    AllowanceError,
    ConfigurationError,
    HoldError,
    InsufficientPoints,
    InvalidRequest,
    NotSent,
)
from merchant_sdk.till_store import Row, TillClock, TillStore
from node.sandbox import sandbox


@pytest.fixture
def alliance():
    with sandbox(merchants=("fresh", "petrol")) as alliance:
        yield alliance


@pytest.fixture
def shop(alliance, tmp_path):
    return alliance.merchant("fresh", outbox=tmp_path / "outbox.db", program="fresh", retries=0)


@pytest.fixture
def member(shop):
    """A member with 1,000 points."""
    member = shop.enrol()
    shop.earn(member, "1000", "A-0")
    return member


def reopen(alliance, tmp_path):
    return alliance.merchant("fresh", outbox=tmp_path / "outbox.db", program="fresh", retries=0)


def test_an_allowance_is_spent_without_a_line_and_settled_once(alliance, shop, member):
    allowance = shop.reserve(member, 500, without_code=True)
    assert shop.balance(member).held == 500
    with alliance.offline():
        assert allowance.spend(120, order="K-1").points == 120
        assert allowance.spend(80, order="K-2").points == 80
        # A double click is the same spend; other points on the same order are not.
        assert allowance.spend(80, order="K-2").points == 80
        with pytest.raises(AllowanceError, match="ORDER_CONFLICT"):
            allowance.spend(81, order="K-2")
        assert (allowance.spent, allowance.left) == (200, 300)
        with pytest.raises(AllowanceError, match="ALLOWANCE_USED_UP"):
            allowance.spend(301, order="K-3")
        with pytest.raises(NotSent):
            allowance.settle()
        # Surely nothing was sent, so the day goes on.
        assert allowance.spend(50, order="K-3").order == "K-3"
        allowance.void("K-2")
        with pytest.raises(AllowanceError, match="ORDER_UNKNOWN") as caught:
            allowance.void("K-2")
        assert caught.value.what_to_do.startswith("Nothing was changed.")
        assert [spend.order for spend in allowance.spends()] == ["K-1", "K-3"]
    done = allowance.settle()
    assert (done.points, [lot.points for lot in done.released]) == (170, [330])
    assert shop.balance(member).points == 830
    assert allowance.settle().already_done
    assert allowance.state == "settled"
    assert shop.allowances() == []
    for act in (lambda: allowance.spend(1, order="K-9"), lambda: allowance.void("K-1")):
        with pytest.raises(AllowanceError, match="ALLOWANCE_SETTLED"):
            act()
    refunded = shop.refund(allowance.reference, "R-1", points=70)
    assert refunded.balance == 900


def test_what_was_not_spent_at_all_goes_back_whole(shop, member):
    allowance = shop.reserve(member, 500, without_code=True)
    assert allowance.settle().points == 500
    balance = shop.balance(member)
    assert (balance.points, balance.available) == (1_000, 1_000)


def test_an_allowance_survives_the_program(alliance, shop, member, tmp_path):
    first = shop.reserve(member, 100, without_code=True)
    first.spend(30, order="K-1")
    shop.close()
    with alliance.offline():
        again = reopen(alliance, tmp_path)
        (found,) = again.allowances()
        assert (found.reference, found.member, found.program, found.points, found.left) == (
            first.reference,
            member,
            "fresh",
            100,
            70,
        )
        assert found.spend(70, order="K-2").points == 70
    assert found.settle().points == 100


def test_a_points_code_pays_for_an_allowance_elsewhere(alliance, shop, tmp_path):
    wallet = alliance.wallet()
    shop.enrol(wallet)
    shop.earn(wallet.member, "50", "A-1")
    petrol = alliance.merchant("petrol", outbox=tmp_path / "petrol.db")
    allowance = petrol.reserve(wallet.consent_for_hold("fresh", 50, "petrol"), 40)
    allowance.spend(40, order="K-1")
    assert {leg.reason for leg in allowance.settle().legs} == {"redeem", "commission"}
    with pytest.raises(InsufficientPoints):
        petrol.reserve(wallet.consent_for_hold("fresh", 50, "petrol"), 11)
    assert petrol.allowances() == []


def test_spending_ends_well_before_the_hold_does(alliance, shop, member):
    allowance = shop.reserve(member, 100, without_code=True, seconds=3_600, settle_seconds=7_200)
    assert allowance.expires - allowance.spend_until == 7_200_000
    alliance.clock.advance(minutes=59)
    allowance.spend(10, order="K-1")
    alliance.clock.advance(minutes=1)
    with pytest.raises(AllowanceError, match="ALLOWANCE_OVER"):
        allowance.spend(10, order="K-2")
    alliance.clock.advance(minutes=119)
    assert allowance.settle().points == 10


def test_what_was_settled_too_late_is_said_to_be_lost(alliance, shop, member):
    allowance = shop.reserve(member, 100, without_code=True, seconds=60, settle_seconds=60)
    allowance.spend(10, order="K-1")
    alliance.clock.advance(minutes=3)
    with pytest.raises(HoldError, match="HOLD_FINAL"):
        allowance.settle()
    assert allowance.state == "lost"
    assert shop.balance(member).available == 1_000


def test_a_clock_that_is_set_back_wins_no_time(alliance, shop, member, tmp_path):
    allowance = shop.reserve(member, 100, without_code=True, seconds=3_600)
    alliance.clock.advance(minutes=50)
    allowance.spend(10, order="K-1")
    alliance.clock._now -= 40 * 60_000
    assert allowance.spend(10, order="K-2").occurred_at == allowance.spends()[0].occurred_at
    # Nor does another program on the same file.
    assert (
        reopen(alliance, tmp_path).allowances()[0].spend(1, order="K-3").occurred_at
        == alliance.clock() + 40 * 60_000
    )
    alliance.clock.advance(minutes=50)
    with pytest.raises(AllowanceError, match="ALLOWANCE_OVER"):
        allowance.spend(10, order="K-4")


def test_the_tills_clock_goes_on_while_the_machines_is_set_back():
    now = [1_000_000_000_000]
    clock = TillClock(lambda: now[0], is_told=False)
    begun = clock()
    now[0] -= 3_600_000
    assert clock() >= begun
    time.sleep(0.02)
    assert clock() >= begun + 15
    now[0] += 7_200_000
    assert clock() >= begun + 3_600_000


def test_a_slow_machine_takes_the_ledgers_time(alliance, tmp_path):
    """Fifty minutes behind: with its own time it would spend fifty minutes too long, restarted or not."""
    shop = alliance.merchant("fresh")
    member = shop.enrol()
    shop.earn(member, "100", "A-1")
    slow = alliance.merchant(
        "fresh", outbox=tmp_path / "slow.db", clock=lambda: alliance.clock() - 50 * 60_000
    )
    allowance = slow.reserve(member, 100, without_code=True, seconds=3_600)
    alliance.clock.advance(minutes=9)
    allowance.spend(1, order="K-1")
    alliance.clock.advance(minutes=2)
    for each in (allowance, *slow.allowances()):
        with pytest.raises(AllowanceError, match="ALLOWANCE_OVER"):
            each.spend(1, order="K-2")
    assert allowance.settle().points == 1


def test_what_was_learned_of_the_machines_clock_is_not_needed_after_a_restart(tmp_path):
    """The ledger is an hour ahead of the machine; the program that knew it is gone."""
    minute, now, machine = 60_000, [0], 1_700_000_000_000
    path = tmp_path / "till.db"
    options = {"chain": "c", "sender": "fresh"}
    store = TillStore(path, clock=TillClock(lambda: machine + now[0], is_told=True), **options)
    ledger = machine + 60 * minute
    row = Row(
        "T",
        "c",
        "fresh",
        "m",
        "fresh",
        10,
        1,
        ledger + 9**9,
        ledger + 10 * minute,
        b"",
        "asked",
        0,
        0,
        0,
        0,
        None,
    )
    store.ask(row)
    store.open("T", time=ledger)
    store.close()
    again = TillStore(path, clock=TillClock(lambda: machine + now[0], is_told=True), **options)
    now[0] = 9 * minute
    again.spend("T", "K-1", 1)
    now[0] = 10 * minute
    with pytest.raises(AllowanceError, match="ALLOWANCE_OVER"):
        again.spend("T", "K-2", 1)


@pytest.mark.parametrize("points", [0, -5, 1.5, True, "7", 10**10])
def test_points_that_are_none_are_refused(shop, member, points):
    allowance = shop.reserve(member, 100, without_code=True)
    with pytest.raises(InvalidRequest):
        allowance.spend(points, order="K-1")
    with pytest.raises(InvalidRequest):
        allowance.spend(5, order="no such number")
    assert allowance.left == 100


def test_a_till_without_a_file_says_so(alliance, member):
    with pytest.raises(ConfigurationError, match="outbox"):
        alliance.merchant("fresh").reserve(member, 5, without_code=True)
