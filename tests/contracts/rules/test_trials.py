"""Trials: a change first at some merchants, or for a share of the members that nobody could choose."""

from __future__ import annotations

from hashlib import sha256

import pytest
from msgspec import UNSET

from contracts.mechanics.governance_records import TrialRecord
from contracts.mechanics.parameters import PARAMETERS
from contracts.mechanics.trials import TRIABLE, draw, get_parameter_for, is_tried
from contracts.messages import Earn, Enrol
from contracts.messages.actions import ChangeParameter, EndTrial, Trial
from ledger.codec import from_base64url
from ledger.rule import Asked
from tests.contracts.cast import ANNA, BORIS, CINEMA, FRESH, OPERATOR, PETROL, grant, member_id
from tests.contracts.council import carry, come_to, decide, found
from tests.contracts.messages_page import read_page
from tests.contracts.orders import refund, return_goods, set_aside
from tests.contracts.purchases import buy, spend

FEE = "accrual_fee_basis_points"
COMMISSION = "commission_basis_points"


@pytest.fixture
def council():
    alliance = found()
    alliance.earn(ANNA, 10_000)
    yield alliance
    alliance.check()


def ask_for(alliance, name, *, sender, member):
    context = alliance.executor.context(time=alliance.time)
    asked = Asked(context, sender, None, "", 0, b"")
    return get_parameter_for(alliance.state, asked, name, member)


def try_at(*merchants, name=COMMISSION, value=500):
    return ChangeParameter(parameter=name, trial=Trial(merchants=list(merchants)), value=value)


def try_with(share, *, name=COMMISSION, value=500):
    return ChangeParameter(parameter=name, trial=Trial(members_basis_points=share), value=value)


def commission_of(outcome):
    return sum(leg.micros for leg in outcome.legs if leg.reason == "commission")


def test_a_change_is_tried_at_the_merchants_it_names_and_nowhere_else(council):
    assert decide(council, try_at(PETROL)).code == "OK"
    assert commission_of(spend(council, PETROL, points=100, reference="tried")) == 50_000
    assert commission_of(spend(council, CINEMA, points=100, reference="as-ever")) == 10_000


def test_what_was_tried_ends_and_leaves_nothing_behind(council):
    assert decide(council, try_at(PETROL)).code == "OK"
    assert decide(council, EndTrial(COMMISSION), name="q").code == "OK"
    assert commission_of(spend(council, PETROL, points=100)) == 10_000
    assert council.get("trial", COMMISSION) is None
    assert council.get("parameter", COMMISSION) is None, "the value in force was never another"


def test_another_trial_takes_the_place_of_the_first(council):
    assert decide(council, try_at(PETROL)).code == "OK"
    assert decide(council, try_at(CINEMA), name="q").code == "OK"
    assert commission_of(spend(council, PETROL, points=100, reference="a")) == 10_000
    assert commission_of(spend(council, CINEMA, points=100, reference="b")) == 50_000


def test_a_value_for_everybody_ends_what_was_tried(council):
    assert decide(council, try_at(PETROL)).code == "OK"
    everybody = ChangeParameter(parameter=COMMISSION, value=200)
    assert decide(council, everybody, name="q").code == "OK"
    assert commission_of(spend(council, PETROL, points=100)) == 20_000


#   share in basis points; of 4,000 members how many are drawn, give or take four standard deviations
SHARES = [(1, 0, 4), (100, 15, 65), (2_500, 890, 1_110), (5_000, 1_874, 2_126), (9_999, 3_996, 4_000)]


@pytest.mark.parametrize(("share", "least", "most"), SHARES)
def test_a_share_of_the_members_is_about_that_share(share, least, most):
    trial = TrialRecord(share, (), "seed", 1)
    drawn = [
        member_id(number)
        for number in range(4_000)
        if is_tried(trial, FEE, merchant=PETROL, member=member_id(number))
    ]
    assert least <= len(drawn) <= most


def test_ten_thousand_basis_points_are_everybody():
    trial = TrialRecord(10_000, (), "seed", 1)
    assert all(is_tried(trial, FEE, merchant=PETROL, member=member_id(number)) for number in range(200))


def test_the_lot_is_the_documented_one():
    """SHA-256 of the text on the page, first eight bytes, big-endian, modulo 10,000."""
    text = b"commonpoint/trial/v1\nseed\naccrual_fee_basis_points\n" + ANNA.encode()
    expected = int(sha256(text).hexdigest()[:16], 16) % 10_000
    assert draw(seed="seed", parameter=FEE, member=ANNA) == expected


def test_two_trials_and_two_seeds_draw_different_members():
    members = [member_id(number) for number in range(400)]
    lots = {
        (seed, name): [draw(seed=seed, parameter=name, member=member) < 5_000 for member in members]
        for seed in "ab"
        for name in (FEE, COMMISSION)
    }
    assert len({tuple(lot) for lot in lots.values()}) == 4


