"""A purchase brings points: so many exactly, once, at a partner only as the issuer allows and is paid for."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from contracts.mechanics.governance_records import Issuance
from contracts.messages import AnnouncePar, Earn, OpenProgram, OpenSeries, RevokeGrant
from ledger.calendar import Date, get_day_number
from ledger.errors import Refused
from ledger.outcome import Leg, Lot
from ledger.values import BALANCE_MAX, NEVER
from tests.contracts.alliance import Alliance
from tests.contracts.cast import (
    ANNA,
    BORIS,
    CINEMA,
    DAY_MILLIS,
    FRESH,
    OPERATOR,
    PETROL,
    PHARMACY,
    PROGRAMS,
    START,
    STRANGER,
    TODAY,
    grant,
)
from tests.contracts.ladder import REFERENCE_ROWS, Attempt, Ladder, every_row, fall_from
from tests.contracts.orders import set_cap
from tests.contracts.purchases import buy


def at_a_partner() -> Attempt:
    """The petrol chain gives 100 of the supermarket's points for 50 units of spend."""
    return Attempt(
        Earn,
        sender=PETROL,
        amount=50_000_000,
        member=ANNA,
        occurred_at=START,
        program="leaf",
        reference="o-1",
    )


def let_grant_lapse(it: Attempt) -> None:
    it.alliance.must(FRESH, grant("earn", "leaf", PETROL, budget_day=0, expires=it.alliance.time))
    it.alliance.wait(seconds=1)


def open_without_series(it: Attempt) -> None:
    it.alliance.must(PHARMACY, OpenProgram("Bare", "bare", 1_000_000))
    it.set(program="bare")


def fill(it: Attempt, lots: list[Lot]) -> None:
    # A stranger has no account: nobody can be both.
    it.alliance.place(ANNA, "leaf", *lots)


#   Each row breaks one more thing than the row below it.
LADDER = Ladder(
    "earn",
    at_a_partner,
    [
        *REFERENCE_ROWS,
        ("PROGRAM_UNKNOWN", lambda it: it.set(program="nowhere")),
        ("NO_OPEN_SERIES", open_without_series),
        ("MEMBER_UNKNOWN", lambda it: it.set(member=STRANGER)),
        ("GRANT_MISSING", lambda it: it.alliance.must(FRESH, RevokeGrant("earn", "leaf", PETROL))),
        ("GRANT_EXPIRED", let_grant_lapse),
        ("GRANT_EXHAUSTED", lambda it: it.alliance.must(FRESH, grant("earn", "leaf", PETROL, budget_day=0))),
        ("AMOUNT_TOO_LARGE", lambda it: it.set(amount=500_000 * (10**9 + 1))),
        ("ISSUANCE_EXHAUSTED", lambda it: it.alliance.put("issuance", "leaf", Issuance(0, 0, 0, 0, 0))),
        ("LOT_LIMIT", lambda it: fill(it, [Lot(TODAY + day, 5, 0, 1, "leaf-1", 0) for day in range(63)])),
        ("BALANCE_LIMIT", lambda it: fill(it, [Lot(NEVER, 5, 0, BALANCE_MAX - 63, "leaf-1", 0)])),
        ("DEBIT_CAP", lambda it: set_cap(it.alliance, PETROL, 1_049_999)),
    ],
)


@every_row(LADDER)
def test_earning_says_no_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


#   amount in micros, points of a program where half a unit earns one
ROUNDING = [
    (0, 0),
    (1, 0),
    (499_999, 0),
    (500_000, 1),
    (999_999, 1),
    (1_000_000, 2),
    (123_456_789, 246),
    (500_000 * 10**9, 10**9),
    (500_000 * 10**9 + 499_999, 10**9),
]


@pytest.mark.parametrize(("amount", "points"), ROUNDING)
def test_points_are_the_whole_part_of_amount_by_spend_per_point(alliance, amount, points):
    outcome = buy(alliance, amount=amount)
    assert (outcome.code, outcome.points, outcome.balance) == ("OK", points, points)
    assert alliance.points(ANNA) == points


def test_what_is_left_of_one_order_never_counts_for_the_next(alliance):
    for number in range(3):
        assert buy(alliance, amount=999_999, reference=f"o-{number}").points == 1
    assert alliance.points(ANNA) == 3


def test_an_order_too_small_for_a_point_succeeds_and_takes_its_reference(alliance):
    first = buy(alliance, amount=499_999)
    assert (first.code, first.points, first.lots, first.legs) == ("OK", 0, UNSET, UNSET)
    assert buy(alliance, amount=499_999).code == "ALREADY_DONE"
    assert alliance.lots(ANNA) == ()


