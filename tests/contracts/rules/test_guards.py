"""What rests: who has left or is suspended, what is paused; and that what was begun can be finished."""

from __future__ import annotations

from typing import get_args

import pytest

from contracts.mechanics.governance_records import Halt
from contracts.mechanics.halts import find_guard
from contracts.messages import AddKey, Earn, Message, RevokeKey, Vote
from contracts.messages.actions import (
    PausableKind,
    Pause,
    ReinstateParticipant,
    RemoveParticipant,
    Resume,
    SuspendParticipant,
)
from ledger.errors import Rejected
from tests.contracts.cast import (
    ANNA,
    BORIS,
    CINEMA,
    FRESH,
    PETROL,
    PHARMACY,
    grant,
    make_signer,
    public_of,
)
from tests.contracts.council import decide, found, propose, vote
from tests.contracts.ladder import Attempt, Ladder, every_row, fall_from
from tests.contracts.motions import make_ladder
from tests.contracts.orders import award, capture, give, refund, release, return_goods, set_aside, set_policy
from tests.contracts.purchases import buy, convert, spend


def rest(it: Attempt, **lists: tuple[str, ...]) -> None:
    """These rest as well."""
    halt = it.alliance.get("halt", "halt") or Halt((), (), (), ())
    told = {name: getattr(halt, name) for name in halt.__struct_fields__}
    it.alliance.put("halt", "halt", Halt(**{**told, **lists}))


def an_earning() -> Attempt:
    it = Attempt(Earn, sender=PETROL, amount=10**6, member=ANNA, program="leaf", reference="e")
    it.set(occurred_at=it.alliance.time)
    return it


#   Each row breaks one more thing than the row below it.
LADDERS = [
    Ladder(
        "what rests",
        an_earning,
        [
            ("PARTICIPANT_REMOVED", lambda it: rest(it, removed=(PETROL,))),
            ("PARTICIPANT_SUSPENDED", lambda it: rest(it, suspended=(FRESH,))),
            ("RULE_PAUSED", lambda it: rest(it, messages=("earn",))),
            ("PROGRAM_PAUSED", lambda it: rest(it, programs=("leaf",))),
        ],
    ),
    make_ladder(
        Pause,
        lambda: {"program": "leaf"},
        [
            ("PAUSE_MALFORMED", lambda it: it.set(message="earn")),
            ("PROGRAM_UNKNOWN", lambda it: it.set(program="nowhere")),
            ("ALREADY_PAUSED", lambda it: rest(it, programs=("leaf",))),
        ],
    ),
    make_ladder(
        Resume,
        lambda: {"program": "leaf"},
        [
            ("PAUSE_MALFORMED", lambda it: it.set(message="earn")),
            ("PROGRAM_UNKNOWN", lambda it: it.set(program="nowhere")),
            ("NOT_PAUSED", lambda it: rest(it, programs=("mile",))),
        ],
        prepare=lambda it: rest(it, programs=("leaf",)),
    ),
]


@every_row(*LADDERS)
def test_what_rests_says_no_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


@pytest.fixture
def council():
    """An alliance that votes; Anna has points of the supermarket and of the cinema."""
    alliance = found()
    alliance.earn(ANNA, 1_000)
    alliance.earn(ANNA, 100, "star")
    yield alliance
    alliance.check()


def test_nothing_is_looked_at_where_nothing_rests(council):
    context = council.executor.context(time=council.time)
    assert find_guard(council.state, context, FRESH) is None
    assert not context.memo
    assert decide(council, SuspendParticipant(PETROL)).code == "OK"
    context = council.executor.context(time=council.time)
    guard = find_guard(council.state, context, FRESH)
    assert guard is find_guard(council.state, context, FRESH), "once a block and sender"
    assert decide(council, ReinstateParticipant(PETROL), name="q").code == "OK"
    assert council.get("halt", "halt") is None


