"""How an operator who holds the log's key could rewrite a history: each forger changes the leaves and answers
the index of the first one that an auditor must name.
"""

from __future__ import annotations

import re

from contracts.messages import Earn
from ledger.codec import decode, encode
from ledger.leaves import (
    BLOCK_LEAF_DECODER,
    ENTRY_START,
    SYSTEM_START,
    TRANSACTION_LEAF_DECODER,
    TRANSACTION_START,
    compute_tag,
    encode_entry,
    encode_transaction_leaf,
)
from ledger.outcome import Outcome
from ledger.transaction import sign_transaction
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