def test_earning_at_home_makes_nobody_owe_anybody(alliance):
    outcome = buy(alliance)
    assert outcome.legs is UNSET
    assert outcome.lots == [Lot(20_057, 5, 0, 40, "leaf-1", 0)]
    assert alliance.get("tally", "leaf|issued.home") == 40
    assert dict(alliance.state.list_records("position")) == {}


def test_a_partner_pays_par_accrue_for_each_point_it_makes_the_issuer_owe(alliance):
    outcome = buy(alliance, PETROL, amount=20_250_000)
    # 40 points at 10,500 micros; the operator's fee is 0 by default and then no leg.
    assert outcome.legs == [Leg(PETROL, 420_000, "earn", FRESH)]
    assert (alliance.position(PETROL), alliance.position(FRESH)) == (-420_000, 420_000)
    assert alliance.get("owed", f"{PETROL}|{FRESH}|earn") == 420_000
    assert alliance.get("tally", "leaf|issued.partner") == 40


#   fee in basis points, points, fee in micros: rounded down, the partner keeps the fraction
FEES = [(1, 9, 9), (150, 7, 1_102), (1_000, 40, 42_000), (1, 0, None)]


@pytest.mark.parametrize(("basis_points", "points", "fee"), FEES)
def test_the_operators_fee_on_partner_earning_is_rounded_down(basis_points, points, fee):
    alliance = Alliance(parameters={"accrual_fee_basis_points": basis_points}).open()
    outcome = buy(alliance, PETROL, amount=points * 500_000)
    legs = [Leg(PETROL, points * 10_500, "earn", FRESH), Leg(PETROL, fee or 0, "accrual_fee", OPERATOR)]
    assert outcome.legs == (legs if points else UNSET)
    assert alliance.position(OPERATOR) == (fee or 0)
    alliance.check()


def test_a_partner_that_is_the_operator_owes_itself_no_fee():
    alliance = Alliance(parameters={"accrual_fee_basis_points": 1_000}).open()
    alliance.must(FRESH, grant("earn", "leaf", OPERATOR))
    assert buy(alliance, OPERATOR).legs == [Leg(OPERATOR, 420_000, "earn", FRESH)]


def test_a_partner_pays_the_par_in_force_when_the_block_is_cut(alliance):
    effective = alliance.height + 10
    alliance.must(FRESH, AnnouncePar(effective, 20_000, 10_000, "leaf", "leaf-1"))
    alliance.reach(effective - 1)
    assert buy(alliance, PETROL, reference="before").legs == [Leg(PETROL, 420_000, "earn", FRESH)]
    assert buy(alliance, PETROL, reference="after").legs == [Leg(PETROL, 800_000, "earn", FRESH)]


def test_a_grant_for_one_kind_or_one_partner_covers_no_other(alliance):
    assert buy(alliance, CINEMA).code == "GRANT_MISSING"
    assert buy(alliance, PHARMACY).code == "GRANT_MISSING"
    assert buy(alliance, PETROL, program="drop").code == "GRANT_MISSING"


def test_what_a_grant_allows_a_day_starts_anew_with_the_chains_day(alliance):
    alliance.must(FRESH, grant("earn", "leaf", PETROL, budget_day=100, budget_total=150))
    assert buy(alliance, PETROL, amount=30_000_000, reference="a").code == "OK"  # 60 of 100
    assert buy(alliance, PETROL, amount=20_500_000, reference="b").code == "GRANT_EXHAUSTED"  # 41 more
    assert buy(alliance, PETROL, amount=20_000_000, reference="c").code == "OK"  # 40: just so
    assert buy(alliance, PETROL, amount=500_000, reference="d").code == "GRANT_EXHAUSTED"
    # The block before midnight in the chain's offset still counts to the day, the next does not.
    midnight = (TODAY + 1) * DAY_MILLIS - 480 * 60_000
    alliance.time = midnight - 1
    assert buy(alliance, PETROL, amount=500_000, reference="d").code == "GRANT_EXHAUSTED"
    alliance.time = midnight
    assert buy(alliance, PETROL, amount=25_500_000, reference="d").code == "GRANT_EXHAUSTED"  # 151 in all
    assert buy(alliance, PETROL, amount=25_000_000, reference="d").code == "OK"
    alliance.wait(days=1)
    assert buy(alliance, PETROL, amount=500_000, reference="e").code == "GRANT_EXHAUSTED"


def test_a_grant_holds_to_its_last_millisecond(alliance):
    alliance.must(FRESH, grant("earn", "leaf", PETROL, expires=alliance.time + 1_000))
    alliance.wait(seconds=1)
    assert buy(alliance, PETROL, reference="a").code == "OK"
    alliance.time += 1
    assert buy(alliance, PETROL, reference="b").code == "GRANT_EXPIRED"


