"""Attacks on windows, their statements and who has left; each test is named for what holds against it.

The attackers are voters, issuers, partners, thieves and who is about to be removed: with keys of their own,
in league with each other, and with nothing better to do. Every sum is checked when a test is done.
"""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from contracts.mechanics import windows as windows_of_rules
from contracts.mechanics.settlement_records import Transfer, WindowRecord
from contracts.mechanics.statement import WindowSums, hash_statement, make_statement
from contracts.messages import (
    AttestCover,
    Cut,
    CutWindow,
    Earn,
    OpenProgram,
    OpenSeries,
)
from contracts.messages.actions import (
    AdmitParticipant,
    ChangeParameter,
    Correction,
    DeclareDefault,
    RemoveParticipant,
    ResolveDispute,
)
from contracts.messages.registry import ParticipantKey
from ledger.codec import INTEGER_MAX
from ledger.outcome import DRAWS_MAX
from ledger.values import AMOUNT_MAX, PAR_MAX, POINTS_MAX
from tests.contracts.alliance import Alliance
from tests.contracts.cast import (
    ANNA,
    BORIS,
    CINEMA,
    FRESH,
    OPERATOR,
    PETROL,
    PHARMACY,
    START,
    grant,
    make_signer,
    public_of,
)
from tests.contracts.council import (
    carry,
    come_to,
    decide,
    found,
    propose,
)
from tests.contracts.orders import refund, return_goods
from tests.contracts.purchases import buy, spend
from tests.contracts.windows import (
    agree_all,
    cut_window,
    get_record,
    pay,
    read_statement,
    read_system,
    settle,
    sign,
    trade,
)
from tests.contracts.windows import decide as decide_alone

FEE = ChangeParameter(parameter="accrual_fee_basis_points", value=7)


@pytest.fixture
def council():
    """An alliance that votes; afterwards every sum still holds."""
    alliance = found()
    yield alliance
    alliance.check()


def key(name, purpose="govern"):
    return ParticipantKey(public_of(make_signer(name)), purpose)


def make_sums(chain, *, unit, lines):
    """A first window with these lines and nothing else."""
    return WindowSums(
        brands={},
        brought={},
        carries={},
        chain=chain,
        closed_at=0,
        currency="CNY",
        first_height=1,
        last_height=1,
        lines=lines,
        payment_unit_micros=unit,
        previous=None,
        window=1,
    )


