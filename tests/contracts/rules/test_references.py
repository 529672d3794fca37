"""The same order never counts twice, however often and however late it is sent again."""

from __future__ import annotations

import msgspec
import pytest
from msgspec import UNSET
from msgspec.structs import replace

from contracts.messages import Earn, Redeem
from ledger.leaves import ENTRY_DECODER
from tests.contracts.alliance import Alliance
from tests.contracts.cast import ANNA, BORIS, DAY_MILLIS, FRESH, PETROL, START, TODAY
from tests.contracts.letters import make_nonce
from tests.contracts.purchases import buy, convert, spend

MIDNIGHT = (TODAY + 1) * DAY_MILLIS - 480 * 60_000
"""The next one in the chain's offset."""


def test_the_same_again_moves_nothing_and_says_where_it_happened(alliance):
    buy(alliance)
    index = len(alliance.leaves) - 2
    entry = msgspec.json.decode(alliance.leaves[index])
    assert entry["message"]["reference"] == "order"
    for _ in range(3):
        outcome = buy(alliance)
        assert (outcome.code, outcome.first, outcome.points) == ("ALREADY_DONE", index, UNSET)
    assert alliance.points(ANNA) == 40


#   one field that is other than in the first order
OTHERWISE = [{"amount": 20_000_001}, {"member": BORIS}, {"occurred_at": START - 1}]


@pytest.mark.parametrize("fields", OTHERWISE, ids=lambda fields: next(iter(fields)))
def test_other_content_under_a_taken_reference_is_a_conflict(alliance, fields):
    buy(alliance)
    index = len(alliance.leaves) - 2
    outcome = buy(alliance, **fields)
    assert (outcome.code, outcome.first) == ("REFERENCE_CONFLICT", index)


def test_only_success_takes_a_reference(alliance):
    assert spend(alliance).code == "INSUFFICIENT_POINTS"
    assert spend(alliance, points=99).code == "INSUFFICIENT_POINTS"
    alliance.earn(ANNA, 100)
    assert spend(alliance).code == "OK"
    assert spend(alliance).code == "ALREADY_DONE"


def test_a_reference_is_the_senders_own_for_each_type_and_program(alliance):
    alliance.earn(ANNA, 1_000)
    alliance.earn(ANNA, 1_000, "mile")
    assert buy(alliance).code == "OK"
    assert buy(alliance, PETROL).code == "OK"
    assert spend(alliance).code == "OK"
    assert convert(alliance, FRESH, agreed={"nonce": make_nonce("a")}).code == "OK"
    assert spend(alliance, PETROL, agreed={"nonce": make_nonce("b")}).code == "OK"
    assert buy(alliance, PETROL, program="mile").code == "OK"


#   when it happened first and when the second order says it did, from midnight in the chain's offset
DAYS = [
    (-1, 0, "REFERENCE_CONFLICT"),  # today and the day before
    (-1, DAY_MILLIS - 1, "REFERENCE_CONFLICT"),
    (-1, DAY_MILLIS, "OK"),
    (-DAY_MILLIS, -1, "REFERENCE_CONFLICT"),
    (0, -1, "OK"),  # an earlier day is another day, and the day after it is not looked up
    (0, DAY_MILLIS - 1, "REFERENCE_CONFLICT"),
    (0, 2 * DAY_MILLIS, "OK"),
]


@pytest.mark.parametrize(("first", "second", "code"), DAYS)
def test_a_reference_is_looked_up_on_its_day_and_the_day_before(alliance, first, second, code):
    alliance.wait(days=4)
    assert buy(alliance, occurred_at=MIDNIGHT + first).code == "OK"
    assert buy(alliance, occurred_at=MIDNIGHT + second).code == code


