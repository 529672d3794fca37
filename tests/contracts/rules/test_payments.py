"""A window is settled when both sides of every transfer have said so; what nobody said is owed again."""

from __future__ import annotations

import pytest

from contracts.messages import Abort, AttestPayment, Propose, Vote
from contracts.messages.actions import AbortWindow
from contracts.messages.statement import BroughtLine, StatementTransfer
from tests.contracts.alliance import Alliance
from tests.contracts.cast import ANNA, CINEMA, FRESH, OPERATOR, PETROL, PHARMACY
from tests.contracts.ladder import Attempt, Ladder, every_row, fall_from
from tests.contracts.purchases import buy, spend
from tests.contracts.windows import (
    agree_all,
    attest,
    cut_window,
    decide,
    events_of,
    get_record,
    pay,
    propose,
    read_statement,
    read_system,
    trade,
)

#   The supermarket pays the petrol chain 57 cents, the cinema 49 and the operator 2.
TO_PETROL, TO_CINEMA, TO_OPERATOR = range(3)


def confirmed() -> Alliance:
    alliance = Alliance().open()
    trade(alliance)
    agree_all(alliance, cut_window(alliance))
    return alliance


def settle_before(it: Attempt) -> None:
    """All is attested, but for what this attempt itself has said before."""
    for place, transfer in enumerate(get_record(it.alliance).transfers):
        for who in (transfer.payer, transfer.payee):
            attest(it.alliance, who, place)


def an_abort() -> Attempt:
    alliance = confirmed()
    return Attempt(
        Propose,
        sender=OPERATOR,
        alliance=alliance,
        actions=[AbortWindow(1)],
        configuration=0,
        effective_height=alliance.height + 50,
        expires=alliance.time + 1_000,
        proposal="p",
    )


LADDERS = [
    Ladder(
        "attest_payment",
        lambda: Attempt(
            AttestPayment,
            sender=FRESH,
            alliance=confirmed(),
            bank_reference="bank-7",
            transfer=TO_CINEMA,
            window=1,
        ),
        [
            ("WINDOW_UNKNOWN", lambda it: it.set(window=2)),
            ("WINDOW_NOT_CONFIRMED", settle_before),
            ("TRANSFER_UNKNOWN", lambda it: it.set(transfer=3)),
            ("NOT_IN_TRANSFER", lambda it: setattr(it, "sender", PHARMACY)),
            ("ALREADY_ATTESTED", lambda it: attest(it.alliance, FRESH, TO_CINEMA)),
        ],
    ),
    Ladder(
        "action abort_window",
        an_abort,
        [
            ("WINDOW_UNKNOWN", lambda it: it.set(actions=[AbortWindow(2)])),
            ("WINDOW_NOT_CONFIRMED", settle_before),
        ],
    ),
]


@every_row(*LADDERS)
def test_payments_are_turned_down_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


@pytest.fixture
def alliance():
    alliance = confirmed()
    yield alliance
    alliance.check()


def test_both_sides_say_so_each_once_and_the_last_of_them_settles(alliance):
    assert read_statement(alliance).transfers == [
        StatementTransfer(FRESH, PETROL, 57),
        StatementTransfer(FRESH, CINEMA, 49),
        StatementTransfer(FRESH, OPERATOR, 2),
    ]
    for place, who in enumerate((PETROL, CINEMA, OPERATOR)):
        outcome = attest(alliance, FRESH, place, reference=f"out-{place}")
        assert (outcome.code, events_of(outcome)) == ("OK", [])
        assert attest(alliance, FRESH, place).code == "ALREADY_ATTESTED"
        outcome = attest(alliance, who, place, reference=f"in-{place}")
        expected = [("WINDOW_SETTLED", "1")] if place == TO_OPERATOR else []
        assert (outcome.code, events_of(outcome)) == ("OK", expected)
    record = get_record(alliance)
    assert record.state == "settled"
    assert [(one.payer_reference, one.payee_reference) for one in record.transfers] == [
        ("out-0", "in-0"),
        ("out-1", "in-1"),
        ("out-2", "in-2"),
    ]
    alliance.wait(days=30)
    assert alliance.cut().leaves == []


