"""No path makes an old point young.

Some points are issued, all of them to lapse within days, and none ever again. Then whoever has them does all
that can be done: spends and takes back, holds and releases, gives, exchanges, even into programs whose points
never lapse, now and then after midnight. Whatever way a point went, it is over with its day or one grace
after it.
"""

from __future__ import annotations

import os
from random import Random
from typing import Any

import pytest

from tests.properties.draws import DAY
from tests.properties.telling import Telling

WALKS = 60 if os.environ.get("COMMONPOINT_FULL") == "1" else 6
STEPS = 70
GRACE = 30
LAST = 6
"""Days from the start after which nothing issued has a day of its own left."""
SHOPS = ("books", "cinema", "fresh")
PROGRAMS = ("books", "cinema", "fresh", "stamps")


class Walk:
    """Two members and all that was ever spent."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.told = Telling()
        self.members = [self.told.member, self.told.enrol("books")]
        self.spent: list[tuple[str, dict[str, Any]]] = []
        self.held: list[tuple[str, dict[str, Any]]] = []
        self.done = {"revived": 0, "received": 0}
        self.born = self.told.today
        for _ in range(4):
            self.told.member = self.rng.choice(self.members)
            self.told.bring("fresh", 200, days=self.rng.randrange(LAST + 1))

    def there(self) -> list[tuple[str, str, str, int]]:
        """(member, program, series, points) that can be used."""
        told = self.told
        return [
            (member, program, like[2], points)
            for (member, program) in told.model.state.accounts
            for like, points in told.model.state.free(member, program, told.today)
            if like[0] >= told.today
        ]

    def step(self) -> None:
        rng, told = self.rng, self.told
        there = self.there()
        if rng.random() < 0.2:
            told.wait(days=rng.choice((1, 1, 2)))
        elif self.spent and (not there or rng.random() < 0.35):
            shop, spent = rng.choice(self.spent)
            told.member = spent["message"]["member"]
            back = told.undo(shop, spent, rng.randrange(spent["message"]["points"]) + 1)
            self.done["revived"] += any(row[2] for row in back.get("lots", []))
        elif self.held and (not there or rng.random() < 0.3):
            shop, held = self.held.pop(rng.randrange(len(self.held)))
            told.member = held["message"]["member"]
            if told.finish("capture", shop, held, points=held["message"]["points"])["code"] == "OK":
                self.spent.append((shop, held))
        elif there:
            self.use(*rng.choice(there))

    def use(self, member: str, program: str, series: str, points: int) -> None:
        rng, told = self.rng, self.told
        told.member, other = member, self.members[member == self.members[0]]
        shop, part = rng.choice(SHOPS), rng.randrange(points) + 1
        kind = rng.choice(("redeem", "redeem", "hold", "gift", "exchange", "exchange"))
        if kind == "redeem":
            self.spent.append((shop, told.spend("redeem", shop, program, part)))
        elif kind == "hold":
            self.held.append((shop, told.hold_for(shop, program, part, millis=rng.randrange(1, 4) * DAY)))
        elif kind == "gift":
            told.send("op", told.agreed(told.order("gift", program, points=part, recipient=other), other))
        else:
            target = rng.choice([name for name in PROGRAMS if name != program])
            fields = {"least": 1, "rate_height": 2, "recipient": member, "series": series, "target": target}
            message = told.agreed(told.order("exchange", program, points=points, **fields), member)
            self.done["received"] += told.send("op", message)["code"] == "OK"

    def check(self) -> None:
        """Read from the ledger's own table: every lot keeps the days of the points it came from."""
        for _, account in self.told.machine.rows("account"):
            for lot in (*account.lots, *account.held):
                assert lot.expires <= self.born + LAST + (GRACE if lot.original else 0)
                assert not lot.original or lot.original <= self.born + LAST


def test_whatever_way_it_went_a_point_is_over_one_grace_after_its_day():
    done = {"revived": 0, "received": 0}
    for seed in range(WALKS):
        walk = Walk(seed)
        for _ in range(STEPS):
            walk.step()
            walk.check()
        done = {name: done[name] + walk.done[name] for name in done}
        walk.told.time = max(walk.told.time, walk.told.model.time)
        left = walk.born + LAST + GRACE + 1 - walk.told.today
        for _ in range(40):  # so much lapses in a block as `due_entries_max` lets it
            walk.told.wait(days=max(0, left))
            left = 0
        assert walk.told.machine.rows("account") == []
    assert min(done.values()) >= WALKS


@pytest.mark.parametrize("target", ["stamps", "books"])
def test_even_where_points_never_lapse_what_arrives_keeps_its_day(target):
    told = Telling()
    told.bring("fresh", 100, days=3)
    fields = {"least": 1, "rate_height": 2, "recipient": told.member, "series": "s0", "target": target}
    message = told.agreed(told.order("exchange", "fresh", points=100, **fields), told.member)
    (row,) = told.send("op", message)["received"]
    assert (row[0], row[2]) == (told.today + 3, 0)
