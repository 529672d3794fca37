"""A member spends points: only what they agreed to, at par, soonest expiry first, less the operator's."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from contracts.messages import AnnouncePar, Earn, OpenProgram, OpenSeries, Redeem
from ledger.errors import Refused
from ledger.outcome import Leg, Lot
from ledger.values import NEVER
from tests.contracts.alliance import Alliance
from tests.contracts.cast import (
    ANNA,
    BORIS,
    DAY_MILLIS,
    FRESH,
    OPERATOR,
    PETROL,
    TODAY,
    make_signer,
)
from tests.contracts.ladder import Ladder, every_row, fall_from
from tests.contracts.orders import set_aside
from tests.contracts.purchases import spend
from tests.contracts.spending import LIMIT_ROWS, UP_TO_THE_POINTS, spend_elsewhere

#   Each row breaks one more thing than the row below it.
LADDER = Ladder("redeem", lambda: spend_elsewhere(Redeem), [*UP_TO_THE_POINTS, *LIMIT_ROWS])


@every_row(LADDER)
def test_spending_says_no_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


def test_spending_at_the_issuer_makes_nobody_owe_anybody(alliance):
    alliance.earn(ANNA, 250)
    outcome = spend(alliance)
    assert (outcome.code, outcome.balance, outcome.points) == ("OK", 150, UNSET)
    assert outcome.legs is UNSET
    assert outcome.lots == [Lot(20_057, 5, 0, 100, "leaf-1", 0)]
    assert alliance.get("tally", "leaf|redeemed.home") == 100


def test_spending_elsewhere_is_paid_by_the_issuer_less_commission(alliance):
    alliance.earn(ANNA, 250)
    outcome = spend(alliance, PETROL, points=123)
    # 123 points at 10,000 micros are 1,230,000; 1 % of that goes to the operator.
    assert outcome.legs == [
        Leg(FRESH, 1_217_700, "redeem", PETROL),
        Leg(FRESH, 12_300, "commission", OPERATOR),
    ]
    assert alliance.position(FRESH) == -1_230_000
    assert alliance.get("tally", "leaf|redeemed.elsewhere") == 123
    assert alliance.get("owed", f"{FRESH}|{OPERATOR}|commission") == 12_300


#   basis points, floor, cap, points at 10,000 micros, commission
COMMISSIONS = [
    (100, 0, 50_000_000, 1, 100),
    (1, 0, 50_000_000, 1, 1),
    (7, 0, 50_000_000, 33, 231),
    (0, 0, 50_000_000, 100, 0),
    (100, 5_000, 50_000_000, 10, 5_000),  # the floor is more than 1 %
    (100, 5_000, 50_000_000, 50, 5_000),  # just the floor
    (100, 5_000, 50_000_000, 51, 5_100),
    (100, 25_000, 50_000_000, 2, 20_000),  # the floor is more than there is: the acceptor gets nothing
    (2_000, 0, 150_000, 75, 150_000),  # just the cap
    (2_000, 0, 150_000, 76, 150_000),
    (100, 30_000, 20_000, 100, 20_000),  # a cap below the floor wins
    (100, 5_000, 0, 100, 0),
]


@pytest.mark.parametrize(("basis_points", "floor", "cap", "points", "commission"), COMMISSIONS)
def test_commission_keeps_its_floor_its_cap_and_the_gross(basis_points, floor, cap, points, commission):
    parameters = {
        "commission_basis_points": basis_points,
        "commission_cap_micros": cap,
        "commission_floor_micros": floor,
    }
    alliance = Alliance(parameters=parameters).open()
    alliance.earn(ANNA, 1_000)
    wanted = [
        Leg(FRESH, points * 10_000 - commission, "redeem", PETROL),
        Leg(FRESH, commission, "commission", OPERATOR),
    ]
    assert spend(alliance, PETROL, points=points).legs == [leg for leg in wanted if leg.micros]
    alliance.check()


def test_commission_is_rounded_down_and_the_acceptor_keeps_the_fraction():
    alliance = Alliance(parameters={"commission_basis_points": 33}).open()
    alliance.must(FRESH, AnnouncePar(alliance.height + 10, 10_500, 10_003, "leaf", "leaf-1"))
    alliance.earn(ANNA, 1_000)
    alliance.reach(alliance.height + 9)
    # 7 x 10,003 = 70,021; 0.33 % of it is 231.0693
    assert spend(alliance, PETROL, points=7).legs == [
        Leg(FRESH, 69_790, "redeem", PETROL),
        Leg(FRESH, 231, "commission", OPERATOR),
    ]


def test_the_soonest_expiring_points_go_first(alliance):
    for month in range(3):
        alliance.earn(ANNA, 100 + month)
        alliance.wait(days=31)
    outcome = spend(alliance, points=250)
    assert outcome.lots == [
        Lot(20_057, 5, 0, 100, "leaf-1", 0),
        Lot(20_088, 5, 0, 101, "leaf-1", 0),
        Lot(20_119, 5, 0, 49, "leaf-1", 0),
    ]
    assert alliance.lots(ANNA) == (Lot(20_119, 5, 0, 53, "leaf-1", 0),)


def open_second_series(alliance):
    """The supermarket's next series, worth more; both kinds of points lapse on the same days."""
    opens = alliance.height + 10
    alliance.must(FRESH, OpenSeries(opens, 12, 12_000, 12_000, "leaf", "a-later-series"))
    alliance.reach(opens)
    return opens


