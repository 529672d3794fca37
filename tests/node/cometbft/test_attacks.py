"""What a dishonest proposer, a flood and an old transaction come to: at the application, as CometBFT would
show it to a validator that is honest.
"""

from __future__ import annotations

import socket
import zlib

import pytest

from ledger.errors import InvariantBroken
from ledger.values import TRANSACTION_BYTES_MAX
from node.engine.cometbft.application import OK, REFUSED, REPEATED
from node.engine.cometbft.frames import encode_frame
from node.engine.cometbft.generated import abci_pb2 as abci
from node.engine.cometbft.injected import encode_time, encode_wake
from node.engine.cometbft.proposals import PATIENCE_MILLIS, TOLERANCE_MILLIS
from node.engine.cometbft.server import Server
from tests.contracts.cast import FRESH, PETROL, START, make_signer
from tests.node.cometbft.test_application import config, open_asker, town  # noqa: F401 - fixtures

ACCEPT, REJECT = abci.ResponseProcessProposal.ACCEPT, abci.ResponseProcessProposal.REJECT
DAY = 86_400_000
GOVERN = make_signer(FRESH, "govern")


@pytest.fixture
def asker(open_asker, town):  # noqa: F811
    """A validator of a town that has begun, and has earned once."""
    asker = open_asker()
    for letter in town.begin():
        asker.make(letter)
    asker.earned = town.sign(FRESH, "e-1", town.earn(1))
    asker.make(asker.earned)
    asker.clock.at = START + 60_000
    return asker


def judge(asker, *block: bytes, name: bytes = b"a", height: int | None = None):
    """How the validator votes about a block."""
    at = asker.ask("info").last_block_height + 1 if height is None else height
    return asker.ask("process_proposal", txs=block, height=at, hash=name).status


def forge(data: bytes) -> bytes:
    """The same transaction under a signature that is none."""
    head, mark, rest = data.rpartition(b'"signature":"')
    turned = b"B" if rest[:1] != b"B" else b"C"
    return head + mark + turned + rest[1:]


#   what the proposer does, the block it makes of a good transaction, whether an honest validator votes for it
PROPOSED = [
    ("nothing wrong", lambda now, good: [encode_time(now), good], ACCEPT),
    ("an empty proposal", lambda now, _good: [encode_time(now)], ACCEPT),
    ("nothing at all, not even the time", lambda _now, _good: [], REJECT),
    ("no time", lambda _now, good: [good], REJECT),
    ("the time far ahead", lambda now, good: [encode_time(now + DAY), good], REJECT),
    ("the time hardly ahead", lambda now, good: [encode_time(now + TOLERANCE_MILLIS + 1), good], REJECT),
    ("the time far behind", lambda _now, good: [encode_time(START - DAY), good], REJECT),
    ("the time hardly behind", lambda now, good: [encode_time(now - TOLERANCE_MILLIS - 1), good], REJECT),
    ("the largest time there is", lambda _now, good: [encode_time(2**53 - 1), good], REJECT),
    ("a negative time", lambda _now, good: [b'{"@type":"time","time":-1}', good], REJECT),
    ("a time that is no number", lambda _now, good: [b'{"@type":"time","time":"1"}', good], REJECT),
    ("a fraction of a time", lambda now, good: [b'{"@type":"time","time":%d.0}' % now, good], REJECT),
    ("the time in another spelling", lambda now, good: [b'{"@type":"time", "time":%d}' % now, good], REJECT),
    ("the time and more", lambda now, good: [encode_time(now)[:-1] + b',"x":1}', good], REJECT),
    ("the time last", lambda now, good: [good, encode_time(now)], REJECT),
    ("two times", lambda now, good: [encode_time(now), encode_time(now + 1), good], REJECT),
    ("the time packed", lambda now, good: [zlib.compress(encode_time(now)), good], REJECT),
    ("bytes that are nothing", lambda now, good: [encode_time(now), good, b"\xff\xfe"], REJECT),
    ("no bytes", lambda now, good: [encode_time(now), good, b""], REJECT),
    ("a changed transaction", lambda now, good: [encode_time(now), good.replace(b"e-2", b"e-3")], ACCEPT),
    ("a forged signature", lambda now, good: [encode_time(now), forge(good)], ACCEPT),
    ("the transaction twice", lambda now, good: [encode_time(now), good, good], ACCEPT),
    ("packed and not", lambda now, good: [encode_time(now), good, zlib.compress(good)], ACCEPT),
    ("a transaction in another spelling", lambda now, good: [encode_time(now), b" " + good], REJECT),
    ("two streams in one", lambda now, good: [encode_time(now), zlib.compress(good) * 2], REJECT),
    ("a stream cut short", lambda now, good: [encode_time(now), zlib.compress(good)[:-1]], REJECT),
    (
        "what unpacks to more than a transaction",
        lambda now, _good: [encode_time(now), zlib.compress(b"{" + b" " * (64 << 20) + b"}")],
        REJECT,
    ),
    (
        "a transaction too large",
        lambda now, good: [encode_time(now), good + b" " * TRANSACTION_BYTES_MAX],
        REJECT,
    ),
]


