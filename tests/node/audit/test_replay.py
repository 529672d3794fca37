"""A history that follows the rules cannot be told from the log's bytes alone: it is executed again.

Each row rewrites the leaves as an operator could who holds the log's key: tiles and checkpoint are made anew
and are right. What is not right is then what the rules say, and the first leaf that shows it is named.
"""

from __future__ import annotations

import re

import pytest

from contracts.messages import Earn
from contracts.rulebook import RULEBOOKS
from ledger.codec import decode, encode
from ledger.errors import InvalidBlock
from ledger.executor import Executor
from ledger.leaves import (
    BLOCK_LEAF_DECODER,
    BLOCK_START,
    ENTRY_START,
    SYSTEM_START,
    TRANSACTION_LEAF_DECODER,
    TRANSACTION_START,
    compute_tag,
    encode_entry,
    encode_transaction_leaf,
)
from ledger.log.tiles import TILE_WIDTH
from ledger.outcome import Outcome
from ledger.state import State
from ledger.transaction import sign_transaction
from node.audit.replay import Replay
from node.audit.verify import verify_ledger
from tests.contracts.cast import BORIS, FRESH, make_signer
from tests.node.audit.written import find_leaf


def change(leaves, index, old, new):
    """One leaf with the first ``old`` in it replaced; it must be there."""
    assert re.search(old, leaves[index]), leaves[index]
    leaves[index] = re.sub(old, new, leaves[index], count=1)
    return index


def find_transaction(leaves, history, *, block, number=0):
    """The index of a block's transaction leaf."""
    executed = history.blocks[block]
    at = executed.first - 1
    for _ in range(number + 1):
        at = find_leaf(leaves, TRANSACTION_START, after=at + 1)
    return at


def end_of_transaction(leaves, index):
    return index + 1 + decode(leaves[index], TRANSACTION_LEAF_DECODER).header.count


# A day in the middle: its first block is day 4's.
DAY = 17


def forge_genesis(leaves, _history):
    change(leaves, 1, rb'"name":"C', rb'"name":"K')
    return 0  # the chain string is of all genesis leaves together


def forge_signature(leaves, history):
    index = find_transaction(leaves, history, block=DAY)
    return change(leaves, index, rb'"signature":"..', rb'"signature":"AA')


def spell_signature_otherwise(leaves, history):
    # The last of 86 characters has spare bits: the same 64 bytes could be written in four ways.
    index = find_transaction(leaves, history, block=DAY)
    last = re.search(rb'(.)","time"', leaves[index])[1]
    order = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = order[order.index(last) ^ 1 : (order.index(last) ^ 1) + 1]
    return change(leaves, index, rb'.","time"', other + rb'","time"')


def change_sender(leaves, history):
    index = find_transaction(leaves, history, block=DAY)
    return change(leaves, index, rb'"sender":"fresh-market"', rb'"sender":"cinema-nova"')


def change_transaction_id(leaves, history):
    return change(leaves, find_transaction(leaves, history, block=DAY), rb'"id":"t', rb'"id":"u')


def lift_not_after(leaves, history):
    return change(leaves, find_transaction(leaves, history, block=DAY), rb'"not_after":1', rb'"not_after":2')


def change_transaction_time(leaves, history):
    return change(leaves, find_transaction(leaves, history, block=DAY), rb',"time":1', rb',"time":2')


def change_transaction_height(leaves, history):
    return change(leaves, find_transaction(leaves, history, block=DAY), rb'"height":18', rb'"height":19')


def add_a_space(leaves, history):
    return change(leaves, find_transaction(leaves, history, block=DAY), rb'"header":', rb'"header": ')


def raise_an_amount(leaves, history):
    index = find_transaction(leaves, history, block=DAY)
    change(leaves, index + 5, rb'"amount":23000000', rb'"amount":93000000')
    return index  # the header signs for all messages together: from here on it is not what was signed


def raise_an_amount_and_its_outcome(leaves, history):
    index = raise_an_amount(leaves, history)
    change(leaves, index + 5, rb'"points":46\}', rb'"points":186}')
    return index


def forge_balance(leaves, history):
    index = find_transaction(leaves, history, block=DAY) + 5
    return change(leaves, index, rb'"balance":(\d+)', rb'"balance":9\1')


