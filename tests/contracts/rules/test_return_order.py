"""Goods come back, and with them the points they brought: nobody earns, spends and returns at a profit."""

from __future__ import annotations

import pytest
from msgspec import UNSET
from msgspec.structs import replace

from contracts.mechanics.records import Undone
from contracts.messages import AnnouncePar, ReturnOrder, RevokeGrant
from ledger.errors import Refused
from ledger.outcome import Leg, Lot
from tests.contracts.alliance import Alliance
from tests.contracts.cast import ANNA, BORIS, CINEMA, FRESH, OPERATOR, PETROL, START, TODAY
from tests.contracts.ladder import REFERENCE_ROWS, Attempt, Ladder, every_row, fall_from
from tests.contracts.orders import award, return_goods, set_cap, set_policy
from tests.contracts.purchases import buy, spend

EARNED = Lot(20_057, 5, 0, 40, "leaf-1", 0)


def half_of_the_goods() -> Attempt:
    """Anna earned 40 points at the petrol chain on 20 units of spend; half the goods come back."""
    alliance = Alliance(parameters={"debt_points_max": 19}).open()
    assert buy(alliance, PETROL).points == 40
    told = {"original": "order", "original_day": TODAY, "original_type": "earn", "program": "leaf"}
    return Attempt(
        ReturnOrder,
        sender=PETROL,
        alliance=alliance,
        amount=10_000_000,
        member=ANNA,
        occurred_at=START,
        reference="back",
        **told,
    )


def wait_half_a_year(it: Attempt) -> None:
    it.alliance.wait(days=181)


def split_it(it: Attempt) -> None:
    """Sixteen parts came back already, of next to nothing."""
    key = f"{TODAY:07d}|{PETROL}|earn|leaf|order"
    parts = tuple(Undone(f"part-{number}", "", 1) for number in range(16))
    it.alliance.put("earned", key, replace(it.alliance.get("earned", key), undone=parts))


def spend_it_all(it: Attempt) -> None:
    assert spend(it.alliance, points=40).code == "OK"


#   Each row breaks one more thing than the row below it.
LADDER = Ladder(
    "return_order",
    half_of_the_goods,
    [
        *REFERENCE_ROWS[:2],
        ("ORIGINAL_UNKNOWN", lambda it: it.set(original="another")),
        *REFERENCE_ROWS[2:],
        ("REFUND_TOO_LATE", wait_half_a_year),
        ("REFUND_ABOVE_ORIGINAL", lambda it: it.set(amount=20_000_001)),
        ("TOO_MANY_REFUNDS", split_it),
        ("CLAWBACK_BLOCKED", lambda it: set_policy(it.alliance, shortfall="block")),
        ("DEBT_LIMIT", spend_it_all),
    ],
)


@every_row(LADDER)
def test_a_return_is_refused_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


def test_at_home_all_of_the_points_are_due_back_and_nobody_owes_anybody(alliance):
    buy(alliance)
    index = len(alliance.leaves) - 2
    outcome = return_goods(alliance)
    assert (outcome.code, outcome.points, outcome.balance, outcome.debt) == ("OK", 40, 0, UNSET)
    assert (outcome.lots, outcome.legs, outcome.original) == ([EARNED], UNSET, index)
    assert alliance.get("tally", "leaf|clawed_back") == 40
    assert alliance.get("account", f"{ANNA}|leaf") is None


#   amount of the order, parts that come back, points due for each: cumulative, so they make up the whole
PARTS = [
    (20_000_000, [5_000_000, 15_000_000], [10, 30]),
    (9_999_999, [3_333_333, 3_333_333, 3_333_333], [6, 6, 7]),
    (20_000_000, [1, 499_999, 500_000, 18_999_999, 1], [0, 1, 1, 37, 1]),
    (499_999, [499_999], [0]),
]


@pytest.mark.parametrize(("amount", "parts", "due"), PARTS)
def test_points_due_are_measured_cumulatively_by_the_amounts(alliance, amount, parts, due):
    buy(alliance, amount=amount)
    told = [return_goods(alliance, amount=part, reference=f"{n}").points for n, part in enumerate(parts)]
    assert told == due
    assert return_goods(alliance, amount=1, reference="more").code == "REFUND_ABOVE_ORIGINAL"
    assert alliance.points(ANNA) == 0