def test_points_of_one_day_go_by_the_height_their_series_opened(alliance):
    alliance.earn(ANNA, 100)
    opens = open_second_series(alliance)
    alliance.earn(ANNA, 100)
    # "a-later-series" sorts before "leaf-1": the height decides, not the name.
    outcome = spend(alliance, points=150)
    assert outcome.lots == [
        Lot(20_057, 5, 0, 100, "leaf-1", 0),
        Lot(20_057, opens, 0, 50, "a-later-series", 0),
    ]


def test_each_lot_is_paid_at_its_own_series_par(alliance):
    alliance.earn(ANNA, 100)
    open_second_series(alliance)
    alliance.earn(ANNA, 100)
    # 100 at 10,000 and 50 at 12,000 micros
    legs = spend(alliance, PETROL, points=150).legs
    assert [leg.micros for leg in legs] == [1_584_000, 16_000]


def test_points_are_good_on_their_last_day_and_worth_nothing_the_day_after(alliance):
    alliance.place(ANNA, "leaf", Lot(TODAY, 5, 0, 100, "leaf-1", 0), Lot(TODAY + 1, 5, 0, 10, "leaf-1", 0))
    assert spend(alliance, points=50).lots == [Lot(TODAY, 5, 0, 50, "leaf-1", 0)]
    alliance.wait(days=1)
    assert spend(alliance, points=11, reference="late").code == "INSUFFICIENT_POINTS"
    assert spend(alliance, points=10, reference="all").lots == [Lot(TODAY + 1, 5, 0, 10, "leaf-1", 0)]


def test_a_lot_past_its_day_cannot_be_spent_before_its_expiry_entry_either():
    alliance = Alliance(parameters={"due_entries_max": 1}).open()
    first, second = sorted([ANNA, BORIS])
    for member in (first, second):
        alliance.place(member, "leaf", Lot(TODAY, 5, 0, 100, "leaf-1", 0))
    alliance.wait(days=1)
    outcome = spend(alliance, member=second, points=1, speaker=make_signer(second), consent=UNSET)
    assert outcome.code == "INSUFFICIENT_POINTS"
    assert (alliance.points(first), alliance.points(second)) == (0, 100)


def test_cooling_and_held_points_cannot_be_spent(alliance):
    alliance.place(
        ANNA, "leaf", Lot(NEVER, 5, 0, 100, "leaf-1", TODAY + 1), Lot(NEVER, 5, 0, 30, "leaf-1", 0)
    )
    assert spend(alliance, points=31).code == "INSUFFICIENT_POINTS"
    assert (
        set_aside(alliance, points=20, reference="held", expires=alliance.time + 2 * DAY_MILLIS).code == "OK"
    )
    assert spend(alliance, points=11).code == "INSUFFICIENT_POINTS"
    assert spend(alliance, points=10).balance == 120
    alliance.wait(days=1)
    assert spend(alliance, points=101, reference="ripe").code == "INSUFFICIENT_POINTS"
    assert spend(alliance, points=100, reference="ripe").balance == 20


def test_nothing_is_taken_where_points_are_too_few(alliance):
    alliance.earn(ANNA, 99)
    assert spend(alliance).code == "INSUFFICIENT_POINTS"
    assert alliance.points(ANNA) == 99
    assert spend(alliance, points=99).balance == 0
    assert alliance.get("account", f"{ANNA}|leaf") is None


def test_what_a_till_reads_beside_the_points_changes_nothing(alliance):
    alliance.earn(ANNA, 200)
    assert spend(alliance, amount=0).code == "OK"
    assert alliance.ask(FRESH, Earn(0, ANNA, alliance.time, "leaf", "z")).balance == 100


def test_a_program_without_series_has_no_points_to_spend(alliance):
    alliance.must(FRESH, OpenProgram("Bare", "bare", 1_000_000))
    assert spend(alliance, program="bare").code == "INSUFFICIENT_POINTS"


def test_redemptions_are_signed_by_order_systems_and_tills_only(alliance):
    alliance.earn(ANNA, 10)
    message = Redeem(member=ANNA, occurred_at=alliance.time, points=1, program="leaf", reference="o")
    assert alliance.ask(FRESH, message, purpose="till").code == "OK"
    for purpose in ("govern", "custody"):
        with pytest.raises(Refused, match="WRONG_PURPOSE"):
            alliance.ask(FRESH, message, purpose=purpose)
