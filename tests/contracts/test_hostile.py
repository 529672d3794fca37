"""Nothing that can be asked stops the node: there is an answer to everything, and every sum holds.

Participants, keys, members, consents and amounts are thrown together at random, with the values at the edges
of what a message may say more often than is likely. Each leaf is read back with the strictest decoder there
is.
"""

from __future__ import annotations

from collections import Counter

import pytest
from msgspec import UNSET

from ledger.outcome import Lot
from tests.contracts.cast import BORIS, CINEMA, CLARA, PETROL, TODAY, grant
from tests.contracts.crowd import Crowd
from tests.contracts.orders import give
from tests.contracts.purchases import buy, convert


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_asked_there_is_an_answer_and_every_sum_holds(seed):
    crowd = Crowd(seed)
    codes = Counter(code for _ in range(1_000) for code in crowd.go_on())
    crowd.alliance.check()
    assert codes["OK"] > 100
    assert len(codes) > 40, "not much of it was hostile"
    rows = crowd.alliance.state.list_records
    done = {key.split("|")[2] for table in ("earned", "spent", "hold", "reference") for key, _ in rows(table)}
    assert done >= {"earn", "award", "redeem", "hold"}, "much never succeeded"
    undone = [bool(record.undone) for table in ("earned", "spent") for _, record in rows(table)]
    assert sum(undone) > 5


def test_nobody_can_close_anothers_account_with_small_change(alliance):
    """64 exchanges of one point each for somebody who never asked; and as many gifts, which need no asking:
    they can earn all the same.
    """
    alliance.must(PETROL, grant("exchange_out", "mile", CINEMA))
    alliance.must(CINEMA, grant("exchange_in", "star", PETROL))
    days = range(TODAY + 200, TODAY + 264)
    alliance.place(CLARA, "mile", *[Lot(day, 5, 0, 5, "mile-1", 0) for day in days])
    told = {"member": CLARA, "recipient": BORIS, "program": "mile"}
    for number in range(64):
        sent = {**told, "points": 5, "reference": f"x-{number}"}
        outcome = convert(alliance, target="star", recipient_consent=UNSET, **sent)
        assert outcome.code == "CONSENT_MISSING"
    codes = [give(alliance, points=5, reference=f"g-{number}", **told).code for number in range(64)]
    assert codes == ["OK"] * 32 + ["LOT_LIMIT"] * 32
    assert buy(alliance, CINEMA, member=BORIS, program="star").code == "OK"
    for number in range(32):
        assert buy(alliance, PETROL, member=BORIS, program="mile", reference=f"{number}").code == "OK"
        alliance.wait(days=31)
