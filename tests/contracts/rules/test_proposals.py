"""Proposals: who makes them, how long they stand, and how they end."""

from __future__ import annotations

import pytest

from contracts.messages import CancelProposal, Propose, Vote
from contracts.messages.actions import (
    AbortWindow,
    ChangeParameter,
    Pause,
    SetPar,
    SetTrustPolicy,
)
from contracts.messages.governance import ACTIONS_BYTES_MAX, CloseProposal
from ledger.codec import encode
from ledger.errors import Refused
from tests.contracts.cast import CINEMA, FRESH, OPERATOR, PETROL
from tests.contracts.council import (
    EVERYBODY,
    cancel,
    carry,
    found,
    make_proposal,
    propose,
    vote,
)
from tests.contracts.ladder import Attempt, Ladder, every_row, fall_from

FEE = ChangeParameter(parameter="accrual_fee_basis_points", value=7)


PAUSE = Pause(program="leaf")


@pytest.fixture
def council():
    """An alliance with a constitution; afterwards every sum still holds."""
    alliance = found()
    yield alliance
    alliance.check()


def a_proposal() -> Attempt:
    alliance = found()
    message = make_proposal(alliance, FEE, effective_height=alliance.height + 1)
    fields = {name: getattr(message, name) for name in message.__struct_fields__}
    return Attempt(Propose, sender=FRESH, alliance=alliance, **fields)


def a_ballot(message: type = Vote, **fields) -> Attempt:
    alliance = found()
    # Not at a full minute: its time is over before a block closes it.
    propose(alliance, FEE, expires=alliance.time - alliance.time % 60_000 + 60_001)
    return Attempt(message, sender=FRESH, alliance=alliance, proposal="p", **fields)


def fill_the_table(it: Attempt) -> None:
    """As many of its proposals are open as may be."""
    proposals = [make_proposal(it.alliance, FEE, name=f"p{number}") for number in range(8)]
    it.alliance.must(FRESH, *proposals)
    it.set(effective_height=it.alliance.height + 1)


def let_expire(it: Attempt) -> None:
    """Its time has come, to the millisecond."""
    it.alliance.time = it.alliance.get("proposal", "p").expires


def end(it: Attempt) -> None:
    """It is taken back."""
    assert cancel(it.alliance).code == "OK"


#   Each row breaks one more thing than the row below it.
LADDERS = [
    Ladder(
        "propose",
        a_proposal,
        [
            ("NOT_A_VOTER", lambda it: setattr(it, "sender", OPERATOR)),
            ("PROPOSAL_EXISTS", lambda it: it.set(proposal="p3")),
            ("CONFIGURATION_CHANGED", lambda it: it.set(configuration=1)),
            ("PROPOSAL_EXPIRED", lambda it: it.set(expires=it.alliance.time)),
            ("PROPOSAL_TOO_LONG", lambda it: it.set(expires=it.alliance.time + 2_592_000_001)),
            ("NOTICE_TOO_SHORT", lambda it: it.set(effective_height=it.alliance.height)),
            ("TOO_MANY_PROPOSALS", fill_the_table),
        ],
    ),
    Ladder(
        "vote",
        lambda: a_ballot(choice="yes", configuration=0),
        [
            ("PROPOSAL_UNKNOWN", lambda it: it.set(proposal="q")),
            ("NOT_A_VOTER", lambda it: setattr(it, "sender", OPERATOR)),
            ("PROPOSAL_FINAL", end),
            ("PROPOSAL_EXPIRED", let_expire),
            ("CONFIGURATION_CHANGED", lambda it: it.set(configuration=1)),
            ("ALREADY_VOTED", lambda it: vote(it.alliance, FRESH, "no")),
        ],
    ),
    Ladder(
        "cancel_proposal",
        lambda: a_ballot(CancelProposal),
        [
            ("PROPOSAL_UNKNOWN", lambda it: it.set(proposal="q")),
            ("NOT_PROPOSER", lambda it: setattr(it, "sender", PETROL)),
            ("PROPOSAL_FINAL", end),
        ],
    ),
]


@every_row(*LADDERS)
def test_governing_says_no_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


def test_a_proposal_whose_time_has_come_takes_no_ballot_even_before_it_is_closed(council):
    """Closing happens with a full minute; its time is over to the millisecond."""
    expires = council.time - council.time % 60_000 + 60_001
    propose(council, FEE, expires=expires)
    council.time = expires - 1
    assert vote(council, CINEMA).code == "OK"
    council.time = expires
    assert vote(council, FRESH).code == "PROPOSAL_EXPIRED"
    assert council.get("proposal", "p").state == "open"
    # What is final is told before what is late.
    assert cancel(council).code == "OK"
    assert vote(council, FRESH).code == "PROPOSAL_FINAL"


