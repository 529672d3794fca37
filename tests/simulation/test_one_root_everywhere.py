"""The same recorded blocks are the same ledger wherever they are made: over SQLite, over PostgreSQL, and in a
validator that CometBFT asks.
"""

from __future__ import annotations

import pytest

from tests.conftest import FULL
from tests.properties.history import History
from tests.simulation.golden import CHAINS, Replay, draw, read_golden, read_transactions
from tests.simulation.places import Solo, Validator

DRAWN = (5, 8_000 if FULL else 1_500, {"utc_offset_minutes": 0, "is_constituted": True, "window_days": 7})
"""Seed, messages and kind of a history that is not recorded."""
PLACES = ("sqlite", "postgresql", "cometbft")


def tell_recorded(name):
    """The genesis, the blocks, and who has the keys that sign the log's checkpoints."""
    seed, _, kind = CHAINS[name]
    genesis, blocks = read_golden(name)
    return genesis, blocks, History(seed, **kind).alliance


def tell_drawn():
    seed, messages, kind = DRAWN
    drawn = list(draw(seed, messages, **kind))
    history = drawn[-1][2]
    return history.genesis, [block for block, _, _ in drawn], history.alliance


@pytest.fixture(scope="session")
def postgres_server():
    from tests.node.postgres import run_server

    with run_server() as server:
        yield server


@pytest.fixture
def open_places(tmp_path, request):
    """Opens the three, each in a folder or database of its own."""
    opened = []

    def open_all(genesis, alliance):
        for name in PLACES:
            (tmp_path / name).mkdir()
        database = request.getfixturevalue("postgres_server").make()
        opened.append(Solo(genesis, tmp_path / "sqlite" / "ledger.db", alliance=alliance))
        opened.append(Solo(genesis, database, alliance=alliance))
        opened.append(Validator(genesis, tmp_path / "cometbft", alliance=alliance))
        return dict(zip(PLACES, opened, strict=True))

    yield open_all
    for each in opened:
        each.close()


@pytest.mark.parametrize("chain", [*CHAINS, "drawn"])
def test_the_same_blocks_have_the_same_roots_leaves_and_state_everywhere(open_places, chain):
    genesis, blocks, alliance = tell_drawn() if chain == "drawn" else tell_recorded(chain)
    places = open_places(genesis, alliance)
    memory = Replay(genesis)
    for number, block in enumerate(blocks, start=1):
        first = memory.size
        leaves = memory.execute(block.time, read_transactions(block))
        assert (memory.size, memory.root) == (block.size, block.root), number
        for name, place in places.items():
            place.make(block)
            assert (place.size, place.root) == (block.size, block.root), (name, number)
            assert place.read_leaves(first) == leaves, (name, number)
            # Starts fall where they fall: what is re-executed is what was made.
            if number % 40 == 7 * PLACES.index(name):
                place.restart()
                assert (place.size, place.root) == (block.size, block.root), (name, number)
    notes = {place.chain.checkpoint for place in places.values()}
    assert len(notes) == 1
    today = (blocks[-1].time // 60_000 + memory.machine.origin.settings.utc_offset_minutes) // 1_440
    digests = {name: place.compute_state_digest(today) for name, place in places.items()}
    assert len(set(digests.values())) == 1, digests


def test_a_block_that_is_not_the_recorded_one_has_another_root(open_places):
    """The comparison above can fail."""
    genesis, blocks, alliance = tell_recorded("chain")
    places = open_places(genesis, alliance)
    cut = blocks[1]._replace(transactions=blocks[1].transactions[:-1])
    for place in places.values():
        place.make(blocks[0])
        place.make(cut)
        assert place.root != blocks[1].root
    assert len({place.root for place in places.values()}) == 1


def test_validators_vote_for_the_recorded_blocks_as_one_of_them_would_propose_them(open_places):
    genesis, blocks, alliance = tell_recorded("voted")
    validator = open_places(genesis, alliance)["cometbft"]
    for block in blocks[:20]:
        is_voted_for, made = validator.propose(block)
        assert is_voted_for
        assert len(made) > len(block.transactions) // 2
        # Whatever of the recorded block a mempool would not have let in, a proposer may put in all the same.
        validator.make(block)
        assert validator.root == block.root
