"""Rules that come into force and are not in this program: the node answers for the last block it understands,
says what it lacks, and stops; a start says the same at once, until the program knows them.
"""

from __future__ import annotations

import threading

import pytest
import structlog

from contracts.messages import Enrol
from contracts.rulebook import CURRENT
from ledger.errors import InvariantBroken, Refused
from ledger.leaves import BLOCK_LEAF_DECODER
from node.core import NodeCore
from node.startup import load_chain
from node.storage.store import open_store
from tests.contracts.cast import FRESH, OPERATOR, member_id
from tests.ledger.switching import BOTH, FIRST, give_away, switch
from tests.node.engine.town import LOG_SIGNER, Town, codes_of, submit

OLDER = {1: FIRST}
"""All that a program knows which nobody has upgraded."""
SAID = {"height": 3, "known": [1], "version": 2}


@pytest.fixture(params=["system", "simulated"])
def town(request, tmp_path):
    """A town whose chain begins under version 1."""
    town = Town(tmp_path, kind=request.param, version=1)
    yield town
    town.close()


@pytest.fixture
def run(town):
    """Makes a node over the town's folder, by a program that knows these rulebooks."""

    def run(rulebooks):
        store = open_store(town.database, CURRENT)
        try:
            chain = load_chain(
                store,
                origin=town.origin,
                signer=LOG_SIGNER,
                on_step=lambda _step: None,
                rulebooks=rulebooks,
            )
        except BaseException:
            store.close()
            raise
        core = NodeCore(chain, clock=town.clock)
        running.append(core)
        return core

    running: list[NodeCore] = []
    yield run
    for core in running:
        core.stop()


def enrol(town, number) -> bytes:
    return town.sign(FRESH, f"member-{number}", Enrol(member=member_id(number)))


def version_at_the_end(core) -> int:
    return BLOCK_LEAF_DECODER.decode(core.read_leaves(core.head.size - 1, core.head.size)[0]).rulebook


def stop_at_the_switch(run, town) -> NodeCore:
    """A node of the older program, which the alliance has left behind."""
    core = run(OLDER)
    stopped = threading.Event()
    core.on_failure = stopped.set
    assert codes_of(submit(core, enrol(town, 1))) == {"OK"}
    future = core.submit(town.sign(OPERATOR, "switch", switch(2), purpose="govern"))
    if town.origin.settings.clock == "simulated":
        with pytest.raises(InvariantBroken, match="RULEBOOK_UNKNOWN"):
            core.cut_block(core.head.time)
    # Its own block is a good one: it is durable and signed, so it is answered.
    assert codes_of(future.result(10)) == {"OK"}
    assert stopped.wait(10)
    return core


def test_the_node_answers_for_the_last_block_it_understands_and_stops(run, town):
    with structlog.testing.capture_logs() as said:
        core = stop_at_the_switch(run, town)
    assert (core.head.height, version_at_the_end(core), core.is_ready) == (2, 1, False)
    assert (core.failure.code, core.failure.facts) == ("RULEBOOK_UNKNOWN", SAID)
    told = next(each for each in said if each["log_level"] == "critical")
    assert (told["fact_height"], told["fact_known"], told["fact_version"]) == ("3", "[1]", "2")
    with pytest.raises(Refused, match="STOPPING"):
        core.submit(enrol(town, 2))


def test_a_start_says_the_same_at_once_and_the_right_program_goes_on(run, town):
    stop_at_the_switch(run, town).stop()
    for _ in range(2):
        with pytest.raises(InvariantBroken) as caught:
            run(OLDER)
        assert (caught.value.code, caught.value.facts) == ("RULEBOOK_UNKNOWN", SAID)

    core = run(BOTH)
    assert core.head.height == 2
    assert codes_of(submit(core, enrol(town, 2))) == {"MEMBER_EXISTS"}
    assert (core.head.height, version_at_the_end(core)) == (3, 2)
    core.stop()

    # Folded by now: the state alone tells a program of yesterday where it stands.
    with pytest.raises(InvariantBroken) as caught:
        run(OLDER)
    assert (caught.value.code, caught.value.facts) == ("RULEBOOK_UNKNOWN", {**SAID, "height": 4})
    assert run(BOTH).head.height == 3


def test_a_chain_that_begins_under_unknown_rules_is_not_begun(run, town):
    with pytest.raises(InvariantBroken) as caught:
        run({2: BOTH[2]})
    assert caught.value.facts == {"height": 1, "known": [2], "version": 1}
    assert codes_of(submit(run(BOTH), enrol(town, 1))) == {"OK"}


def test_what_comes_in_is_judged_by_the_next_blocks_rules(run, town):
    """Whoever has heard of the switch may use what it brought."""
    core = run(BOTH)
    with pytest.raises(Refused, match="NOT_IN_FORCE"):
        core.submit(town.sign(FRESH, "gift", give_away(), purpose="transact"))
    assert codes_of(submit(core, town.sign(OPERATOR, "switch", switch(2), purpose="govern"))) == {"OK"}
    assert codes_of(submit(core, town.sign(FRESH, "gift", give_away(), purpose="transact"))) != {"OK"}