def test_both_ends_of_the_horizon_are_kept_to_the_millisecond(alliance):
    assert buy(alliance, occurred_at=START + 300_000, reference="a").code == "OK"
    assert buy(alliance, occurred_at=START + 300_001, reference="b").code == "OCCURRED_IN_FUTURE"
    horizon = 400 * DAY_MILLIS
    assert buy(alliance, occurred_at=START - horizon, reference="c").code == "OK"
    assert buy(alliance, occurred_at=START - horizon - 1, reference="d").code == "OCCURRED_TOO_LONG_AGO"


def test_a_repeat_within_the_horizon_is_found_and_beyond_it_is_refused(alliance):
    assert buy(alliance, occurred_at=START).code == "OK"
    alliance.wait(days=400)
    assert buy(alliance, occurred_at=START).code == "ALREADY_DONE"
    alliance.time += 1
    assert buy(alliance, occurred_at=START).code == "OCCURRED_TOO_LONG_AGO"
    assert alliance.points(ANNA) == 0  # lapsed meanwhile, and not earned again


def test_a_reference_of_the_day_before_1970_is_kept_like_any_other():
    early = Alliance(time=0, utc_offset_minutes=-720).open()
    assert buy(early, occurred_at=0).code == "OK"
    assert buy(early, occurred_at=0).code == "ALREADY_DONE"


def test_an_order_retried_with_a_fresh_code_is_the_same_order(alliance):
    alliance.earn(ANNA, 1_000)
    assert spend(alliance, agreed={"nonce": make_nonce("a")}).code == "OK"
    again = spend(alliance, agreed={"nonce": make_nonce("b"), "expires": START + 1_000})
    assert again.code == "ALREADY_DONE"
    assert spend(alliance, points=99, agreed={"nonce": make_nonce("c")}).code == "REFERENCE_CONFLICT"
    assert convert(alliance, agreed={"nonce": make_nonce("d")}).code == "OK"
    assert convert(alliance, agreed={"nonce": make_nonce("e")}).code == "ALREADY_DONE"
    assert convert(alliance, least=2, agreed={"nonce": make_nonce("f")}).code == "REFERENCE_CONFLICT"


def test_an_order_retried_with_a_code_where_none_was_needed_is_the_same_order(alliance):
    """The content is the message without its consent: whether there was one makes no other order."""
    alliance.earn(ANNA, 1_000)
    assert spend(alliance, consent=UNSET, reference="a").code == "OK"
    assert spend(alliance, reference="a").code == "ALREADY_DONE"
    assert spend(alliance, reference="b").code == "OK"
    assert spend(alliance, consent=UNSET, reference="b").code == "ALREADY_DONE"


def test_within_one_transaction_the_first_takes_it(alliance):
    order = Earn(20_000_000, ANNA, START, "leaf", "order")
    outcomes = alliance.submit(FRESH, order, order, replace(order, amount=1))
    assert [outcome.code for outcome in outcomes] == ["OK", "ALREADY_DONE", "REFERENCE_CONFLICT"]
    assert outcomes[1].first == outcomes[2].first == len(alliance.leaves) - 4
    assert alliance.points(ANNA) == 40


def test_the_index_told_is_that_of_the_first_entry_in_the_log(alliance):
    for number in range(3):
        buy(alliance, reference=f"o-{number}")
    first = buy(alliance, reference="o-1").first
    message = msgspec.json.decode(ENTRY_DECODER.decode(alliance.leaves[first]).message, type=Earn)
    assert message.reference == "o-1"


def test_names_that_look_alike_are_not_alike(alliance):
    for reference in ("a", "A", "a.", "a:", "a-", "a_", "0", "00", "x" * 64):
        assert buy(alliance, reference=reference).code == "OK"


def test_a_redemption_without_consent_is_a_reference_of_its_own_sender(alliance):
    alliance.earn(ANNA, 100)
    message = Redeem(member=ANNA, occurred_at=START, points=10, program="leaf", reference="o")
    assert alliance.ask(FRESH, message).code == "OK"
    assert alliance.ask(FRESH, message).code == "ALREADY_DONE"
    assert alliance.ask(PETROL, message).code == "CONSENT_MISSING"
