"""Opening balances keep the dates they may have had; corrections are open, and taking needs a yes."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from contracts.messages import Adjust, ImportBalance, OpenProgram, OpenSeries
from ledger.calendar import Date, get_day_number
from ledger.errors import Refused
from ledger.outcome import Lot
from ledger.values import BALANCE_MAX, NEVER
from tests.contracts.alliance import Alliance
from tests.contracts.cast import (
    ANNA,
    BORIS,
    CINEMA,
    FRESH,
    PETROL,
    PHARMACY,
    START,
    STRANGER,
    TODAY,
)
from tests.contracts.ladder import REFERENCE_ROWS, Attempt, Ladder, every_row, fall_from
from tests.contracts.letters import make_nonce
from tests.contracts.orders import adjust, return_goods, set_policy, take_over
from tests.contracts.purchases import buy, spend
from tests.contracts.spending import CONSENT_ROWS, CUSTODY_OF_FRESH, NEW_KEY


def an_opening_balance() -> Attempt:
    """Anna had 500 points in the supermarket's earlier system, earned today."""
    told = {"earned_day": TODAY, "expires_day": 20_057, "member": ANNA, "occurred_at": START}
    told |= {"points": 500, "program": "leaf", "reference": "i-1", "series": "leaf-1"}
    return Attempt(ImportBalance, sender=FRESH, **told)


def a_correction() -> Attempt:
    """The pharmacy takes 6,000 of its points from Boris, whose custodian agrees for him."""
    told = {"occurred_at": START, "points": 6_000, "program": "drop", "reason": "correction"}
    attempt = Attempt(Adjust, sender=PHARMACY, member=BORIS, reference="c-1", direction="take", **told)
    attempt.alliance.earn(BORIS, 6_000, "drop")
    attempt.agree(CUSTODY_OF_FRESH)
    return attempt


def come_too_late(it: Attempt) -> None:
    it.alliance.wait(days=401)
    it.alliance.cut()  # what lapsed meanwhile is gone
    it.set(occurred_at=it.alliance.time)


def fill(it: Attempt, member: str, program: str, *lots: Lot) -> None:
    for one in (member, STRANGER):
        it.alliance.place(one, program, *lots)


def give_another_kind(it: Attempt) -> None:
    """A month later what is given lapses a month later too: a 65th kind."""
    lots = [Lot(TODAY + 60 + day, 5, 0, 1, "drop-1", 0) for day in range(62)]
    fill(it, BORIS, "drop", *lots)
    it.alliance.wait(days=31)
    it.set(direction="give")


def give_too_much(it: Attempt) -> None:
    fill(it, BORIS, "drop", Lot(NEVER, 5, 0, BALANCE_MAX - 6_064, "drop-1", 0))
    it.set(direction="give")


def give_of_no_series(it: Attempt) -> None:
    it.alliance.must(PHARMACY, OpenProgram("Bare", "bare", 1_000_000))
    it.set(program="bare", direction="give")


#   Each row breaks one more thing than the row below it.
LADDERS = [
    Ladder(
        "import_balance",
        an_opening_balance,
        [
            *REFERENCE_ROWS,
            ("PROGRAM_UNKNOWN", lambda it: it.set(program="nowhere")),
            ("NOT_ISSUER", lambda it: setattr(it, "sender", PETROL)),
            ("SERIES_UNKNOWN", lambda it: it.set(series="leaf-9")),
            ("MEMBER_UNKNOWN", lambda it: it.set(member=STRANGER)),
            ("IMPORT_CLOSED", come_too_late),
            ("IMPORT_DATES", lambda it: it.set(expires_day=20_058)),
            (
                "LOT_LIMIT",
                lambda it: fill(
                    it, ANNA, "leaf", *[Lot(TODAY + day, 5, 0, 1, "leaf-1", 0) for day in range(63)]
                ),
            ),
            (
                "BALANCE_LIMIT",
                lambda it: fill(it, ANNA, "leaf", Lot(NEVER, 5, 0, BALANCE_MAX - 63, "leaf-1", 0)),
            ),
        ],
    ),
    Ladder(
        "adjust",
        a_correction,
        [
            *REFERENCE_ROWS,
            ("PROGRAM_UNKNOWN", lambda it: it.set(program="nowhere")),
            ("NOT_ISSUER", lambda it: setattr(it, "sender", CINEMA)),
            ("MEMBER_UNKNOWN", lambda it: it.set(member=STRANGER)),
            ("NO_OPEN_SERIES", give_of_no_series),
            ("LOT_LIMIT", give_another_kind),
            ("BALANCE_LIMIT", give_too_much),
            ("CONSENT_MISSING", lambda it: setattr(it, "consent", None)),
            ("CONSENT_WRONG_COUNTERPARTY", lambda it: it.agree(NEW_KEY, counterparty=CINEMA)),
            ("CONSENT_EXPIRED", lambda it: it.agree(NEW_KEY, expires=it.alliance.time - 1)),
            ("CONSENT_TOO_LONG", lambda it: it.agree(NEW_KEY, expires=it.alliance.time + 86_400_001)),
            *[row for row in CONSENT_ROWS if row[0] != "CONSENT_ABOVE_OPEN_LIMIT"],
            ("INSUFFICIENT_POINTS", lambda it: it.set(points=6_001)),
        ],
    ),
]


