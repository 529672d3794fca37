"""Who does not pay is paid for: by its cover, its reserve, the fund, and then by those it owed."""

from __future__ import annotations

import pytest

from contracts.mechanics.records import NO_EXPOSURE
from contracts.mechanics.settlement_records import Cover
from contracts.messages import AttestFund, CutWindow, Propose, Vote
from contracts.messages.actions import AbortWindow, ChangeParameter, DeclareDefault
from contracts.messages.statement import BroughtLine
from ledger.outcome import Draw
from tests.contracts.alliance import Alliance
from tests.contracts.cast import ANNA, CINEMA, FRESH, OPERATOR, PETROL, PHARMACY, grant
from tests.contracts.ladder import Attempt, Ladder, every_row, fall_from
from tests.contracts.purchases import buy, spend
from tests.contracts.windows import (
    agree_all,
    attest,
    cover,
    cut_window,
    decide,
    events_of,
    fund,
    get_record,
    pay,
    propose,
    read_statement,
    read_system,
    trade,
)

#   What `trade` leaves: the supermarket pays 57 cents to the petrol chain, 49 to the cinema, 2 to the
#   operator, 1,080,000 micros; on balance it owes them 570,000, 495,000 and 15,000.
SHORTFALL = 1_080_000


def confirmed(**parameters: int) -> Alliance:
    alliance = Alliance(parameters=parameters).open()
    trade(alliance)
    agree_all(alliance, cut_window(alliance))
    return alliance


@pytest.fixture
def alliance():
    alliance = confirmed()
    yield alliance
    alliance.check()


def a_default() -> Attempt:
    alliance = confirmed()
    return Attempt(
        Propose,
        sender=OPERATOR,
        alliance=alliance,
        actions=[DeclareDefault(FRESH, 1)],
        configuration=0,
        effective_height=alliance.height + 50,
        expires=alliance.time + 1_000,
        proposal="p",
    )


LADDERS = [
    Ladder(
        "attest_fund",
        lambda: Attempt(AttestFund, sender=OPERATOR, fund=5),
        [("NOT_TRUSTEE", lambda it: setattr(it, "sender", FRESH))],
    ),
    Ladder(
        "action declare_default",
        a_default,
        [
            ("WINDOW_UNKNOWN", lambda it: it.set(actions=[DeclareDefault(OPERATOR, 2)])),
            ("WINDOW_NOT_CONFIRMED", lambda it: decide(it.alliance, AbortWindow(1))),
            ("OPERATOR_STAYS", lambda it: it.set(actions=[DeclareDefault(OPERATOR, 1)])),
            ("NOTHING_OWED", lambda it: it.set(actions=[DeclareDefault(PETROL, 1)])),
        ],
    ),
]


@every_row(*LADDERS)
def test_defaults_are_turned_down_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


def brought(alliance):
    return {tuple(key.split("|")[:2]): micros for key, micros in alliance.state.list_records("brought")}


#   cover, reserve, fund → what each gives, and what each creditor goes without
STAGES = [
    ((2_000_000, 500, 500), [("backing:cover", 1_080_000)], []),
    ((1_080_000, 500, 500), [("backing:cover", 1_080_000)], []),
    ((1_000_000, 500_000, 500), [("backing:cover", 1_000_000), ("backing:reserve", 80_000)], []),
    ((0, 1_080_000, 9), [("backing:reserve", 1_080_000)], []),
    (
        (300_000, 200_000, 700_000),
        [("backing:cover", 300_000), ("backing:reserve", 200_000), ("backing:fund", 580_000)],
        [],
    ),
    ((0, 0, 1_080_001), [("backing:fund", 1_080_000)], []),
    (
        (100_000, 100_000, 340_000),
        [("backing:cover", 100_000), ("backing:reserve", 100_000), ("backing:fund", 340_000)],
        [(CINEMA, 247_500), (OPERATOR, 7_500), (PETROL, 285_000)],
    ),
    ((0, 0, 0), [], [(CINEMA, 495_000), (OPERATOR, 15_000), (PETROL, 570_000)]),
    ((0, 0, 1_079_999), [("backing:fund", 1_079_999)], [(PETROL, 1)]),
]


