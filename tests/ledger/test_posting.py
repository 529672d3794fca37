"""Points move a positive number at a time; like merges with like; nothing is taken that is not there."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import InvariantBroken
from ledger.outcome import Lot
from ledger.posting import (
    EMPTY_ACCOUNT,
    INTO_SUPPLY,
    OUT_OF_SUPPLY,
    SYSTEM_ACCOUNTS,
    Account,
    credit,
    credit_held,
    debit,
    debit_held,
    get_account_key,
    held_by,
    ripen,
)

A = Lot(10, 1, 0, 5, "aa", 0)


def account(*lots: Lot, held: tuple[Lot, ...] = ()) -> Account:
    waiting = [lot.spendable_from for lot in lots if lot.spendable_from]
    points = sum(lot.points for lot in (*lots, *held))
    return Account(cooling=min(waiting, default=0), held=held, lots=lots, points=points)


def test_a_lot_merges_with_its_like():
    assert credit(account(A), Lot(10, 1, 0, 7, "aa", 0)) == account(Lot(10, 1, 0, 12, "aa", 0))


#   one thing in which a lot differs, and whether it then goes before or after
DIFFERENT = [
    (Lot(9, 1, 0, 7, "aa", 0), 0),
    (Lot(11, 1, 0, 7, "aa", 0), 1),
    (Lot(10, 0, 0, 7, "zz", 0), 0),
    (Lot(10, 2, 0, 7, "0a", 0), 1),
    (Lot(10, 1, 0, 7, "ab", 0), 1),
    (Lot(10, 1, 0, 7, "0a", 0), 0),
    (Lot(10, 1, 8, 7, "aa", 0), 1),
    (Lot(10, 1, 0, 7, "aa", 1), 1),
]


@pytest.mark.parametrize(("lot", "place"), DIFFERENT)
def test_other_lots_stand_in_order_of_day_opening_series_and_life(lot, place):
    lots = [A]
    lots.insert(place, lot)
    assert credit(account(A), lot) == account(*lots)
    assert credit_held(account(held=(A,)), lot) == account(held=tuple(lots))


def test_the_last_points_take_the_lot_with_them():
    assert debit(account(A), Lot(10, 1, 0, 4, "aa", 0)) == account(Lot(10, 1, 0, 1, "aa", 0))
    assert debit(account(A), A) == EMPTY_ACCOUNT


#   what a faulty rule might take
FAULTS = [
    (account(A), Lot(10, 1, 0, 6, "aa", 0)),
    (account(A), Lot(9, 1, 0, 1, "aa", 0)),
    (account(A), Lot(10, 1, 0, 1, "ab", 0)),
    (account(A), Lot(10, 1, 0, 1, "aa", 1)),
    (EMPTY_ACCOUNT, A),
    (account(A), Lot(10, 1, 9, 1, "aa", 0)),
    (account(held=(A,)), A),
    (account(A, held=(A,)), Lot(10, 1, 0, 6, "aa", 0)),
]


@pytest.mark.parametrize(("source", "lot"), FAULTS)
def test_a_rule_that_takes_what_is_not_there_stops_the_node(source, lot):
    with pytest.raises(InvariantBroken, match="LOT_OVERDRAWN"):
        debit(source, lot)


#   the same of what is held
HELD_FAULTS = [
    (account(A), A),
    (account(A, held=(A,)), Lot(10, 1, 0, 6, "aa", 0)),
    (account(A, held=(A,)), Lot(10, 1, 9, 1, "aa", 0)),
]


@pytest.mark.parametrize(("source", "lot"), HELD_FAULTS)
def test_a_rule_that_takes_what_is_not_held_stops_the_node(source, lot):
    with pytest.raises(InvariantBroken, match="LOT_OVERDRAWN"):
        debit_held(source, lot)


def test_what_is_held_stays_while_the_rest_goes():
    """One account, two parts: neither merges with the other, and the points are those of both."""
    both = credit_held(account(A), Lot(10, 1, 0, 2, "aa", 0))
    assert both == account(A, held=(Lot(10, 1, 0, 2, "aa", 0),))
    assert both.points == 7
    assert debit(both, A) == account(held=(Lot(10, 1, 0, 2, "aa", 0),))
    assert debit_held(both, Lot(10, 1, 0, 1, "aa", 0)) == account(A, held=(Lot(10, 1, 0, 1, "aa", 0),))
    assert debit_held(debit(both, A), Lot(10, 1, 0, 2, "aa", 0)) == EMPTY_ACCOUNT


WAITING = Lot(10, 1, 0, 3, "aa", 7)
LATER = Lot(10, 1, 0, 2, "aa", 9)


def test_an_account_knows_the_first_day_on_which_something_of_it_ripens():
    assert credit(credit(account(A), LATER), WAITING).cooling == 7
    assert credit(credit(account(A), WAITING), LATER).cooling == 7
    assert debit(account(A, WAITING, LATER), WAITING).cooling == 9
    assert debit(account(A, WAITING), A).cooling == 7
    assert debit(account(A, WAITING), WAITING).cooling == 0


#   day, the account of it
RIPENING = [
    (6, account(A, WAITING, LATER)),
    (7, account(Lot(10, 1, 0, 8, "aa", 0), LATER)),
    (8, account(Lot(10, 1, 0, 8, "aa", 0), LATER)),
    (9, account(Lot(10, 1, 0, 10, "aa", 0))),
    (99, account(Lot(10, 1, 0, 10, "aa", 0))),
]


@pytest.mark.parametrize(("day", "ripe"), RIPENING)
def test_what_waited_out_its_days_is_like_what_never_waited(day, ripe):
    assert ripen(account(A, WAITING, LATER), day) == ripe
    assert ripen(ripe, day) == ripe


def test_what_ripens_takes_its_place_in_the_order():
    """Alone it stands where it stood; among lots of its day it goes by series, then by life."""
    waiting = Lot(10, 1, 0, 3, "aa", 7)
    second_life = Lot(10, 1, 4, 5, "aa", 0)
    assert ripen(account(waiting, second_life), 7) == account(Lot(10, 1, 0, 3, "aa", 0), second_life)
    assert ripen(account(second_life, Lot(10, 1, 4, 3, "aa", 7)), 7) == account(Lot(10, 1, 4, 8, "aa", 0))


lots = st.builds(
    lambda day, life, series, points, cooling: Lot(day, 1 + len(series), life, points, series, cooling),
    st.integers(0, 4),
    st.integers(0, 1),
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
    order = [(lot.expires, lot.opened, lot.series, lot.original, lot.spendable_from) for lot in one.lots]
    assert order == sorted(set(order))
    assert one.cooling == max(lot.spendable_from for lot in arriving) if arriving else not one.cooling
    for lot in arriving:
        one = debit(one, lot)
    assert one == EMPTY_ACCOUNT


def test_no_member_is_called_like_a_system_account():
    assert len(SYSTEM_ACCOUNTS) == len(INTO_SUPPLY) + len(OUT_OF_SUPPLY) == 13
    assert not any(name.startswith(("m_", "held:")) for name in SYSTEM_ACCOUNTS)
    assert held_by("m_1") == "held:m_1"
    assert get_account_key("m_1", "leaf") == "m_1|leaf"
