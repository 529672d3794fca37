"""How leaves could be dropped, swapped, repeated or cut off: each answers the index that an auditor must
name.
"""

from __future__ import annotations

import re

from ledger.codec import decode, encode
from ledger.leaves import BLOCK_LEAF_DECODER
from tests.node.audit.forgeries import DAY, end_of_transaction, find_transaction


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
