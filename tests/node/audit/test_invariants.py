"""Full sums hold over an honest ledger, and each of them can fail."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ledger.errors import InvalidBlock
from ledger.posting import Account
from node.audit.invariants import verify_invariants
from node.audit.replay import Replay


@pytest.fixture
def state(history):
    """The whole state, replayed, to be broken."""
    replay = Replay.begin(history.leaves)
    assert sum(1 for _ in replay) == len(history.blocks)
    return replay.state


def put(state, table, key, record):
    """Past all rules: what a broken rule could leave."""
    state.begin()
    state.put(table, key, record)
    state.commit()


def pick(state, table):
    """A record that is neither nothing nor alone."""
    rows = [(key, record) for key, record in state.list_records(table) if record]
    assert len(rows) > 1
    return rows[0]


def with_two_lots(state):
    return next((key, account) for key, account in state.list_records("account") if len(account.lots) > 1)


def with_a_hold(state):
    return next((key, account) for key, account in state.list_records("account") if account.held)


def without_a_hold(state):
    return next(
        (key, account)
        for key, account in state.list_records("account")
        if not (account.held or account.cooling)
    )


def forget_what_is_held(state):
    key, account = with_a_hold(state)
    points = sum(lot.points for lot in account.lots)
    put(state, "account", key, replace(account, held=(), points=points))


def hold_what_no_hold_names(state):
    key, account = without_a_hold(state)
    put(state, "account", key, replace(account, held=account.lots[:1], lots=account.lots[1:]))


def lose_a_hold(state):
    key = next(key for key, hold in state.list_records("hold") if hold.lots)
    put(state, "hold", key, None)


def reserve_too_little(state):
    key, exposure = next((key, each) for key, each in state.list_records("exposure") if each.held)
    put(state, "exposure", key, replace(exposure, held=exposure.held - 1))


def reserve_for_nothing(state):
    key = next(key for key, each in state.list_records("exposure") if each.held)
    put(state, "exposure", key, None)


def refund_more_than_was_spent(state):
    key, spent = pick(state, "spent")
    put(state, "spent", key, replace(spent, refunded=sum(lot.points for lot in spent.lots) + 1))


def return_more_than_was_bought(state):
    key, earned = pick(state, "earned")
    put(state, "earned", key, replace(earned, returned=earned.amount + 1))


def forget_since_when_lots_wait(state):
    key, account = pick(state, "account")
    put(state, "account", key, replace(account, cooling=1))


def owe_more_than_all_debits(state):
    key, micros = pick(state, "debit")
    put(state, "debit", key, micros + 1)


def count_a_point_too_many(state):
    key, account = pick(state, "account")
    put(state, "account", key, replace(account, points=account.points + 1))


def keep_an_empty_account(state):
    put(state, "account", "m_0|leaf", Account(cooling=0, held=(), lots=(), points=0))


def owe_points(state):
    key, account = pick(state, "account")
    lots = tuple(replace(lot, points=-lot.points) for lot in account.lots)
    put(state, "account", key, replace(account, lots=lots, points=-account.points))


def turn_the_order_of_lots(state):
    key, account = with_two_lots(state)
    put(state, "account", key, replace(account, lots=account.lots[::-1]))


def keep_a_lot_twice(state):
    key, account = pick(state, "account")
    lots = (*account.lots, account.lots[-1])
    put(state, "account", key, replace(account, lots=lots, points=sum(lot.points for lot in lots)))


def lose_an_account(state):
    put(state, "account", without_a_hold(state)[0], None)


def issue_without_a_word(state):
    key, supply = pick(state, "supply")
    put(state, "supply", key, supply + 1)


def forget_an_issue(state):
    key, points = next(
        (key, points) for key, points in state.list_records("tally") if key.endswith("issued.home")
    )
    put(state, "tally", key, points - 1)


def tally_below_nothing(state):
    put(state, "tally", pick(state, "tally")[0], -1)


def open_an_account_of_ones_own(state):
    put(state, "tally", "leaf|my.pocket", 5)


def be_owed_by_nobody(state):
    key, micros = pick(state, "position")
    put(state, "position", key, micros + 1)


def shift_a_debt(state):
    (one, first), (other, second) = list(state.list_records("position"))[:2]
    put(state, "position", one, first + 1)
    put(state, "position", other, second - 1)


def forget_a_debt(state):
    put(state, "owed", pick(state, "owed")[0], None)


#   what is broken, the check
BREACHES = [
    (forget_since_when_lots_wait, "ACCOUNT_BROKEN"),
    (forget_what_is_held, "HOLDS_DIFFER"),
    (hold_what_no_hold_names, "HOLDS_DIFFER"),
    (lose_a_hold, "HOLDS_DIFFER"),
    (reserve_too_little, "RESERVE_DIFFERS"),
    (reserve_for_nothing, "RESERVE_DIFFERS"),
    (refund_more_than_was_spent, "REFUNDED_ABOVE_ORIGINAL"),
    (return_more_than_was_bought, "RETURNED_ABOVE_ORIGINAL"),
    (count_a_point_too_many, "ACCOUNT_BROKEN"),
    (keep_an_empty_account, "ACCOUNT_BROKEN"),
    (owe_points, "ACCOUNT_BROKEN"),
    (turn_the_order_of_lots, "ACCOUNT_BROKEN"),
    (keep_a_lot_twice, "ACCOUNT_BROKEN"),
    (lose_an_account, "POINTS_NOT_CONSERVED"),
    (issue_without_a_word, "POINTS_NOT_CONSERVED"),
    (forget_an_issue, "POINTS_NOT_CONSERVED"),
    (tally_below_nothing, "TALLY_BROKEN"),
    (open_an_account_of_ones_own, "TALLY_BROKEN"),
    (be_owed_by_nobody, "POSITIONS_NOT_ZERO"),
    (shift_a_debt, "POSITION_NOT_OWED"),
    (forget_a_debt, "POSITION_NOT_OWED"),
    (owe_more_than_all_debits, "DEBITS_DIFFER"),
]


def test_an_honest_ledger_adds_up(state):
    verify_invariants(state)


@pytest.mark.parametrize(("damage", "check"), BREACHES, ids=[row[0].__name__ for row in BREACHES])
def test_what_does_not_add_up_is_found(state, damage, check):
    damage(state)
    with pytest.raises(InvalidBlock) as caught:
        verify_invariants(state)
    assert caught.value.check == check
