"""Blocks become leaves: the exact bytes, in order, the same whatever was refused beside them."""

from __future__ import annotations

import re
from hashlib import sha256

import msgspec
import pytest

from contracts.messages import Earn, Expire
from ledger.codec import encode, to_base64url
from ledger.errors import InvalidBlock, InvariantBroken
from ledger.executor import Executor
from ledger.leaves import BLOCK_LEAF_DECODER, ENTRY_DECODER, SYSTEM_DECODER, TRANSACTION_LEAF_DECODER, Totals
from ledger.log.merkle import leaf_hash
from ledger.outcome import Event, Lot, Outcome
from ledger.rule import Decision
from tests.contracts.alliance import RULEBOOK, Alliance
from tests.contracts.cast import ANNA, BORIS, FRESH, PETROL, PHARMACY, START, STRANGER, TODAY


def order(number: int, *, amount: int = 500_000, member: str = ANNA) -> Earn:
    return Earn(amount, member, START, "leaf", f"o-{number}")


@pytest.fixture
def alliance() -> Alliance:
    return Alliance().open()


def test_the_leaves_of_a_block_to_the_byte(alliance):
    first = len(alliance.leaves)
    transaction = alliance.sign(FRESH, order(1), order(1), order(2, member=STRANGER), transaction_id="mine")
    before = alliance.executor.head
    block = alliance.cut(transaction)
    leaf = b'{"@type":"transaction","header":%b,"height":8,"signature":"%b","time":1700000000000}' % (
        transaction.header_bytes,
        transaction.signature.encode(),
    )
    tag = to_base64url(sha256(leaf).digest()[:16]).encode()
    lot = b'[20057,5,0,1,"leaf-1",0]'
    outcomes = [
        b'{"balance":1,"code":"OK","lots":[%b],"points":1}' % lot,
        b'{"code":"ALREADY_DONE","first":%d}' % (first + 1),
        b'{"code":"MEMBER_UNKNOWN"}',
    ]
    entries = [
        b'{"@type":"entry","message":%b,"outcome":%b,"tag":"%b"}' % (message, outcome, tag)
        for message, outcome in zip(transaction.message_bytes, outcomes, strict=True)
    ]
    closing = (
        b'{"@type":"block","engine_height":8,"first":%d,"height":8,"last":%d,"previous":"%b","rulebook":2,'
        b'"sums":"%b","time":1700000000000,"totals":{"accepted":%d,"entries":%d,"transactions":%d}}'
    ) % (
        first,
        first + 4,
        before.previous.encode(),
        to_base64url(sha256(b'[["leaf","1"]]').digest()).encode(),
        before.accepted + 1,
        before.entries + 3,
        before.transactions + 1,
    )
    assert block.leaves == [leaf, *entries, closing]
    assert block.leaf_hashes == [leaf_hash(written) for written in block.leaves]
    assert block.answers[0].index == block.first == first
    assert block.answers[0].outcomes == tuple(outcomes)
    assert block.system == []


def test_each_block_leaf_names_the_one_before_and_the_first_the_genesis(alliance):
    previous = alliance.origin.previous
    index = len(alliance.origin.leaves)
    for height, block in enumerate(alliance.blocks, start=1):
        closing = BLOCK_LEAF_DECODER.decode(block.leaves[-1])
        assert (closing.height, closing.engine_height, closing.previous) == (height, height, previous)
        assert (closing.first, closing.last) == (index, index + len(block.leaves) - 1)
        assert alliance.leaves[closing.last] == block.leaves[-1]
        previous = to_base64url(leaf_hash(block.leaves[-1]))
        index = closing.last + 1
    head = alliance.executor.head
    assert (head.previous, head.size, head.height) == (previous, index, len(alliance.blocks))


def test_totals_count_from_the_genesis_on(alliance):
    alliance.submit(FRESH, order(1), order(1), order(2))
    counts = {"accepted": 0, "entries": 0, "transactions": 0}
    for leaf in alliance.leaves:
        counts["transactions"] += leaf.startswith(b'{"@type":"transaction"')
        counts["entries"] += leaf.startswith((b'{"@type":"entry"', b'{"@type":"system"'))
        counts["accepted"] += b'"code":"OK"' in leaf
    assert BLOCK_LEAF_DECODER.decode(alliance.leaves[-1]).totals == Totals(**counts)


