"""Points whose last day has passed lapse by themselves, in order, so many a block, and owed to nobody."""

from __future__ import annotations

import pytest
from msgspec import UNSET

from contracts.messages import Expire
from ledger.errors import Refused
from ledger.leaves import SYSTEM_DECODER
from ledger.outcome import Lot
from ledger.values import NEVER
from tests.contracts.alliance import OUTCOMES, SYSTEM_MESSAGES, Alliance, read_leaf
from tests.contracts.cast import ANNA, BORIS, CLARA, PETROL, TODAY
from tests.contracts.purchases import convert, spend


def entries(block):
    """What a block did by itself: message and outcome, in order."""
    found = []
    for leaf in block.leaves:
        if leaf.startswith(b'{"@type":"system"'):
            shape = SYSTEM_DECODER.decode(leaf)
            message = SYSTEM_MESSAGES.decode(shape.message)
            found.append((message, OUTCOMES.decode(shape.outcome)))
    return found


def let_pass(alliance, days):
    """Days go by; the next block has nothing else to do."""
    alliance.wait(days=days)
    return entries(alliance.cut())


def test_a_lot_lapses_the_day_after_its_last(alliance):
    alliance.earn(ANNA, 100)
    alliance.earn(ANNA, 50)
    assert let_pass(alliance, 20_057 - TODAY) == []  # on the last day it is still good
    ((message, outcome),) = let_pass(alliance, 1)
    assert message == Expire(day=20_057, member=ANNA, program="leaf")
    assert (outcome.code, outcome.points, outcome.balance) == ("OK", 150, 0)
    assert outcome.lots == [Lot(20_057, 5, 0, 150, "leaf-1", 0)]
    assert outcome.legs is UNSET
    assert alliance.get("tally", "leaf|expired") == 150
    assert alliance.get("supply", "leaf") == 0
    assert alliance.get("account", f"{ANNA}|leaf") is None
    assert let_pass(alliance, 1) == []


def test_other_lots_stay(alliance):
    alliance.earn(ANNA, 100)
    alliance.wait(days=31)
    alliance.earn(ANNA, 7)
    ((_, outcome),) = let_pass(alliance, 20_058 - TODAY - 31)
    assert (outcome.points, outcome.balance) == (100, 7)
    assert alliance.lots(ANNA) == (Lot(20_088, 5, 0, 7, "leaf-1", 0),)


def test_every_lot_of_that_day_lapses_whatever_its_series(alliance):
    alliance.place(
        ANNA,
        "leaf",
        Lot(TODAY, 5, 0, 1, "leaf-1", 0),
        Lot(TODAY, 9, 0, 2, "leaf-2", 0),
        Lot(TODAY, 9, 0, 4, "leaf-2", TODAY),
        Lot(TODAY, 5, TODAY - 30, 16, "leaf-1", 0),
        Lot(TODAY + 1, 5, 0, 8, "leaf-1", 0),
    )
    ((_, outcome),) = let_pass(alliance, 1)
    assert (outcome.points, outcome.balance) == (23, 8)
    assert [lot.points for lot in outcome.lots] == [1, 16, 6]


def test_work_goes_in_order_of_day_then_account(alliance):
    rows = [(TODAY + 1, ANNA, "star"), (TODAY, CLARA, "mile"), (TODAY, BORIS, "leaf"), (TODAY, BORIS, "drop")]
    for day, member, program in rows:
        alliance.place(member, program, Lot(day, 5, 0, 1, f"{program}-1", 0))
    found = [(message.day, message.member, message.program) for message, _ in let_pass(alliance, 5)]
    assert found == sorted(rows)
    assert found[0] == (TODAY, BORIS, "drop")


def test_a_block_does_only_so_much_and_the_next_goes_on():
    alliance = Alliance(parameters={"due_entries_max": 2}).open()
    for member in (ANNA, BORIS, CLARA):
        for program in ("leaf", "star"):
            alliance.place(member, program, Lot(TODAY, 5, 0, 1, f"{program}-1", 0))
    counts = [len(let_pass(alliance, 1))] + [len(let_pass(alliance, 0)) for _ in range(3)]
    assert counts == [2, 2, 2, 0]
    assert alliance.get("supply", "leaf") == alliance.get("supply", "star") == 0
    alliance.check()