#   months a series gives, day of earning, last day of the points: always a month's last
MONTH_ENDS = [
    (1, Date(2024, 1, 31), Date(2024, 2, 29)),
    (1, Date(2023, 1, 31), Date(2023, 2, 28)),
    (12, Date(2023, 2, 1), Date(2024, 2, 29)),
    (12, Date(2024, 2, 29), Date(2025, 2, 28)),
    (1, Date(2023, 12, 1), Date(2024, 1, 31)),
    (11, Date(2024, 1, 1), Date(2024, 12, 31)),
    (48, Date(2023, 11, 30), Date(2027, 11, 30)),
]


@pytest.mark.parametrize(("months", "earned", "expires"), MONTH_ENDS)
def test_points_lapse_at_the_end_of_a_month(months, earned, expires):
    noon = get_day_number(earned) * DAY_MILLIS + 12 * 3_600_000 - 480 * 60_000
    alliance = Alliance(time=noon).open()
    alliance.must(CINEMA, OpenProgram("Monthly", "monthly", 1_000_000))
    alliance.must(CINEMA, OpenSeries(alliance.height + 1, months, 10_000, 10_000, "monthly", "m-1"))
    outcome = buy(alliance, CINEMA, amount=5_000_000, program="monthly")
    assert [lot.expires for lot in outcome.lots] == [get_day_number(expires)]


#   minutes from UTC, the series' month end for points earned at 22:13:20 UTC on the last day of a month
OFFSETS = [
    (-720, Date(2024, 11, 30)),
    (0, Date(2024, 11, 30)),
    (480, Date(2024, 12, 31)),
    (840, Date(2024, 12, 31)),
]


@pytest.mark.parametrize(("offset", "expires"), OFFSETS)
def test_days_are_those_of_the_chains_offset(offset, expires):
    last_evening = START + 16 * DAY_MILLIS - 86_400_000  # 2023-11-29
    alliance = Alliance(time=last_evening + DAY_MILLIS, utc_offset_minutes=offset).open()
    assert [lot.expires for lot in buy(alliance).lots] == [get_day_number(expires)]


def test_points_of_a_series_without_expiry_never_lapse(alliance):
    outcome = buy(alliance, CINEMA, program="star")
    assert [lot.expires for lot in outcome.lots] == [NEVER]
    assert list(alliance.state.list_records("due")) == []


def test_points_earned_in_one_month_become_one_lot(alliance):
    for day in range(15):  # the 15th to the 29th of November
        assert buy(alliance, reference=f"o-{day}").points == 40
        alliance.wait(days=1)
    assert alliance.lots(ANNA) == (Lot(20_057, 5, 0, 600, "leaf-1", 0),)
    alliance.wait(days=1)
    assert buy(alliance, reference="december").balance == 640
    assert alliance.lots(ANNA) == (Lot(20_057, 5, 0, 600, "leaf-1", 0), Lot(20_088, 5, 0, 40, "leaf-1", 0))


def test_each_series_has_lots_of_its_own_and_only_the_newest_is_issued(alliance):
    buy(alliance, reference="old")
    opens = alliance.height + 10
    alliance.must(FRESH, OpenSeries(opens, 12, 11_000, 11_000, "leaf", "leaf-2"))
    alliance.reach(opens - 1)
    assert buy(alliance, reference="last").lots == [Lot(20_057, 5, 0, 40, "leaf-1", 0)]
    assert alliance.height == opens
    assert buy(alliance, reference="new").lots == [Lot(20_057, opens, 0, 40, "leaf-2", 0)]
    assert [lot.points for lot in alliance.lots(ANNA)] == [80, 40]


def test_an_account_of_64_lots_still_takes_what_merges(alliance):
    lots = [Lot(20_057 - number, 5, 0, 1, "leaf-1", 0) for number in range(64)]
    alliance.place(ANNA, "leaf", *lots)
    assert buy(alliance).balance == 104
    assert len(alliance.lots(ANNA)) == 64


def test_a_balance_may_reach_its_limit_exactly(alliance):
    alliance.place(ANNA, "leaf", Lot(NEVER, 5, 0, BALANCE_MAX - 40, "leaf-1", 0))
    assert buy(alliance, reference="a").balance == BALANCE_MAX
    assert buy(alliance, amount=500_000, reference="b").code == "BALANCE_LIMIT"


def test_any_custodians_member_may_earn_anywhere(alliance):
    assert buy(alliance, PHARMACY, member=BORIS, program="drop").points == 20
    assert PROGRAMS["drop"].issuer == PHARMACY


def test_earnings_are_signed_by_order_systems_and_tills_only(alliance):
    message = Earn(1, ANNA, alliance.time, "leaf", "o")
    assert alliance.ask(FRESH, message, purpose="till").code == "OK"
    for purpose in ("govern", "custody"):
        with pytest.raises(Refused, match="WRONG_PURPOSE"):
            alliance.ask(FRESH, message, purpose=purpose)
