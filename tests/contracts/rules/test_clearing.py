"""Whoever is relieved of an obligation pays whoever takes it on or performs it, to the micro."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from contracts.mechanics.clearing import compute_exchange_legs, make_legs
from contracts.mechanics.terms import SeriesTerms
from contracts.rules.exchange import apportion, compute_exchange
from ledger.outcome import Leg, Lot
from ledger.values import INTEGER_MAX, PAR_MAX, POINTS_MAX
from tests.contracts.alliance import Alliance
from tests.contracts.cast import ANNA, CINEMA, CLARA, FRESH, OPERATOR, PETROL, PHARMACY, grant
from tests.contracts.letters import make_nonce
from tests.contracts.purchases import buy, convert, spend

points = st.integers(1, POINTS_MAX)
par = st.integers(1, PAR_MAX)


def test_a_leg_says_something_or_is_not_there():
    wanted = [
        ("a", 0, "earn", "b"),
        ("a", 5, "earn", "a"),
        ("a", 5, "earn", "b"),
        ("a", 1, "rounding", "rounding:a"),
    ]
    assert make_legs(*wanted) == [Leg("a", 5, "earn", "b"), Leg("a", 1, "rounding", "rounding:a")]


@given(offered=points, par_redeem=par, par_accrue=par)
def test_every_exchange_is_exact_and_takes_no_more_than_offered(offered, par_redeem, par_accrue):
    taken, received = compute_exchange(points=offered, par_redeem=par_redeem, par_accrue=par_accrue)
    gross, paid = taken * par_redeem, received * par_accrue
    assert 0 <= taken <= offered
    assert 0 <= gross - paid < par_redeem
    assert gross <= INTEGER_MAX
    # Neither fewer points taken nor more received were possible.
    assert received == 0 or (taken - 1) * par_redeem < paid
    assert (received + 1) * par_accrue > offered * par_redeem
    legs = compute_exchange_legs(source_issuer="a", gross=gross, target_issuer="b", paid=paid)
    assert sum(leg.micros for leg in legs) == gross


@given(offered=points, programs=st.lists(st.tuples(par, par), min_size=2, max_size=5))
def test_no_cycle_of_exchanges_gains(offered, programs):
    """Through any programs and back again, since par_accrue is never below par_redeem."""
    prices = [(max(pair), min(pair)) for pair in programs]
    left = offered
    for number, (_, redeem) in enumerate(prices):
        accrue = prices[(number + 1) % len(prices)][0]
        _, left = compute_exchange(points=left, par_redeem=redeem, par_accrue=accrue)
    assert left <= offered


@given(
    lots=st.lists(st.tuples(st.integers(1, 200), st.integers(1, 10**6)), min_size=1, max_size=64),
    share=st.fractions(0, 1),
    policy=st.integers(1, 200),
)
def test_shares_of_a_lot_add_up_and_are_never_younger(lots, share, policy):
    lots = sorted(lots)
    taken = [Lot(day, 1, 0, number, "s", 0) for day, number in lots]
    received = max(1, int(share * sum(number for _, number in lots)))
    target = SeriesTerms("t", 1, par_accrue=1, par_redeem=1, since=1, expires=policy)
    given_lots = apportion(taken, received, target)
    assert sum(lot.points for lot in given_lots) == received
    assert all(lot.points > 0 and lot.expires <= policy for lot in given_lots)
    # By every day, no more has come out with a later day than its share of what went in with one.
    for day in {lot.expires for lot in given_lots}:
        younger_in = sum(number for own, number in lots if own > day)
        younger_out = sum(lot.points for lot in given_lots if lot.expires > day)
        assert younger_out * sum(number for _, number in lots) < received * younger_in + sum(
            number for _, number in lots
        )


def test_a_day_of_trade_leaves_everybody_with_what_they_are_owed():
    """Every kind of purchase once; the matrix says who owes whom for what, the positions what it comes to."""
    alliance = Alliance(parameters={"accrual_fee_basis_points": 200}).open()
    alliance.must(FRESH, grant("exchange_out", "leaf", PHARMACY))
    alliance.must(PHARMACY, grant("exchange_in", "drop", FRESH))
    alliance.earn(ANNA, 1_000)
    alliance.earn(CLARA, 100, "mile")
    assert buy(alliance, PETROL, reference="partner").code == "OK"  # 40 leaf
    assert spend(alliance, points=50, reference="home").code == "OK"
    assert spend(alliance, PETROL, points=150, reference="petrol").code == "OK"
    assert spend(alliance, CINEMA, points=33, reference="cinema").code == "OK"
    assert convert(alliance, reference="to-mile", target="mile").code == "OK"
    assert convert(alliance, reference="to-drop", target="drop", points=10).code == "OK"
    assert dict(alliance.state.list_records("owed")) == {
        f"{PETROL}|{FRESH}|earn": 40 * 10_500,
        f"{PETROL}|{OPERATOR}|accrual_fee": 8_400,
        f"{FRESH}|{PETROL}|redeem": 1_485_000,
        f"{FRESH}|{CINEMA}|redeem": 326_700,
        f"{FRESH}|{OPERATOR}|commission": 15_000 + 3_300,
        f"{FRESH}|{PETROL}|exchange": 62 * 16_000,
        f"{FRESH}|{PHARMACY}|exchange": 3 * 30_000,
        f"{FRESH}|rounding:{FRESH}|rounding": 8_000,
    }
    assert dict(alliance.state.list_records("position")) == {
        PETROL: -420_000 - 8_400 + 1_485_000 + 992_000,
        FRESH: 420_000 - 1_485_000 - 326_700 - 18_300 - 992_000 - 90_000 - 8_000,
        CINEMA: 326_700,
        OPERATOR: 8_400 + 18_300,
        PHARMACY: 90_000,
        f"rounding:{FRESH}": 8_000,
    }
    assert dict(alliance.state.list_records("supply")) == {
        "leaf": 1_040 - 50 - 150 - 33 - 100 - 9,
        "mile": 162,
        "drop": 3,
    }
    alliance.check()


def test_positions_are_the_sums_of_the_matrix(alliance):
    alliance.earn(ANNA, 5_000)
    for number in range(20):
        buy(alliance, PETROL, amount=500_000 * number, reference=f"b-{number}")
        spend(alliance, (PETROL, CINEMA)[number % 2], points=7 * number + 1, reference=f"s-{number}")
        agreed = {"nonce": make_nonce("convert", number)}
        convert(alliance, points=11 * number + 1, reference=f"x-{number}", agreed=agreed)
    sums: dict[str, int] = {}
    for key, micros in alliance.state.list_records("owed"):
        source, destination, _ = key.split("|")
        sums[source] = sums.get(source, 0) - micros
        sums[destination] = sums.get(destination, 0) + micros
    assert sums == dict(alliance.state.list_records("position"))
    assert set(sums) == {FRESH, PETROL, CINEMA, OPERATOR}


def test_a_message_of_the_greatest_size_and_price_is_written_exactly():
    """10^9 points at 5,000,000 micros: still an integer that every JSON reader agrees on."""
    from contracts.messages import OpenProgram, OpenSeries

    alliance = Alliance().open()
    alliance.must(FRESH, OpenProgram("Gold", "gold", 333_334))
    alliance.must(FRESH, OpenSeries(alliance.height + 1, 0, PAR_MAX, PAR_MAX, "gold", "gold-1"))
    alliance.must(FRESH, grant("earn", "gold", PETROL), grant("redeem", "gold", PETROL))
    outcome = buy(alliance, PETROL, program="gold", amount=333_334 * POINTS_MAX)
    assert outcome.legs == [Leg(PETROL, 5 * 10**15, "earn", FRESH)]
    outcome = spend(alliance, PETROL, program="gold", points=POINTS_MAX)
    assert [leg.micros for leg in outcome.legs] == [5 * 10**15 - 50_000_000, 50_000_000]
    alliance.check()
