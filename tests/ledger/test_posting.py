"""Points move a positive number at a time; like merges with like; nothing is taken that is not there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvariantBroken
from ledger.outcome import Lot
from ledger.posting import EMPTY_ACCOUNT, SYSTEM_ACCOUNTS, Account, credit, debit, get_account_key

A = Lot(10, 1, 5, "aa", 0)


def account(*lots: Lot, held: int = 0) -> Account:
    return Account(held=held, lots=lots, points=sum(lot.points for lot in lots))


def test_a_lot_merges_with_its_like():
    assert credit(account(A), Lot(10, 1, 7, "aa", 0)) == account(Lot(10, 1, 12, "aa", 0))


#   one thing in which a lot differs, and whether it then goes before or after
DIFFERENT = [
    (Lot(9, 1, 7, "aa", 0), 0),
    (Lot(11, 1, 7, "aa", 0), 1),
    (Lot(10, 0, 7, "zz", 0), 0),
    (Lot(10, 2, 7, "0a", 0), 1),
    (Lot(10, 1, 7, "ab", 0), 1),
    (Lot(10, 1, 7, "0a", 0), 0),
    (Lot(10, 1, 7, "aa", 1), 1),
]


@pytest.mark.parametrize(("lot", "place"), DIFFERENT)
def test_other_lots_stand_in_order_of_day_opening_and_series(lot, place):
    lots = [A]
    lots.insert(place, lot)
    assert credit(account(A), lot) == account(*lots)


def test_the_last_points_take_the_lot_with_them():
    assert debit(account(A), Lot(10, 1, 4, "aa", 0)) == account(Lot(10, 1, 1, "aa", 0))
    assert debit(account(A), A) == EMPTY_ACCOUNT


#   what a faulty rule might take
FAULTS = [
    (account(A), Lot(10, 1, 6, "aa", 0)),
    (account(A), Lot(9, 1, 1, "aa", 0)),
    (account(A), Lot(10, 1, 1, "ab", 0)),
    (account(A), Lot(10, 1, 1, "aa", 1)),
    (EMPTY_ACCOUNT, A),
    (account(A, held=1), A),
    (account(A, held=5), Lot(10, 1, 1, "aa", 0)),
]


@pytest.mark.parametrize(("source", "lot"), FAULTS)
def test_a_rule_that_takes_what_is_not_there_stops_the_node(source, lot):
    with pytest.raises(InvariantBroken, match="LOT_OVERDRAWN"):
        debit(source, lot)


def test_what_is_held_stays_while_the_rest_may_go():
    assert debit(account(A, held=2), Lot(10, 1, 3, "aa", 0)) == account(Lot(10, 1, 2, "aa", 0), held=2)


lots = st.builds(
    lambda day, series, points, cooling: Lot(day, 1 + len(series), points, series, cooling),
    st.integers(0, 4),
    st.sampled_from(["aa", "bbb"]),
    st.integers(1, 9),
    st.integers(0, 1),
)


@given(st.lists(lots, max_size=30), st.randoms(use_true_random=False))
def test_the_order_of_arrival_makes_no_difference(arriving, choose):
    one = two = EMPTY_ACCOUNT
    for lot in arriving:
        one = credit(one, lot)
    choose.shuffle(arriving)
    for lot in arriving:
        two = credit(two, lot)
    assert one == two
    assert one.points == sum(lot.points for lot in arriving)
    order = [(lot.expires, lot.opened, lot.series, lot.spendable_from) for lot in one.lots]
    assert order == sorted(set(order))
    for lot in arriving:
        one = debit(one, lot)
    assert one == EMPTY_ACCOUNT


def test_no_member_is_called_like_a_system_account():
    assert len(SYSTEM_ACCOUNTS) == 7
    assert not any(name.startswith("m_") for name in SYSTEM_ACCOUNTS)
    assert get_account_key("m_1", "leaf") == "m_1|leaf"