def turn_rejection_into_success(leaves, history):
    index = find_leaf(leaves, ENTRY_START, after=history.blocks[DAY].first)
    while b"INSUFFICIENT_POINTS" not in leaves[index]:
        index += 1
    return change(leaves, index, rb'"code":"INSUFFICIENT_POINTS"', rb'"code":"OK"')


def turn_success_into_rejection(leaves, history):
    index = find_transaction(leaves, history, block=DAY) + 3
    return change(leaves, index, rb'"outcome":\{.*\},', rb'"outcome":{"code":"NO_OPEN_SERIES"},')


def owe_less(leaves, history):
    index = next(at for at in range(history.blocks[DAY].first, len(leaves)) if b'"legs"' in leaves[at])
    return change(leaves, index, rb'"micros":\d+', rb'"micros":1')


def change_tag(leaves, history):
    index = find_transaction(leaves, history, block=DAY) + 2
    return change(leaves, index, rb'"tag":"...', rb'"tag":"AAA')


def lapse_less(leaves, _history):
    return change(leaves, find_leaf(leaves, SYSTEM_START), rb'"points":(\d+)\}', rb'"points":1}')


def forget_to_lapse(leaves, _history):
    index = find_leaf(leaves, SYSTEM_START)
    del leaves[index]
    return index


def lapse_too_much(leaves, _history):
    index = find_leaf(leaves, SYSTEM_START)
    leaves.insert(index + 2, leaves[index])
    return index + 2


def change_block(field):
    def forge(leaves, history):
        index = history.blocks[DAY].head.size - 1
        leaf = decode(leaves[index], BLOCK_LEAF_DECODER)
        if field == "totals":
            return change(leaves, index, rb'"accepted":', rb'"accepted":1')
        value = getattr(leaf, field)
        if isinstance(value, str):
            return change(leaves, index, rb'"%b":"...' % field.encode(), rb'"%b":"AAA' % field.encode())
        return change(leaves, index, rb'"%b":\d+' % field.encode(), rb'"%b":%d' % (field.encode(), value + 1))

    return forge


def set_the_clock_back(leaves, history):
    executed = history.blocks[DAY]
    index = executed.head.size - 1
    change(leaves, index, rb'"time":\d+', rb'"time":%d' % (executed.time - 10**12))
    return executed.first


def drop_an_entry(leaves, history):
    index = find_transaction(leaves, history, block=DAY)
    end = end_of_transaction(leaves, index)
    del leaves[index + 4]
    return end - 1  # where an entry is missing, something else stands


def swap_entries(leaves, history):
    index = find_transaction(leaves, history, block=DAY)
    leaves[index + 2], leaves[index + 3] = leaves[index + 3], leaves[index + 2]
    return index


def swap_transactions(leaves, history):
    # BORIS earns in the second and spends in the third: in the other order he has less to spend.
    second = find_transaction(leaves, history, block=DAY, number=1)
    third = end_of_transaction(leaves, second)
    end = end_of_transaction(leaves, third)
    leaves[second:end] = leaves[third:end] + leaves[second:third]
    return second + 1


def drop_a_transaction(leaves, history):
    index = find_transaction(leaves, history, block=DAY, number=1)
    del leaves[index : end_of_transaction(leaves, index)]
    return index + 1  # the next transaction's first entry has another balance


def repeat_a_transaction(leaves, history):
    index = find_transaction(leaves, history, block=DAY, number=2)
    end = end_of_transaction(leaves, index)
    leaves[end:end] = leaves[index:end]
    return end


def repeat_an_old_transaction(leaves, history):
    old = find_transaction(leaves, history, block=DAY - 4)
    index = find_transaction(leaves, history, block=DAY)
    time, height = history.blocks[DAY].time, history.blocks[DAY].head.height
    leaf = re.sub(rb'"height":\d+', b'"height":%d' % height, leaves[old])
    again = [
        re.sub(rb'"time":\d+\}$', b'"time":%d}' % time, leaf),
        *leaves[old + 1 : end_of_transaction(leaves, old)],
    ]
    leaves[index:index] = again
    return index


def drop_a_block_leaf(leaves, history):
    index = history.blocks[DAY].head.size - 1
    del leaves[index]
    return index


def drop_a_block(leaves, history):
    executed = history.blocks[DAY]
    del leaves[executed.first : executed.head.size]
    return executed.first


