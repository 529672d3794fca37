"""What may be forgotten is never missed: with and without old records every answer is the same.

A node deletes what lies further back than the rulebook's retention, at any time or never. So the rules must
not look at it even where it is still there.
"""

from __future__ import annotations

import pytest

from tests.contracts.alliance import RULEBOOK, Alliance
from tests.contracts.cast import ANNA, PETROL, START
from tests.contracts.letters import make_nonce
from tests.contracts.orders import capture, give, refund, release, return_goods, set_aside
from tests.contracts.purchases import buy, spend

LONGEST = {"reference_horizon_days": 800, "refund_horizon_days": 400, "consent_seconds_max": 2_592_000}


def begin() -> Alliance:
    """One success of each kind that is remembered, and a consent that lasts as long as one may."""
    alliance = Alliance(parameters=LONGEST).open()
    alliance.earn(ANNA, 500, "star")
    alliance.earn(ANNA, 500)
    agreed = {"expires": START + 2_592_000_000, "nonce": make_nonce("long")}
    assert buy(alliance, PETROL).code == "OK"
    assert spend(alliance, PETROL, agreed=agreed).code == "OK"
    assert set_aside(alliance, PETROL, reference="held").code == "OK"
    assert capture(alliance, PETROL, hold="held", points=60).code == "OK"
    assert set_aside(alliance, PETROL, reference="let-go").code == "OK"
    assert release(alliance, PETROL, hold="let-go").code == "OK"
    assert refund(alliance, PETROL, points=10).code == "OK"
    assert return_goods(alliance, PETROL, amount=10_000_000).code == "OK"
    return alliance


def forget(alliance: Alliance) -> int:
    """Delete what may be deleted; how many records that were."""
    today = alliance.executor.context(time=alliance.time).day
    gone = 0
    for table, days in RULEBOOK.retention.items():
        for key, _ in list(alliance.state.list_records(table)):
            if int(key[:7]) + days < today:
                alliance.put(table, key, None)
                gone += 1
    return gone


def ask_again(alliance: Alliance) -> list:
    """Everything once more: the same requests, and new ones about the same originals."""
    agreed = {"expires": START + 2_592_000_000, "nonce": make_nonce("long")}
    at = {"occurred_at": START}
    told = []
    for when in (at, {}):
        told += [
            buy(alliance, PETROL, **when),
            spend(alliance, PETROL, **when),
            spend(alliance, PETROL, reference="new", agreed=agreed, **when),
            set_aside(alliance, PETROL, reference="held", **when),
            capture(alliance, PETROL, hold="held", points=60, **when),
            release(alliance, PETROL, hold="held", **when),
            capture(alliance, PETROL, hold="let-go", **when),
            release(alliance, PETROL, hold="let-go", **when),
            refund(alliance, PETROL, points=10, **when),
            refund(alliance, PETROL, points=1, original="held", original_type="hold", **when),
            return_goods(alliance, PETROL, amount=10_000_000, **when),
            give(alliance, program="star", **when),
        ]
    return told


#   days after which everything is asked again
@pytest.mark.parametrize(
    "days", [0, 1, 2, 29, 30, 31, 32, 400, 401, 800, 801, 999, 1_000, 1_001, 1_002, 3_000]
)
def test_nothing_that_may_be_forgotten_is_ever_missed(days):
    kept, swept = begin(), begin()
    for alliance in (kept, swept):
        alliance.wait(days=days)
        alliance.cut()
    gone = forget(swept)
    assert bool(gone) == (days > 1), "a nonce goes on the second day after its text ended"
    assert ask_again(kept) == ask_again(swept)


def test_every_table_that_is_forgotten_by_day_has_keys_that_begin_with_one():
    alliance = begin()
    for table in RULEBOOK.retention:
        keys = [key for key, _ in alliance.state.list_records(table)]
        assert table == "reference" or keys, table
        assert all(key[:7].isdigit() and key[7] == "|" for key in keys), table