def test_a_paused_program_rests_everywhere_and_its_holds_end_as_ever(council):
    assert set_aside(council, PETROL, points=100, reference="h1").code == "OK"
    assert set_aside(council, PETROL, points=100, reference="h2").code == "OK"
    assert spend(council, PETROL, points=10, reference="r").code == "OK"
    assert decide(council, Pause(program="leaf")).code == "OK"
    for sender in (FRESH, PETROL):
        assert buy(council, sender, reference=sender).code == "PROGRAM_PAUSED"
        assert spend(council, sender, reference=f"s-{sender}").code == "PROGRAM_PAUSED"
        assert set_aside(council, sender, reference=f"h-{sender}").code == "PROGRAM_PAUSED"
    assert give(council).code == "PROGRAM_PAUSED"
    assert convert(council, reference="out").code == "PROGRAM_PAUSED"
    assert refund(council, PETROL, original="r", points=1, reference="back").code == "PROGRAM_PAUSED"
    assert capture(council, PETROL, hold="h1", points=50).code == "OK"
    assert release(council, PETROL, hold="h2").code == "OK"
    assert spend(council, CINEMA, program="star", points=1, reference="other").code == "OK"
    assert decide(council, Resume(program="leaf"), name="q").code == "OK"
    assert spend(council, PETROL, reference="again").code == "OK"


def test_the_target_of_an_exchange_rests_too(council):
    assert decide(council, Pause(program="star")).code == "OK"
    assert convert(council).code == "PROGRAM_PAUSED"


def test_a_paused_kind_of_message_rests_for_every_program(council):
    assert decide(council, Pause(message="earn")).code == "OK"
    assert buy(council).code == "RULE_PAUSED"
    assert buy(council, CINEMA, program="star", reference="other").code == "RULE_PAUSED"
    assert spend(council).code == "OK"
    assert propose(council, Pause(message="earn"), name="q").code == "ALREADY_PAUSED"
    assert propose(council, Resume(message="earn"), name="q").code == "OK"
    assert propose(council, Resume(message="hold"), name="r").code == "NOT_PAUSED"


def test_every_kind_that_may_be_paused_is_a_message():
    tags = {kind.__struct_config__.tag for kind in get_args(Message)}
    assert set(get_args(PausableKind)) < tags


def test_it_is_easier_to_freeze_than_to_unfreeze(council):
    assert decide(council, Pause(program="leaf"), voters=(FRESH,)).code == "OK"
    assert propose(council, Resume(program="leaf"), name="q").code == "OK"
    assert vote(council, FRESH, name="q").code == "OK"
    assert council.get("proposal", "q").state == "open"
    assert vote(council, PETROL, name="q").code == "OK"
    assert council.get("proposal", "q").state == "passed"


def test_what_a_block_does_by_itself_never_rests(council):
    assert set_aside(council, PETROL, points=100, expires=council.time + 60_000).code == "OK"
    assert decide(council, Pause(program="leaf"), SuspendParticipant(PETROL)).code == "OK"
    council.wait(seconds=120)
    council.cut()
    assert [(message.__struct_config__.tag, outcome.code) for message, outcome in council.read_system()] == [
        ("lapse", "OK")
    ]
    council.wait(days=400)
    council.cut()
    assert {message.__struct_config__.tag for message, _ in council.read_system()} >= {"expire"}


def test_who_is_suspended_finishes_what_it_began_and_begins_nothing(council):
    """Holds end, goods come back, keys change, ballots count; at home its own points go on."""
    council.must(PETROL, grant("redeem", "mile", FRESH))
    council.earn(ANNA, 100, "mile")
    assert set_aside(council, PETROL, points=100, reference="h1").code == "OK"
    assert set_aside(council, PETROL, points=100, reference="h2").code == "OK"
    assert spend(council, PETROL, points=10, reference="r").code == "OK"
    assert buy(council, PETROL, reference="b").code == "OK"
    assert decide(council, SuspendParticipant(PETROL)).code == "OK"

    assert capture(council, PETROL, hold="h1", points=50).code == "OK"
    assert release(council, PETROL, hold="h2").code == "OK"
    assert refund(council, PETROL, original="r", points=10, reference="back").code == "OK"
    assert return_goods(council, PETROL, original="b", reference="goods").code == "OK"
    till = make_signer("another till")
    assert council.ask(PETROL, AddKey(public_of(till), "till")).code == "OK"
    assert council.ask(PETROL, RevokeKey(till.key_id)).code == "OK"
    assert spend(council, PETROL, program="mile", points=10, reference="home").code == "OK"
    assert set_aside(council, PETROL, program="mile", points=10, reference="home-hold").code == "OK"

    assert spend(council, PETROL, points=10, reference="r2").code == "PARTICIPANT_SUSPENDED"
    assert set_aside(council, PETROL, points=10, reference="h3").code == "PARTICIPANT_SUSPENDED"
    assert buy(council, PETROL, reference="b2").code == "PARTICIPANT_SUSPENDED"
    assert buy(council, PETROL, program="mile", reference="b3").code == "PARTICIPANT_SUSPENDED"
    assert propose(council, ReinstateParticipant(PETROL), sender=PETROL, name="q").code == (
        "PARTICIPANT_SUSPENDED"
    )
    propose(council, ReinstateParticipant(PETROL), name="q")
    assert vote(council, PETROL, name="q").code == "OK"


