"""No participant can make a record, or the work of a block, grow without end.

Each message is small; what it adds to a record that others read must be bounded too, or a few full
transactions make every later block slow (announcing the eight-thousandth par looks at the eight thousand
before it).
"""

from __future__ import annotations

import pytest

from contracts.messages import AddKey, AnnouncePar, OpenSeries, RevokeKey, SetParameter
from contracts.rules import registry
from ledger.rule import Asked
from tests.contracts.cast import FRESH, OPERATOR, make_signer, public_of

MANY = 2_000


def announce(_: int, height: int) -> AnnouncePar:
    return AnnouncePar(height, 10_500, 10_000, "leaf", "leaf-1")


def open_series(number: int, height: int) -> OpenSeries:
    return OpenSeries(height, 12, 10_000, 10_000, "leaf", f"series-{number}")


def set_parameter(number: int, height: int) -> SetParameter:
    return SetParameter(height, "due_entries_max", 1 + number)


#   who can go on asking, and for what: each time at a later height
ENDLESS = [(FRESH, announce), (FRESH, open_series), (OPERATOR, set_parameter)]


@pytest.mark.parametrize(("sender", "make"), ENDLESS, ids=lambda value: getattr(value, "__name__", None))
def test_what_is_announced_ahead_has_an_end(alliance, sender, make):
    height = alliance.height + 100
    outcomes = alliance.submit(sender, *[make(number, height + number) for number in range(MANY)])
    assert outcomes[0].code == "OK"
    assert outcomes[-1].code != "OK", f"{MANY} of them stand in one record"


class Counting:
    """A state that counts what a rule reads."""

    def __init__(self, state) -> None:
        self.state = state
        self.reads = 0

    def get(self, table, key):
        self.reads += 1
        return self.state.get(table, key)


def test_a_key_is_revoked_at_the_same_cost_however_many_there_are(alliance):
    """A chain of shops has a till key in each: taking one back must not look at all of them."""
    spare = make_signer("a second govern key")
    alliance.must(FRESH, AddKey(public_of(spare), "govern"))
    costs = []
    for round_of in range(2):
        state = Counting(alliance.state)
        context = alliance.executor.context(time=alliance.time)
        asked = Asked(context, FRESH, None, "", 0, b"")  # type: ignore[arg-type]
        registry.revoke_key(state, asked, RevokeKey(spare.key_id))
        costs.append(state.reads)
        tills = [AddKey(public_of(make_signer("till", round_of, number)), "till") for number in range(300)]
        alliance.must(FRESH, *tills)
    assert costs[1] == costs[0]
