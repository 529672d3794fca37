"""Every statement is recomputed from the log alone, byte for byte as the ledger made it, or not at all."""

from __future__ import annotations

import re
import time

import pytest

from ledger.errors import Unverified
from ledger.leaves import ENTRY_START
from node.keystore import Unusable
from node.statements.sources import open_directory
from node.statements.windows import Windows
from tests.contracts.alliance import Alliance
from tests.contracts.cast import CINEMA, FRESH, OPERATOR, PETROL, PHARMACY
from tests.contracts.council import CONSTITUTION, carry
from tests.contracts.windows import agree_all, get_record, trade
from tests.node.statements.conftest import read_kept, take, write_mirror
from tests.node.statements.mirrored import Trade

WINDOWS = 9


def recompute_all(alliance, leaves=None):
    first = len(alliance.origin.leaves)
    windows = Windows(alliance.origin, first=first)
    return list(windows.read((alliance.leaves if leaves is None else leaves)[first:]))


def test_each_is_what_the_ledger_keeps(alliance):
    made = [window.data for window in recompute_all(alliance)]
    assert made == [read_kept(alliance, number) for number in range(1, WINDOWS + 1)]


def test_the_history_has_everything_that_a_statement_can_come_from(alliance):
    states = [get_record(alliance, number).state for number in range(1, WINDOWS + 1)]
    statements = [window.statement for window in recompute_all(alliance)]
    assert {"settled", "aborted", "confirmed", "closed"} == set(states)
    assert {each.payment_unit_micros for each in statements} == {10_000, 7, 1_000}
    assert {line.reason for each in statements for line in each.lines} > {"redeem", "earn", "correction"}
    assert {brought.window for each in statements for brought in each.brought} == {2, 3, 4, 7}
    assert any(position.brands for each in statements for position in each.positions)
    assert any(position.carry_after != "0" for each in statements for position in each.positions)


def test_what_a_block_owes_by_itself_is_of_the_window_it_opens(alliance):
    """The dispute was decided in the very block that cut window 6."""
    statements = {window.statement.window: window.statement for window in recompute_all(alliance)}
    assert [line.reason for line in statements[6].lines] == []
    assert [int(line.micros) for line in statements[7].lines if line.reason == "correction"] == [123_457]


def test_another_constitution_makes_no_difference():
    """Votes of organisations, an abort in the block of a cut, a parameter that was announced."""
    from contracts.messages import CutWindow
    from contracts.messages.actions import AbortWindow, ChangeParameter

    alliance = Alliance(constitution=CONSTITUTION, parameters={"payment_unit_micros": 3}).open()
    trade(alliance, 1)
    alliance.must(OPERATOR, CutWindow(alliance.height + 1))
    alliance.cut()
    agree_all(alliance, 1)
    at = carry(
        alliance,
        AbortWindow(1),
        ChangeParameter(parameter="payment_unit_micros", value=11),
        voters=(FRESH, PETROL, PHARMACY, CINEMA),
        effective_height=alliance.height + 9,
    )
    trade(alliance, 2)
    alliance.must(OPERATOR, CutWindow(at))
    alliance.reach(at)
    alliance.cut()
    first, second = recompute_all(alliance)
    assert [first.data, second.data] == [read_kept(alliance, 1), read_kept(alliance, 2)]
    # What is enacted at a height comes before the cut there: it is brought into the window that ends.
    assert second.statement.brought
    assert second.statement.payment_unit_micros == 11


def change_leg(leaves):
    """A micro more in one leg."""
    index = next(
        place
        for place, leaf in enumerate(leaves)
        if leaf.startswith(ENTRY_START) and b'"reason":"redeem"' in leaf
    )
    leaves[index] = re.sub(
        rb'"micros":(\d+)', lambda found: b'"micros":%d' % (int(found[1]) + 1), leaves[index], count=1
    )


def drop_entry(leaves):
    index = next(place for place, leaf in enumerate(leaves) if b'"reason":"earn"' in leaf)
    del leaves[index]


def change_hash(leaves):
    index = next(place for place, leaf in enumerate(leaves) if b'"statement":"' in leaf)
    leaves[index] = re.sub(rb'"statement":".', rb'"statement":"_', leaves[index])


@pytest.mark.parametrize("forge", [change_leg, drop_entry, change_hash])
def test_a_log_that_was_rewritten_and_signed_again_has_no_such_statement(alliance, tmp_path, forge):
    """Whoever holds the log's key can sign another history, not one whose statements have other sums."""
    leaves = list(alliance.leaves)
    forge(leaves)
    assert leaves != alliance.leaves
    write_mirror(tmp_path, leaves, alliance.chain)
    with pytest.raises(Unverified) as caught:
        take(tmp_path, 1)
    assert caught.value.code == "STATEMENT_DIFFERS"


def test_a_payment_that_was_made_is_not_brought_over(alliance):
    brought = recompute_all(alliance)[2].statement.brought
    assert {(each.source, each.destination, each.window) for each in brought} == {
        (FRESH, OPERATOR, 2),
        (FRESH, PETROL, 2),
    }
    leaves = list(alliance.leaves)
    index = next(place for place, leaf in enumerate(leaves) if b"arrived-in-2" in leaf)
    leaves[index] = leaves[index].replace(b'"code":"OK"', b'"code":"NOT_IN_TRANSFER"')
    with pytest.raises(Unverified) as caught:
        recompute_all(alliance, leaves)
    assert (caught.value.code, caught.value.facts["window"]) == ("STATEMENT_DIFFERS", 3)


def test_a_window_that_was_not_cut_is_said_to_be_missing(mirror):
    with pytest.raises(Unusable) as caught:
        take(mirror, WINDOWS + 1)
    assert caught.value.code == "WINDOW_NOT_CUT"


def test_a_leaf_that_is_none_is_named(alliance):
    leaves = list(alliance.leaves)
    index = next(place for place, leaf in enumerate(leaves) if b'"legs":[{' in leaf)
    leaves[index] = leaves[index].replace(b'"micros":', b'"micros":x')
    with pytest.raises(Unverified) as caught:
        recompute_all(alliance, leaves)
    assert (caught.value.code, caught.value.facts["index"]) == ("LEAF_MALFORMED", index)


@pytest.mark.alone
@pytest.mark.full
def test_a_window_over_a_million_entries_is_stated_within_ten_seconds(tmp_path):
    made = Trade(tmp_path)
    for _ in range(4_000):
        made.spend(250)
    made.cut()
    made.finish()
    started = time.process_time()
    assert take(tmp_path, 1).window.data == made.expected[0]
    assert time.process_time() - started < 10
    with open_directory(tmp_path, chain=None) as log:
        assert log.source.read_checkpoint()
