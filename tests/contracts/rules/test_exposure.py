"""Nobody owes more than their cap, whatever arrives at once; what was promised before still goes through."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from contracts.messages import OpenProgram, OpenSeries
from ledger.outcome import Lot
from ledger.values import FOREVER, NEVER
from tests.contracts.alliance import Alliance
from tests.contracts.cast import ANNA, CINEMA, FRESH, OPERATOR, PETROL, TODAY, grant
from tests.contracts.letters import make_nonce
from tests.contracts.orders import award, capture, refund, release, return_goods, set_aside, set_cap
from tests.contracts.purchases import buy, convert, spend

#   100 points at 10,000 micros: cap, code of a redemption, of a hold
ROOM = [(1_000_000, "OK"), (999_999, "ISSUER_CAP"), (0, "ISSUER_CAP")]


@pytest.mark.parametrize("ask", [spend, set_aside])
@pytest.mark.parametrize(("cap", "code"), ROOM)
def test_spending_elsewhere_keeps_the_issuers_cap(alliance, ask, cap, code):
    alliance.earn(ANNA, 100)
    set_cap(alliance, FRESH, cap)
    assert ask(alliance, PETROL).code == code


def test_at_home_points_work_however_much_the_issuer_owes(alliance):
    alliance.earn(ANNA, 300)
    set_cap(alliance, FRESH, 0)
    assert spend(alliance).code == "OK"
    assert set_aside(alliance).code == "OK"
    assert capture(alliance).code == "OK"
    assert refund(alliance).code == "OK"


def test_open_holds_and_debts_count_together(alliance):
    alliance.earn(ANNA, 500)
    set_cap(alliance, FRESH, 2_500_000)
    assert spend(alliance, PETROL, reference="a").code == "OK"
    assert set_aside(alliance, PETROL, reference="b").code == "OK"
    assert spend(alliance, PETROL, points=51, reference="c").code == "ISSUER_CAP"
    assert set_aside(alliance, CINEMA, points=51, reference="c").code == "ISSUER_CAP"
    assert spend(alliance, PETROL, points=50, reference="c").code == "OK"
    # What was reserved and is then owed counts once; what is released gives its room back.
    assert capture(alliance, PETROL, hold="b", points=60).code == "OK"
    assert spend(alliance, PETROL, points=41, reference="d").code == "ISSUER_CAP"
    assert set_aside(alliance, PETROL, points=40, reference="d").code == "OK"
    assert spend(alliance, PETROL, points=1, reference="e").code == "ISSUER_CAP"
    assert release(alliance, PETROL, hold="d").code == "OK"
    assert spend(alliance, PETROL, points=40, reference="e").code == "OK"
    assert alliance.get("debit", FRESH) == 2_500_000


def test_what_others_owe_gives_no_room(alliance):
    """Incoming money is none yet: the supermarket is owed 1,050,000 and may owe no more for it."""
    alliance.earn(ANNA, 500)
    assert buy(alliance, PETROL, amount=50_000_000).code == "OK"
    set_cap(alliance, FRESH, 999_999)
    assert spend(alliance, PETROL, reference="a").code == "ISSUER_CAP"


#   40 points at 10,500 micros, fee of the operator's in basis points, cap
ACCRUALS = [(0, 420_000, "OK"), (0, 419_999, "DEBIT_CAP"), (150, 426_300, "OK"), (150, 426_299, "DEBIT_CAP")]


@pytest.mark.parametrize("ask", ["earn", "award"])
@pytest.mark.parametrize(("fee", "cap", "code"), ACCRUALS)
def test_partner_earning_keeps_the_partners_cap(ask, fee, cap, code):
    alliance = Alliance(parameters={"accrual_fee_basis_points": fee}).open()
    set_cap(alliance, PETROL, cap)
    if ask == "earn":
        assert buy(alliance, PETROL).code == code
        assert buy(alliance, amount=20_000_000).code == "OK", "at home nobody owes anybody"
    else:
        assert award(alliance, PETROL, points=40).code == code
    alliance.check()


def test_a_partners_own_holds_count_against_its_earning(alliance):
    alliance.must(PETROL, grant("redeem", "mile", CINEMA))
    alliance.earn(ANNA, 100, "mile")
    set_cap(alliance, PETROL, 1_919_999)
    assert set_aside(alliance, CINEMA, program="mile").code == "OK"  # 1,500,000
    assert buy(alliance, PETROL).code == "DEBIT_CAP"  # 420,000 more
    set_cap(alliance, PETROL, 1_920_000)
    assert buy(alliance, PETROL).code == "OK"


@pytest.mark.parametrize(("cap", "code"), [(980_000, "OK"), (979_999, "ISSUER_CAP")])
def test_an_exchange_keeps_the_old_issuers_cap(alliance, cap, code):
    alliance.earn(ANNA, 100)
    set_cap(alliance, FRESH, cap)
    assert convert(alliance).code == code


def test_what_rounding_leaves_counts_as_well(alliance):
    """62 points of the petrol chain cost 992,000; the other 8,000 the supermarket owes its own account."""
    alliance.earn(ANNA, 200)
    set_cap(alliance, FRESH, 999_999)
    assert convert(alliance, target="mile").code == "ISSUER_CAP"
    set_cap(alliance, FRESH, 1_000_000)
    assert convert(alliance, target="mile").code == "OK"


def test_a_cap_set_below_what_is_owed_stops_new_debt_only(alliance):
    alliance.earn(ANNA, 500)
    buy(alliance, PETROL, reference="bought")
    assert spend(alliance, PETROL, reference="spent").code == "OK"
    assert set_aside(alliance, PETROL, reference="held").code == "OK"
    set_cap(alliance, FRESH, 0)
    assert spend(alliance, PETROL, points=1, reference="new").code == "ISSUER_CAP"
    assert capture(alliance, PETROL, hold="held").code == "OK"
    assert return_goods(alliance, PETROL, original="bought").code == "OK"
    assert refund(alliance, PETROL, original="spent").code == "OK"
    assert convert(alliance, agreed={"nonce": make_nonce("x")}).code == "ISSUER_CAP"


def test_a_cap_keeps_what_is_held(alliance):
    alliance.earn(ANNA, 200)
    set_aside(alliance, PETROL)
    set_cap(alliance, FRESH, 1_500_000)
    assert alliance.get("exposure", FRESH).held == 1_000_000
    assert spend(alliance, PETROL, points=51, reference="b").code == "ISSUER_CAP"
    assert spend(alliance, PETROL, points=50, reference="b").code == "OK"


def test_without_a_cap_there_is_none_however_much_is_held(alliance):
    """Two holds of the largest kind are more micros than a JSON integer holds exactly."""
    opened = [
        OpenProgram("Gold", "gold", 10**12),
        OpenSeries(alliance.height + 1, 0, 5 * 10**6, 5 * 10**6, "gold", "gold-1"),
    ]
    alliance.must(CINEMA, *opened, grant("redeem", "gold", PETROL))
    alliance.place(ANNA, "gold", Lot(NEVER, alliance.height, 0, 3 * 10**9, "gold-1", 0))
    for reference in ("a", "b", "c"):
        told = {"points": 10**9, "program": "gold", "reference": reference}
        assert set_aside(alliance, PETROL, **told).code == "OK"
    assert alliance.get("exposure", CINEMA).held == 15 * 10**15 > FOREVER
    alliance.check()
    for reference in ("a", "b"):
        told = {"hold": reference, "hold_day": TODAY, "points": 10**9, "program": "gold"}
        assert capture(alliance, PETROL, **told).code == "OK"
    assert alliance.get("debit", CINEMA) == 10**16
    told = {"original": "a", "original_type": "hold", "points": 10**9, "program": "gold"}
    assert refund(alliance, PETROL, **told).code == "OK"


def test_the_operator_has_a_cap_like_everyone(alliance):
    alliance.must(FRESH, grant("earn", "leaf", OPERATOR))
    set_cap(alliance, OPERATOR, 419_999)
    assert buy(alliance, OPERATOR).code == "DEBIT_CAP"
    assert buy(alliance, PETROL).legs is not UNSET