def test_sixty_and_sixty_percent_is_more_than_all(alliance):
    buy(alliance)
    assert return_goods(alliance, amount=12_000_000, reference="a").points == 24
    assert return_goods(alliance, amount=12_000_000, reference="b").code == "REFUND_ABOVE_ORIGINAL"
    assert return_goods(alliance, amount=8_000_001, reference="b").code == "REFUND_ABOVE_ORIGINAL"
    assert return_goods(alliance, amount=8_000_000, reference="b").points == 16


def test_a_partner_gets_par_and_fee_back_to_the_micro():
    """19 points at 10,500 micros, 1.5 % fee: 2,992.5, rounded down; a third three times."""
    alliance = Alliance(parameters={"accrual_fee_basis_points": 150}).open()
    outcome = buy(alliance, PETROL, amount=9_999_999)
    assert [leg.micros for leg in outcome.legs] == [199_500, 2_992]
    parts = [return_goods(alliance, PETROL, amount=3_333_333, reference=f"{n}") for n in range(3)]
    assert parts[0].legs == [
        Leg(FRESH, 63_000, "earn_return", PETROL),
        Leg(OPERATOR, 944, "accrual_fee_return", PETROL),
    ]
    told = [[leg.micros for leg in part.legs] for part in parts]
    assert told == [[63_000, 944], [63_000, 945], [73_500, 1_103]]
    assert [sum(column) for column in zip(*told, strict=True)] == [199_500, 2_992]
    assert alliance.position(PETROL) == 0
    alliance.check()


def test_the_par_paid_back_is_that_of_the_earning(alliance):
    buy(alliance, PETROL)
    effective = alliance.height + 10
    alliance.must(FRESH, AnnouncePar(effective, 20_000, 10_000, "leaf", "leaf-1"))
    alliance.reach(effective)
    assert return_goods(alliance, PETROL).legs == [Leg(FRESH, 420_000, "earn_return", PETROL)]


def test_a_return_goes_through_whatever_has_become_of_caps_and_grants(alliance):
    buy(alliance, PETROL)
    alliance.must(FRESH, RevokeGrant("earn", "leaf", PETROL))
    for name in (FRESH, PETROL, OPERATOR):
        set_cap(alliance, name, 0)
    assert return_goods(alliance, PETROL).code == "OK"


def test_the_earning_lot_goes_first_then_the_others_soonest_first(alliance):
    buy(alliance)
    spend(alliance, points=30)
    sooner, later = Lot(TODAY + 5, 5, 0, 15, "leaf-1", 0), Lot(TODAY + 500, 5, 0, 100, "leaf-1", 0)
    alliance.place(ANNA, "leaf", sooner, later)
    outcome = return_goods(alliance)
    assert outcome.lots == [replace(EARNED, points=10), sooner, replace(later, points=15)]
    assert (outcome.points, outcome.debt, outcome.balance) == (40, UNSET, 85)


def test_points_that_cool_are_taken_and_found_again_once_ripe(alliance):
    set_policy(alliance, cooling_days=5)
    buy(alliance)
    assert return_goods(alliance, amount=10_000_000, reference="a").lots == [
        Lot(20_057, 5, 0, 20, "leaf-1", TODAY + 5)
    ]
    alliance.place(ANNA, "leaf", Lot(TODAY + 9, 5, 0, 50, "leaf-1", 0))
    alliance.wait(days=5)
    # It has waited out its time; it is the earning lot all the same, and goes before what lapses sooner.
    assert return_goods(alliance, amount=10_000_000, reference="b").lots == [
        Lot(20_057, 5, 0, 20, "leaf-1", 0)
    ]


