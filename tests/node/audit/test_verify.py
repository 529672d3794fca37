"""Whatever is changed in a stored log is found, and the first bad leaf is named.

Two kinds of harm: bits that rot, where leaves, tiles and checkpoint no longer agree; and a rewritten history,
where tiles and checkpoint were made anew and signed with the right key, so that only re-execution can tell.
"""

from __future__ import annotations

import gc
import random

import msgspec
import pytest

from ledger.executor import make_tables
from ledger.leaves import BLOCK_START, ENTRY_START, SYSTEM_START, TRANSACTION_START
from ledger.log.note import VerifierKey
from ledger.log.policy import Policy
from ledger.log.tiles import TILE_WIDTH
from node.audit.replay import Replay
from node.audit.verify import Expected, verify_ledger
from tests.contracts.cast import make_signer
from tests.node.audit.written import WrittenLog, find_leaf, flip

GENESIS_START = b'{"@type":"genesis",'
PARTICIPANT_START = b'{"@type":"genesis_participant",'


def found_in(log, **how):
    """(index, check) of what the audit found first."""
    report = verify_ledger(log, **how)
    assert not report.is_good
    return report.first_bad.index, report.first_bad.check


def test_an_honest_log_is_good_and_counted(history, log):
    seen = []
    report = verify_ledger(log, progress=lambda done, total: seen.append((done, total)))
    assert report.is_good, report.first_bad
    head = history.executor.head
    assert (report.chain, report.size, report.height) == (history.chain, head.size, head.height)
    assert (report.operations, report.transactions) == (head.entries, head.transactions)
    assert seen[-1] == (head.size, head.size)
    assert len(history.leaves) > 3 * TILE_WIDTH


def test_the_replayed_history_holds_every_kind_of_leaf(history):
    for start in KINDS.values():
        find_leaf(history.leaves, start)


def test_the_report_is_json_with_the_figures_a_machine_wants(log):
    told = msgspec.json.decode(verify_ledger(log).to_json())
    assert told["good"] is True
    assert told["first_bad"] is None
    assert {
        "chain",
        "size",
        "height",
        "operations",
        "transactions",
        "seconds",
        "operations_per_second",
    } <= set(told)
    log.note = log.note.replace("\n", "\n\n", 1)
    told = msgspec.json.decode(verify_ledger(log).to_json())
    assert told["good"] is False
    assert set(told["first_bad"]) == {"index", "check", "detail"}


def test_the_collector_is_as_it_was_before(log):
    gc.enable()
    verify_ledger(log)
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


KINDS = {
    "genesis": GENESIS_START,
    "genesis participant": PARTICIPANT_START,
    "transaction": TRANSACTION_START,
    "entry": ENTRY_START,
    "system entry": SYSTEM_START,
    "block": BLOCK_START,
}


# Bits that rot.