def test_a_suspended_issuers_points_go_on_nowhere_else(council):
    council.must(PETROL, grant("redeem", "mile", FRESH))
    council.must(PETROL, grant("earn", "mile", FRESH))
    council.earn(ANNA, 100, "mile")
    assert set_aside(council, FRESH, program="mile", points=10, reference="h").code == "OK"
    assert spend(council, FRESH, program="mile", points=10, reference="r").code == "OK"
    assert decide(council, SuspendParticipant(PETROL)).code == "OK"
    assert spend(council, FRESH, program="mile", points=1, reference="x").code == "PARTICIPANT_SUSPENDED"
    assert set_aside(council, FRESH, program="mile", points=1, reference="y").code == "PARTICIPANT_SUSPENDED"
    assert buy(council, FRESH, program="mile", reference="z").code == "PARTICIPANT_SUSPENDED"
    assert convert(council, target="mile", series="leaf-1").code == "PARTICIPANT_SUSPENDED"
    #   what was begun is finished: the acceptor is not to suffer for its partner
    assert capture(council, FRESH, program="mile", hold="h", points=10).code == "OK"
    assert refund(council, FRESH, program="mile", original="r", points=10, reference="u").code == "OK"


def test_a_removed_issuers_points_are_nobodys_to_make(council):
    council.must(PETROL, grant("earn", "mile", FRESH))
    assert decide(council, RemoveParticipant(PETROL)).code == "OK"
    assert buy(council, FRESH, program="mile").code == "PARTICIPANT_REMOVED"


def test_awards_of_a_suspended_issuer_rest_at_a_partner(council):
    set_policy(council, bonus_day=10**6, bonus_total=10**6)
    assert decide(council, SuspendParticipant(FRESH)).code == "OK"
    assert award(council, PETROL).code == "PARTICIPANT_SUSPENDED"
    assert award(council, FRESH, reference="own").code == "PARTICIPANT_SUSPENDED"


def test_it_rests_from_the_first_message_of_the_block(council):
    height = council.height
    propose(council, Pause(message="earn"), effective_height=height + 5)
    vote(council, FRESH)
    council.reach(height + 5)
    assert buy(council).code == "RULE_PAUSED"


def test_in_an_atomic_transaction_what_rests_stops_all_of_it(council):
    assert decide(council, Pause(message="earn")).code == "OK"
    earn = Earn(10**6, ANNA, council.time, "leaf", "o")
    codes = [outcome.code for outcome in council.submit(FRESH, earn, earn, atomic=True)]
    assert codes == ["RULE_PAUSED", "ATOMIC_ABORTED"]


def test_only_what_is_asked_of_a_sender_decides_not_who_else_rests(council):
    context = council.executor.context(time=council.time)
    council.put("halt", "halt", Halt((), (), (), (PETROL,)))
    guard = find_guard(council.state, context, PHARMACY)
    guard(Vote("yes", 0, "p"))
    guard(Earn(1, BORIS, 0, "drop", "x"))
    with pytest.raises(Rejected, match="PARTICIPANT_SUSPENDED"):
        guard(Earn(1, BORIS, 0, "mile", "x"))
    guard(Earn(1, BORIS, 0, "no-such-program", "x"))
