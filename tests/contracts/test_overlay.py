"""An overlay shows what would be: to the actions that follow, and to nobody else."""

from __future__ import annotations

import pytest

from contracts.actions.dispatch import do_all
from contracts.mechanics.enactment import Effects
from contracts.mechanics.government import get_government
from contracts.mechanics.overlay import Overlay, begin_trial_run
from contracts.mechanics.parameters import get_parameter
from contracts.messages.actions import ChangeParameter, Pause, Resume
from ledger.errors import Rejected
from ledger.outcome import Leg
from tests.contracts.cast import CINEMA, FRESH, OPERATOR, PETROL


def test_what_is_written_over_a_state_is_seen_over_it_and_not_in_it(alliance):
    overlay = Overlay(alliance.state)
    before = alliance.records()
    overlay.write(Effects([("program", "leaf", None), ("program", "new", 7), ("program", "new", 8)]))
    assert (overlay.get("program", "leaf"), overlay.get("program", "new")) == (None, 8)
    assert overlay.get("program", "mile") == alliance.get("program", "mile")
    assert [key for key, _ in overlay.list_records("program")] == ["drop", "mile", "new", "star"]
    assert overlay.changes == [("program", "leaf", None), ("program", "new", 8)]
    assert alliance.records() == before


def test_legs_are_seen_by_what_follows_and_left_to_the_executor_to_add_up(alliance):
    overlay = Overlay(alliance.state)
    alliance.put("debit", FRESH, 100)
    for _ in range(2):
        overlay.write(Effects((), [Leg(FRESH, 5, "correction", PETROL)]))
    assert overlay.get("debit", FRESH) == 110
    assert overlay.get("owed", f"{FRESH}|{PETROL}|correction") == 10
    assert (overlay.get("position", FRESH), overlay.get("position", PETROL)) == (-10, 10)
    assert overlay.list_records("owed") == [(f"{FRESH}|{PETROL}|correction", 10)]
    assert overlay.changes == []
    alliance.put("debit", FRESH, None)


def test_a_trial_run_remembers_nothing_and_forgets_nothing(alliance):
    block = alliance.executor.context(time=alliance.time)
    assert get_parameter(alliance.state, block, "due_entries_max") == 256
    run = begin_trial_run(block)
    assert (run.height, run.previous, run.rulebook, run.chain) == (
        block.height,
        block.previous,
        block.rulebook,
        block.chain,
    )
    assert not run.memo
    run.memo["parameter"]["due_entries_max"] = 1
    assert get_parameter(alliance.state, block, "due_entries_max") == 256


def test_each_action_finds_what_those_before_it_did(alliance):
    block = alliance.executor.context(time=alliance.time)
    both = [Pause(program="leaf"), Resume(program="leaf")]
    assert do_all(alliance.state, block, both).changes == [("halt", "halt", None)]
    with pytest.raises(Rejected, match="NOT_PAUSED"):
        do_all(alliance.state, block, both[::-1])
    last = [ChangeParameter(parameter="due_entries_max", value=value) for value in (3, 4)]
    ((_, _, record),) = do_all(alliance.state, block, last).changes
    assert [change.value for change in record.changes] == [4]


def test_a_government_that_is_worked_out_is_the_operators(alliance):
    block = alliance.executor.context(time=alliance.time)
    government = get_government(alliance.state, block)
    assert (government.voters, government.trustee) == (((OPERATOR, 1),), OPERATOR)
    assert {rule[1:] for rule in government.rules} == {(10_000, 0)}
    assert len(government.rules) == 10
    assert CINEMA not in dict(government.voters)
