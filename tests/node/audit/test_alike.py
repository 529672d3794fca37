"""Whatever is changed in a ledger, two processes find what one finds: the same leaf, check and words.

And the quick way noticed by itself: otherwise the one process would only be saying the same thing twice.
"""

from __future__ import annotations

from functools import partial

import pytest

from ledger.errors import InvalidBlock, Unverified
from node.audit.preparing import Irregular
from node.storage.snapshot import Snapshot
from tests.contracts.cast import make_signer
from tests.node.audit import forgeries, reorderings
from tests.node.audit.audited import audit
from tests.node.audit.hurried import find, hurry, look_quickly
from tests.node.audit.written import WrittenLog, flip


@pytest.fixture(autouse=True)
def eager(monkeypatch):
    hurry(monkeypatch)


# What a worker alone sees of leaves, and what the process that executes sees.


def spell_a_message_otherwise(leaves, history):
    index = forgeries.find_transaction(leaves, history, block=forgeries.DAY) + 2
    return forgeries.change(leaves, index, rb'"message":\{', rb'"message":{ ')


DEFAULT = [
    spell_a_message_otherwise,
    forgeries.forge_genesis,
    forgeries.forge_signature,
    forgeries.spell_signature_otherwise,
    forgeries.add_a_space,
    forgeries.forge_balance,
    forgeries.lapse_less,
    forgeries.change_block("previous"),
    forgeries.claim_too_many_messages,
    forgeries.sign_for_somebody_else,
    reorderings.drop_an_entry,
    reorderings.drop_a_block_leaf,
    reorderings.cut_inside_a_transaction,
    reorderings.end_with_nonsense,
]
FULL = [
    forgeries.change_sender,
    forgeries.lift_not_after,
    forgeries.change_transaction_time,
    forgeries.change_transaction_height,
    forgeries.raise_an_amount,
    forgeries.turn_rejection_into_success,
    forgeries.owe_less,
    forgeries.change_tag,
    forgeries.forget_to_lapse,
    forgeries.set_the_clock_back,
    forgeries.claim_no_messages,
    forgeries.sign_with_the_wrong_purpose,
    *[forgeries.change_block(field) for field in ("engine_height", "first", "last", "sums", "totals")],
    reorderings.swap_entries,
    reorderings.swap_transactions,
    reorderings.drop_a_transaction,
    reorderings.repeat_a_transaction,
    reorderings.repeat_an_old_transaction,
    reorderings.drop_a_block,
    reorderings.swap_blocks,
    reorderings.add_an_empty_block,
    reorderings.cut_inside_a_block,
    reorderings.repeat_the_genesis,
]


@pytest.mark.parametrize("forge", [*DEFAULT, *[pytest.param(each, marks=pytest.mark.full) for each in FULL]])
def test_a_rewritten_history_is_found_alike(history, leaves, rewrite, forge):
    forge(leaves, history)
    check_alike(rewrite(leaves))


def check_alike(log, **how):
    """The quick way notices, and two processes say what one says."""
    with pytest.raises((Irregular, InvalidBlock, Unverified)):
        look_quickly(log, **how)
    alone = find(log, **how)
    assert not alone["good"]
    assert find(log, processes=2, **how) == alone


def rot_a_leaf(log, _history):
    log.bundles[1] = flip(log.bundles[1], 1000)


def rot_a_leaf_hash(log, _history):
    log.tiles[0, 1] = flip(log.tiles[0, 1], 77)


def rot_a_higher_tile(log, _history):
    log.tiles[1, 0] = flip(log.tiles[1, 0], 40)


def rot_the_last_bundle(log, _history):
    last = max(log.bundles)
    log.bundles[last] = log.bundles[last][:-1]


def lose_a_bundle(log, _history):
    del log.bundles[2]


def lose_a_tile(log, _history):
    del log.tiles[0, 2]


def sign_another_root(log, history):
    leaves = [*history.leaves[:-2], history.leaves[-2] + b" ", history.leaves[-1]]
    log.note = WrittenLog(leaves, origin=history.chain).note


def sign_with_another_key(log, history):
    log.note = WrittenLog(history.leaves, origin=history.chain, signer=make_signer("somebody else")).note


@pytest.mark.parametrize(
    "rot",
    [
        rot_a_leaf,
        rot_a_leaf_hash,
        rot_a_higher_tile,
        rot_the_last_bundle,
        lose_a_bundle,
        lose_a_tile,
        sign_another_root,
        sign_with_another_key,
    ],
)
def test_what_rots_or_is_lost_is_found_alike(history, log, rot):
    rot(log, history)
    check_alike(log)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE segment SET data = x'0001' WHERE first = 256",
        "UPDATE tile SET data = zeroblob(8192) WHERE position = 1",
        "UPDATE block SET time = time + 1 WHERE height = 5",
        "DELETE FROM history WHERE place = (SELECT max(place) FROM history)",
        "UPDATE views.state_account SET value = CAST(replace(CAST(value AS TEXT), ']', '0]') AS BLOB)",
        "UPDATE views.mark SET value = 9999 WHERE name = 'fold'",
    ],
)
def test_whatever_is_changed_in_a_database_is_found_alike(directory, change, statement):
    change((statement,))
    alone = audit(directory)
    together = audit(directory, processes=2)
    assert not together.is_good
    assert together.first_bad == alone.first_bad
    with Snapshot(directory / "ledger.db") as snapshot, pytest.raises((Irregular, InvalidBlock, Unverified)):
        look_quickly(snapshot, stored=snapshot, opening=partial(Snapshot, directory / "ledger.db"))