def test_new_work_of_an_earlier_day_goes_first():
    alliance = Alliance(parameters={"due_entries_max": 1}).open()
    alliance.place(ANNA, "leaf", Lot(TODAY + 3, 5, 0, 1, "leaf-1", 0))
    alliance.place(BORIS, "leaf", Lot(TODAY + 3, 5, 0, 1, "leaf-1", 0))
    assert [message.member for message, _ in let_pass(alliance, 4)] == [ANNA]
    alliance.place(CLARA, "leaf", Lot(TODAY + 2, 5, 0, 1, "leaf-1", 0))
    assert [message.member for message, _ in let_pass(alliance, 0)] == [CLARA]
    assert [message.member for message, _ in let_pass(alliance, 0)] == [BORIS]


def test_points_spent_before_their_day_leave_nothing_to_do(alliance):
    """A day's entry goes with the day's last free lot: no block ever does work that moves nothing."""
    alliance.earn(ANNA, 100)
    assert spend(alliance, points=99).code == "OK"
    assert [key for key, _ in alliance.state.list_records("due")] == [f"{due_minute(20_057)}|e|{ANNA}|leaf"]
    assert spend(alliance, points=1, reference="rest").code == "OK"
    assert list(alliance.state.list_records("due")) == []
    assert let_pass(alliance, 20_058 - TODAY) == []
    assert alliance.get("tally", "leaf|expired") is None


def due_minute(day):
    """The minute at which a day of the chain is over, as a due key begins with it."""
    return f"{(day + 1) * 1_440 - 480:010d}"


def test_the_entry_of_a_day_goes_with_the_last_of_its_lots_only(alliance):
    lots = [Lot(TODAY, 5, 0, 10, "leaf-1", 0), Lot(TODAY, 5, TODAY - 9, 10, "leaf-1", 0)]
    alliance.place(ANNA, "leaf", *lots, Lot(TODAY + 1, 5, 0, 10, "leaf-1", 0))
    assert spend(alliance, points=10, reference="a").lots == lots[:1]
    alliance.check()
    assert spend(alliance, points=9, reference="b").code == "OK"
    alliance.check()
    assert spend(alliance, points=1, reference="c").code == "OK"
    alliance.check()
    ((message, outcome),) = let_pass(alliance, 2)
    assert (message.day, outcome.points) == (TODAY + 1, 10)


def test_points_spent_and_earned_again_lapse_once(alliance):
    alliance.earn(ANNA, 100)
    assert spend(alliance).code == "OK"
    alliance.earn(ANNA, 30)
    ((_, outcome),) = let_pass(alliance, 20_058 - TODAY)
    assert outcome.points == 30
    assert let_pass(alliance, 1) == []


def test_points_that_never_lapse_stay(alliance):
    alliance.earn(ANNA, 100, "star")
    assert let_pass(alliance, 36_500) == []
    assert alliance.lots(ANNA, "star") == (Lot(NEVER, 5, 0, 100, "star-1", 0),)


def test_exchanged_points_lapse_on_the_day_they_brought_along(alliance):
    alliance.earn(ANNA, 100)
    assert convert(alliance).code == "OK"
    found = let_pass(alliance, 20_058 - TODAY)
    assert [(message.program, outcome.points) for message, outcome in found] == [("leaf", 2), ("star", 14)]


def test_due_work_comes_first_in_its_block_and_counts_in_the_totals(alliance):
    alliance.earn(ANNA, 100)
    before = alliance.executor.head
    alliance.wait(days=20_058 - TODAY)
    outcome = alliance.earn(ANNA, 5)
    assert outcome.balance == 5
    block = alliance.blocks[-1]
    kinds = [leaf[10:16] for leaf in block.leaves]
    assert kinds == [b"system", b"transa", b'entry"', b'block"']
    totals = read_leaf(block.leaves[-1]).totals
    assert (totals.entries, totals.accepted) == (before.entries + 2, before.accepted + 2)
    assert totals.transactions == before.transactions + 1


def test_more_points_may_lapse_at_once_than_one_message_moves(alliance):
    """An account holds up to 10^15; its lots of one day lapse together, and the entry must be readable."""
    alliance.place(ANNA, "leaf", Lot(TODAY, 5, 0, 10**9 + 1, "leaf-1", 0))
    alliance.wait(days=1)
    block = alliance.executor.execute_block([], time=alliance.time)
    alliance.state.commit()
    _, outcome = read_leaf(block.leaves[0])
    assert outcome.points == 10**9 + 1


def test_nobody_can_send_an_expiry(alliance):
    with pytest.raises(Refused, match="MALFORMED"):
        alliance.submit(PETROL, Expire(TODAY, ANNA, "leaf"), purpose="govern")
