"""What a witness checks of points that move: nobody's grow, none grow young, and what comes back had gone."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tests.properties.model_values import day_of

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


def split(rows: list[list[Any]], points: int) -> tuple[list[list[Any]], list[list[Any]]]:
    """The first so many points, and the rest."""
    first, rest = [], []
    for row in rows:
        part = min(row[3], points)
        points -= part
        first += [[*row[:3], part, *row[4:]]] if part else []
        rest += [[*row[:3], row[3] - part, *row[4:]]] if row[3] > part else []
    assert not points
    return first, rest


class Original:
    """A success that may come back: by whom, what moved, what it made somebody owe, and what came back."""

    def __init__(self, sender: str, message: Leaf, outcome: Leaf) -> None:
        self.sender = sender
        self.member, self.program = message["member"], message["program"]
        self.out = outcome.get("lots", [])
        """What has not come back yet, in the order taken."""
        self.points = outcome.get("points", message.get("points"))
        self.amount = message.get("amount", 0)
        self.legs = outcome.get("legs", [])
        self.back_points = self.back_amount = self.back_taken = 0
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
            self.back_taken += total(outcome.get("lots", []))
            assert self.back_amount <= self.amount
            assert self.back_points == self.points * self.back_amount // self.amount
            due = {leg: micros * self.back_taken // self.points for leg, micros in went.items()}
            assert self.back_legs == {leg: micros for leg, micros in due.items() if micros}
        elif self.back_points == self.points:
            assert self.back_legs == went

    def take_back(self, outcome: Leaf, points: int, today: int) -> None:
        """The very lots that went, the last first: as they were, once more within a grace, or over."""
        over = outcome.get("expired", [])
        back, rest = split(self.out[::-1], points)
        self.out = rest[::-1]
        assert over == [row for row in back if row in over]
        assert all(row[0] < today for row in over)
        living = [row for row in back if row not in over]
        _, arriving = split(living, outcome.get("repaid", 0))
        rows = outcome.get("lots", [])
        assert all(row[0] >= today for row in rows)
        for row, (expires, opened, original, *same) in zip(rows, arriving, strict=True):
            if expires >= today:
                assert row == [expires, opened, original, *same]
            else:
                assert row[0] <= expires + GRACE_MAX
                assert original == 0
                assert row[1:] == [opened, expires, *same]


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


def check_refused_capture(witness: Any, sender: str, message: Leaf, code: str) -> None:
    """Nobody is refused what a hold promised them, whatever caps, grants or policies have become."""
    for holder, held, lots in witness.holds.values():
        if (
            (holder, held["reference"]) == (sender, message["hold"])
            and day_of(held["occurred_at"], witness.offset) == message["hold_day"]
            and all(held[name] == message[name] for name in ("member", "program"))
            and held["expires"] > witness.time
            and total(lots) >= message["points"]
        ):
            assert code in ("OCCURRED_IN_FUTURE", "OCCURRED_TOO_LONG_AGO")
