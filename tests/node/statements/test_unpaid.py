"""What an abort or a default leaves is worked out here as the rules work it out."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.mechanics.statement import WindowSums, compute_statement
from contracts.mechanics.waterfall import compute_claims, share_loss
from ledger.outcome import Draw
from node.statements.unpaid import bring_default, bring_over, list_payments

NAMES = ("ada", "bo", "cy", "di")
pairs = st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)).filter(lambda names: names[0] != names[1])
lines = st.dictionaries(
    st.tuples(pairs, st.sampled_from(["earn", "redeem"])).map(lambda row: (*row[0], row[1])),
    st.integers(1, 10**9),
    max_size=8,
)


def make_statement(owed, *, carries=None):
    return compute_statement(
        WindowSums(
            chain="small/" + "0" * 32,
            currency="CNY",
            window=1,
            first_height=1,
            last_height=2,
            closed_at=3,
            payment_unit_micros=10_000,
            lines=owed,
            brought={},
            carries=carries or {},
            brands={},
            previous=None,
        )
    )


@settings(derandomize=True, max_examples=200, deadline=None)
@given(lines, st.sampled_from(NAMES), st.integers(0, 10**9))
def test_a_loss_is_shared_to_the_last_micro_each_by_its_claim(owed, defaulter, missing):
    statement = make_statement(owed)
    payments = [(each.payee, each.micros) for each in list_payments(statement) if each.payer == defaulter]
    if payments:
        missing = min(missing, sum(micros for _, micros in payments))
        shares = share_loss(statement, defaulter, payments, missing)
        claims = compute_claims(statement, defaulter) or dict(payments)
        whole = sum(claims.values())
        assert sum(share for _, share in shares) == missing
        assert [name for name, _ in shares] == sorted({name for name, _ in shares})
        assert all(abs(share * whole - missing * claims[name]) < whole for name, share in shares)


def test_where_a_carry_alone_made_somebody_pay_the_payees_go_without():
    statement = make_statement({}, carries={"ada": -30_000, "bo": 10_000, "cy": 20_000})
    payments = [(each.payee, each.micros) for each in list_payments(statement)]
    assert share_loss(statement, "ada", payments, 12) == [("bo", 4), ("cy", 8)]


def test_what_cover_reserve_and_fund_gave_nobody_goes_without():
    statement = make_statement({("ada", "bo", "redeem"): 100_000})
    draws = [Draw(40_000, "backing:cover"), Draw(10_000, "backing:fund"), Draw(50_000, "bo")]
    # Who goes without what it would be paid owes itself nothing.
    assert bring_default(statement, list_payments(statement), "ada", draws) == {}
    payments = list_payments(statement)
    bring_default(statement, payments, "ada", [Draw(100_000, "backing:reserve")])
    assert [each.is_made for each in payments] == [True]
    assert bring_over(payments) == {}


def test_a_payment_is_made_once_both_have_said_so():
    (payment,) = payments = list_payments(make_statement({("ada", "bo", "redeem"): 100_000}))
    payment.attest("ada")
    payment.attest("ada")
    assert bring_over(payments) == {("ada", "bo"): 100_000}
    payment.attest("bo")
    assert bring_over(payments) == {}
