"""Heights of an engine: a sequencer has none of its own, validators' rise, an audit follows the switch."""

from __future__ import annotations

import pytest

from contracts.messages.actions import ChainValidator, SwitchEngine
from ledger.codec import to_base64url
from ledger.errors import InvalidBlock
from node.audit.replay import Replay
from tests.contracts.cast import FRESH, make_signer, member_id
from tests.contracts.council import decide, found


def switch():
    """An alliance whose sequencer has handed over."""
    alliance = found()
    validator = ChainValidator(FRESH, 10, to_base64url(make_signer(FRESH, "consensus").public))
    assert decide(alliance, SwitchEngine("cometbft", [validator])).code == "OK"
    return alliance


def go_on(alliance, heights):
    """Blocks of these heights of the engine, as validators make them."""
    execute = alliance.executor.execute_block
    for height in heights:
        alliance.executor.execute_block = lambda transactions, *, time, height=height: execute(
            transactions, time=time, engine_height=height
        )
        alliance.earn(member_id(1), 1)


def replay(alliance):
    """How far the log replays from its genesis."""
    return [block.executed.head.height for block in Replay.begin(iter(alliance.leaves))]


@pytest.mark.parametrize("heights", [[1, 2, 3], [2, 5, 900], [1_000_000]])
def test_an_engines_heights_begin_anew_and_rise(heights):
    alliance = switch()
    go_on(alliance, heights)
    found_heights = replay(alliance)
    assert found_heights == list(range(1, alliance.height))


@pytest.mark.parametrize("heights", [[2, 2], [5, 4], [1, 3, 2]])
def test_an_engine_never_goes_back(heights):
    alliance = switch()
    go_on(alliance, heights)
    with pytest.raises(InvalidBlock) as caught:
        replay(alliance)
    assert caught.value.check == "ENGINE_HEIGHT"


def test_a_sequencer_has_no_heights_of_its_own():
    alliance = found()
    go_on(alliance, [alliance.height + 1])
    with pytest.raises(InvalidBlock) as caught:
        replay(alliance)
    assert caught.value.check == "BLOCK_DIFFERS"