def swap_blocks(leaves, history):
    one, other = history.blocks[DAY], history.blocks[DAY + 1]
    leaves[one.first : other.head.size] = [*other.leaves, *one.leaves]
    return one.first


def add_an_empty_block(leaves, history):
    executed = history.blocks[DAY]
    leaf = decode(executed.leaves[-1], BLOCK_LEAF_DECODER)
    size = executed.head.size
    fields = {**{name: getattr(leaf, name) for name in leaf.__struct_fields__}, "first": size, "last": size}
    leaves.insert(size, encode(type(leaf)(**{**fields, "height": leaf.height + 1})))
    return size


def cut_inside_a_block(leaves, _history):
    del leaves[-1]
    return len(leaves)


def cut_inside_a_transaction(leaves, _history):
    del leaves[-2:]
    return len(leaves)


def end_with_nonsense(leaves, _history):
    leaves.append(b'{"@type":"note"}')
    return len(leaves) - 1


def repeat_the_genesis(leaves, history):
    leaves.insert(history.blocks[DAY].first, leaves[0])
    return history.blocks[DAY].first


def claim_no_messages(leaves, history):
    return change(leaves, find_transaction(leaves, history, block=DAY), rb'"count":\d+', rb'"count":0')


def claim_too_many_messages(leaves, history):
    return change(leaves, find_transaction(leaves, history, block=DAY), rb'"count":\d+', rb'"count":8193')


def sign_for_somebody_else(leaves, history):
    return forge_transaction(leaves, history, make_signer("a stranger"))


def sign_with_the_wrong_purpose(leaves, history):
    return forge_transaction(leaves, history, make_signer(FRESH, "govern"))


def forge_transaction(leaves, history, signer):
    """An earning that its sender's order system never signed, with everything else as it should be."""
    executed = history.blocks[DAY]
    message = Earn(amount=10**12, member=BORIS, occurred_at=executed.time, program="leaf", reference="forged")
    signed = sign_transaction(
        [message],
        chain=history.chain,
        not_after=executed.time + 1000,
        sender=FRESH,
        signer=signer,
        transaction_id="forged",
    )
    leaf = encode_transaction_leaf(
        signed.header_bytes, height=executed.head.height, signature=signed.signature, time=executed.time
    )
    entry = encode_entry(encode(message), encode(Outcome(code="OK")), compute_tag(leaf))
    leaves[executed.first : executed.first] = [leaf, entry]
    return executed.first


#   what the operator did; the check that finds it. The index is what the forger returns.
FORGERIES = [
    (forge_genesis, "WRONG_CHAIN"),
    (forge_signature, "SIGNATURE_INVALID"),
    (spell_signature_otherwise, "MALFORMED"),
    (change_sender, "UNKNOWN_KEY"),
    (change_transaction_id, "SIGNATURE_INVALID"),
    (lift_not_after, "NOT_AFTER_TOO_FAR"),
    (change_transaction_time, "TRANSACTION_DIFFERS"),
    (change_transaction_height, "HEIGHT"),
    (add_a_space, "TRANSACTION_DIFFERS"),
    (raise_an_amount, "DIGEST_MISMATCH"),
    (raise_an_amount_and_its_outcome, "DIGEST_MISMATCH"),
    (forge_balance, "ENTRY_DIFFERS"),
    (turn_rejection_into_success, "ENTRY_DIFFERS"),
    (turn_success_into_rejection, "ENTRY_DIFFERS"),
    (owe_less, "ENTRY_DIFFERS"),
    (change_tag, "ENTRY_DIFFERS"),
    (lapse_less, "SYSTEM_ENTRY_DIFFERS"),
    (forget_to_lapse, "SYSTEM_ENTRY_DIFFERS"),
    (lapse_too_much, "SYSTEM_ENTRY_DIFFERS"),
    *[
        (change_block(field), "BLOCK_DIFFERS")
        for field in ("engine_height", "first", "height", "last", "previous", "rulebook", "sums", "totals")
    ],
    (set_the_clock_back, "TIME_BACKWARDS"),
    (drop_an_entry, "ENTRY_MALFORMED"),
    (swap_entries, "DIGEST_MISMATCH"),
    (swap_transactions, "ENTRY_DIFFERS"),
    (drop_a_transaction, "ENTRY_DIFFERS"),
    (repeat_a_transaction, "TRANSACTION_REPEATED"),
    (repeat_an_old_transaction, "EXPIRED"),
    (drop_a_block_leaf, "HEIGHT"),
    (drop_a_block, "HEIGHT"),
    (swap_blocks, "HEIGHT"),
    (add_an_empty_block, "BLOCK_DIFFERS"),
    (cut_inside_a_block, "BLOCK_UNFINISHED"),
    (cut_inside_a_transaction, "BLOCK_UNFINISHED"),
    (end_with_nonsense, "LEAF_OUT_OF_PLACE"),
    (repeat_the_genesis, "LEAF_OUT_OF_PLACE"),
    (claim_no_messages, "MESSAGE_COUNT"),
    (claim_too_many_messages, "MESSAGE_COUNT"),
    (sign_for_somebody_else, "UNKNOWN_KEY"),
    (sign_with_the_wrong_purpose, "WRONG_PURPOSE"),
]