def test_an_entry_hangs_on_its_transaction_and_its_place_in_it(alliance):
    one, two = alliance.sign(FRESH, order(1), order(2)), alliance.sign(PHARMACY, alliance.enrol(STRANGER))
    block = alliance.cut(one, two)
    transactions = [place for place, leaf in enumerate(block.leaves) if leaf.startswith(b'{"@type":"transa')]
    assert transactions == [0, 3]
    for place, transaction in zip(transactions, (one, two), strict=True):
        leaf = TRANSACTION_LEAF_DECODER.decode(block.leaves[place])
        assert leaf.header == transaction.header
        tag = to_base64url(sha256(block.leaves[place]).digest()[:16])
        for number, message in enumerate(transaction.message_bytes):
            entry = ENTRY_DECODER.decode(block.leaves[place + 1 + number])
            assert (bytes(entry.message), entry.tag) == (message, tag)


def test_nothing_to_do_adds_no_leaf_and_no_height(alliance):
    head = alliance.executor.head
    before = alliance.records()
    for _ in range(3):
        alliance.wait(seconds=1)
        block = alliance.executor.execute_block([], time=alliance.time)
        assert block.is_empty
        assert (block.leaves, block.head, block.first) == ([], head, head.size)
    assert alliance.records() == before
    alliance.must(FRESH, order(1))
    assert alliance.executor.head.height == head.height + 1


def test_time_stands_still_or_goes_on_and_never_back(alliance):
    alliance.must(FRESH, order(1))
    alliance.must(FRESH, order(2))
    with pytest.raises(InvalidBlock, match="TIME_BACKWARDS"):
        alliance.executor.execute_block([], time=START - 1)
    assert alliance.executor.head.time == START


def test_what_is_refused_changes_no_byte_of_the_block():
    """Whatever else was in the block and turned down: the leaves are the same as without it."""
    plain, crowded = Alliance().open(), Alliance().open()
    good = [plain.sign(FRESH, order(1), transaction_id="a"), plain.sign(FRESH, order(2), transaction_id="b")]
    late = crowded.sign(FRESH, order(3), not_after=START - 1)
    far = crowded.sign(FRESH, order(4), not_after=START + 3_600_001)
    stranger = crowded.sign(FRESH, order(5))
    stranger.header = msgspec.structs.replace(stranger.header, sender=PETROL)
    other_chain = Alliance(time=START + 1).open().sign(FRESH, order(6))
    other_chain.header = msgspec.structs.replace(other_chain.header, not_after=START)
    conflict = crowded.sign(FRESH, order(7), transaction_id="a")
    block = plain.cut(*good)
    mixed = crowded.cut(late, good[0], far, good[0], stranger, other_chain, conflict, good[1], good[1])
    assert mixed.leaves == block.leaves
    assert mixed.leaf_hashes == block.leaf_hashes
    told = [(answer.refusal and answer.refusal.code) or answer.is_repeat for answer in mixed.answers]
    assert told == [
        "EXPIRED",
        False,
        "NOT_AFTER_TOO_FAR",
        True,
        "UNKNOWN_KEY",
        "WRONG_CHAIN",
        "ID_CONFLICT",
        False,
        True,
    ]
    assert plain.records() == crowded.records()


def test_a_block_of_refusals_and_repeats_only_adds_no_leaf(alliance):
    taken = alliance.sign(FRESH, order(1))
    alliance.cut(taken)
    before, leaves = alliance.records(), list(alliance.leaves)
    block = alliance.cut(taken, alliance.sign(FRESH, order(2), not_after=START - 1))
    assert block.is_empty
    assert [answer.is_repeat for answer in block.answers] == [True, False]
    assert (alliance.records(), alliance.leaves) == (before, leaves)


