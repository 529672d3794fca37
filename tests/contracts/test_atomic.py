"""All or none: an atomic transaction that fails leaves every counter, nonce and reference as it was."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from contracts.messages import (
    AddKey,
    Admit,
    Capture,
    Earn,
    Enrol,
    Grant,
    Hold,
    OpenProgram,
    OpenSeries,
    Redeem,
    Refund,
    ReturnOrder,
    SetParameter,
)
from contracts.messages.registry import ParticipantKey
from ledger.errors import Refused
from tests.contracts.cast import (
    ANNA,
    BORIS,
    FRESH,
    OPERATOR,
    PETROL,
    START,
    STRANGER,
    TODAY,
    make_signer,
    public_of,
)
from tests.contracts.letters import make_nonce, sign_consent


def at_the_till(alliance, *, points):
    """One visit at the petrol chain: earned, spent with a code, spent again."""
    consent = sign_consent(
        alliance.chain,
        make_signer(ANNA),
        counterparty=PETROL,
        expires=START,
        member=ANNA,
        nonce=make_nonce("visit"),
        points=100,
        program="leaf",
    )
    return [
        Earn(20_000_000, ANNA, START, "leaf", "earned"),
        Redeem(
            consent=consent, member=ANNA, occurred_at=START, points=100, program="leaf", reference="spent"
        ),
        Earn(points * 500_000, ANNA, START, "leaf", "again"),
    ]


def codes(outcomes):
    return [outcome.code for outcome in outcomes]


def test_all_of_it_counts_when_nothing_fails(alliance):
    alliance.earn(ANNA, 60)
    assert codes(alliance.submit(PETROL, *at_the_till(alliance, points=7), atomic=True)) == ["OK"] * 3
    assert alliance.points(ANNA) == 7


@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_failure_anywhere_takes_everything_back(alliance, place):
    alliance.earn(ANNA, 60)
    before = alliance.records("head", "transaction")
    messages = at_the_till(alliance, points=7)
    messages.insert(place, Earn(1, STRANGER, START, "leaf", "nobody"))
    wanted = ["ATOMIC_ABORTED"] * 4
    wanted[place] = "MEMBER_UNKNOWN"
    head = alliance.executor.head
    assert codes(alliance.submit(PETROL, *messages, atomic=True)) == wanted
    # Balances, positions, tallies, grant budgets, nonces, references and due work: all as before.
    assert alliance.records("head", "transaction") == before
    after = alliance.executor.head
    assert (after.accepted, after.entries) == (head.accepted, head.entries + 4)
    # So the very same messages succeed once the reason is gone.
    alliance.must(FRESH, Enrol(member=STRANGER))
    assert codes(alliance.submit(PETROL, *messages, atomic=True)) == ["OK"] * 4


def test_without_atomic_each_message_stands_for_itself(alliance):
    messages = at_the_till(alliance, points=7)
    messages.insert(0, Earn(1, STRANGER, START, "leaf", "nobody"))
    outcomes = alliance.submit(PETROL, *messages)
    assert codes(outcomes) == ["MEMBER_UNKNOWN", "OK", "INSUFFICIENT_POINTS", "OK"]
    assert alliance.points(ANNA) == 47


def test_only_the_last_failure_of_an_atomic_transaction_can_be_the_first(alliance):
    bad = Earn(1, STRANGER, START, "leaf", "nobody")
    worse = Earn(1, ANNA, START, "nowhere", "nothing")
    assert codes(alliance.submit(FRESH, bad, worse, atomic=True)) == ["MEMBER_UNKNOWN", "ATOMIC_ABORTED"]
    assert codes(alliance.submit(FRESH, worse, bad, atomic=True)) == ["PROGRAM_UNKNOWN", "ATOMIC_ABORTED"]


def test_what_came_before_it_in_the_block_stays(alliance):
    first = alliance.sign(FRESH, Earn(20_000_000, ANNA, START, "leaf", "kept"))
    failing = [Earn(20_000_000, ANNA, START, "leaf", "undone"), Earn(1, STRANGER, START, "leaf", "nobody")]
    second = alliance.sign(FRESH, *failing, atomic=True)
    third = alliance.sign(FRESH, Earn(20_000_000, ANNA, START, "leaf", "undone"))
    block = alliance.cut(first, second, third)
    assert [b'"code":"OK"' in answer.outcomes[0] for answer in block.answers] == [True, False, True]
    assert alliance.points(ANNA) == 80
    assert len(alliance.lots(ANNA)) == 1


def test_records_that_were_never_there_are_gone_again(alliance):
    key = public_of(make_signer("new"))
    messages = [
        Admit([ParticipantKey(key, "govern")], "New", "new-one"),
        SetParameter(alliance.height + 1, "due_entries_max", 7),
        OpenProgram("New", "new-program", 1_000_000),
        OpenSeries(alliance.height + 1, 0, 10_000, 10_000, "new-program", "s-1"),
        AddKey(key, "till"),  # taken by the first message
    ]
    before = alliance.records("head", "transaction")
    outcomes = alliance.submit(OPERATOR, *messages, atomic=True)
    assert codes(outcomes) == ["ATOMIC_ABORTED"] * 4 + ["KEY_EXISTS"]
    assert alliance.records("head", "transaction") == before


def test_terms_seen_inside_a_failed_attempt_are_not_remembered(alliance):
    """Two participants race for one program id in one block; the first one's attempt is undone."""
    opened = [
        OpenProgram("Mine", "contested", 500_000),
        OpenSeries(alliance.height + 1, 0, 10_000, 10_000, "contested", "first"),
    ]
    failing = [*opened, Grant(1, 1, START, "earn", "contested", FRESH)]
    first = alliance.sign(FRESH, *failing, atomic=True)
    second = alliance.sign(PETROL, *opened)
    earn = alliance.sign(PETROL, Earn(10**6, BORIS, START, "contested", "o"))
    block = alliance.cut(first, second, earn)
    assert block.answers[0].outcomes[2] == b'{"code":"GRANT_TO_SELF"}'
    assert block.answers[2].outcomes == (b'{"code":"NO_OPEN_SERIES"}',)
    outcome = alliance.ask(PETROL, Earn(10**6, BORIS, START, "contested", "o"))
    assert (outcome.code, outcome.points, outcome.legs) == ("OK", 2, UNSET)


