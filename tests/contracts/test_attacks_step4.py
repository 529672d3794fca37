"""Attacks on votes, and on the time and room that a block has; each test is named for what holds against it.

The attackers are voters, issuers, partners, thieves and who is about to be removed: with keys of their own,
in league with each other, and with nothing better to do. Every sum is checked when a test is done.
"""

from __future__ import annotations

import pytest

from contracts.mechanics import windows as windows_of_rules
from contracts.messages import (
    AddKey,
    AttestCover,
    CloseProposal,
    Confirm,
    Countersign,
    Cut,
    CutWindow,
    Enrol,
    RevokeKey,
    Vote,
)
from contracts.messages.actions import (
    AdmitParticipant,
    ChangeParameter,
    DeclareDefault,
    Pause,
    RecoverKeys,
    ReinstateParticipant,
    RemoveParticipant,
    ResolveDispute,
    SetVotingRule,
    SetWeight,
    SuspendParticipant,
)
from contracts.messages.registry import ParticipantKey
from tests.contracts.alliance import OUTCOMES, Alliance
from tests.contracts.cast import (
    ANNA,
    CINEMA,
    FRESH,
    OPERATOR,
    PETROL,
    PHARMACY,
    grant,
    make_signer,
    member_id,
    public_of,
)
from tests.contracts.council import (
    cancel,
    carry,
    come_to,
    decide,
    found,
    make_proposal,
    propose,
    vote,
)
from tests.contracts.orders import set_aside
from tests.contracts.purchases import spend
from tests.contracts.windows import (
    agree_all,
    cut_window,
    get_record,
    read_system,
    sign,
    trade,
)

FEE = ChangeParameter(parameter="accrual_fee_basis_points", value=7)


@pytest.fixture
def council():
    """An alliance that votes; afterwards every sum still holds."""
    alliance = found()
    yield alliance
    alliance.check()


def codes(block):
    return [[OUTCOMES.decode(outcome).code for outcome in answer.outcomes] for answer in block.answers]


def key(name, purpose="govern"):
    return ParticipantKey(public_of(make_signer(name)), purpose)


# --- vetoes ------------------------------------------------------------------------------------------------


def test_a_thief_who_reads_of_the_new_keys_cannot_take_them_first(council):
    """Under the name that was robbed, or under any other: the vote would find them taken."""
    height = carry(council, RecoverKeys([key("rescue")], PETROL, []))
    for who in (PETROL, CINEMA):
        assert council.ask(who, AddKey(key("rescue").public, "till")).code == "KEY_EXISTS"
    assert come_to(council, height)["p"].code == "OK"
    council.signers[PETROL, "govern"] = make_signer("rescue")
    assert council.ask(PETROL, AddKey(key("more").public, "transact")).code == "OK"


def test_nobody_keeps_a_newcomer_out_by_taking_its_keys(council):
    height = carry(council, AdmitParticipant([key("bakery")], "Bakery", "bakery", 0))
    assert council.ask(CINEMA, AddKey(key("bakery").public, "till")).code == "KEY_EXISTS"
    assert come_to(council, height)["p"].code == "OK"


def test_keys_of_a_proposal_that_is_no_more_are_anybodys_again(council):
    propose(council, AdmitParticipant([key("bakery")], "Bakery", "bakery", 0))
    propose(council, RecoverKeys([key("bakery")], PETROL, []), name="q")
    assert cancel(council).code == "OK"
    assert council.ask(CINEMA, AddKey(key("bakery").public, "till")).code == "KEY_EXISTS"
    assert cancel(council, name="q").code == "OK"
    assert council.ask(CINEMA, AddKey(key("bakery").public, "till")).code == "OK"


def test_a_thief_who_revokes_a_lost_key_first_does_not_stop_the_recovery(council):
    lost = make_signer(PETROL, "govern").key_id
    far = council.height + 20
    height = carry(council, RecoverKeys([key("rescue")], PETROL, [lost, lost]), effective_height=far)
    council.must(PETROL, AddKey(key("thief").public, "govern"))
    council.must(PETROL, RevokeKey(lost))
    assert come_to(council, height)["p"].code == "OK"
    # Whoever names keys leaves the thief those that were added since; nobody has to name any.
    assert council.get("participant", PETROL).govern_keys == 2


