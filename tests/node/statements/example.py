"""A statement made by hand, with names and amounts that a careless form would get wrong."""

from __future__ import annotations

from contracts.mechanics.statement import WindowSums, compute_statement, hash_statement
from ledger.codec import encode
from node.statements.view import make_sheet

NAMES = {"ada": "面包房 Ada", "bo": "=HYPERLINK(1)", "cy": "<script>x</script> #let a = 1"}
LINES = {
    ("ada", "bo", "redeem"): 10**15 + 1,
    ("bo", "ada", "earn"): 4_005_001,
    ("bo", "rounding:bo", "rounding"): 7,
    ("cy", "ada", "a_reason_to_come"): 2_500_000,
}


def make_example(*, currency="CNY", unit=10_000, participant=None, orders=(), lines=LINES):
    statement = compute_statement(
        WindowSums(
            chain="small/" + "0" * 32,
            currency=currency,
            window=12,
            first_height=7,
            last_height=90,
            closed_at=1_700_000_000_123,
            payment_unit_micros=unit,
            lines=lines,
            brought={("ada", "cy", 9): 30_000},
            carries={"ada": 12, "bo": -12},
            brands={"bo": [("+Bay", 1), ("Cove", 2)]},
            previous="A" * 43,
        )
    )
    return make_sheet(
        statement,
        digest=hash_statement(encode(statement)),
        utc_offset_minutes=480,
        names=NAMES,
        participant=participant,
        orders=orders,
    )
