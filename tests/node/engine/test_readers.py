"""Reading while blocks are made: every answer is of a moment there was, and every proof holds."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from ledger.codec import from_base64url
from ledger.leaves import BLOCK_START
from ledger.log import merkle
from ledger.log.note import Checkpoint, VerifierKey, open_note, parse_checkpoint
from ledger.log.tiles import TILE_WIDTH, HashTree, encode_bundle
from tests.conftest import FULL
from tests.contracts.cast import FRESH, PETROL, member_id
from tests.node.engine.gate import Gate
from tests.node.engine.town import codes_of, run_clock, run_threads, submit

MEMBERS = 6
BLOCKS = 400 if FULL else 40
SIZES = (1, 3, 40, 300)
"""Messages a transaction: some fill tiles, some do not."""


@pytest.fixture
def few_tiles(monkeypatch):
    """A tree that keeps one tile at hand: every other one is read from the disk."""
    restore = HashTree.restore.__func__

    def restore_small(cls: Any, **how: Any) -> HashTree:
        return restore(cls, **{**how, "cached_tiles": 1})

    monkeypatch.setattr(HashTree, "restore", classmethod(restore_small))


class Reader:
    """Everything that anybody may read, checked as its reader would check it."""

    def __init__(self, core, town, seed: int) -> None:
        self.core = core
        self._key = VerifierKey.for_log(town.chain, from_base64url(town.origin.settings.log_key, size=32))
        self._draw = random.Random(seed)
        self._trusted: Checkpoint | None = None
        self._points: dict[int, int] = {}

    def check_note(self, note: str) -> Checkpoint:
        return parse_checkpoint(open_note(note, [self._key]).body)

    def read_proof(self) -> None:
        core, draw = self.core, self._draw
        size = core.head.size
        first = draw.randrange(size)
        end = draw.randint(first + 1, min(size, first + 600))
        trusted = self._trusted
        proofs = core.prove(first=first, end=end, trusted_size=trusted.size if trusted else None)
        checkpoint = self.check_note(proofs.checkpoint)
        assert checkpoint.size >= size
        hashes = merkle.compute_leaf_hashes(core.read_leaves(first, end))
        merkle.verify_range(
            first=first, leaves=hashes, size=checkpoint.size, proof=proofs.proof, root=checkpoint.root
        )
        if trusted is not None:
            merkle.verify_consistency(
                old=trusted.size,
                old_root=trusted.root,
                new=checkpoint.size,
                new_root=checkpoint.root,
                proof=proofs.consistency,
            )
        if trusted is None or draw.random() < 0.2:
            self._trusted = checkpoint

    def read_receipt(self) -> None:
        index = self._draw.randrange(self.core.head.size)
        note, proof = self.core.prove_entry(index)
        checkpoint = self.check_note(note)
        (leaf,) = self.core.read_leaves(index, index + 1)
        merkle.verify_inclusion(
            leaf=merkle.leaf_hash(leaf), index=index, size=checkpoint.size, proof=proof, root=checkpoint.root
        )

    def read_tiles(self) -> None:
        core = self.core
        checkpoint = self.check_note(core.checkpoint)
        index, width = divmod(checkpoint.size, TILE_WIDTH)
        if index and (not width or self._draw.random() < 0.5):
            index, width = self._draw.randrange(index), TILE_WIDTH
        bundle = core.read_bundle(index, width)
        leaves = core.read_leaves(index * TILE_WIDTH, index * TILE_WIDTH + width)
        assert bundle == encode_bundle(leaves)
        assert core.read_tile(0, index, width) == b"".join(merkle.compute_leaf_hashes(leaves))
        beyond = core.head.size // TILE_WIDTH + 5_000
        assert core.read_bundle(beyond, 1) is None
        assert core.read_tile(0, beyond, 1) is None

    def read_records(self) -> None:
        core = self.core
        member = self._draw.randint(1, MEMBERS)
        account = core.get_record("account", f"{member_id(member)}|leaf")
        points = account.points if account else 0
        assert points == sum(lot.points for lot in account.lots) if account else True
        assert points >= self._points.get(member, 0), "points that were read are there to stay"
        self._points[member] = points
        positions = core.list_records("position")
        assert sum(micros for _, micros in positions) == 0
        assert [name for name, _ in core.list_records("program")] == ["leaf", "mile"]
        assert len(core.list_records("grant")) == 4

    def read_lookups(self) -> None:
        core = self.core
        member = member_id(self._draw.randint(1, MEMBERS))
        size = core.head.size
        before = self._draw.choice((None, size, self._draw.randint(1, size)))
        found = core.find_history(member, "leaf", before, 50)
        assert found == sorted(set(found), reverse=True)
        for index in found[:3]:
            assert before is None or index < before
            (leaf,) = core.read_leaves(index, index + 1)
            assert member.encode() in leaf
        block = core.find_block(self._draw.randrange(len(core.origin.leaves), size))
        assert core.read_leaves(block[0], block[0] + 1)[0].startswith(BLOCK_START)

    def read(self) -> None:
        for read in (
            self.read_proof,
            self.read_receipt,
            self.read_tiles,
            self.read_records,
            self.read_lookups,
        ):
            read()


def trade(core, town, *, sender: str, blocks: int, seen: dict[str, Any]) -> None:
    draw = random.Random(sender)
    for number in range(blocks):
        size = draw.choice(SIZES)
        messages = [
            town.earn(number * 1000 + each, member=draw.randint(1, MEMBERS), sender=sender)
            for each in range(size)
        ]
        name = f"{sender}-{number}"
        data = town.sign(sender, name, *messages)
        taken = submit(core, data)
        assert codes_of(taken) == {"OK"}
        # Whoever was answered can look it up at once, and has the proof for it.
        assert core.find_transaction(sender, name)[1] == taken
        core.prove(first=taken.index, end=taken.index + 1 + size, trusted_size=None)
        assert core.find_order(sender, messages[-1].reference) == [taken.index + size]
        seen[name] = taken


@pytest.mark.usefixtures("few_tiles")
@pytest.mark.parametrize("fold_records", [60_000, 50], ids=["seldom folded", "often folded"])
def test_whatever_is_read_while_blocks_are_made_holds(town, monkeypatch, fold_records):
    monkeypatch.setattr("node.folding.FOLD_RECORDS_MAX", fold_records)
    core = town.open(clock=run_clock())
    town.settle(core, members=MEMBERS)
    is_over = threading.Event()
    seen: dict[str, Any] = {}
    reads: list[int] = []

    def read(seed: int) -> None:
        reader = Reader(core, town, seed)
        while not is_over.is_set():
            reader.read()
            reads.append(seed)

    def write() -> None:
        try:
            run_threads(
                *[
                    lambda sender=sender: trade(core, town, sender=sender, blocks=BLOCKS, seen=seen)
                    for sender in (FRESH, PETROL)
                ]
            )
        finally:
            is_over.set()

    readers: list[Callable[[], None]] = [lambda seed=seed: read(seed) for seed in range(3)]
    run_threads(write, *readers)
    assert set(reads) == {0, 1, 2}
    assert len(seen) == 2 * BLOCKS
    for reader in (Reader(core, town, seed) for seed in range(3)):
        reader.read()


@pytest.mark.usefixtures("few_tiles")
@pytest.mark.parametrize("step", ["executed", "appended", "committed", "signed"])
def test_in_the_middle_of_a_commit_readers_see_the_block_before(town, step):
    gate = Gate()
    core = town.open(on_step=gate)
    town.settle(core, members=MEMBERS)
    reader = Reader(core, town, 1)
    head, checkpoint = core.head, core.checkpoint
    history = core.find_history(member_id(2), None, None, 5)
    assert len(history) == 1
    gate.close(step)
    # Three tiles become full in this block, and the readers below need them for proofs of the size before.
    messages = [town.earn(number, member=2) for number in range(800)]
    future = core.submit(town.sign(FRESH, "large", *messages))
    with gate.held():
        for _ in range(20):
            reader.read_proof()
            reader.read_receipt()
            reader.read_tiles()
        assert (core.head, core.checkpoint) == (head, checkpoint)
        assert reader.check_note(core.checkpoint).size == head.size
        assert core.find_transaction(FRESH, "large") is None
        assert core.find_order(FRESH, messages[0].reference) == []
        assert core.find_history(member_id(2), None, None, 5) == history
        assert core.find_block(head.size) is None
        assert core.read_bundle(head.size // TILE_WIDTH, head.size % TILE_WIDTH + 1) is None
        assert core.read_tile(0, head.size // TILE_WIDTH, head.size % TILE_WIDTH + 1) is None
    assert codes_of(future.result(10)) == {"OK"}
    for _ in range(5):
        reader.read()


def test_what_was_revoked_is_in_no_list_although_the_fold_has_it_still(town):
    from contracts.messages import RevokeGrant

    core = town.open()
    town.settle(core)
    names = [key for key, _ in core.list_records("grant")]
    core.stop()
    core = town.open()
    submit(core, town.sign(FRESH, "revoke", RevokeGrant(kind="earn", program="leaf", to=PETROL)))
    assert core.get_record("grant", f"leaf|{PETROL}|earn") is None
    assert [key for key, _ in core.list_records("grant")] == [
        name for name in names if not name.endswith("|earn")
    ]


def test_a_threads_connection_goes_with_the_thread(town):
    core = town.open()
    town.settle(core)
    pool = core._chain.store._databases[1].engine.pool
    for _ in range(60):
        run_threads(lambda: core.find_history(member_id(1), None, None, 5))
    assert pool.checkedout() < 30