def test_what_waits_for_a_far_height_takes_up_a_place_and_falls_with_the_configuration(council):
    far = council.height + 31_536_000
    assert propose(council, FEE, effective_height=far + 1).code == "PROPOSAL_TOO_LONG"
    for number in range(8):
        carry(council, FEE, name=f"w-{number}", effective_height=far)
    assert propose(council, FEE).code == "TOO_MANY_PROPOSALS"
    assert propose(council, FEE, sender=CINEMA, name="other").code == "OK"
    assert cancel(council, name="w-0").code == "PROPOSAL_FINAL"
    rule = SetVotingRule(6_700, "membership", 2)
    assert decide(council, rule, name="new", voters=(CINEMA, FRESH, PETROL, PHARMACY)).code == "OK"
    assert len(council.get("agenda", "agenda").passed) == 8


def test_a_dispute_of_one_keeps_a_window_open_and_no_clock_running(council):
    """The one veto there is: it takes a vote to end it, and the block does not ask again and again."""
    trade(council)
    number = cut_window(council)
    assert sign(council, FRESH, lines=[0]).code == "OK"
    council.wait(days=30)
    council.cut()
    assert [(message, outcome.code) for message, outcome in read_system(council)] == [
        (Confirm(number), "WINDOW_NOT_CONFIRMED")
    ]
    council.must(PHARMACY, Enrol(member=member_id(77)))
    assert read_system(council) == []
    assert decide(council, ResolveDispute([], FRESH, number)).code == "OK"
    assert get_record(council, number).state == "confirmed"


def test_a_trustee_that_defaults_attests_nothing_until_it_is_reinstated(council):
    """Its own cover pays as any other; nobody attests in its place, so in time covers end."""
    council.must(CINEMA, grant("redeem", "star", PHARMACY))
    council.must(PHARMACY, grant("redeem", "drop", CINEMA))
    council.earn(ANNA, 100, "drop")
    assert spend(council, CINEMA, program="drop", points=50, reference="a").code == "OK"
    council.must(PHARMACY, AttestCover(10, council.time + 10**9, PHARMACY, 0))
    agree_all(council, cut_window(council))
    draws = decide(council, DeclareDefault(PHARMACY, 1)).draws
    assert (draws[0].source, draws[0].micros) == ("backing:cover", 10)
    cover = AttestCover(1, council.time + 10**9, FRESH, 0)
    assert council.ask(PHARMACY, cover).code == "PARTICIPANT_SUSPENDED"
    height = carry(council, ReinstateParticipant(PHARMACY), name="q")
    while council.height <= height:
        council.must(FRESH, Enrol(member=member_id(1_000 + council.height)))
    assert council.ask(PHARMACY, cover).code == "OK"


# --- work and growth ---------------------------------------------------------------------------------------


def test_a_block_tries_eight_proposals_of_one_voter_however_they_are_wrapped(council):
    """Each costs a look at every record there is, and what cannot be done takes up no place."""
    tries = [
        make_proposal(council, FEE, RemoveParticipant(PETROL), Pause(program="nowhere"), name=f"t-{number}")
        for number in range(20)
    ]
    wrapped = [council.sign(CINEMA, each, atomic=True) for each in tries[:6]]
    told = codes(council.cut(*wrapped, council.sign(CINEMA, *tries), council.sign(FRESH, tries[0])))
    assert told[:6] == [["PROGRAM_UNKNOWN"]] * 6
    assert told[6] == ["PROGRAM_UNKNOWN"] * 2 + ["TOO_MANY_PROPOSALS"] * 18
    assert told[7] == ["PROGRAM_UNKNOWN"], "nobody uses up another's"
    assert propose(council, FEE, sender=CINEMA, name="next").code == "OK"


def test_a_statement_is_read_once_a_block_however_often_it_is_disputed(council, monkeypatch):
    trade(council)
    number = cut_window(council)
    reads = []
    decode = windows_of_rules.decode
    monkeypatch.setattr(windows_of_rules, "decode", lambda *told: reads.append(1) or decode(*told))
    record = get_record(council, number)
    dispute = Countersign(lines=[0], statement=record.statement, verdict="dispute", window=number)
    undone = [council.sign(FRESH, dispute, dispute, atomic=True) for _ in range(20)]
    told = codes(council.cut(*undone, council.sign(FRESH, *[dispute] * 50)))
    assert told[0] == ["ATOMIC_ABORTED", "ALREADY_SIGNED"]
    assert told[-1] == ["OK"] + ["ALREADY_SIGNED"] * 49
    assert len(reads) == 1


