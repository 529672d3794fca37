"""The engine's parts, each by itself: what it takes, what it turns down, what it remembers."""

from __future__ import annotations

import zlib

import pytest

from ledger.errors import InvariantBroken, Refused
from ledger.transaction import TransactionDecoder
from ledger.values import TRANSACTION_BYTES_MAX
from node.engine.cometbft.engine_height import HEIGHT_FILE, EngineHeight
from node.engine.cometbft.frames import FRAME_BYTES_MAX, Splitter, encode_frame, encode_varint
from node.engine.cometbft.injected import encode_time, encode_wake, read_time, read_wake
from node.engine.cometbft.known import KnownTransactions
from node.engine.cometbft.packing import pack, unpack
from node.engine.cometbft.proposals import PATIENCE_MILLIS, TOLERANCE_MILLIS, Proposals
from node.mempool import BLOCK_MESSAGES_MAX
from tests.contracts.cast import FRESH, START
from tests.node.engine.town import ANSWER_SECONDS, RULEBOOK, HandClock, Town

LENGTHS = [0, 1, 127, 128, 300, 16_383, 16_384, 2**21]


@pytest.mark.parametrize("step", [1, 3, 10_000_000])
def test_frames_come_out_whole_however_they_arrive(step):
    messages = [bytes([number]) * length for number, length in enumerate(LENGTHS[:6])]
    stream = b"".join(map(encode_frame, messages))
    splitter = Splitter()
    found = [each for at in range(0, len(stream), step) for each in splitter.feed(stream[at : at + step])]
    assert found == messages


@pytest.mark.parametrize("length", [b"\xff" * 10, encode_varint(FRAME_BYTES_MAX + 1)])
def test_a_length_that_is_none_is_an_error(length):
    with pytest.raises(InvariantBroken, match="FRAME_MALFORMED"):
        list(Splitter().feed(length))


@pytest.mark.parametrize("data", [b'{"small":1}', b'{"large":[' + b'"the same again",' * 200 + b"1]}"])
def test_each_attempt_is_spelled_in_other_bytes_and_comes_back_the_same(data):
    spelled = [pack(data, attempt=attempt) for attempt in range(4)]
    assert len(set(spelled)) == 4
    assert {unpack(each) for each in spelled} == {data}


def test_what_is_packed_comes_back_and_nothing_else_does():
    data = b'{"messages":[' + b'{"points":10},' * 500 + b"]}"
    packed = pack(data)
    assert len(packed) * 5 < len(data)
    assert unpack(packed) == data
    assert (pack(b"{}"), unpack(b"{}")) == (b"{}", b"{}")
    bomb = zlib.compress(b"0" * (TRANSACTION_BYTES_MAX + 1))
    for bad in (packed[:-1], packed + b"x", packed[:50] + b"\0" + packed[51:], b"x", b"x\x01", bomb):
        with pytest.raises(Refused, match="MALFORMED"):
            unpack(bad)


@pytest.mark.parametrize(
    ("block", "time"),
    [
        ([encode_time(5)], 5),
        ([], None),
        ([encode_wake(5)], None),
        ([b'{"@type":"time","time":5} '], None),
        ([b'{"@type":"time","time":-5}'], None),
        ([b'{"@type":"time","time":5,"x":1}'], None),
        ([b"{}", encode_time(5)], None),
    ],
)
def test_a_blocks_time_stands_first_and_in_one_spelling(block, time):
    assert read_time(block) == time


def test_a_call_to_wake_up_names_a_height():
    assert read_wake(encode_wake(7)) == 7
    assert read_wake(b'{"@type":"wake","engine_height":0}') is None
    assert read_wake(encode_time(7)) is None


@pytest.fixture
def town(tmp_path):
    return Town(tmp_path)


@pytest.fixture
def known(town):
    return KnownTransactions(TransactionDecoder(RULEBOOK.message_type), chain=town.chain)


def judge(proposals, block, *, at=2, head_time=START, name=b"a"):
    return proposals.is_acceptable(block, block_hash=name, engine_height=at, head_time=head_time)


#   what the block holds beside its time, how far that is from the clock, whether the node votes for it
PROPOSED = [
    ("nothing", [], 0, True),
    ("early, within bounds", [], -TOLERANCE_MILLIS, True),
    ("late, within bounds", [], TOLERANCE_MILLIS, True),
    ("too early", [], -TOLERANCE_MILLIS - 1, False),
    ("too late", [], TOLERANCE_MILLIS + 1, False),
    ("a call to wake up", [encode_wake(9)], 0, True),
    ("a malformed call", [b'{"@type":"wake"}'], 0, False),
    ("a second time", [encode_time(START)], 0, False),
    ("no transaction", [b"{}"], 0, False),
    ("what does not unpack", [b"\x78\x01junk"], 0, False),
]


