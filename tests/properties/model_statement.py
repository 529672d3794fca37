"""A window's statement in the model: the page's arithmetic, in fractions and plain loops.

Nothing is kept from one window to the next but the carries: whoever has the legs of a window has its
statement.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from hashlib import sha256
from math import floor
from typing import Any

from tests.properties.model_values import canonical, spell

Line = tuple[str, str, str]
"""(from, to, reason)"""
Debt = tuple[str, str, int]
"""(from, to, window it comes from)"""
Shares = tuple[tuple[str, int], ...]


def owner_of(account: str) -> str:
    """A rounding account is its owner's."""
    return account.removeprefix("rounding:")


def find_nets(lines: dict[Line, int], brought: dict[Debt, int]) -> dict[str, int]:
    """What each is owed less what it owes: everyone who stands there, those at nothing too."""
    nets: dict[str, int] = {}
    for (source, destination, _), micros in (*lines.items(), *brought.items()):
        nets[owner_of(source)] = nets.get(owner_of(source), 0) - micros
        nets[owner_of(destination)] = nets.get(owner_of(destination), 0) + micros
    return nets


def find_units(amounts: list[tuple[str, int]], unit: int) -> dict[str, int]:
    """Whole units by prefix sums, in order of ids, of all whose amount is not zero."""
    units = {}
    prefix = 0
    for who, micros in sorted(amounts):
        if micros:
            units[who] = floor(Fraction(prefix + micros, unit)) - floor(Fraction(prefix, unit))
            prefix += micros
    return units


def find_transfers(units: dict[str, int]) -> list[dict[str, Any]]:
    """Who owes most pays who is owed most, until nobody owes."""
    left = dict(units)
    transfers = []
    while any(amount < 0 for amount in left.values()):
        payer = min(left, key=lambda who: (left[who], who))
        payee = min(left, key=lambda who: (-left[who], who))
        paid = min(-left[payer], left[payee])
        left[payer] += paid
        left[payee] -= paid
        transfers.append({"from": payer, "to": payee, "units": paid})
    return transfers


def split_brands(shares: Shares, units: int) -> list[dict[str, Any]]:
    parts = sum(each for _, each in shares)
    rows = [[brand, floor(Fraction(units * each, parts))] for brand, each in shares]
    for place in range(units - sum(row[1] for row in rows)):
        rows[place][1] += 1
    return [{"brand": brand, "units": each} for brand, each in rows]


def make_statement(
    *,
    brands: dict[str, Shares],
    brought: dict[Debt, int],
    carries: dict[str, int],
    lines: dict[Line, int],
    unit: int,
    **said: Any,
) -> dict[str, Any]:
    """The statement as its canonical bytes say it; ``said`` is what needs no arithmetic."""
    nets = find_nets(lines, brought)
    before = {who: carry for who, carry in carries.items() if carry}
    standing = sorted({*nets, *before})
    amounts = [(who, nets.get(who, 0) + before.get(who, 0)) for who in standing]
    while any(abs(amount) // unit + 1 > 2**53 - 1 for _, amount in amounts):
        unit *= 10
    units = find_units(amounts, unit)
    positions = []
    for who, amount in amounts:
        whole = units.get(who, 0)
        position = {
            "carry_after": str(amount - whole * unit),
            "carry_before": str(before.get(who, 0)),
            "net": str(nets.get(who, 0)),
            "participant": who,
            "units": whole,
        }
        if brands.get(who) and whole > 0:
            position["brands"] = split_brands(brands[who], whole)
        positions.append(position)
    return {
        "@type": "statement",
        "brought": [
            {"from": source, "micros": str(micros), "to": destination, "window": window}
            for (source, destination, window), micros in sorted(brought.items())
            if micros
        ],
        "lines": [
            {"from": source, "micros": str(micros), "reason": reason, "to": destination}
            for (source, destination, reason), micros in sorted(lines.items(), key=line_order)
            if micros
        ],
        "payment_unit_micros": unit,
        "positions": positions,
        "transfers": find_transfers(units),
        **said,
    }


def line_order(row: tuple[Line, int]) -> tuple[str, str, str]:
    (source, destination, reason), _ = row
    return source, destination, reason


def hash_of(statement: dict[str, Any]) -> str:
    return spell(sha256(canonical(statement)).digest())


def apportion(whole: int, claims: Iterable[tuple[str, int]]) -> list[tuple[str, int]]:
    """Each one's cumulative share of a whole, in the order given."""
    rows = list(claims)
    total = sum(claim for _, claim in rows)
    shares = []
    prefix = 0
    for who, claim in rows:
        share = floor(Fraction(whole * (prefix + claim), total)) - floor(Fraction(whole * prefix, total))
        shares.append((who, share))
        prefix += claim
    return shares