def test_what_is_past_its_day_is_not_taken():
    alliance = Alliance(parameters={"due_entries_max": 1}).open()
    alliance.place("m_" + "0" * 26, "leaf", Lot(TODAY, 5, 0, 1, "leaf-1", 0))  # lapses first
    alliance.place(ANNA, "leaf", Lot(TODAY, 5, 0, 500, "leaf-1", 0))
    buy(alliance)
    spend(alliance, points=500)
    spend(alliance, points=40, reference="rest")
    alliance.place(ANNA, "leaf", Lot(TODAY, 5, 0, 500, "leaf-1", 0))
    alliance.wait(days=1)
    outcome = return_goods(alliance)
    assert (outcome.lots, outcome.debt, outcome.balance) == (UNSET, 40, 500)


def test_what_is_on_its_last_day_is_taken(alliance):
    buy(alliance)
    spend(alliance, points=40)
    alliance.place(ANNA, "leaf", Lot(TODAY, 5, 0, 30, "leaf-1", 0), Lot(TODAY + 1, 5, 0, 30, "leaf-1", 0))
    assert [lot.points for lot in return_goods(alliance).lots] == [30, 10]


#   what is other than in the original: the sender, or a field
ANOTHERS = [
    (CINEMA, {}),
    (FRESH, {}),
    (PETROL, {"member": BORIS}),
    (PETROL, {"program": "mile"}),
    (PETROL, {"original_day": TODAY - 1}),
    (PETROL, {"original_type": "award"}),
]


@pytest.mark.parametrize(("sender", "otherwise"), ANOTHERS)
def test_anothers_order_is_as_unknown_as_none(alliance, sender, otherwise):
    buy(alliance, PETROL)
    told = return_goods(alliance, sender, **otherwise)
    assert told == return_goods(alliance, sender, **{**otherwise, "original": "none"})
    assert told.code == "ORIGINAL_UNKNOWN"


def test_returned_twice_takes_once_whatever_the_day(alliance):
    buy(alliance)
    assert return_goods(alliance, amount=10_000_000).code == "OK"
    index = len(alliance.leaves) - 2
    for days in (0, 1, 100, 200):
        alliance.wait(days=days)
        again = return_goods(alliance, amount=10_000_000, occurred_at=START)
        assert (again.code, again.first) == ("ALREADY_DONE", index)
        assert return_goods(alliance, occurred_at=START).code == "REFERENCE_CONFLICT"
    assert alliance.points(ANNA) == 20


#   days since the order, code; the horizon is 180 days, the memory 1,000
LATE = [(180, "OK"), (181, "REFUND_TOO_LATE"), (1_000, "REFUND_TOO_LATE"), (1_001, "ORIGINAL_UNKNOWN")]


@pytest.mark.parametrize(("days", "code"), LATE)
def test_a_return_has_its_time(alliance, days, code):
    buy(alliance)
    alliance.wait(days=days)
    assert return_goods(alliance).code == code


def test_an_order_comes_back_in_sixteen_parts_at_most(alliance):
    buy(alliance)
    for number in range(16):
        assert return_goods(alliance, amount=500_000, reference=f"{number}").points == 1
    assert return_goods(alliance, amount=500_000, reference="16").code == "TOO_MANY_REFUNDS"
    assert return_goods(alliance, amount=500_000, reference="0").code == "ALREADY_DONE"


def test_an_award_comes_back_with_its_order(alliance):
    set_policy(alliance)
    award(alliance, points=50, amount=20_000_000)
    outcome = return_goods(alliance, original_type="award", amount=5_000_000)
    assert (outcome.code, outcome.points) == ("OK", 12)  # 12.5
    assert return_goods(alliance, original_type="award", amount=15_000_000, reference="rest").points == 38


def test_an_award_that_was_given_for_no_order_does_not_come_back(alliance):
    set_policy(alliance)
    award(alliance)
    outcome = return_goods(alliance, original_type="award", amount=1)
    assert outcome.code == "REFUND_ABOVE_ORIGINAL"


def test_returns_are_signed_by_order_systems_and_tills_only(alliance):
    buy(alliance)
    message = ReturnOrder(1, ANNA, START, "order", TODAY, "earn", "leaf", "back")
    for purpose in ("govern", "custody"):
        with pytest.raises(Refused, match="WRONG_PURPOSE"):
            alliance.ask(FRESH, message, purpose=purpose)
    assert alliance.ask(FRESH, message, purpose="till").code == "OK"