@pytest.mark.parametrize("early", [0, 1, 59_999])
def test_what_too_few_were_for_is_rejected_when_its_time_is_over(council, early):
    minute = council.time - council.time % 60_000 + 120_000
    propose(council, FEE, expires=minute - early)
    assert vote(council, FRESH).code == "OK"
    council.time = minute - 1
    assert council.cut().is_empty
    council.time = minute
    council.cut()
    ((message, outcome),) = council.read_system()
    assert (message, outcome.code) == (CloseProposal("p"), "BELOW_THRESHOLD")
    assert council.get("proposal", "p").state == "rejected"
    assert vote(council, PETROL).code == "PROPOSAL_FINAL"
    assert council.get("parameter", "accrual_fee_basis_points") is None


def test_what_stood_when_it_was_proposed_is_tried_and_not_remembered(council):
    """A proposal is tried in the block that makes it; what it would change is not worked out for the rest of
    that block.
    """
    low = SetPar(5, 5, "leaf", "leaf-1")
    outcome = propose(council, ChangeParameter(parameter="par_floor_micros", value=5), low)
    assert outcome.code == "OK", "each sees what those before it would do"
    council.must(FRESH, make_proposal(council, FEE, name="q"))
    made = council.submit(
        PETROL,
        make_proposal(council, ChangeParameter(parameter="par_floor_micros", value=5), low, name="r"),
        make_proposal(council, low, name="s"),
    )
    assert [outcome.code for outcome in made] == ["OK", "PAR_BELOW_FLOOR"]


def test_who_proposed_may_take_it_back_while_it_is_open_and_no_longer(council):
    propose(council, FEE)
    assert cancel(council, PETROL).code == "NOT_PROPOSER"
    vote(council, FRESH)
    assert cancel(council).code == "OK"
    assert council.get("proposal", "p").state == "cancelled"
    assert propose(council, FEE).code == "PROPOSAL_EXISTS", "a name is taken for ever"
    carry(council, FEE, name="q")
    assert cancel(council, name="q").code == "PROPOSAL_FINAL"


def test_nobody_keeps_others_from_proposing_and_a_place_is_free_when_one_is_decided(council):
    council.must(PETROL, *[make_proposal(council, FEE, name=f"p{number}") for number in range(8)])
    assert propose(council, FEE, sender=PETROL, name="more").code == "TOO_MANY_PROPOSALS"
    assert propose(council, FEE, sender=FRESH, name="another").code == "OK"
    assert cancel(council, PETROL, name="p3").code == "OK"
    assert propose(council, FEE, sender=PETROL, name="more").code == "OK"
    for voter in EVERYBODY[:2]:
        assert vote(council, voter, name="p4").code == "OK"
    assert propose(council, FEE, sender=PETROL, name="again").code == "OK"
    assert propose(council, FEE, sender=PETROL, name="yet-again").code == "TOO_MANY_PROPOSALS"
    council.wait(seconds=3_660)
    council.reach(council.height + 1)
    assert council.get("agenda", "agenda").open == 0
    assert propose(council, FEE, sender=PETROL, name="yet-again").code == "OK"


def test_an_atomic_transaction_proposes_and_votes_or_does_neither(council):
    height = council.height
    codes = [
        outcome.code
        for outcome in council.submit(
            FRESH, make_proposal(council, FEE), Vote("yes", 0, "p"), Vote("yes", 0, "p"), atomic=True
        )
    ]
    assert codes == ["ATOMIC_ABORTED", "ATOMIC_ABORTED", "ALREADY_VOTED"]
    assert (council.get("proposal", "p"), council.get("agenda", "agenda")) == (None, None)
    council.must(FRESH, make_proposal(council, FEE), Vote("yes", 0, "p"), atomic=True)
    record = council.get("proposal", "p")
    assert (record.yes, record.index > 0, council.height) == ((FRESH,), True, height + 2)


def test_what_would_not_fit_a_leaf_cannot_be_proposed(council):
    room = ACTIONS_BYTES_MAX - len(encode([SetTrustPolicy("#")] * 2)) + 2
    texts = "#" * 8_000, "#" * (room - 8_000)
    message = make_proposal(council, *map(SetTrustPolicy, texts))
    assert len(encode(message.actions)) == ACTIONS_BYTES_MAX
    assert council.ask(FRESH, message).code == "POLICY_MALFORMED", "it is read, and then it is no policy"
    told = council.sign(FRESH, message).encode()
    with pytest.raises(Refused, match=r"MALFORMED.*bytes"):
        council.decoder.decode(told.replace(b'"###', b'"####', 1))


def test_a_proposal_settles_one_thing_at_most(council):
    with pytest.raises(ValueError, match="settles"):
        make_proposal(council, AbortWindow(1), AbortWindow(2))