@pytest.mark.parametrize(("sources", "given_by", "losses"), STAGES)
def test_each_stage_gives_what_it_has_before_the_next_is_asked(alliance, sources, given_by, losses):
    covered, reserve, funded = sources
    cover(alliance, FRESH, covered, reserve=reserve)
    fund(alliance, funded)
    outcome = decide(alliance, DeclareDefault(FRESH, 1))
    draws = [(draw.source, draw.micros) for draw in outcome.draws]
    assert draws == given_by + losses
    assert sum(micros for _, micros in draws) == SHORTFALL
    left = dict(given_by)
    found: Cover = alliance.get("cover", FRESH)
    assert (found.cover, found.reserve) == (
        covered - left.get("backing:cover", 0),
        reserve - left.get("backing:reserve", 0),
    )
    assert alliance.get("fund", "fund") == funded - left.get("backing:fund", 0)
    assert events_of(outcome)[0] == ("WINDOW_SETTLED", "1")
    assert {one.payer_reference for one in get_record(alliance).transfers} == {"default"}
    assert FRESH in alliance.get("halt", "halt").suspended
    # What creditors go without they owe to the payees, who get what the statement says.
    wanted = {PETROL: 570_000, CINEMA: 490_000, OPERATOR: 20_000}
    owed = brought(alliance)
    lost = dict(losses)
    for payee, paid in wanted.items():
        comes_in = sum(micros for (_, creditor), micros in owed.items() if creditor == payee)
        goes_out = sum(micros for (debtor, _), micros in owed.items() if debtor == payee)
        own = lost.get(payee, 0) - goes_out
        assert 0 <= comes_in + own <= paid
        assert own >= 0
    assert all(debtor != creditor for debtor, creditor in owed)
    assert dict(get_record(alliance).debits).keys() == {FRESH, PETROL}
    for name in wanted:
        exposure = (alliance.get("debit", name) or 0) - (
            alliance.get("exposure", name) or NO_EXPOSURE
        ).relieved
        assert exposure == sum(micros for (debtor, _), micros in owed.items() if debtor == name)


def test_creditors_pay_the_payees_in_order_and_nobody_itself(alliance):
    """Nothing is covered. In order of ids the cinema goes without 495,000, the operator 15,000, the petrol
    chain 570,000; the petrol chain is to be paid 570,000, the cinema 490,000, the operator 20,000.
    """
    decide(alliance, DeclareDefault(FRESH, 1))
    assert brought(alliance) == {
        (CINEMA, PETROL): 495_000,
        (OPERATOR, PETROL): 15_000,
        (PETROL, CINEMA): 490_000,
        (PETROL, OPERATOR): 20_000,
    }
    assert alliance.get("exposure", FRESH).relieved == alliance.get("debit", FRESH)
    # In the next window that is netted: each has lost what it went without, to the cent of a payment.
    assert cut_window(alliance) == 2
    statement = read_statement(alliance, 2)
    assert statement.brought == [
        BroughtLine(CINEMA, "495000", PETROL, 1),
        BroughtLine(OPERATOR, "15000", PETROL, 1),
        BroughtLine(PETROL, "490000", CINEMA, 1),
        BroughtLine(PETROL, "20000", OPERATOR, 1),
    ]
    nets = {one.participant: int(one.net) for one in statement.positions}
    assert (nets[CINEMA], nets[OPERATOR], nets[PETROL]) == (-5_000, 5_000, 0)
    agree_all(alliance, 2)
    pay(alliance, 2)
    assert get_record(alliance, 2).state == "settled"


def test_what_was_attested_is_paid_and_not_part_of_it(alliance):
    for who in (FRESH, CINEMA):
        assert attest(alliance, who, 1).code == "OK"
    assert attest(alliance, PETROL, 0, reference="seen").code == "OK"
    fund(alliance, 10**9)
    outcome = decide(alliance, DeclareDefault(FRESH, 1))
    assert outcome.draws == [Draw(590_000, "backing:fund")]
    references = [(one.payer_reference, one.payee_reference) for one in get_record(alliance).transfers]
    assert references == [("default", "seen"), ("bank-1", "bank-1"), ("default", "default")]


def test_an_expired_cover_gives_nothing(alliance):
    cover(alliance, FRESH, 10**9, reserve=10**9, days=1)
    fund(alliance, SHORTFALL)
    alliance.wait(days=1)
    outcome = decide(alliance, DeclareDefault(FRESH, 1))
    assert outcome.draws == [Draw(SHORTFALL, "backing:fund")]
    assert alliance.get("cover", FRESH).cover == 10**9


