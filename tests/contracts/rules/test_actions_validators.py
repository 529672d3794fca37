"""Validators by vote: a set that an engine can take, and a sequencer that hands over."""

from __future__ import annotations

import pytest

from contracts.mechanics.governance_records import Halt
from contracts.messages.actions import ChainValidator, SetValidators, SwitchEngine
from ledger.codec import encode, to_base64url
from tests.contracts.cast import CINEMA, FRESH, PETROL, PHARMACY, make_signer
from tests.contracts.council import carry, come_to, decide, found, propose
from tests.contracts.ladder import every_row, fall_from
from tests.contracts.motions import make_ladder

SMALL_ORDER = to_base64url(bytes(32))


def make_set(*names: str, **powers: int) -> list[ChainValidator]:
    """Validators of these participants, with keys of their own."""
    return [
        ChainValidator(
            name, powers.get(name.partition("-")[0], 10), to_base64url(make_signer(name, "consensus").public)
        )
        for name in names
    ]


def rows_of(validators: list[ChainValidator]) -> tuple[tuple[str, int, str], ...]:
    """As the records have them."""
    return tuple((each.participant, each.power, each.public) for each in validators)


def switch(it) -> None:
    """Validators make the blocks already."""
    assert decide(it.alliance, SwitchEngine("cometbft", make_set(FRESH)), name="before").code == "OK"


def add(participant: str, public: str):
    """One more validator."""

    def change(it) -> None:
        it.fields["validators"] = [*it.fields["validators"], ChainValidator(participant, 1, public)]

    return change


def turn(it) -> None:
    """The set stands in no order."""
    it.fields["validators"] = it.fields["validators"][::-1]


OTHER = to_base64url(make_signer("other").public)
#   Each row breaks one more thing than the row below it.
SHARED = [
    ("VALIDATORS_MALFORMED", turn),
    ("PARTICIPANT_UNKNOWN", add("zz-nobody", OTHER)),
    ("KEY_REFUSED", add(PHARMACY, SMALL_ORDER)),
]
LADDERS = [
    make_ladder(
        SetValidators,
        lambda: {"validators": make_set(CINEMA, PETROL)},
        [
            ("ENGINE_IS_SOLO", lambda it: it.alliance.put("engine", "engine", None)),
            *SHARED,
        ],
        prepare=switch,
    ),
    make_ladder(
        SwitchEngine,
        lambda: {"engine": "cometbft", "validators": make_set(CINEMA, PETROL)},
        [("ENGINE_SWITCHED", switch), *SHARED],
    ),
]


@every_row(*LADDERS)
def test_a_vote_about_validators_says_no_in_the_documented_order(ladder, row):
    fall_from(ladder, row)


@pytest.fixture
def council():
    alliance = found()
    yield alliance
    alliance.check()


def test_a_sequencer_hands_over_at_the_height_that_was_voted_on(council):
    validators = make_set(CINEMA, FRESH, petrol=3)
    height = carry(council, SwitchEngine("cometbft", validators))
    assert council.get("engine", "engine") is None
    assert come_to(council, height)["p"].code == "OK"
    engine, present = council.get("engine", "engine"), council.get("validators", "validators")
    assert (engine.engine, engine.height, engine.time) == ("cometbft", height, council.time)
    assert (
        (present.height, present.validators) == (height, engine.validators) == (height, rows_of(validators))
    )


def test_a_set_is_replaced_whole_and_how_the_engine_began_stays(council):
    first = make_set(CINEMA, FRESH)
    assert decide(council, SwitchEngine("cometbft", first)).code == "OK"
    then = make_set(FRESH, PETROL, fresh=1_000_000)
    assert decide(council, SetValidators(then), name="q").code == "OK"
    assert council.get("validators", "validators").validators == rows_of(then)
    assert council.get("validators", "validators").height == council.height - 1
    assert council.get("engine", "engine").validators == rows_of(first)


def test_two_sets_in_one_proposal_are_taken_in_order(council):
    """The switch is seen by what comes after it; the other way round there are no validators yet."""
    both = SwitchEngine("cometbft", make_set(FRESH)), SetValidators(make_set(PETROL))
    assert propose(council, *both[::-1]).code == "ENGINE_IS_SOLO"
    assert decide(council, *both, name="q").code == "OK"
    assert council.get("validators", "validators").validators == rows_of(make_set(PETROL))


def test_of_two_decisions_to_switch_only_the_first_is_done(council):
    ahead = {"effective_height": council.height + 30}
    for who in (FRESH, PETROL):
        height = carry(council, SwitchEngine("cometbft", make_set(who)), name=who, **ahead)
    enacted = come_to(council, height)
    assert [enacted[who].code for who in (FRESH, PETROL)] == ["OK", "ENGINE_SWITCHED"]
    assert council.get("engine", "engine").validators == rows_of(make_set(FRESH))


@pytest.mark.parametrize("action", [SetValidators, SwitchEngine])
def test_nobody_is_there_twice_and_no_key_is(council, action):
    if action is SetValidators:
        assert decide(council, SwitchEngine("cometbft", make_set(FRESH)), name="before").code == "OK"
    (market,) = make_set(FRESH)
    start = (lambda rows: SwitchEngine("cometbft", rows)) if action is SwitchEngine else SetValidators
    for number, other in enumerate(
        (ChainValidator(FRESH, 1, OTHER), ChainValidator(PETROL, 1, market.public))
    ):
        assert propose(council, start([market, other]), name=f"p{number}").code == "VALIDATORS_MALFORMED"


def test_who_has_left_is_no_validator(council):
    """It left after it was proposed, so the switch fails at its height, and nothing of it is done."""
    height = carry(council, SwitchEngine("cometbft", make_set(CINEMA)))
    council.put("halt", "halt", Halt((), (), (CINEMA,), ()))
    assert come_to(council, height)["p"].code == "PARTICIPANT_UNKNOWN"
    assert council.get("engine", "engine") is None


def test_the_largest_set_fits_a_proposal():
    key = to_base64url(bytes(range(32)))
    rows = [ChainValidator("p" * 63, 1_000_000, key)] * 64
    assert len(encode([SwitchEngine("cometbft", rows)])) < 16_384