@pytest.mark.parametrize("start", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_one_bit_in_a_leaf_is_found_at_that_leaf(history, log, start, seed):
    chance = random.Random(seed)
    index = chance.choice([at for at, leaf in enumerate(history.leaves) if leaf.startswith(start)])
    damage_leaf(log, history.leaves, index, chance.randrange(len(history.leaves[index])), chance.randrange(8))
    assert found_in(log) == (index, "LEAF_HASH_DIFFERS")


@pytest.mark.parametrize("seed", range(6))
def test_one_bit_in_the_length_of_a_leaf_is_found_at_that_leaf(history, log, seed):
    chance = random.Random(seed)
    index = chance.randrange(len(history.leaves))
    damage_leaf(log, history.leaves, index, chance.choice([-2, -1]), chance.randrange(8))
    assert found_in(log)[0] == index


@pytest.mark.parametrize("seed", range(8))
def test_one_bit_anywhere_in_the_last_bundle_is_found_without_its_tile(history, rewrite, seed):
    # A data directory stores no partial tile: there the rules and the checkpoint are all there is.
    log = rewrite(history.leaves, has_partial_tiles=False)
    chance = random.Random(seed)
    last = max(log.bundles)
    bundle = log.bundles[last]
    log.bundles[last] = flip(bundle, chance.randrange(len(bundle)), chance.randrange(8))
    index, _ = found_in(log)
    assert index is not None
    assert index >= last * TILE_WIDTH


def damage_leaf(log, leaves, index, place, bit):
    """Change a bit of the leaf, counted from its first byte: the two before it are its length."""
    first = index - index % TILE_WIDTH
    offset = sum(2 + len(leaf) for leaf in leaves[first:index]) + 2 + place
    log.bundles[index // TILE_WIDTH] = flip(log.bundles[index // TILE_WIDTH], offset, bit)


@pytest.mark.parametrize("seed", range(6))
def test_one_bit_in_a_leaf_hash_is_found_at_its_leaf(history, log, seed):
    chance = random.Random(seed)
    index = chance.randrange(len(history.leaves))
    tile = (0, index // TILE_WIDTH)
    log.tiles[tile] = flip(
        log.tiles[tile], index % TILE_WIDTH * 32 + chance.randrange(32), chance.randrange(8)
    )
    assert found_in(log) == (index, "LEAF_HASH_DIFFERS")


def test_one_bit_in_a_higher_tile_is_found_at_the_first_leaf_under_it(log):
    log.tiles[1, 0] = flip(log.tiles[1, 0], 2 * 32 + 5)
    assert found_in(log) == (2 * TILE_WIDTH, "TILE_DIFFERS")


#   what is missing, how it goes, index, check
MISSING = [
    ("a bundle", lambda log: log.bundles.pop(1), 256, "LEAVES_MISSING"),
    ("the end of a bundle", lambda log: shorten(log, 1, 2), 511, "LEAVES_MISSING"),
    ("a tile of leaf hashes", lambda log: log.tiles.pop((0, 2)), 512, "TILE_MISSING"),
    ("a higher tile", lambda log: log.tiles.pop((1, 0)), 0, "TILE_MISSING"),
]


def shorten(log, bundle, count):
    log.bundles[bundle] = log.bundles[bundle][:-count]


@pytest.mark.parametrize(("_what", "lose", "index", "check"), MISSING, ids=[row[0] for row in MISSING])
def test_what_is_missing_is_found(log, _what, lose, index, check):
    lose(log)
    assert found_in(log) == (index, check)


def test_a_leaf_too_many_in_a_bundle_is_found(log):
    log.bundles[0] += b"\x00\x02{}"
    assert found_in(log)[0] == TILE_WIDTH


def test_a_tail_that_was_cut_off_under_a_signed_checkpoint_is_found_at_its_first_leaf(history):
    whole = WrittenLog(history.leaves, origin=history.chain, has_partial_tiles=False)
    size = history.blocks[-3].head.size
    cut = WrittenLog(history.leaves[:size], origin=history.chain, has_partial_tiles=False)
    cut.note = whole.note
    assert found_in(cut) == (size, "LEAVES_MISSING")


def test_every_bit_of_the_checkpoint_counts(log):
    note = log.note.encode()
    for place in range(len(note)):
        log.note = flip(note, place, place % 8).decode("utf-8", "replace")
        report = verify_ledger(log)
        assert not report.is_good, (place, log.note)


def test_no_checkpoint_is_no_good_log(log):
    log.note = ""
    assert found_in(log) == (None, "CHECKPOINT_MISSING")


def test_a_checkpoint_signed_with_another_key_is_found(history):
    log = WrittenLog(history.leaves, origin=history.chain, signer=make_signer("somebody else"))
    assert found_in(log) == (None, "LOG_SIGNATURE_MISSING")


def test_a_checkpoint_over_another_root_is_found(history, log, leaves):
    leaves[-2] += b" "
    log.note = WrittenLog(leaves, origin=history.chain).note
    assert found_in(log) == (None, "CHECKPOINT_ROOT")


# What the auditor brings along.


def test_another_chain_than_the_pinned_one_is_found(history, log):
    assert verify_ledger(log, expected=Expected(chain=history.chain)).is_good
    other = history.chain[:-1] + ("0" if history.chain[-1] != "0" else "1")
    assert found_in(log, expected=Expected(chain=other)) == (0, "WRONG_CHAIN")


def test_a_policy_is_held_against_the_checkpoint(history, log):
    def policy_of(*names):
        return Policy.for_log(VerifierKey.for_log(history.chain, make_signer(*names).public))

    assert verify_ledger(log, expected=Expected(policy=policy_of("log"))).is_good
    assert found_in(log, expected=Expected(policy=policy_of("other"))) == (None, "LOG_SIGNATURE_MISSING")


def test_another_copy_of_the_genesis_is_found_at_the_leaf_that_differs(history, log):
    copy = history.origin.leaves
    assert verify_ledger(log, expected=Expected(genesis=copy)).is_good
    changed = (*copy[:2], copy[2].replace(b"name", b"nAme"), *copy[3:])
    assert found_in(log, expected=Expected(genesis=changed)) == (2, "GENESIS_COPY_DIFFERS")
    assert found_in(log, expected=Expected(genesis=copy[:-1])) == (len(copy) - 1, "GENESIS_COPY_DIFFERS")


def test_leaves_after_the_checkpoint_are_verified_and_told_apart(history):
    size = history.blocks[-2].head.size
    log = WrittenLog(history.leaves, origin=history.chain, has_partial_tiles=False, signed_size=size)
    report = verify_ledger(log)
    assert report.is_good, report.first_bad
    assert (report.size, report.unsigned_leaves) == (len(history.leaves), len(history.leaves) - size)
    last = max(log.bundles)
    log.bundles[last] = flip(log.bundles[last], len(log.bundles[last]) - 5)
    assert found_in(log)[0] == len(history.leaves) - 1


def test_the_state_that_comes_out_is_the_one_the_history_made(history):
    replay = Replay.begin(history.leaves)
    assert sum(1 for _ in replay) == history.executor.head.height
    for table in make_tables(replay.rulebook):
        assert replay.state.list_records(table) == history.state.list_records(table), table