@every_row(*LADDERS)
def test_issuing_by_hand_is_refused_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


def test_an_opening_balance_has_its_own_dates_and_merges_with_its_like(alliance):
    outcome = take_over(alliance, expires_day=19_999)
    assert (outcome.code, outcome.balance, outcome.legs) == ("OK", 500, UNSET)
    assert outcome.lots == [Lot(19_999, 5, 0, 500, "leaf-1", 0)]
    assert alliance.get("tally", "leaf|imported") == 500
    buy(alliance)
    assert take_over(alliance, reference="b", points=2).balance == 542
    assert alliance.lots(ANNA)[1:] == (Lot(20_057, 5, 0, 42, "leaf-1", 0),)


def day(year: int, month: int, date: int) -> int:
    return get_day_number(Date(year, month, date))


#   earned, last day, code; today is the 15th of November 2023, and the series gives a year to a month's end
DATES = [
    (TODAY, 20_057, "OK"),
    (TODAY, 20_058, "IMPORT_DATES"),
    (TODAY, TODAY, "OK"),
    (TODAY, TODAY - 1, "IMPORT_DATES"),
    (TODAY + 1, TODAY + 2, "IMPORT_DATES"),
    (NEVER, NEVER, "IMPORT_DATES"),
    (TODAY, NEVER, "IMPORT_DATES"),
    (day(2022, 11, 1), day(2023, 11, 30), "OK"),
    (day(2022, 11, 30), day(2023, 12, 1), "IMPORT_DATES"),
    (day(2022, 10, 31), TODAY, "IMPORT_DATES"),  # the 31st of October 2023 was their last
    (0, TODAY, "IMPORT_DATES"),
]


@pytest.mark.parametrize(("earned", "expires", "code"), DATES)
def test_an_opening_balance_may_have_only_dates_the_series_could_have_given(alliance, earned, expires, code):
    assert take_over(alliance, earned_day=earned, expires_day=expires).code == code


#   of a series whose points never lapse
@pytest.mark.parametrize(("expires", "code"), [(NEVER, "OK"), (TODAY, "OK"), (TODAY - 1, "IMPORT_DATES")])
def test_a_series_without_expiry_takes_any_last_day(alliance, expires, code):
    told = {"program": "star", "series": "star-1", "expires_day": expires}
    assert take_over(alliance, CINEMA, **told).code == code


@pytest.mark.parametrize(("most", "days", "code"), [(400, 400, "OK"), (400, 401, "IMPORT_CLOSED")])
def test_opening_balances_come_in_the_programs_first_days_only(most, days, code):
    alliance = Alliance(parameters={"import_days": most}).open()
    alliance.wait(days=days)
    earned = TODAY + days
    assert take_over(alliance, earned_day=earned, expires_day=earned).code == code


def test_with_no_days_for_it_the_opening_day_itself_is_left():
    alliance = Alliance(parameters={"import_days": 0}).open()
    assert take_over(alliance).code == "OK"
    alliance.wait(days=1)
    assert take_over(alliance, reference="b").code == "IMPORT_CLOSED"


def test_an_opening_balance_may_go_into_a_series_that_is_no_longer_or_not_yet_open(alliance):
    opens = alliance.height + 12
    alliance.must(FRESH, OpenSeries(opens, 12, 12_000, 12_000, "leaf", "leaf-2"))
    assert take_over(alliance, series="leaf-2", points=1).lots == [Lot(20_057, opens, 0, 1, "leaf-2", 0)]
    alliance.reach(opens + 1)
    assert take_over(alliance, reference="b").lots == [Lot(20_057, 5, 0, 500, "leaf-1", 0)]


def test_what_was_taken_over_is_no_order_that_comes_back(alliance):
    take_over(alliance)
    for kind in ("earn", "award"):
        assert return_goods(alliance, original_type=kind, amount=1).code == "ORIGINAL_UNKNOWN"


def test_a_gift_of_the_issuers_hand_is_a_lot_of_the_open_series(alliance):
    set_policy(alliance, cooling_days=9)
    outcome = adjust(alliance)
    assert (outcome.code, outcome.balance) == ("OK", 30)
    assert outcome.lots == [Lot(20_057, 5, 0, 30, "leaf-1", 0)]
    assert alliance.get("tally", "leaf|adjusted.in") == 30
    assert adjust(alliance).code == "ALREADY_DONE"
    assert adjust(alliance, reason="goodwill").code == "REFERENCE_CONFLICT"


