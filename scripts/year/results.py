"""What came of the year, merchant by merchant, from what the node tells an auditor and what was verified.

Points balance by themselves: issued + exchanged in + refunded − redeemed − exchanged out − given up on
returns − lapsed = still owed. Money does too: the net positions of all merchants and the clearing house sum
to zero. A merchant's net position here includes its own rounding account, since nobody else is owed what is
in it; the column beside says how much that is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from scripts.year.alliance import OPERATOR, get_names

_ROUNDING = "rounding:"
_COMMISSION = ("commission", "accrual_fee")
_COMMISSION_RETURN = ("commission_return", "accrual_fee_return")


class Row(NamedTuple):
    """One participant's year: points of its own program, and money."""

    issued_home: int = 0
    issued_partner: int = 0
    redeemed_home: int = 0
    redeemed_elsewhere: int = 0
    refunded: int = 0
    clawed_back: int = 0
    exchanged_in: int = 0
    exchanged_out: int = 0
    expired: int = 0
    liability_points: int = 0
    liability_micros: int = 0
    """At par_redeem: what it would cost if every point still owed were spent elsewhere."""
    commission_micros: int = 0
    """Paid to the clearing house; for the clearing house itself, earned, so below zero."""
    rounding_micros: int = 0
    net_position_micros: int = 0


class Results(NamedTuple):
    """The year in figures."""

    rows: dict[str, Row]
    """By participant: the merchants, then the clearing house, so that money sums to zero."""
    owed: dict[tuple[str, str], int]
    """Micros that the first owes the second, all reasons together."""


def compute_results(
    *,
    tallies: Iterable[Mapping[str, Any]],
    positions: Iterable[Mapping[str, Any]],
    bilateral: Iterable[Mapping[str, Any]],
    prices: Mapping[str, int],
) -> Results:
    """The figures from the rows of `/v1/tallies`, `/v1/positions` and `/v1/positions/bilateral`.

    ``prices`` are each program's `par_redeem` in the end.

    Raises `ValueError` where they do not add up.
    """
    points = {(row["program"], row["account"]): int(row["points"]) for row in tallies}
    net = {row["participant"]: int(row["net_micros"]) for row in positions}
    owed: dict[tuple[str, str], int] = {}
    commission: dict[str, int] = {}
    for row in bilateral:
        pair = (row["from"], row["to"])
        micros = int(row["micros"])
        owed[pair] = owed.get(pair, 0) + micros
        if row["reason"] in _COMMISSION:
            commission[row["from"]] = commission.get(row["from"], 0) + micros
        elif row["reason"] in _COMMISSION_RETURN:
            commission[row["to"]] = commission.get(row["to"], 0) - micros
    commission[OPERATOR] = -sum(commission.values())
    rows = {
        name: _make_row(name, points=points, net=net, commission=commission, prices=prices)
        for name in get_names()
    }
    if sum(row.net_position_micros for row in rows.values()) or sum(net.values()):
        raise ValueError("the net positions do not sum to zero")
    return Results(rows, owed)


def _make_row(
    name: str,
    *,
    points: Mapping[tuple[str, str], int],
    net: Mapping[str, int],
    commission: Mapping[str, int],
    prices: Mapping[str, int],
) -> Row:
    """One participant's row."""
    rounding = net.get(_ROUNDING + name, 0)
    row = Row(
        commission_micros=commission.get(name, 0),
        rounding_micros=rounding,
        net_position_micros=net.get(name, 0) + rounding,
    )
    if name == OPERATOR:
        return row
    row = row._replace(
        issued_home=points.get((name, "issued.home"), 0),
        issued_partner=points.get((name, "issued.partner"), 0),
        redeemed_home=points.get((name, "redeemed.home"), 0),
        redeemed_elsewhere=points.get((name, "redeemed.elsewhere"), 0),
        refunded=points.get((name, "refunded.home"), 0) + points.get((name, "refunded.elsewhere"), 0),
        clawed_back=points.get((name, "clawed_back"), 0),
        exchanged_in=points.get((name, "exchanged.in"), 0),
        exchanged_out=points.get((name, "exchanged.out"), 0),
        expired=points.get((name, "expired"), 0),
    )
    owed = row.issued_home + row.issued_partner + row.exchanged_in + row.refunded
    owed -= row.redeemed_home + row.redeemed_elsewhere + row.exchanged_out + row.expired + row.clawed_back
    return row._replace(liability_points=owed, liability_micros=owed * prices[name])


def get_total(rows: Iterable[Row]) -> Row:
    """The sum of all rows, column by column."""
    return Row(*(sum(column) for column in zip(*rows, strict=True)))
