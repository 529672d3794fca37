"""A history that follows the rules cannot be told from the log's bytes alone: it is executed again.

Each row rewrites the leaves as an operator could who holds the log's key: tiles and checkpoint are made anew
and are right. What is not right is then what the rules say, and the first leaf that shows it is named.
"""

from __future__ import annotations

import pytest

from contracts.rulebook import RULEBOOKS
from ledger.errors import InvalidBlock
from ledger.executor import Executor
from ledger.leaves import BLOCK_START
from ledger.log.tiles import TILE_WIDTH
from ledger.state import State
from node.audit.replay import Replay
from node.audit.verify import verify_ledger
from tests.node.audit.forgeries import (
    DAY,
    add_a_space,
    change,
    change_block,
    change_sender,
    change_tag,
    change_transaction_height,
    change_transaction_id,
    change_transaction_time,
    claim_no_messages,
    claim_too_many_messages,
    find_transaction,
    forge_balance,
    forge_genesis,
    forge_signature,
    forget_to_lapse,
    lapse_less,
    lapse_too_much,
    lift_not_after,
    owe_less,
    raise_an_amount,
    raise_an_amount_and_its_outcome,
    set_the_clock_back,
    sign_for_somebody_else,
    sign_with_the_wrong_purpose,
    spell_signature_otherwise,
    turn_rejection_into_success,
    turn_success_into_rejection,
)
from tests.node.audit.reorderings import (
    add_an_empty_block,
    cut_inside_a_block,
    cut_inside_a_transaction,
    drop_a_block,
    drop_a_block_leaf,
    drop_a_transaction,
    drop_an_entry,
    end_with_nonsense,
    repeat_a_transaction,
    repeat_an_old_transaction,
    repeat_the_genesis,
    swap_blocks,
    swap_entries,
    swap_transactions,
)

#   what the operator did; the check that finds it. The index is what the forger returns.
FORGERIES = [
    (forge_genesis, "WRONG_CHAIN"),
    (forge_signature, "SIGNATURE_INVALID"),
    (spell_signature_otherwise, "TRANSACTION_MALFORMED"),
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
        Replay.begin(history.leaves, rulebooks={2: RULEBOOKS[2]})
    assert (caught.value.check, caught.value.index) == ("RULEBOOK_UNKNOWN", 0)


def test_a_replay_goes_on_from_a_known_state(history):
    whole = Replay.begin(history.leaves)
    blocks = iter(whole)
    half = [next(blocks) for _ in range(20)][-1].executed.head.size
    resumed = Replay.resume(
        history.leaves[half:],
        origin=whole.origin,
        executor=Executor(state=copy_state(whole), origin=whole.origin, rulebooks=RULEBOOKS),
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
        for key, record in replay.state.list_records(table):
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