def test_what_the_issuer_takes_goes_as_a_redemption_does(alliance):
    sooner, later = Lot(TODAY + 5, 5, 0, 20, "leaf-1", 0), Lot(TODAY + 9, 5, 0, 20, "leaf-1", 0)
    alliance.place(ANNA, "leaf", sooner, later)
    outcome = adjust(alliance, direction="take")
    assert (outcome.code, outcome.balance, outcome.legs) == ("OK", 10, UNSET)
    assert outcome.lots == [sooner, Lot(TODAY + 9, 5, 0, 10, "leaf-1", 0)]
    assert alliance.get("tally", "leaf|adjusted.out") == 30
    assert adjust(alliance, direction="take", points=11, reference="b").code == "INSUFFICIENT_POINTS"


#   what the member agreed to that is no consent to this
NO_CONSENT = [
    ({"counterparty": "any"}, "CONSENT_WRONG_COUNTERPARTY"),
    ({"counterparty": PETROL}, "CONSENT_WRONG_COUNTERPARTY"),
    ({"purpose": "redeem"}, "CONSENT_SIGNATURE_INVALID"),
    ({"points": 29}, "CONSENT_TOO_SMALL"),
    ({"nonce": make_nonce("used")}, "CONSENT_USED"),
]


@pytest.mark.parametrize(("agreed", "code"), NO_CONSENT)
def test_nothing_is_taken_on_somebody_elses_word(alliance, agreed, code):
    alliance.earn(ANNA, 500)
    assert spend(alliance, agreed={"nonce": make_nonce("used")}).code == "OK"
    assert adjust(alliance, direction="take", agreed=agreed).code == code
    assert adjust(alliance, direction="take", consent=UNSET).code == "CONSENT_MISSING"
    assert adjust(alliance, direction="take").code == "OK"


def test_corrections_and_opening_balances_are_signed_by_govern_keys_only(alliance):
    told = {"member": ANNA, "occurred_at": START, "points": 1, "program": "leaf", "reference": "o"}
    messages = [
        Adjust(direction="give", reason="goodwill", **told),
        ImportBalance(earned_day=TODAY, expires_day=TODAY, series="leaf-1", **told),
    ]
    for purpose in ("transact", "till", "custody"):
        for message in messages:
            with pytest.raises(Refused, match="WRONG_PURPOSE"):
                alliance.ask(FRESH, message, purpose=purpose)
    assert {outcome.code for outcome in alliance.submit(FRESH, *messages)} == {"OK"}


def owe(alliance, points):
    """Anna earned 40 points, spent some and brought everything back: those she owes."""
    buy(alliance)
    spend(alliance, points=points)
    assert return_goods(alliance).debt == points


#   points given, what of them is repaid, what is owed then, the balance then
GIVEN = [(1, 1, 39, 0), (30, 30, 10, 0), (39, 39, 1, 0), (40, 40, 0, 0), (41, 40, 0, 1), (100, 40, 0, 60)]


@pytest.mark.parametrize(("given", "repaid", "debt", "balance"), GIVEN)
def test_what_the_issuer_gives_repays_the_debt_first(alliance, given, repaid, debt, balance):
    owe(alliance, 40)
    outcome = adjust(alliance, points=given)
    assert (outcome.repaid, outcome.debt, outcome.balance) == (repaid, debt, balance)
    assert outcome.lots == ([Lot(20_057, 5, 0, balance, "leaf-1", 0)] if balance else UNSET)
    assert alliance.get("debt", f"{ANNA}|leaf") == (debt or None)
    assert (alliance.get("tally", "leaf|adjusted.in"), alliance.points(ANNA)) == (given, balance)
    assert adjust(alliance, points=given).code == "ALREADY_DONE"


def test_what_repays_needs_no_room(alliance):
    owe(alliance, 40)
    alliance.place(ANNA, "leaf", *[Lot(TODAY + 60 + day, 5, 0, 1, "leaf-1", 0) for day in range(64)])
    alliance.wait(days=31)  # what is given lapses a month later than all of these
    assert adjust(alliance, points=41).code == "LOT_LIMIT"
    assert adjust(alliance, points=40).repaid == 40


def test_an_opening_balance_repays_nothing(alliance):
    owe(alliance, 40)
    outcome = take_over(alliance)
    assert (outcome.repaid, outcome.debt, alliance.points(ANNA)) == (UNSET, UNSET, 500)


def test_under_version_1_what_the_issuer_gave_repaid_nothing():
    alliance = Alliance(version=1).open()
    owe(alliance, 40)
    assert (adjust(alliance).repaid, take_over(alliance).repaid) == (UNSET, UNSET)
    assert alliance.points(ANNA) == 530
    alliance.check()