def test_the_seed_is_the_block_leaf_before_the_enactment_so_no_voter_knew_it(council):
    """It is made of everything that came after the last ballot."""
    height = carry(council, try_with(5_000), effective_height=60)
    known_by_voters = {leaf.hex() for block in council.blocks for leaf in block.leaf_hashes}
    council.reach(height)
    previous = council.executor.head.previous
    assert come_to(council, height)["p"].code == "OK"
    seed = council.get("trial", COMMISSION).seed
    assert seed == previous
    assert from_base64url(seed, size=32).hex() not in known_by_voters
    assert from_base64url(seed, size=32) == council.blocks[-2].leaf_hashes[-1]


def test_members_are_charged_by_their_own_lot(council):
    assert decide(council, try_with(5_000, name=FEE, value=1_000)).code == "OK"
    seed = council.get("trial", FEE).seed
    seen = set()
    for number in range(12):
        member = member_id(500 + number)
        council.must(FRESH, Enrol(member=member))
        message = Earn(1_000_000, member, council.time, "leaf", f"t{number}")
        outcome = council.ask(PETROL, message)
        fee = sum(leg.micros for leg in outcome.legs if leg.reason == "accrual_fee")
        is_drawn = draw(seed=seed, parameter=FEE, member=member) < 5_000
        assert fee == (2 * 10_500 * 1_000 // 10_000 if is_drawn else 0)
        seen.add(is_drawn)
    assert seen == {True, False}


def test_every_triable_parameter_is_documented_and_exists():
    page = read_page("governance")
    told = page[page.index("Parameters that can be tried") : page.index("## System entries")]
    assert {name for name in PARAMETERS if f"`{name}`" in told} == TRIABLE


@pytest.mark.parametrize("name", sorted(TRIABLE))
def test_each_triable_parameter_is_asked_for_sender_and_member(council, name):
    value = PARAMETERS[name].least
    before = ask_for(council, name, sender=FRESH, member=ANNA)
    assert decide(council, try_at(PETROL, name=name, value=value)).code == "OK"
    assert ask_for(council, name, sender=PETROL, member=ANNA) == value
    assert ask_for(council, name, sender=FRESH, member=ANNA) == before == PARAMETERS[name].default


def test_a_shorter_consent_is_tried_at_one_merchant(council):
    assert decide(council, try_at(PETROL, name="consent_seconds_max", value=60)).code == "OK"
    agreed = {"expires": council.time + 61_000}
    assert spend(council, PETROL, agreed=agreed, reference="a").code == "CONSENT_TOO_LONG"
    assert spend(council, CINEMA, agreed=agreed, reference="b").code == "OK"


def test_a_shorter_hold_is_tried_at_one_merchant(council):
    assert decide(council, try_at(PETROL, name="hold_seconds_max", value=60)).code == "OK"
    expires = council.time + 61_000
    assert set_aside(council, PETROL, expires=expires, reference="a").code == "HOLD_TOO_LONG"
    assert set_aside(council, CINEMA, expires=expires, reference="b").code == "OK"


def test_a_shorter_time_to_bring_back_is_tried_at_one_merchant(council):
    assert spend(council, PETROL, points=10, reference="a").code == "OK"
    assert spend(council, CINEMA, points=10, reference="b").code == "OK"
    then = council.executor.context(time=council.time).day
    assert decide(council, try_at(PETROL, name="refund_horizon_days", value=1)).code == "OK"
    council.wait(days=2)
    told = {"original_day": then, "points": 1}
    assert refund(council, PETROL, original="a", **told).code == "REFUND_TOO_LATE"
    assert refund(council, CINEMA, original="b", **told).code == "OK"


def test_a_smaller_debt_is_tried_at_one_merchant(council):
    for sender, reference in ((FRESH, "a"), (PETROL, "b")):
        assert buy(council, sender, member=BORIS, reference=reference).code == "OK"
    assert spend(council, points=80, member=BORIS, consent=UNSET, reference="gone").code == "OK"
    assert decide(council, try_at(PETROL, name="debt_points_max", value=0)).code == "OK"
    refused = return_goods(council, PETROL, member=BORIS, original="b", reference="y")
    allowed = return_goods(council, FRESH, member=BORIS, original="a", reference="x")
    assert (refused.code, allowed.code) == ("DEBT_LIMIT", "OK")


def test_the_operator_alone_may_try_things_too(alliance):
    alliance.must(CINEMA, grant("redeem", "star", FRESH))
    assert decide(alliance, try_at(PETROL), voters=(OPERATOR,)).code == "OK"
    assert alliance.get("trial", COMMISSION).merchants == (PETROL,)
