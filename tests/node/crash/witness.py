"""What a stranger finds after a crash: the files as they were left, the node that starts over them, and
whether every answer that was given still holds.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

from ledger.codec import from_base64url
from ledger.leaves import TRANSACTION_LEAF_DECODER, TRANSACTION_START
from ledger.log.merkle import compute_leaf_hashes, compute_root
from ledger.log.note import VerifierKey, open_note, parse_checkpoint
from node.audit.invariants import verify_invariants
from node.audit.replay import Replay
from node.audit.verify import Expected, verify_ledger
from node.core import NodeCore
from node.storage.snapshot import Snapshot
from node.storage.store import open_store
from tests.node.crash.trade import Trade
from tests.node.engine.town import RULEBOOK, Town, points_of, run_clock, submit, submit_all


class Left(NamedTuple):
    """What a process left behind in its database."""

    leaves: list[bytes]
    signed_size: int
    """The size of the stored checkpoint; -1 where there is none."""
    folded_size: int


def read_diary(path: Path) -> list[dict[str, Any]]:
    """The lines that were written whole."""
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def answers_in(diary: list[dict[str, Any]]) -> dict[int, tuple[Any, ...]]:
    """Number → what was acknowledged."""
    return {
        line["number"]: (line["height"], line["index"], line["time"], tuple(line["outcomes"]))
        for line in diary
        if "outcomes" in line
    }


def read_left(town: Town, scratch: Path) -> Left:
    """What stands in a copy of the files, so that nothing was done to them when the node starts.

    The stored checkpoint is ours, never ahead of the leaves, and has the root of the leaves below it.
    """
    is_file = isinstance(town.database, Path)
    if is_file:
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.copytree(town.database.parent, scratch)
    # A server's crash is not what is looked at here: it is asked by one that cannot write.
    place = scratch / town.database.name if is_file else town.database
    store = open_store(place, RULEBOOK, is_reader=not is_file)
    try:
        size = store.log.size
        leaves = store.log.read_leaves(0, size) if size else []
        note = store.log.read_note()
        mark = store.fold.read_mark()
        blocks = store.log.list_blocks()
    finally:
        store.close()
        shutil.rmtree(scratch, ignore_errors=True)
    assert len(leaves) == size
    assert (mark or 0) <= size
    if blocks:
        assert blocks[-1][0] == size - 1, "the log ends with a block leaf: nothing is torn"
    if note is None:
        return Left(leaves, -1, mark or 0)
    check_checkpoint(town, note[1], leaves)
    return Left(leaves, note[0], mark or 0)


def check_checkpoint(town: Town, note: str, leaves: list[bytes]) -> int:
    """It is signed by the chain's key over the root of that many of these leaves: its size."""
    key = VerifierKey.for_log(town.chain, from_base64url(town.origin.settings.log_key, size=32))
    checkpoint = parse_checkpoint(open_note(note, [key]).body)
    assert checkpoint.origin == town.chain
    assert checkpoint.size <= len(leaves), "a checkpoint is ahead of the durable log"
    assert compute_root(compute_leaf_hashes(leaves[: checkpoint.size])) == checkpoint.root
    return checkpoint.size


def check_replay(town: Town, core: NodeCore, leaves: list[bytes]) -> Replay:
    """Executed again from the genesis on, the log comes out the same, and so does what the node knows."""
    replay = Replay.begin(iter(leaves))
    for _ in replay:
        pass
    assert replay.head == core.head
    assert check_checkpoint(town, core.checkpoint, leaves) == len(leaves)
    verify_invariants(replay.state)
    for table in ("account", "position", "tally", "supply", "grant", "participant"):
        for key, record in replay.state.list_records(table):
            assert core.get_record(table, key) == record, (table, key)
    return replay


def check_taken_once(town: Town, leaves: list[bytes]) -> set[tuple[str, str]]:
    """No id of a sender stands in the log twice: those that do stand there."""
    found = [
        TRANSACTION_LEAF_DECODER.decode(leaf).header for leaf in leaves if leaf.startswith(TRANSACTION_START)
    ]
    ids = [(header.sender, header.id) for header in found]
    assert len(ids) == len(set(ids))
    assert all(header.chain == town.chain for header in found)
    return set(ids)


def check_recovered(town: Town, trade: Trade, diary: list[dict[str, Any]], left: Left) -> None:
    """All that was promised before the crash holds after it, and asking for it again does nothing twice."""
    answered = answers_in(diary)
    core = town.open(clock=run_clock())
    try:
        assert core.is_ready
        leaves = core.read_leaves(0, core.head.size)
        assert leaves == left.leaves, "a start changes nothing in the log"
        check_taken_once(town, leaves)
        for line in diary:
            if "checkpoint" in line:
                check_checkpoint(town, line["checkpoint"], leaves)
        check_replay(town, core, leaves)
        first = send_again(core, trade)
        for number, answer in answered.items():
            assert first[number] == answer, number
        leaves = core.read_leaves(0, core.head.size)
        assert len(check_taken_once(town, leaves)) == len(trade.all)
        assert {member: points_of(core, member) for member in trade.points} == trade.points
        assert send_again(core, trade) == first
        assert core.head.size == len(leaves)
        check_replay(town, core, leaves)
    finally:
        core.stop()
    with Snapshot(town.database) as snapshot:
        report = verify_ledger(snapshot, expected=Expected(chain=town.chain), stored=snapshot)
    assert report.first_bad is None, report.first_bad
    core = town.open(clock=run_clock())
    try:
        assert send_again(core, trade) == first
        assert core.head.size == len(leaves)
    finally:
        core.stop()


def send_again(core: NodeCore, trade: Trade) -> dict[int, tuple[Any, ...]]:
    """The same bytes once more, by number what was answered."""
    taken = [submit(core, data) for data in trade.begin] + submit_all(core, trade.rest)
    return {
        number: (each.height, each.index, each.time, tuple(outcome.decode() for outcome in each.outcomes))
        for number, each in enumerate(taken)
    }
