"""Parameters, caps and budgets by vote: from the height of the enactment, for everybody or where tried."""

from __future__ import annotations

import pytest

from contracts.mechanics.governance_records import Issuance, TrialRecord
from contracts.mechanics.parameters import PARAMETERS, get_parameter
from contracts.mechanics.records import Change, Exposure
from contracts.mechanics.settlement_records import Cover
from contracts.messages import SetDebitCap, SetParameter
from contracts.messages.actions import CapDebit, ChangeParameter, EndTrial, SetIssuanceBudget, SetPar, Trial
from tests.contracts.cast import CINEMA, FRESH, OPERATOR, PETROL, TODAY
from tests.contracts.council import carry, come_to, decide, found, propose
from tests.contracts.ladder import Attempt, every_row, fall_from
from tests.contracts.motions import make_ladder

FEE = "accrual_fee_basis_points"


def cover_too_little(it: Attempt) -> None:
    it.alliance.put("cover", FRESH, Cover(99, it.alliance.time + 1, 10**6))


#   Each row breaks one more thing than the row below it.
LADDERS = [
    make_ladder(
        ChangeParameter,
        lambda: {"parameter": FEE, "trial": Trial(merchants=[FRESH]), "value": 1_000},
        [
            ("PARAMETER_UNKNOWN", lambda it: it.set(parameter="generosity")),
            ("PARAMETER_OUT_OF_BOUNDS", lambda it: it.set(value=2**53 - 1)),
            ("PARAMETER_HAS_NO_TRIAL", lambda it: it.set(parameter="due_entries_max")),
            ("TRIAL_MALFORMED", lambda it: it.set(trial=Trial())),
            ("PARTICIPANT_UNKNOWN", lambda it: it.set(trial=Trial(merchants=[FRESH, "nobody"]))),
        ],
    ),
    make_ladder(
        EndTrial,
        lambda: {"parameter": FEE},
        [("TRIAL_UNKNOWN", lambda it: it.set(parameter="due_entries_max"))],
        prepare=lambda it: it.alliance.put("trial", FEE, TrialRecord(0, (FRESH,), "", 1)),
    ),
    make_ladder(
        CapDebit,
        lambda: {"cap": 100, "participant": FRESH},
        [
            ("PARTICIPANT_UNKNOWN", lambda it: it.set(participant="nobody")),
            ("CAP_ABOVE_COVER", cover_too_little),
        ],
    ),
    make_ladder(
        SetIssuanceBudget,
        lambda: {"budget_day": 1, "budget_total": 2, "program": "leaf"},
        [("PROGRAM_UNKNOWN", lambda it: it.set(program="nowhere"))],
    ),
]


@every_row(*LADDERS)
def test_a_vote_about_numbers_says_no_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


@pytest.fixture
def council():
    alliance = found()
    yield alliance
    alliance.check()


def value_of(alliance, name):
    return get_parameter(alliance.state, alliance.executor.context(time=alliance.time), name)


@pytest.mark.parametrize(
    "trial", [Trial(), Trial(members_basis_points=5, merchants=[FRESH])], ids=["nowhere", "twice"]
)
def test_a_trial_is_at_merchants_or_with_members_and_never_both(council, trial):
    outcome = propose(council, ChangeParameter(parameter=FEE, trial=trial, value=1))
    assert outcome.code == "TRIAL_MALFORMED"


def test_a_value_by_vote_holds_from_its_height_and_not_before(council):
    height = carry(council, ChangeParameter(parameter=FEE, value=300))
    council.reach(height)
    assert value_of(council, FEE) == 0, "the block of that height has not begun"
    assert come_to(council, height)["p"].code == "OK"
    assert (value_of(council, FEE), council.get("parameter", FEE).changes) == (300, (Change(height, 300),))


def test_every_parameter_takes_its_bounds_by_vote_and_nothing_beyond(council):
    for number, (name, bounds) in enumerate(PARAMETERS.items()):
        beyond = [bounds.greatest + 1, *([bounds.least - 1] if bounds.least else [])]
        for value in beyond:
            change = ChangeParameter(parameter=name, value=value)
            outcome = propose(council, change, name=f"beyond-{number}")
            assert outcome.code == "PARAMETER_OUT_OF_BOUNDS", name
    lawful = [
        ChangeParameter(parameter=name, value=value)
        for name, bounds in PARAMETERS.items()
        for value in (bounds.least, bounds.greatest)
    ]
    for number in range(0, len(lawful), 16):
        outcome = propose(council, *lawful[number : number + 16], name=f"all-{number}")
        assert outcome.code == "OK"


def test_a_vote_voids_what_was_announced_for_later(alliance):
    """As many changes lie ahead as may, and the vote needs no room among them."""
    begin = alliance.height + 1_000
    alliance.must(OPERATOR, *[SetParameter(begin + number, FEE, number) for number in range(32)])
    height = carry(alliance, ChangeParameter(parameter=FEE, value=9), voters=(OPERATOR,))
    assert come_to(alliance, height)["p"].code == "OK"
    assert alliance.get("parameter", FEE).changes == (Change(height, 9),)


def test_what_one_decision_sets_the_next_of_its_block_finds(council):
    """The floor falls first, then a par may fall to it: two proposals, one block."""
    fall = SetPar(60_000, 60_000, "star", "star-1")
    raised = ChangeParameter(parameter="par_floor_micros", value=65_000)
    carry(council, raised, name="a", effective_height=50)
    carry(council, fall, name="b", effective_height=50)
    enacted = come_to(council, 50)
    assert [outcome.code for outcome in enacted.values()] == ["OK", "PAR_BELOW_FLOOR"]


def test_a_cap_by_vote_holds_and_keeps_what_is_held(council):
    council.put("exposure", FRESH, Exposure(5, 0, 0))
    assert decide(council, CapDebit(77, FRESH)).code == "OK"
    assert council.get("exposure", FRESH) == Exposure(77, 0, 0)
    assert council.ask(OPERATOR, SetDebitCap(5, FRESH)).code == "VOTE_REQUIRED"


#   cap, cover, how long it still stands in ms, code
COVERS = [
    (100, 100, 1, "OK"),
    (101, 100, 1, "CAP_ABOVE_COVER"),
    (101, 100, 0, "OK"),
    (1, 0, 1, "CAP_ABOVE_COVER"),
    (0, 0, 1, "OK"),
]


@pytest.mark.parametrize(("cap", "cover", "left", "code"), COVERS)
def test_no_cap_lies_above_a_cover_that_stands(alliance, cap, cover, left, code):
    alliance.put("cover", FRESH, Cover(cover, alliance.time + left, 10**9))
    assert alliance.ask(OPERATOR, SetDebitCap(cap, FRESH)).code == code


def test_a_new_budget_counts_anew(council):
    council.put("issuance", "leaf", Issuance(9, 9, TODAY, 8, 8))
    assert decide(council, SetIssuanceBudget(100, 1_000, "leaf")).code == "OK"
    assert council.get("issuance", "leaf") == Issuance(100, 1_000, TODAY, 0, 0)


def test_a_value_for_everybody_ends_what_was_tried(council):
    trial = Trial(merchants=[PETROL, CINEMA, PETROL])
    assert decide(council, ChangeParameter(parameter=FEE, trial=trial, value=100)).code == "OK"
    assert council.get("trial", FEE).merchants == (CINEMA, PETROL)
    assert decide(council, ChangeParameter(parameter=FEE, value=200), name="q").code == "OK"
    assert council.get("trial", FEE) is None
    assert propose(council, EndTrial(FEE), name="r").code == "TRIAL_UNKNOWN"