def test_the_id_of_a_failed_atomic_transaction_is_taken(alliance):
    bad = Earn(1, STRANGER, START, "leaf", "nobody")
    signed = alliance.sign(FRESH, bad, atomic=True, transaction_id="mine")
    alliance.cut(signed)
    assert alliance.cut(signed).answers[0].is_repeat
    other = alliance.sign(FRESH, bad, bad, transaction_id="mine")
    refusal = alliance.cut(other).answers[0].refusal
    assert isinstance(refusal, Refused)
    assert refusal.code == "ID_CONFLICT"


def test_holds_captures_refunds_and_returns_are_undone_with_the_rest(alliance):
    """Lots, held room, debts, due work, marks on originals: all as before, and good for a second try."""
    alliance.earn(ANNA, 60)
    alliance.must(PETROL, Earn(20_000_000, ANNA, START, "leaf", "before"))
    consent = sign_consent(
        alliance.chain,
        make_signer(ANNA),
        counterparty=PETROL,
        expires=START,
        member=ANNA,
        points=100,
        program="leaf",
        purpose="hold",
    )
    told = {"member": ANNA, "occurred_at": START, "program": "leaf"}
    original = {"original_day": TODAY, "reference": "back", **told}
    messages = [
        Hold(consent=consent, expires=START + 1_000, points=100, reference="held", **told),
        Capture(hold="held", hold_day=TODAY, points=80, **told),
        Refund(original="held", original_type="hold", points=30, **original),
        ReturnOrder(amount=20_000_000, original="before", original_type="earn", **original),
    ]
    before = alliance.records("head", "transaction")
    bad = Earn(1, STRANGER, START, "leaf", "nobody")
    wanted = ["ATOMIC_ABORTED"] * 4 + ["MEMBER_UNKNOWN"]
    assert codes(alliance.submit(PETROL, *messages, bad, atomic=True)) == wanted
    assert alliance.records("head", "transaction") == before
    assert codes(alliance.submit(PETROL, *messages, atomic=True)) == ["OK"] * 4
    # 100 - 80 + 30 - 40
    assert alliance.points(ANNA) == 10