@pytest.mark.parametrize(
    ("forge", "check"), FORGERIES, ids=[f"{row[0].__name__}-{row[1]}" for row in FORGERIES]
)
def test_a_rewritten_history_is_found_at_the_first_leaf_that_shows_it(history, leaves, rewrite, forge, check):
    index = forge(leaves, history)
    assert leaves != history.leaves
    report = verify_ledger(rewrite(leaves))
    assert (report.first_bad.check, report.first_bad.index) == (check, index), report.first_bad.detail


def test_a_block_at_another_time_is_found(history, leaves, rewrite):
    # The block's time is what every rule went by, so all its leaves would have been others.
    executed = history.blocks[DAY]
    change(leaves, executed.head.size - 1, rb'"time":\d+', b'"time":%d' % (executed.time + 1))
    assert verify_ledger(rewrite(leaves)).first_bad.index == executed.first


def test_an_earlier_difference_is_told_before_a_later_refusal(history, leaves, rewrite):
    early = forge_balance(leaves, history)
    change(
        leaves,
        find_transaction(leaves, history, block=DAY, number=3),
        rb'"signature":"..',
        rb'"signature":"AA',
    )
    assert verify_ledger(rewrite(leaves)).first_bad.index == early


def test_a_rotten_bit_does_not_hide_an_earlier_forgery(history, leaves, rewrite):
    index = forge_balance(leaves, history)
    log = rewrite(leaves)
    last = max(log.bundles)
    assert last > index // TILE_WIDTH
    log.bundles[last] = log.bundles[last][:-1] + b"!"
    assert verify_ledger(log).first_bad.index == index


def test_no_genesis_is_no_ledger(history):
    with pytest.raises(InvalidBlock) as caught:
        Replay.begin(history.leaves[6:])
    assert (caught.value.check, caught.value.index) == ("GENESIS_MISSING", 0)


def test_an_unknown_rulebook_is_not_guessed(history):
    with pytest.raises(InvalidBlock) as caught:
        Replay.begin(history.leaves, rulebooks={2: RULEBOOKS[1]})
    assert (caught.value.check, caught.value.index) == ("RULEBOOK_UNKNOWN", 0)


def test_a_replay_goes_on_from_a_known_state(history):
    whole = Replay.begin(history.leaves)
    blocks = iter(whole)
    half = [next(blocks) for _ in range(20)][-1].executed.head.size
    resumed = Replay.resume(
        history.leaves[half:],
        origin=whole.origin,
        executor=Executor(state=copy_state(whole), origin=whole.origin, rulebook=whole.rulebook),
    )
    assert resumed.size == half
    for ours, other in zip(blocks, resumed, strict=True):
        assert ours.changes == other.changes
    assert resumed.head == history.executor.head
    assert resumed.size == len(history.leaves)


def copy_state(replay):
    tables = [*replay.state._tables]
    state = State(tables)
    state.begin()
    for table in tables:
        for key, record in replay.state.rows(table):
            state.put(table, key, record)
    state.commit()
    return state


def test_a_replay_that_ends_early_has_told_how_far_it_came(history, leaves):
    index = forge_balance(leaves, history)
    replay = Replay.begin(leaves)
    with pytest.raises(InvalidBlock) as caught:
        for _ in replay:
            pass
    assert caught.value.index == index
    assert replay.size == history.blocks[DAY].first
    assert leaves[replay.size - 1].startswith(BLOCK_START)
