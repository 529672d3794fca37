"""A small alliance that has settled in every way there is: real rules, real leaves, six windows and more."""

from __future__ import annotations

from contracts.messages import CutWindow, Propose, SetBrandShares, SetParameter, Vote
from contracts.messages.actions import (
    AbortWindow,
    AdmitParticipant,
    ChangeParameter,
    Correction,
    DeclareDefault,
    ReinstateParticipant,
    ResolveDispute,
)
from contracts.messages.registry import ParticipantKey
from contracts.messages.settlement import BrandShare
from tests.contracts.alliance import Alliance
from tests.contracts.cast import CINEMA, FRESH, OPERATOR, PETROL, PHARMACY, make_signer, public_of
from tests.contracts.windows import (
    agree_all,
    attest,
    cover,
    cut_window,
    decide,
    fund,
    get_record,
    pay,
    read_statement,
    settle,
    sign,
    trade,
)


def write_eventful():
    """The alliance after all of it; each window is there for what its line says."""
    alliance = Alliance().open()
    alliance.must(FRESH, SetBrandShares([BrandShare("Corner", 2), BrandShare("Market", 1)]))
    alliance.must(PETROL, SetBrandShares([BrandShare("Pump", 3), BrandShare("Shop", 4)]))
    trade(alliance, 1)
    settle(alliance)  # 1: agreed and paid
    trade(alliance, 2)
    number = cut_window(alliance)  # 2: one payment made, one attested by one side, then aborted by vote
    agree_all(alliance, number)
    attest(alliance, FRESH, 0, number)
    attest(alliance, FRESH, 1, number)
    attest(alliance, CINEMA, 1, number, reference="arrived-in-2")
    decide(alliance, AbortWindow(number))
    alliance.must(OPERATOR, SetParameter(alliance.height + 11, "payment_unit_micros", 7))
    alliance.must(PETROL, SetBrandShares([]))
    trade(alliance, 3)
    number = cut_window(alliance)  # 3: what 2 left is in it; nobody pays in time
    agree_all(alliance, number)
    alliance.wait(days=8)
    alliance.cut()
    assert get_record(alliance, number).state == "aborted"
    trade(alliance, 4)
    number = cut_window(alliance)  # 4: a default that cover, reserve and fund do not meet
    agree_all(alliance, number)
    cover(alliance, FRESH, 100_000, reserve=50_000)
    fund(alliance, 30_001)
    pay(alliance, number, but=(FRESH,))
    decide(alliance, DeclareDefault(FRESH, number))
    decide(alliance, ReinstateParticipant(FRESH))
    cover(alliance, FRESH, 10**9)
    trade(alliance, 5)
    resolve_at_a_cut(alliance)  # 5: what was corrected is of 6
    trade(alliance, 6)
    agree_and_default(alliance)  # 6: a default with next to nothing behind it
    alliance.must(OPERATOR, CutWindow(alliance.height + 1))
    alliance.cut()  # 7: nothing but debts
    alliance.must(OPERATOR, CutWindow(alliance.height + 1))
    alliance.cut()  # 8: nothing but carries
    return alliance


def resolve_at_a_cut(alliance):
    """A dispute is decided, a payment unit set and somebody admitted in the very block that cuts."""
    number = cut_window(alliance)
    for who in get_record(alliance, number).parties:
        if who == PETROL:
            assert sign(alliance, who, number, lines=find_lines(alliance, PETROL, number)).code == "OK"
        else:
            assert sign(alliance, who, number).code == "OK"
    alliance.must(PHARMACY, SetBrandShares([BrandShare("One", 1)]))
    keys = [ParticipantKey(public_of(make_signer("bakery", "govern")), "govern")]
    at = alliance.height + 3
    message = Propose(
        actions=[
            ResolveDispute([Correction(PHARMACY, 123_457, PETROL)], PETROL, number),
            ChangeParameter(parameter="payment_unit_micros", value=1_000),
            AdmitParticipant(keys, "Bäckerei Ω", "bakery", 0),
        ],
        configuration=0,
        effective_height=at,
        expires=alliance.time + 86_400_000,
        proposal="at-a-cut",
    )
    alliance.must(OPERATOR, CutWindow(at), message)
    alliance.must(OPERATOR, Vote("yes", 0, "at-a-cut"))
    alliance.reach(at)
    alliance.cut()
    pay(alliance, number)


def agree_and_default(alliance):
    """Somebody else does not pay, and nothing but a little cover stands behind it."""
    number = cut_window(alliance)
    agree_all(alliance, number)
    payers = {each.payer for each in get_record(alliance, number).transfers} - {OPERATOR}
    defaulter = min(payers)
    cover(alliance, defaulter, 10)
    decide(alliance, DeclareDefault(defaulter, number))


def find_lines(alliance, participant, number):
    lines = read_statement(alliance, number).lines
    return [place for place, each in enumerate(lines) if participant in (each.source, each.destination)][:1]