def test_a_refused_transaction_beside_due_work_still_adds_no_leaf_of_its_own(alliance):
    alliance.place(ANNA, "leaf", Lot(TODAY, 5, 0, 9, "leaf-1", 0))
    alliance.wait(days=1)
    block = alliance.cut(alliance.sign(FRESH, order(1), not_after=START))
    assert len(block.leaves) == 2
    assert block.system == [Expire(TODAY, ANNA, "leaf")]
    shape = SYSTEM_DECODER.decode(block.leaves[0])
    assert (
        bytes(shape.message)
        == b'{"@type":"expire","day":19676,"member":"%b","program":"leaf"}' % ANNA.encode()
    )
    assert bytes(shape.outcome) == b'{"balance":0,"code":"OK","lots":[[19676,5,0,9,"leaf-1",0]],"points":9}'


def test_the_engines_height_is_recorded_beside_the_ledgers(alliance):
    block = alliance.executor.execute_block([alliance.sign(FRESH, order(1))], time=START, engine_height=777)
    assert re.search(rb'"engine_height":777,"first":\d+,"height":8,', block.leaves[-1])


def test_a_block_rolled_back_can_be_cut_again_to_the_same_bytes(alliance):
    transactions = [alliance.sign(FRESH, order(1)), alliance.sign(PETROL, order(2), atomic=True)]
    before = alliance.records()
    first = alliance.executor.execute_block(transactions, time=START)
    alliance.state.roll_back()
    assert alliance.records() == before
    second = alliance.executor.execute_block(transactions, time=START)
    assert second.leaves == first.leaves
    alliance.state.commit()


def test_one_block_or_many_leave_the_same_balances():
    one, many = Alliance().open(), Alliance().open()
    messages = [order(number, member=(ANNA, BORIS)[number % 2]) for number in range(20)]
    one.must(FRESH, *messages)
    for message in messages:
        many.ask(FRESH, message)
    for member in (ANNA, BORIS):
        assert one.lots(member) == many.lots(member)
    assert dict(one.state.list_records("supply")) == dict(many.state.list_records("supply"))


def test_replaying_the_same_blocks_gives_the_same_leaves():
    played = Alliance().open()
    blocks = []
    for number in range(5):
        played.wait(days=number)
        message = Earn(500_000, ANNA, played.time, "leaf", f"a-{number}")
        transactions = [played.sign(FRESH, message, transaction_id=f"r{number}")]
        blocks.append((transactions, played.time))
        played.cut(*transactions)
    again = Alliance().open()
    for transactions, time in blocks:
        again.time = time
        again.cut(*transactions)
    assert again.leaves == played.leaves
    assert again.records() == played.records()


def test_a_leaf_too_large_to_keep_is_a_fault_of_ours(alliance):
    """No message can do this (tests/ledger/test_leaf_bounds.py); a rule that did would stop the node."""

    def babble(*_):
        return Decision(Outcome(code="OK", events=[Event(about="x" * 64, name="N" * 64)] * 500))

    rules = {**RULEBOOK.rules, Earn: RULEBOOK.rules[Earn]._replace(decide=babble)}
    babbling = {RULEBOOK.version: RULEBOOK._replace(rules=rules)}
    executor = Executor(state=alliance.state, origin=alliance.origin, rulebooks=babbling)
    with pytest.raises(InvariantBroken, match="LEAF_TOO_LARGE"):
        executor.execute_block([alliance.sign(FRESH, order(1))], time=START)
    alliance.state.roll_back()


def test_a_repeat_in_its_own_block_points_nowhere_and_moves_nothing(alliance):
    transaction = alliance.sign(FRESH, order(1))
    block = alliance.cut(transaction, transaction)
    first, second = block.answers
    assert (first.is_repeat, first.index, len(first.outcomes)) == (False, block.first, 1)
    assert (second.is_repeat, second.outcomes) == (True, ())
    assert alliance.points(ANNA) == 1


def test_every_leaf_is_canonical(alliance):
    alliance.earn(ANNA, 5)
    for leaf in alliance.leaves:
        parsed = msgspec.json.decode(leaf)
        assert msgspec.json.encode(parsed, order="sorted") == leaf
        assert encode(parsed) == leaf
