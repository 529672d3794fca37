"""What a witness checks of points that move: nobody's grow, none grow young, and what comes back had gone."""

from __future__ import annotations

from collections import Counter
from typing import Any

Leaf = dict[str, Any]
Kind = tuple[int, str, int]
"""(expires, series, original)"""
GRACE_MAX = 90
REFUNDED = {"redeem_return": "redeem", "commission_return": "commission"}
RETURNED = {"earn_return": "earn", "accrual_fee_return": "accrual_fee"}


def kind_of(row: list[Any]) -> Kind:
    expires, _, original, _, series, _ = row
    return expires, series, original


def first_life(kind: Kind) -> int:
    """The last day of a point's first life."""
    return kind[2] or kind[0]


def count(rows: list[list[Any]]) -> Counter[Kind]:
    found: Counter[Kind] = Counter()
    for row in rows:
        assert row[3] > 0
        found[kind_of(row)] += row[3]
    return found


def total(rows: list[list[Any]]) -> int:
    return sum(row[3] for row in rows)


class Original:
    """A success that may come back: by whom, what moved, what it made somebody owe, and what came back."""

    def __init__(self, sender: str, message: Leaf, outcome: Leaf) -> None:
        self.sender = sender
        self.member, self.program = message["member"], message["program"]
        self.gone = count(outcome.get("lots", []))
        self.points = outcome.get("points", message.get("points"))
        self.amount = message.get("amount", 0)
        self.legs = outcome.get("legs", [])
        self.back_points = self.back_amount = 0
        self.back_legs: Counter[tuple[str, str, str]] = Counter()
        self.references: set[str] = set()

    def come_back(self, sender: str, message: Leaf, outcome: Leaf, names: dict[str, str]) -> None:
        """One more part came back, to the same member, under a reference of its own, never more in all."""
        assert (sender, message["member"], message["program"]) == (self.sender, self.member, self.program)
        assert message["reference"] not in self.references
        self.references.add(message["reference"])
        self.back_amount += message.get("amount", 0)
        self.back_points += outcome.get("points", message.get("points"))
        assert self.back_points <= self.points
        for leg in outcome.get("legs", []):
            self.back_legs[leg["to"], leg["from"], names[leg["reason"]]] += leg["micros"]
        went = {(leg["from"], leg["to"], leg["reason"]): leg["micros"] for leg in self.legs}
        assert all(micros <= went[leg] for leg, micros in self.back_legs.items())
        if message["@type"] == "return_order":
            assert self.back_amount <= self.amount
            is_all = self.back_amount == self.amount
            assert not is_all or self.back_points == self.points
        else:
            is_all = self.back_points == self.points
        assert not is_all or self.back_legs == went

    def take_back(self, outcome: Leaf, today: int) -> None:
        """The very lots that went, as they were; once more within a grace; or over."""
        rows, over = outcome.get("lots", []), outcome.get("expired", [])
        for kind, points in (*count(rows).items(), *count(over).items()):
            before = kind
            if kind not in self.gone:
                before = (kind[2], kind[1], 0)
                assert kind[0] - GRACE_MAX <= kind[2] < today
            self.gone[before] -= points
            assert self.gone[before] >= 0
        assert all(row[0] >= today for row in rows)
        assert all(row[0] < today for row in over)


def check_kept_age(rows: list[list[Any]], received: list[list[Any]]) -> None:
    """What arrives is no younger than what went, and a second life stays one."""
    sources = count(rows)
    for kind in count(received):
        assert any(
            kind[0] <= source[0]
            and first_life(kind) <= first_life(source)
            and (kind[2] == source[2] or not source[2])
            for source in sources
        )
        assert kind[2] in {source[2] for source in sources}