@pytest.mark.parametrize(("rest", "off", "good"), [row[1:] for row in PROPOSED], ids=[r[0] for r in PROPOSED])
def test_a_node_votes_for_blocks_of_its_time_that_it_can_read(known, rest, off, good):
    clock = HandClock(START + 10_000)
    block = [encode_time(clock.at + off), *rest]
    assert judge(Proposals(known, clock=clock), block) is good


def test_a_transaction_of_another_chain_is_voted_for_by_nobody(known, tmp_path):
    other = Town(tmp_path / "other", parameters={"due_entries_max": 77})
    data = other.sign(FRESH, "t-1", other.earn(1))
    clock = HandClock(START)
    assert judge(Proposals(known, clock=clock), [encode_time(START), data]) is False


def test_no_time_is_before_the_last_blocks_and_a_clock_set_back_may_catch_up(known):
    clock = HandClock(START + 10_000)
    proposals = Proposals(known, clock=clock)
    late = START + 10_500
    assert judge(proposals, [encode_time(late - 1)], head_time=late) is False
    # Every clock was set back by an hour: the chain's time stands still, and goes on.
    clock.at -= 3_600_000
    assert proposals.prepare([], bytes_max=1_000, head_time=late) == [encode_time(late)]
    assert judge(proposals, [encode_time(late)], at=3, head_time=late) is True
    assert judge(proposals, [encode_time(late + 1)], at=4, head_time=late) is False


def test_what_was_accepted_stays_accepted_and_a_stuck_height_takes_older_times(known):
    clock = HandClock(START + 1)
    proposals = Proposals(known, clock=clock)
    block = [encode_time(START + 1)]
    assert judge(proposals, block) is True
    clock.at += TOLERANCE_MILLIS + 1
    assert judge(proposals, block) is True
    assert judge(proposals, block, name=b"another of the same height") is False
    clock.at = START + PATIENCE_MILLIS + 2
    assert judge(proposals, block, name=b"another of the same height") is True
    assert judge(proposals, block, at=3) is False


def test_what_it_may_have_voted_for_before_it_was_started_again_is_not_too_old(known):
    """Else a validator that is alone, or all that were stopped at once, could never vote in that round."""
    clock = HandClock(START + 60_000)
    proposals = Proposals(known, clock=clock)
    old = [encode_time(START + 50_000)]
    assert judge(proposals, old) is False
    proposals.begin_again(2)
    assert judge(proposals, old) is True
    assert judge(proposals, [encode_time(START - 1)], name=b"before the head") is False
    assert judge(proposals, [encode_time(clock.at + TOLERANCE_MILLIS + 1)], name=b"ahead") is False
    assert judge(proposals, old, at=3, name=b"of the next height") is False


def test_a_block_holds_what_came_first_as_far_as_it_fits(known, town):
    clock = HandClock(START)
    proposals = Proposals(known, clock=clock)
    offered = [town.sign(FRESH, f"t-{number}", town.earn(number)) for number in range(20)]
    for bytes_max in (60, 2_000, 5_000, 1_000_000):
        block = proposals.prepare(offered, bytes_max=bytes_max, head_time=0)
        assert block[1:] == offered[: len(block) - 1]
        assert sum(1 + len(encode_varint(len(each))) + len(each) for each in block) <= bytes_max
    assert len(block) == 21
    large = [
        town.sign(FRESH, f"l-{number}", *[town.earn(number * 10_000 + each) for each in range(6_000)])
        for number in range(4)
    ]
    block = proposals.prepare(large, bytes_max=1 << 30, head_time=0)
    assert (len(block) - 1) * 6_000 <= BLOCK_MESSAGES_MAX < len(block) * 6_000


def test_the_engines_height_is_the_block_leafs_or_the_idle_one_of_this_very_log(town, tmp_path):
    core = town.open()
    core.submit(town.sign(FRESH, "t-1", town.earn(1))).result(ANSWER_SECONDS)
    log = core._chain.store.log
    recorded = EngineHeight(tmp_path, log, before=0)
    start = recorded.value
    assert start == 1
    recorded.keep(start + 5, size=log.size)
    assert EngineHeight(tmp_path, log, before=0).value == start + 5
    recorded.keep(start + 9, size=log.size + 1)
    assert EngineHeight(tmp_path, log, before=0).value == start
    assert EngineHeight(tmp_path, log, before=1).value == 0
    (tmp_path / HEIGHT_FILE).write_bytes(b"")
    assert EngineHeight(tmp_path, log, before=0).value == start
    (tmp_path / HEIGHT_FILE).write_bytes(b'{"engine_hei')
    assert EngineHeight(tmp_path, log, before=0).value == start
    town.close()