# --- stopping the node -------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", [1, 10_000])
def test_a_debt_beyond_every_number_is_stated_disputed_and_shared_out_all_the_same(unit):
    """Two in league owe each other what no reader of JSON can tell in payment units, nor a draw in micros; a
    dispute and a default read the statement again, and one that cannot be read would stop every node.
    """
    alliance = Alliance(parameters={"payment_unit_micros": unit}).open()
    dear = OpenSeries(alliance.height + 1, 0, PAR_MAX, PAR_MAX, "dear", "d1")
    alliance.must(FRESH, OpenProgram("Dear", "dear", 10**6), dear, grant("earn", "dear", PETROL))
    count = 2_000 if unit == 1 else 20_000
    for first in range(0, count, 8_000):
        rows = range(first, min(count, first + 8_000))
        alliance.must(PETROL, *[Earn(AMOUNT_MAX, BORIS, START, "dear", f"e-{number}") for number in rows])
        alliance.wait(seconds=1)
    owed = count * POINTS_MAX * PAR_MAX
    number = cut_window(alliance)
    statement = read_statement(alliance, number)
    assert owed >= INTEGER_MAX * unit
    assert statement.payment_unit_micros == get_record(alliance).unit_micros > unit
    assert statement.transfers[0].units * statement.payment_unit_micros == owed
    assert sign(alliance, PETROL, lines=[0]).code == "OK"
    assert decide_alone(alliance, ResolveDispute([], PETROL, 1)).code == "OK"
    assert sign(alliance, FRESH).code == "OK"
    outcome = decide_alone(alliance, DeclareDefault(PETROL, 1))
    assert {draw.source for draw in outcome.draws} == {FRESH}
    assert len(outcome.draws) == min(DRAWS_MAX, -(-owed // INTEGER_MAX))
    assert all(draw.micros <= INTEGER_MAX for draw in outcome.draws)
    assert get_record(alliance).state == "settled"
    alliance.check()


def test_what_the_unit_grew_by_is_carried_and_paid_one_day():
    """A position that is not a whole one of the larger unit loses nothing."""
    sums = make_sums("small/" + "0" * 32, unit=3, lines={("ab", "cd", "earn"): 3 * INTEGER_MAX + 2})
    statement = windows_of_rules.STATEMENT_DECODER.decode(make_statement(sums))
    assert statement.payment_unit_micros == 30
    for one in statement.positions:
        assert int(one.net) == one.units * 30 + int(one.carry_after)
        assert abs(int(one.carry_after)) < 30
    at_the_line = replace(sums, lines={("ab", "cd", "earn"): 3 * (INTEGER_MAX - 1)})
    assert windows_of_rules.STATEMENT_DECODER.decode(make_statement(at_the_line)).payment_unit_micros == 3


def test_more_creditors_than_an_entry_can_name_all_come_to_owe_their_share():
    """A hundred creditors go without; eighty are told, and what all of them owe adds up."""
    alliance = Alliance().open()
    names = [f"creditor-{number:03d}" for number in range(100)]
    sums = make_sums(
        alliance.chain,
        unit=10_000,
        lines={(FRESH, name, "redeem"): 10_000 * place for place, name in enumerate(names, start=1)},
    )
    data = make_statement(sums)
    statement = windows_of_rules.STATEMENT_DECODER.decode(data)
    transfers = tuple(Transfer(one.source, one.destination, one.units, "", "") for one in statement.transfers)
    record = WindowRecord(1, 1, 0, 0, hash_statement(data), "confirmed", (), (), (), 0, 10_000, transfers, ())
    alliance.put("statement", "000001", data.decode())
    alliance.put("window", "000001", record)
    outcome = decide_alone(alliance, DeclareDefault(FRESH, 1))
    assert [draw.source for draw in outcome.draws] == names[:DRAWS_MAX]
    # Nothing is covered, so each pays in full what it would have been paid: in all, or to itself in silence.
    pays = dict.fromkeys(names, 0)
    for brought, micros in alliance.state.list_records("brought"):
        pays[brought.split("|")[0]] += micros
    claims = {name: 10_000 * place for place, name in enumerate(names, start=1)}
    assert all(0 <= pays[name] <= claims[name] for name in names)
    assert sum(name in names[DRAWS_MAX:] and pays[name] > 0 for name in names) == 20
    assert sum(draw.micros for draw in outcome.draws) == sum(claims[name] for name in names[:DRAWS_MAX])


# --- money -------------------------------------------------------------------------------------------------


def test_a_participant_that_is_called_cover_is_nobodys_cover(council):
    """Who is admitted as `fund` and goes without in a default is not taken for the alliance's fund."""
    names = ("cover", "fund", "reserve")
    keys = {name: [key(name), key(f"{name}-till", "transact")] for name in names}
    decide(council, *[AdmitParticipant(keys[name], name, name, 0) for name in names])
    for name in names:
        council.signers[name, "govern"] = make_signer(name)
        council.signers[name, "transact"] = make_signer(f"{name}-till")
        council.must(FRESH, grant("redeem", "leaf", name))
        council.earn(ANNA, 100)
        assert spend(council, name, reference=name).code == "OK"
    council.must(PHARMACY, AttestCover(500_000, council.time + 10**9, FRESH, 1))
    agree_all(council, cut_window(council))
    draws = decide(council, DeclareDefault(FRESH, 1), name="d").draws
    assert [draw.source for draw in draws[:2]] == ["backing:cover", "backing:reserve"]
    assert [draw.source for draw in draws[2:]] == [OPERATOR, *names]


def leave_a_carry(council):
    """The petrol chain is through with everybody but for what whole units left over."""
    council.earn(ANNA, 100)
    assert spend(council, PETROL, points=33, reference="odd").code == "OK"
    settle(council)
    carry_of = dict(council.state.list_records("carry"))
    assert 0 < abs(carry_of[PETROL]) < 10_000
    return carry_of[PETROL]


def test_what_is_left_over_of_who_left_is_the_operators_and_never_a_payment_that_nobody_makes(council):
    before = leave_a_carry(council)
    operators = dict(council.state.list_records("carry"))[OPERATOR]
    (leg,) = decide(council, RemoveParticipant(PETROL)).legs
    assert leg.reason == "carry"
    assert (leg.source, leg.destination) == ((PETROL, OPERATOR) if before > 0 else (OPERATOR, PETROL))
    council.earn(ANNA, 100)
    for round_of in range(3):
        assert spend(council, CINEMA, points=7, reference=f"r-{round_of}").code == "OK"
        number = cut_window(council)
        statement = read_statement(council, number)
        assert PETROL not in {name for one in statement.transfers for name in (one.source, one.destination)}
        stands = {one.participant: one for one in statement.positions}
        assert (PETROL in stands) == (round_of == 0)
        if round_of == 0:
            assert (stands[PETROL].units, stands[PETROL].carry_after) == (0, "0")
            assert int(stands[OPERATOR].carry_before) == operators
            assert int(stands[OPERATOR].net) >= before
        council.wait(days=4)
        council.cut()
        pay(council, number)
        assert get_record(council, number).state == "settled"
    assert PETROL not in dict(council.state.list_records("carry"))


def test_who_leaves_with_the_block_of_a_cut_is_cleared_before_it_is_cut(council):
    """Else the carry would be in this window and its leg in the next: a unit to be paid by nobody."""
    leave_a_carry(council)
    height = carry(council, RemoveParticipant(PETROL))
    council.reach(height - 1)
    council.must(OPERATOR, CutWindow(height))
    council.cut()
    assert [type(message).__name__ for message, _ in read_system(council)] == ["Enact"]
    council.cut()
    assert [message for message, _ in read_system(council)] == [Cut(2)]
    assert "carry" in {line.reason for line in read_statement(council, 2).lines}
    assert PETROL not in dict(council.state.list_records("carry"))


def test_nobody_comes_to_owe_who_left_nor_to_be_owed(council):
    """Who brings points back to an issuer that left would owe it money, in windows that are never paid."""
    council.must(PETROL, grant("redeem", "mile", FRESH))
    council.must(PETROL, grant("earn", "mile", FRESH))
    council.earn(ANNA, 100, "mile")
    assert spend(council, FRESH, program="mile", points=100, reference="r").code == "OK"
    assert buy(council, FRESH, program="mile", member=BORIS, reference="order", amount=10**7).code == "OK"
    council.wait(days=200)
    council.cut()
    settle(council)
    assert council.points(BORIS, "mile") == 0, "its points have lapsed"
    assert decide(council, RemoveParticipant(PETROL)).code == "OK"
    before = council.records("head", "transaction")
    told = {"program": "mile", "original": "r", "points": 1, "reference": "u"}
    assert refund(council, FRESH, **told).code == "PARTICIPANT_REMOVED"
    assert return_goods(council, FRESH, program="mile", member=BORIS).code == "PARTICIPANT_REMOVED"
    assert council.records("head", "transaction") == before


def test_a_correction_keeps_whom_it_names_from_leaving_in_the_same_block(council):
    """The sums by pair hear of it when the block ends: whoever left in between could never be paid."""
    trade(council)
    cut_window(council)
    assert sign(council, FRESH, lines=[0]).code == "OK"
    newcomer = AdmitParticipant([key("bakery")], "Bakery", "bakery", 0)
    assert decide(council, newcomer).code == "OK"
    resolved = ResolveDispute([Correction(FRESH, 5, "bakery")], FRESH, 1)
    height = council.height + 20
    carry(council, resolved, name="q-1", effective_height=height)
    carry(council, RemoveParticipant("bakery"), name="q-2", effective_height=height)
    told = come_to(council, height)
    assert [(name, outcome.code) for name, outcome in told.items()] == [
        ("q-1", "OK"),
        ("q-2", "PARTICIPANT_OWES"),
    ]


def test_nobody_who_left_is_named_in_a_correction(council):
    trade(council)
    cut_window(council)
    assert sign(council, FRESH, lines=[0]).code == "OK"
    assert decide(council, AdmitParticipant([key("bakery")], "Bakery", "bakery", 0)).code == "OK"
    assert decide(council, RemoveParticipant("bakery"), name="r").code == "OK"
    for correction in (Correction(FRESH, 5, "bakery"), Correction("bakery", 5, FRESH)):
        action = ResolveDispute([correction], FRESH, 1)
        assert propose(council, action, name="q").code == "PARTICIPANT_UNKNOWN"