def test_an_operator_cannot_use_up_the_numbers_of_windows_nor_memory(council):
    for _ in range(128):
        cut_window(council)
    assert council.ask(OPERATOR, CutWindow(council.height + 5)).code == "TOO_MANY_WINDOWS"
    council.wait(days=4)
    council.cut()
    assert {message for message, _ in read_system(council)} == {Confirm(each) for each in range(1, 129)}
    assert council.ask(OPERATOR, CutWindow(council.height + 5)).code == "OK"


def test_who_makes_much_work_for_one_minute_keeps_no_vote_and_no_window_waiting():
    """Forty holds end before a proposal and a window do, and a block has room for one entry."""
    council = found(parameters={"due_entries_max": 1, "confirmation_seconds": 3_600})
    council.earn(ANNA, 1_000)
    end = council.time - council.time % 60_000 + 60_000
    for number in range(40):
        assert set_aside(council, PETROL, points=1, reference=f"h-{number}", expires=end).code == "OK"
    propose(council, FEE, expires=council.time + 120_000)
    number = cut_window(council)
    council.wait(seconds=4_000)
    kinds = []
    for _ in range(3):
        council.cut()
        kinds += [type(message) for message, _ in read_system(council)]
    assert kinds[:2] == [CloseProposal, Confirm]
    assert get_record(council, number).state == "settled"
    for _ in range(39):
        council.cut()
    assert council.held(ANNA) == ()
    council.check()


def test_a_chain_that_slept_for_a_year_cuts_once_and_its_clocks_begin_then():
    alliance = Alliance(parameters={"window_days": 7}).open()
    trade(alliance)
    alliance.wait(days=365)
    alliance.cut()
    assert read_system(alliance)[0][0] == Cut(1)
    record = get_record(alliance)
    assert (record.closed_at, record.due_at) == (alliance.time, alliance.time + 259_200_000)
    alliance.must(PHARMACY, Enrol(member=member_id(78)))
    assert not any(isinstance(message, Cut) for message, _ in read_system(alliance))
    alliance.wait(days=7)
    alliance.cut()
    told = [message for message, _ in read_system(alliance)]
    assert told[:2] == [Cut(2), Confirm(1)]
    assert get_record(alliance).state == "confirmed"
    alliance.check()


# --- one vote twice ----------------------------------------------------------------------------------------


def test_a_ballot_that_was_undone_with_others_was_never_given(council):
    """In one block: a ballot with something that fails, the same ballot alone, and with another's failing."""
    propose(council, FEE)
    ballot = Vote("yes", 0, "p")
    undone = council.sign(FRESH, ballot, CutWindow(council.height + 9), atomic=True)
    told = codes(council.cut(undone, council.sign(FRESH, ballot, ballot), council.sign(CINEMA, ballot)))
    assert told == [["ATOMIC_ABORTED", "NOT_OPERATOR"], ["OK", "ALREADY_VOTED"], ["OK"]]
    assert council.get("proposal", "p").yes == (FRESH, CINEMA)
    assert council.get("proposal", "p").state == "open"


def test_who_loses_its_vote_between_ballot_and_passing_does_not_count(council):
    """The ballot of who is removed falls with the configuration it was given in."""
    propose(council, FEE, expires=council.time + 10**8)
    assert vote(council, FRESH).code == "OK"
    assert decide(council, SetWeight(FRESH, 1), name="w").code == "OK"
    told = council.ask(PETROL, Vote("yes", 1, "p"))
    assert told.code == "CONFIGURATION_CHANGED"


def test_a_suspended_issuers_members_keep_what_they_have(council):
    """At home, as gifts, until their day; holds of before end as they would have."""
    council.earn(ANNA, 100)
    assert set_aside(council, PETROL, points=30, reference="h").code == "OK"
    assert decide(council, SuspendParticipant(FRESH)).code == "OK"
    assert spend(council, FRESH, points=20, reference="home").code == "OK"
    assert spend(council, PETROL, points=20, reference="elsewhere").code == "PARTICIPANT_SUSPENDED"
    council.wait(days=8)
    council.cut()
    assert (council.points(ANNA), council.held(ANNA)) == (80, ())