def test_what_others_have_to_pay_stays_open():
    """Petrol chain and supermarket both pay; one of them defaults, and the other's time goes on."""
    alliance = Alliance().open()
    alliance.must(PETROL, grant("redeem", "mile", CINEMA))
    alliance.earn(ANNA, 100)
    alliance.earn(ANNA, 100, "mile")
    assert spend(alliance, CINEMA, points=50, reference="a").code == "OK"
    assert spend(alliance, CINEMA, program="mile", points=50, reference="b").code == "OK"
    agree_all(alliance, cut_window(alliance))
    outcome = decide(alliance, DeclareDefault(FRESH, 1))
    assert [name for name, _ in events_of(outcome)] == ["PROPOSAL_ENACTED"]
    assert get_record(alliance).state == "confirmed"
    assert {draw.source for draw in outcome.draws} == {CINEMA, OPERATOR}
    before = brought(alliance)
    alliance.check()
    alliance.wait(days=8)
    alliance.cut()
    assert get_record(alliance).state == "aborted"
    after = brought(alliance)
    assert {pair: micros for pair, micros in after.items() if pair[0] != PETROL} == before
    assert sum(micros for pair, micros in after.items() if pair[0] == PETROL) == 750_000
    alliance.check()


def test_two_defaults_of_one_window_draw_on_one_fund():
    alliance = Alliance().open()
    alliance.must(PETROL, grant("redeem", "mile", CINEMA))
    alliance.earn(ANNA, 100)
    alliance.earn(ANNA, 100, "mile")
    assert spend(alliance, CINEMA, points=50, reference="a").code == "OK"
    assert spend(alliance, CINEMA, program="mile", points=50, reference="b").code == "OK"
    agree_all(alliance, cut_window(alliance))
    fund(alliance, 900_000)
    draws = [draw for name in (FRESH, PETROL) for draw in decide(alliance, DeclareDefault(name, 1)).draws]
    assert [draw.micros for draw in draws if draw.source == "backing:fund"] == [500_000, 400_000]
    assert sum(draw.micros for draw in draws) == 1_250_000
    assert get_record(alliance).state == "settled"
    assert alliance.get("halt", "halt").suspended == (FRESH, PETROL)
    alliance.check()


def test_what_a_carry_alone_makes_payable_is_the_payees_own_loss():
    """The second window has nothing but carries of the first, of which one becomes a unit."""
    alliance = Alliance(parameters={"payment_unit_micros": 10_000}).open()
    alliance.earn(ANNA, 100)
    assert spend(alliance, PETROL, points=33, reference="a").code == "OK"
    agree_all(alliance, cut_window(alliance))
    pay(alliance)
    decide(alliance, ChangeParameter(parameter="payment_unit_micros", value=1))
    assert cut_window(alliance) == 2
    transfers = get_record(alliance, 2).transfers
    assert len(transfers) == 1
    assert read_statement(alliance, 2).lines == []
    agree_all(alliance, 2)
    defaulter = transfers[0].payer
    outcome = decide(alliance, DeclareDefault(defaulter, 2))
    payees = {one.payee for one in transfers if one.payer == defaulter}
    assert {draw.source for draw in outcome.draws} == payees
    assert brought(alliance) == {}
    alliance.check()


def test_a_default_and_a_cut_in_one_block_go_into_one_statement(alliance):
    """What is enacted is there before the block cuts: what it brings over is stated with what came before."""
    name, _ = propose(alliance, DeclareDefault(FRESH, 1))
    alliance.must(OPERATOR, CutWindow(alliance.height + 2))
    alliance.must(OPERATOR, Vote("yes", 0, name))
    alliance.cut()
    assert [message.__struct_config__.tag for message, _ in read_system(alliance)] == ["enact", "cut"]
    assert len(read_statement(alliance, 2).brought) == 4
    assert alliance.state.list_records("brought") == []


def test_who_is_suspended_still_signs_and_pays(alliance):
    assert buy(alliance, PETROL, reference="more").code == "OK"
    decide(alliance, DeclareDefault(FRESH, 1))
    assert spend(alliance, PETROL, points=1, reference="x").code == "PARTICIPANT_SUSPENDED"
    assert cut_window(alliance) == 2
    assert FRESH in get_record(alliance, 2).parties
    agree_all(alliance, 2)
    pay(alliance, 2)
    assert PHARMACY not in get_record(alliance, 2).parties