def test_a_window_in_which_nobody_pays_is_settled_as_soon_as_it_is_confirmed():
    """All that is owed is less than a unit: it is carried, and nothing is to be paid."""
    alliance = Alliance(parameters={"payment_unit_micros": 1_000_000}).open()
    alliance.earn(ANNA, 20)
    assert spend(alliance, PETROL, points=20).code == "OK"
    cut_window(alliance)
    statement = read_statement(alliance)
    assert [(one.participant, one.units, one.carry_after) for one in statement.positions] == [
        (OPERATOR, 0, "2000"),
        (FRESH, -1, "800000"),
        (PETROL, 1, "-802000"),
    ]
    pay_nothing = Alliance(parameters={"payment_unit_micros": 1_000_000}).open()
    pay_nothing.earn(ANNA, 20)
    assert buy(pay_nothing, PETROL).code == "OK"
    cut_window(pay_nothing)
    assert [one.units for one in read_statement(pay_nothing).positions] == [0, 0]
    assert events_of(agree_all(pay_nothing)) == [("WINDOW_CONFIRMED", "1"), ("WINDOW_SETTLED", "1")]
    assert dict(pay_nothing.state.list_records("carry")) == {FRESH: 420_000, PETROL: -420_000}
    alliance.check()
    pay_nothing.check()


def test_what_is_not_paid_in_time_is_owed_again(alliance):
    """The cinema was paid; the others were not, and one of them only one side has seen."""
    for who in (FRESH, CINEMA):
        assert attest(alliance, who, TO_CINEMA).code == "OK"
    assert attest(alliance, FRESH, TO_PETROL).code == "OK"
    carries = dict(alliance.state.list_records("carry"))
    alliance.time = get_record(alliance).due_at
    assert alliance.cut().leaves == [], "a full minute has to begin"
    alliance.wait(seconds=60)
    alliance.cut()
    ((message, outcome),) = read_system(alliance)
    assert (message, outcome.code, events_of(outcome)) == (Abort(1), "OK", [("WINDOW_ABORTED", "1")])
    assert dict(alliance.state.list_records("brought")) == {
        f"{FRESH}|{OPERATOR}|000001": 20_000,
        f"{FRESH}|{PETROL}|000001": 570_000,
    }
    assert dict(alliance.state.list_records("carry")) == carries
    # What it came to owe is settled, but for what it did not pay.
    assert alliance.get("debit", FRESH) - alliance.get("exposure", FRESH).relieved == 590_000
    assert alliance.get("debit", PETROL) == alliance.get("exposure", PETROL).relieved
    assert attest(alliance, PETROL, TO_PETROL).code == "WINDOW_NOT_CONFIRMED"
    alliance.check()

    # The open window takes it, nets it with what is new, and settles it.
    trade(alliance, 1)
    assert cut_window(alliance) == 2
    statement = read_statement(alliance, 2)
    assert statement.brought == [
        BroughtLine(FRESH, "20000", OPERATOR, 1),
        BroughtLine(FRESH, "570000", PETROL, 1),
    ]
    assert alliance.state.list_records("brought") == []
    nets = {one.participant: int(one.net) for one in statement.positions}
    assert nets == {CINEMA: 495_000, OPERATOR: 35_000, FRESH: -1_080_000 - 590_000, PETROL: 570_000 + 570_000}
    assert dict(get_record(alliance, 2).debits) == {FRESH: 1_500_000 + 590_000, PETROL: 420_000}
    agree_all(alliance, 2)
    pay(alliance, 2)
    for name, debit in alliance.state.list_records("debit"):
        assert alliance.get("exposure", name).relieved == debit


def test_what_was_brought_over_twice_is_owed_once(alliance):
    for number in (1, 2, 3):
        alliance.wait(days=7, seconds=60)
        alliance.cut()
        assert get_record(alliance, number).state == "aborted"
        brought = dict(alliance.state.list_records("brought"))
        assert sum(brought.values()) == 1_080_000
        assert {key.split("|")[2] for key in brought} == {f"{number:06d}"}
        assert cut_window(alliance) == number + 1
        agree_all(alliance, number + 1)
        alliance.check()
    pay(alliance, 4)
    assert alliance.get("debit", FRESH) == alliance.get("exposure", FRESH).relieved
    assert alliance.state.list_records("brought") == []


def test_a_vote_aborts_a_window_before_its_time(alliance):
    for who in (FRESH, CINEMA):
        assert attest(alliance, who, TO_CINEMA).code == "OK"
    outcome = decide(alliance, AbortWindow(1))
    assert events_of(outcome)[0] == ("WINDOW_ABORTED", "1")
    assert sum(micros for _, micros in alliance.state.list_records("brought")) == 590_000
    alliance.wait(days=30)
    assert alliance.cut().leaves == []


def test_a_vote_in_the_block_of_the_clock_is_first_and_the_clock_has_nothing_left(alliance):
    alliance.wait(days=7)
    alliance.time -= 1
    name, _ = propose(alliance, AbortWindow(1))
    alliance.must(OPERATOR, Vote("yes", 0, name))
    alliance.time += 60_001
    alliance.cut()
    assert [events_of(outcome)[0][0] for _, outcome in read_system(alliance)] == ["WINDOW_ABORTED"]
