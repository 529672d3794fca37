"""Membership by vote: who joins and leaves, who is suspended, whose vote weighs what."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from contracts.mechanics.governance_records import Halt
from contracts.mechanics.records import Exposure
from contracts.mechanics.settlement_records import WindowRecord
from contracts.messages import AddKey, Admit, Enrol, OpenProgram, OpenSeries, RevokeKey
from contracts.messages.actions import (
    AdmitParticipant,
    RecoverKeys,
    ReinstateParticipant,
    RemoveParticipant,
    SetVotingRule,
    SetWeight,
    SuspendParticipant,
)
from contracts.messages.registry import ParticipantKey
from ledger.outcome import Lot
from tests.contracts.cast import (
    ANNA,
    CINEMA,
    FRESH,
    OPERATOR,
    PETROL,
    PHARMACY,
    STRANGER,
    TODAY,
    make_signer,
    public_of,
)
from tests.contracts.council import carry, come_to, decide, found, propose, vote
from tests.contracts.ladder import Attempt, every_row, fall_from
from tests.contracts.motions import make_ladder
from tests.contracts.purchases import buy
from tests.contracts.rules.test_registry import SMALL, TAKEN

NEW, OTHER = make_signer("bakery"), make_signer("bakery too")


def key(signer=NEW, purpose="govern") -> ParticipantKey:
    return ParticipantKey(public_of(signer), purpose)


def admit(weight=0, **fields) -> AdmitParticipant:
    told = {"keys": [key()], "name": "Bakery", "participant": "bakery", "weight": weight, **fields}
    return AdmitParticipant(**told)


def set_halt(it: Attempt, **lists: tuple[str, ...]) -> None:
    empty = {"messages": (), "programs": (), "removed": (), "suspended": ()}
    it.alliance.put("halt", "halt", Halt(**{**empty, **lists}))


def without_cinema(it: Attempt) -> None:
    """Nobody can be spared any more."""
    government = it.alliance.get("government", "government")
    voters = tuple(voter for voter in government.voters if voter[0] not in (CINEMA, OPERATOR))
    it.alliance.put("government", "government", replace(government, voters=voters))


TILL = make_signer(PETROL, "till")


#   Each row breaks one more thing than the row below it.
LADDERS = [
    make_ladder(
        AdmitParticipant,
        lambda: {"keys": [key()], "name": "Bakery", "participant": "bakery", "weight": 5},
        [
            ("PARTICIPANT_EXISTS", lambda it: it.set(participant=PETROL)),
            ("KEY_REFUSED", lambda it: it.set(keys=[ParticipantKey(SMALL, "till"), key(purpose="till")])),
            ("KEY_EXISTS", lambda it: it.set(keys=[ParticipantKey(TAKEN, "till")])),
            ("GOVERN_KEY_MISSING", lambda it: it.set(keys=[key(purpose="till")])),
        ],
    ),
    make_ladder(
        SuspendParticipant,
        lambda: {"participant": PETROL},
        [
            ("PARTICIPANT_UNKNOWN", lambda it: it.set(participant="nobody")),
            ("OPERATOR_STAYS", lambda it: it.set(participant=OPERATOR)),
            ("PARTICIPANT_SUSPENDED", lambda it: set_halt(it, suspended=(PETROL,))),
        ],
    ),
    make_ladder(
        SetVotingRule,
        lambda: {"approve_basis_points": 5_001, "kind": "keys", "notice_heights": 0},
        [("THRESHOLD_TOO_LOW", lambda it: it.set(approve_basis_points=5_000))],
    ),
    make_ladder(
        SetWeight,
        lambda: {"participant": PETROL, "weight": 0},
        [
            ("PARTICIPANT_UNKNOWN", lambda it: it.set(participant="nobody")),
            ("BELOW_MINIMUM_VOTERS", without_cinema),
        ],
    ),
    make_ladder(
        ReinstateParticipant,
        lambda: {"participant": PETROL},
        [
            ("PARTICIPANT_UNKNOWN", lambda it: it.set(participant="nobody")),
            ("NOT_SUSPENDED", lambda it: it.set(participant=CINEMA)),
        ],
        prepare=lambda it: set_halt(it, suspended=(PETROL,)),
    ),
    make_ladder(
        RemoveParticipant,
        lambda: {"participant": PETROL},
        [
            ("PARTICIPANT_UNKNOWN", lambda it: it.set(participant="nobody")),
            ("OPERATOR_STAYS", lambda it: it.set(participant=PHARMACY)),
            ("BELOW_MINIMUM_VOTERS", without_cinema),
            ("PARTICIPANT_OWES", lambda it: it.alliance.earn(ANNA, 1, "mile")),
        ],
    ),
]


@every_row(*LADDERS)
def test_a_vote_about_members_says_no_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


@pytest.fixture
def council():
    alliance = found()
    yield alliance
    alliance.check()


def test_who_is_admitted_by_vote_acts_and_votes_from_the_next_height(council):
    assert decide(council, admit(weight=50)).code == "OK"
    council.signers["bakery", "govern"] = NEW
    assert council.ask("bakery", OpenProgram("Roll", "roll", 10**6)).code == "OK"
    assert vote_on_something(council, "bakery") == "OK"


def vote_on_something(council, who):
    propose(council, SuspendParticipant(CINEMA), name="q")
    return vote(council, who, name="q").code


def test_who_is_admitted_without_weight_has_no_vote(council):
    assert decide(council, admit()).code == "OK"
    council.signers["bakery", "govern"] = NEW
    assert vote_on_something(council, "bakery") == "NOT_A_VOTER"


def test_nobody_called_any_and_nobody_who_left_is_admitted(council):
    assert propose(council, admit(participant="any")).code == "PARTICIPANT_EXISTS"
    assert decide(council, RemoveParticipant(CINEMA)).code == "OK"
    assert propose(council, admit(participant=CINEMA), name="q").code == "PARTICIPANT_EXISTS"


@pytest.mark.parametrize("who", [OPERATOR, PHARMACY])
def test_neither_the_operator_nor_the_trustee_leaves(council, who):
    assert propose(council, RemoveParticipant(who)).code == "OPERATOR_STAYS"


def test_the_trustee_may_be_suspended_and_the_operator_may_not(council):
    assert propose(council, SuspendParticipant(OPERATOR)).code == "OPERATOR_STAYS"
    assert propose(council, SuspendParticipant(PHARMACY)).code == "OK"


def test_who_has_left_signs_nothing_has_no_vote_and_is_unknown_to_every_vote(council):
    assert decide(council, SuspendParticipant(PETROL), RemoveParticipant(PETROL)).code == "OK"
    assert dict(council.get("government", "government").voters).keys() == {CINEMA, FRESH, PHARMACY}
    assert council.get("halt", "halt") == Halt((), (), (PETROL,), ())
    for message in (AddKey(public_of(OTHER), "till"), RevokeKey(TILL.key_id), Enrol(member=STRANGER)):
        assert council.ask(PETROL, message).code == "PARTICIPANT_REMOVED"
    for action in (
        SuspendParticipant(PETROL),
        ReinstateParticipant(PETROL),
        RemoveParticipant(PETROL),
        SetWeight(PETROL, 5),
        RecoverKeys([key(OTHER)], PETROL, []),
    ):
        assert propose(council, action, name="q").code == "PARTICIPANT_UNKNOWN"


def owe_for_points(council):
    """The petrol chain made points for the supermarket: it owes their par."""
    assert buy(council, PETROL).code == "OK"


def be_owed_for_points(council):
    """Nobody of the cinema owes anything, but it is owed."""
    council.state.begin()
    council.state.put("owed", f"{FRESH}|{PETROL}|redeem", 5)
    council.state.put("position", PETROL, 5)
    council.state.put("position", FRESH, -5)
    council.state.put("debit", FRESH, 5)
    council.state.commit()


def own_a_rounding(council):
    council.state.begin()
    council.state.put("owed", f"{PETROL}|rounding:{PETROL}|rounding", 5)
    council.state.put("position", PETROL, -5)
    council.state.put("position", f"rounding:{PETROL}", 5)
    council.state.put("debit", PETROL, 5)
    council.state.put("exposure", PETROL, Exposure(2**53 - 1, 0, 5))
    council.state.commit()


def stand_in_a_window(council, state="closed"):
    record = WindowRecord(1, 2, 0, 0, "", state, (FRESH, PETROL), (), (), 0, 10_000, (), ())
    council.put("window", "000001", record)


def be_brought_over(council):
    council.put("brought", f"{FRESH}|{PETROL}|000001", 10_000)


def hold_points(council):
    council.put("exposure", PETROL, Exposure(2**53 - 1, 1, 0))


STANDING = [
    lambda council: council.place(ANNA, "mile", Lot(TODAY + 1, 5, 0, 1, "mile-1", 0)),
    owe_for_points,
    be_owed_for_points,
    own_a_rounding,
    stand_in_a_window,
    lambda council: stand_in_a_window(council, "confirmed"),
    be_brought_over,
    hold_points,
]


@pytest.mark.parametrize("stand", STANDING)
def test_nobody_leaves_who_is_not_through_with_everybody(stand):
    alliance = found()
    assert propose(alliance, RemoveParticipant(PETROL)).code == "OK"
    stand(alliance)
    assert propose(alliance, RemoveParticipant(PETROL), name="q").code == "PARTICIPANT_OWES"


@pytest.mark.parametrize("state", ["settled", "aborted"])
def test_a_window_that_is_over_keeps_nobody(state):
    alliance = found()
    stand_in_a_window(alliance, state)
    assert propose(alliance, RemoveParticipant(PETROL)).code == "OK"


def test_what_is_owed_meanwhile_keeps_whom_a_vote_lets_go(council):
    """It could leave when it was proposed; at its height it no longer can, and nothing of it is done."""
    height = carry(council, SetWeight(OPERATOR, 7), RemoveParticipant(PETROL))
    owe_for_points(council)
    assert come_to(council, height)["p"].code == "PARTICIPANT_OWES"
    assert OPERATOR not in dict(council.get("government", "government").voters)
    assert council.get("halt", "halt") is None


def test_the_message_of_the_operator_admits_nobody_where_there_are_voters(council):
    assert council.ask(OPERATOR, Admit([key()], "Bakery", "bakery")).code == "VOTE_REQUIRED"


def test_a_member_of_the_alliance_from_a_vote_is_like_any_other(council):
    assert decide(council, admit()).code == "OK"
    council.signers["bakery", "govern"] = NEW
    opening = OpenSeries(council.height + 1, 12, 20_000, 10_000, "roll", "roll-1")
    council.must("bakery", OpenProgram("Roll", "roll", 10**6), opening)
    assert council.ask("bakery", AddKey(public_of(OTHER), "transact")).code == "OK"
