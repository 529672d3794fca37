"""Acceptor and operator pay a refund back at the rate of then; all parts together make up the whole."""

from __future__ import annotations

from contracts.messages import AnnouncePar, OpenSeries, RevokeGrant, SetParameter
from ledger.outcome import Leg, Lot
from tests.contracts.alliance import Alliance
from tests.contracts.cast import ANNA, CINEMA, FRESH, OPERATOR, PETROL
from tests.contracts.orders import refund, set_cap, set_policy
from tests.contracts.purchases import spend


def test_elsewhere_acceptor_and_operator_pay_back_what_they_had(alliance):
    alliance.earn(ANNA, 250)
    spend(alliance, PETROL, points=123)
    outcome = refund(alliance, PETROL, points=123)
    assert outcome.legs == [
        Leg(PETROL, 1_217_700, "redeem_return", FRESH),
        Leg(OPERATOR, 12_300, "commission_return", FRESH),
    ]
    assert [alliance.position(name) for name in (FRESH, PETROL, OPERATOR)] == [0, 0, 0]
    assert alliance.get("tally", "leaf|refunded.elsewhere") == 123
    assert alliance.points(ANNA) == 250


def test_three_parts_make_up_gross_and_commission_exactly():
    """7 points at 10,000 micros and a commission of 5,000, in 1 + 2 + 4: a seventh of 5,000 is 714.28…"""
    alliance = Alliance(parameters={"commission_floor_micros": 5_000}).open()
    alliance.earn(ANNA, 7)
    assert [leg.micros for leg in spend(alliance, PETROL, points=7).legs] == [65_000, 5_000]
    parts = [refund(alliance, PETROL, points=points, reference=f"r-{points}") for points in (1, 2, 4)]
    told = [[leg.micros for leg in part.legs] for part in parts]
    assert told == [[9_286, 714], [18_572, 1_428], [37_142, 2_858]]
    assert [sum(column) for column in zip(*told, strict=True)] == [65_000, 5_000]
    alliance.check()


def test_lots_come_back_in_reverse_order_each_at_its_own_par(alliance):
    alliance.earn(ANNA, 100)
    opens = alliance.height + 10
    alliance.must(FRESH, OpenSeries(opens, 12, 12_000, 12_000, "leaf", "leaf-2"))
    alliance.reach(opens)
    alliance.earn(ANNA, 100)
    # 100 at 10,000 and 50 at 12,000: 1,600,000, of it 16,000 to the operator
    assert spend(alliance, PETROL, points=150).code == "OK"
    first = refund(alliance, PETROL, points=60, reference="a")
    assert first.lots == [Lot(20_057, opens, 0, 50, "leaf-2", 0), Lot(20_057, 5, 0, 10, "leaf-1", 0)]
    assert [leg.micros for leg in first.legs] == [693_000, 7_000]
    second = refund(alliance, PETROL, points=90, reference="b")
    assert second.lots == [Lot(20_057, 5, 0, 90, "leaf-1", 0)]
    assert [leg.micros for leg in second.legs] == [891_000, 9_000]


def test_the_rate_of_a_refund_is_that_of_the_original(alliance):
    alliance.earn(ANNA, 300)
    alliance.must(FRESH, AnnouncePar(alliance.height + 10, 10_500, 10_500, "leaf", "leaf-1"))
    alliance.must(OPERATOR, SetParameter(alliance.height + 9, "commission_basis_points", 2_000))
    spend(alliance, PETROL)
    alliance.reach(alliance.height + 12)
    assert [leg.micros for leg in refund(alliance, PETROL).legs] == [990_000, 10_000]


def test_a_refund_goes_through_whatever_has_become_of_caps_grants_and_policies(alliance):
    alliance.earn(ANNA, 100)
    spend(alliance, PETROL)
    alliance.must(FRESH, RevokeGrant("redeem", "leaf", PETROL))
    set_policy(alliance, points_order=0, gifts="forbidden")
    for name in (PETROL, OPERATOR, FRESH):
        set_cap(alliance, name, 0)
    assert refund(alliance, PETROL).code == "OK"
    set_policy(alliance)
    # What the issuer got back gives it no new room: debits count since genesis.
    set_cap(alliance, FRESH, 1_999_999)
    alliance.earn(ANNA, 100)
    assert spend(alliance, CINEMA, reference="more").code == "ISSUER_CAP"
    set_cap(alliance, FRESH, 2_000_000)
    assert spend(alliance, CINEMA, reference="more").code == "OK"