@pytest.mark.parametrize(("make", "vote"), [row[1:] for row in PROPOSED], ids=[row[0] for row in PROPOSED])
def test_a_dishonest_proposal_is_voted_down_or_leaves_no_leaf(asker, town, make, vote):  # noqa: F811
    """What may be voted for and is wrong all the same is turned down by the executor, and leaves no leaf."""
    good = town.sign(FRESH, "e-2", town.earn(2))
    block = make(asker.clock.at, good)
    assert judge(asker, *block) == vote
    if vote == REJECT:
        return
    size, root = asker.chain.head.size, asker.ask("info").last_block_app_hash
    answer = asker.ask("finalize_block", txs=block, height=asker.ask("info").last_block_height + 1)
    asker.ask("commit")
    assert len(answer.tx_results) == len(block)
    taken = [each.code for each in answer.tx_results[1:]].count(OK)
    # A transaction, its entry and the block's leaf; or nothing.
    assert taken == (good in block)
    assert asker.chain.head.size == size + 3 * taken
    assert (answer.app_hash != root) == bool(taken)


def test_each_proposal_is_held_against_its_own_bytes(asker, town):  # noqa: F811
    """Another block of the same height is judged anew, also where its transactions are known by now."""
    good = town.sign(FRESH, "e-2", town.earn(2))
    now = asker.clock.at
    assert judge(asker, encode_time(now), good, name=b"a") == ACCEPT
    assert judge(asker, encode_time(now + DAY), good, name=b"b") == REJECT
    assert judge(asker, encode_time(now), good, b"{}", name=b"c") == REJECT
    # A height later the names of before mean nothing.
    asker.make(good)
    assert judge(asker, encode_time(now + DAY), name=b"a") == REJECT


def test_no_patience_brings_the_time_forward_or_before_the_last_block(asker):
    """A height that stays undecided takes older times, for those that locked on one; never a later one."""
    head = asker.chain.head.time
    assert judge(asker, encode_time(asker.clock.at), name=b"first") == ACCEPT
    asker.clock.at += PATIENCE_MILLIS + 1
    assert judge(asker, encode_time(asker.clock.at - PATIENCE_MILLIS), name=b"old") == ACCEPT
    assert judge(asker, encode_time(head - 1), name=b"before") == REJECT
    assert judge(asker, encode_time(asker.clock.at + TOLERANCE_MILLIS + 1), name=b"ahead") == REJECT


