"""The arithmetic of a default: who has which claim, and who comes to owe whom."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from contracts.mechanics.waterfall import compute_claims, match_debts
from contracts.messages.statement import BroughtLine, Statement, StatementLine

names = st.sampled_from(["a", "b", "c", "d"])


@given(
    losses=st.dictionaries(names, st.integers(1, 50), max_size=4),
    payments=st.lists(st.tuples(names, st.integers(1, 60)), min_size=1, max_size=6),
)
def test_matching_loses_nothing(losses, payments):
    missing = min(sum(losses.values()), sum(micros for _, micros in payments))
    told, left = [], missing
    for name, micros in sorted(losses.items()):
        told += [(name, min(micros, left))] if min(micros, left) else []
        left -= min(micros, left)
    debts = match_debts(told, payments, missing=missing)
    met = sum(micros for _, micros in payments) - missing
    #   One micro after the other: who pays the last `missing` of them, and to whom.
    payers = [name for name, micros in told for _ in range(micros)]
    payees = [name for name, micros in payments for _ in range(micros)][met:]
    expected: dict[tuple[str, str], int] = {}
    for pair in zip(payers, payees, strict=True):
        if pair[0] != pair[1]:
            expected[pair] = expected.get(pair, 0) + 1
    assert debts == expected
    own = sum(payer == payee for payer, payee in zip(payers, payees, strict=True))
    assert sum(debts.values()) + own == missing


def test_claims_are_what_is_owed_on_balance():
    rows = [
        ("a", "9", "redeem", "b"),
        ("b", "4", "earn", "a"),
        ("a", "5", "rounding", "rounding:a"),
        ("c", "7", "earn", "a"),
        ("a", "7", "redeem", "c"),
        ("a", "2", "redeem", "d"),
        ("d", "9", "redeem", "b"),
    ]
    statement = Statement(
        brought=[BroughtLine("a", "3", "e", 1), BroughtLine("d", "1", "a", 1)],
        chain="small/" + "0" * 32,
        closed_at=0,
        currency="CNY",
        first_height=1,
        last_height=1,
        lines=[StatementLine(*row) for row in rows],
        payment_unit_micros=1,
        positions=[],
        transfers=[],
        window=2,
    )
    assert compute_claims(statement, "a") == {"b": 5, "d": 1, "e": 3}