def test_what_was_smuggled_past_the_mempool_does_nothing(asker, town):  # noqa: F811
    """A forged signature, a key of another purpose, an expired one, another's member: all in one block."""
    stolen = town.sign(FRESH, "s-1", town.redeem(1, points=5))
    block = [
        forge(stolen),
        town.sign(FRESH, "s-2", town.redeem(2, points=5), signer=make_signer(PETROL, "transact")),
        town.sign(FRESH, "s-3", town.earn(3), not_after=START - 1),
        town.sign(FRESH, "s-4", town.earn(4), not_after=START + 30 * DAY),
        town.sign(FRESH, "s-5", town.earn(5), signer=make_signer("somebody else")),
    ]
    root = asker.ask("info").last_block_app_hash
    for data in block:
        assert asker.ask("check_tx", tx=data).code == REFUSED
    assert judge(asker, encode_time(asker.clock.at), *block) == ACCEPT
    answer = asker.make(*block)
    assert [each.code for each in answer.tx_results[1:]] == [REFUSED] * len(block)
    assert answer.app_hash == root
    # The signature was looked at and not the id alone: the honest one is taken afterwards.
    assert asker.make(stolen).tx_results[1].code == OK


def test_a_forged_copy_is_not_taken_for_the_transaction_that_was_checked(asker, town):  # noqa: F811
    """Whichever of the two is seen first, in the mempool or in a block."""
    for number, forged_first in enumerate((True, False)):
        good = town.sign(FRESH, f"c-{number}", town.earn(10 + number))
        seen = [forge(good), good] if forged_first else [good, forge(good)]
        for data in seen:
            assert asker.ask("check_tx", tx=data).code == (OK if data is good else REFUSED)
        answer = asker.make(*seen)
        assert [each.code for each in answer.tx_results[1:]].count(OK) == 1
        assert answer.tx_results[1 + seen.index(good)].code == OK


def test_of_the_same_transaction_twice_one_is_taken_however_it_is_wrapped(asker, town):  # noqa: F811
    good = town.sign(FRESH, "d-1", town.earn(2))
    answer = asker.make(good, zlib.compress(good, 9), zlib.compress(good, 0), good)
    assert [each.code for each in answer.tx_results[1:]] == [OK, REPEATED, REPEATED, REPEATED]
    again = town.sign(FRESH, "d-1", town.earn(3))
    answer = asker.make(good, again)
    assert [each.code for each in answer.tx_results[1:]] == [REPEATED, REFUSED]


def test_an_old_transaction_is_a_repeat_while_it_could_be_taken_and_expired_after(asker):
    root = asker.ask("info").last_block_app_hash
    assert asker.ask("check_tx", tx=asker.earned).code == REPEATED
    assert asker.make(asker.earned).tx_results[1].code == REPEATED
    asker.clock.at = START + 2 * DAY
    assert asker.make(asker.earned).tx_results[1].code == REFUSED
    assert asker.ask("info").last_block_app_hash == root


def test_a_decided_block_of_rubbish_is_executed_by_all_alike(asker, open_asker, town):  # noqa: F811
    """More than two thirds were dishonest, or wrong: what they decided has one result on every node, and one
    that was killed before Commit comes to the same.
    """
    good = town.sign(FRESH, "e-2", town.earn(2))
    rubbish = [b"", b"{}", b"\x78\x9c", b"[" * 1_000, encode_wake(9), encode_time(1), forge(good), good]
    first = asker.finalize(*rubbish)
    again = open_asker()
    again.clock.at = asker.clock.at
    assert again.finalize(*rubbish) == first
    assert [each.code for each in first.tx_results].count(OK) == 3  # two times and the good one
    again.ask("commit")
    assert again.ask("info").last_block_app_hash == first.app_hash


@pytest.mark.parametrize("data", [b"\xff" * 64, encode_frame(b"\xff" * 20)])
def test_what_is_no_request_stops_the_node_and_not_in_silence(tmp_path, data):
    """The socket is this machine's own; who can write rubbish there can stop the node, and nothing more."""
    server = Server(tmp_path / "app.sock")
    server.start()
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(str(tmp_path / "app.sock"))
        line.sendall(data)
        with pytest.raises(InvariantBroken, match=r"FRAME_MALFORMED|ABCI_MALFORMED"):
            server.next(30)
    server.close()
