"""Look-ups answer the same wherever their rows are: in memory, on their way to the disk, in segments on it.

What they must answer is worked out from the leaves alone, by reading every one of them.
"""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from contracts.messages import Message, SystemMessage
from ledger.leaves import (
    ENTRY_DECODER,
    ENTRY_START,
    SYSTEM_DECODER,
    SYSTEM_START,
    TRANSACTION_LEAF_DECODER,
    TRANSACTION_START,
)
from tests.node.engine.gate import Gate
from tests.node.engine.story import Story
from tests.node.engine.town import Town

SEGMENT_BITS = 6
"""Sixty-four leaves a segment: a story fills some twenty."""
MESSAGES = msgspec.json.Decoder(Message | SystemMessage)


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """Time and transactions of each block."""
    return list(Story(Town(tmp_path_factory.mktemp("town"), kind="simulated"), 4).tell(days=60))


class Truth:
    """What the leaves themselves say."""

    def __init__(self, core) -> None:
        self.history: dict[str, list[tuple[int, set[str]]]] = {}
        self.references: dict[tuple[str, str], list[int]] = {}
        self.transactions: dict[tuple[str, str], tuple[str, int]] = {}
        sender = ""
        for index, leaf in enumerate(core.read_leaves(0, core.head.size)):
            if leaf.startswith(TRANSACTION_START):
                header = TRANSACTION_LEAF_DECODER.decode(leaf).header
                sender = header.sender
                self.transactions[sender, header.id] = (header.digest, index)
            elif leaf.startswith(ENTRY_START):
                self._add(index, MESSAGES.decode(ENTRY_DECODER.decode(leaf).message), sender)
            elif leaf.startswith(SYSTEM_START):
                message = MESSAGES.decode(SYSTEM_DECODER.decode(leaf).message)
                self._add(index, message, getattr(message, "sender", ""))

    def _add(self, index: int, message: Any, sender: str) -> None:
        concerned: dict[str, set[str]] = {}
        if hasattr(message, "member"):
            concerned.setdefault(message.member, set()).add(getattr(message, "program", ""))
        if hasattr(message, "recipient"):
            concerned.setdefault(message.recipient, set()).add(getattr(message, "target", message.program))
        for member, programs in concerned.items():
            self.history.setdefault(member, []).append((index, programs))
        # An entry is found by the reference it takes, and by that of the order it completes or undoes.
        for name in {getattr(message, field, None) for field in ("reference", "original", "hold")}:
            if sender and name is not None:
                self.references.setdefault((sender, name), []).append(index)

    def find_history(self, member: str, program: str | None, before: int, limit: int) -> list[int]:
        found = [
            index
            for index, programs in self.history.get(member, ())
            if index < before and (program is None or program in programs)
        ]
        return sorted(found, reverse=True)[:limit]


def check(core) -> None:
    truth, draw = Truth(core), random.Random(2)
    assert len(truth.history) > 10
    assert len(truth.references) > 30
    size = core.head.size
    for member in [*truth.history, "m_" + "0" * 26]:
        for program in (None, "leaf", "other"):
            everything = core.find_history(member, program, None, 10**6)
            assert everything == truth.find_history(member, program, size, 10**6)
            before, limit = draw.randint(0, size + 9), draw.choice((1, 2, 7, 50))
            expected = truth.find_history(member, program, before, limit)
            assert core.find_history(member, program, before, limit) == expected
        assert turn_pages(core, member, "leaf", limit=5) == core.find_history(member, "leaf", None, 10**6)
    for (sender, reference), indexes in truth.references.items():
        assert core.find_order(sender, reference) == indexes
        assert core.find_order(sender + "x", reference) == []
    for (sender, name), (digest, index) in truth.transactions.items():
        found, taken = core.find_transaction(sender, name)
        assert (found, taken.index) == (digest, index)
        leaf = core.read_leaves(index, index + 1)[0]
        shape = TRANSACTION_LEAF_DECODER.decode(leaf)
        assert (taken.height, taken.time, len(taken.outcomes)) == (
            shape.height,
            shape.time,
            shape.header.count,
        )
        entries = core.read_leaves(index + 1, index + 1 + shape.header.count)
        assert [bytes(ENTRY_DECODER.decode(entry).outcome) for entry in entries] == list(taken.outcomes)
    assert core.find_transaction("fresh-market", "never-sent") is None


def turn_pages(core, member: str, program: str | None, *, limit: int) -> list[int]:
    """All of a history as somebody reads it who turns pages."""
    found: list[int] = []
    before = None
    while page := core.find_history(member, program, before, limit):
        found += page
        before = page[-1]
    return found


def hear(core, blocks) -> None:
    for time, transactions in blocks:
        for data in transactions:
            core.submit(data)
        core.cut_block(time)


@pytest.fixture(autouse=True)
def segments(monkeypatch):
    """Small segments, and no fold but those a test asks for."""
    monkeypatch.setattr("node.storage.lookups.SEGMENT_BITS", SEGMENT_BITS)
    monkeypatch.setattr("node.storage.chunks.SEGMENT_BITS", SEGMENT_BITS)
    monkeypatch.setattr("node.engine.solo._QUIET_SECONDS", 60.0)


@pytest.mark.parametrize("share", [0, 1, 50, 100], ids=lambda share: f"{share}% folded")
def test_look_ups_merge_what_is_folded_and_what_is_not(kept_told_town, story, dose, share):
    if dose < 60 and share != 50:
        pytest.skip("a long run: scripts/test --full")
    core = kept_told_town.open()
    at = len(story) * share // 100
    hear(core, story[:at])
    core._chain.fold_all()
    hear(core, story[at:])
    assert core.head.size >> SEGMENT_BITS > 10
    check(core)
    core.stop()
    check(kept_told_town.open())


def test_look_ups_find_what_is_on_its_way_to_the_disk(kept_told_town, story):
    core = kept_told_town.open(on_step=(gate := Gate()))
    third = len(story) // 3
    hear(core, story[:third])
    core._chain.fold_all()
    hear(core, story[third : 2 * third])
    # The fold is written and nobody has been told so yet: its rows are in memory and on the disk at once.
    gate.close("folded")
    core._chain.begin_fold()
    with gate.held():
        hear(core, story[2 * third :])
        check(core)
    core._chain.fold_all()
    check(core)


def test_look_ups_made_again_from_the_log_are_the_same(kept_told_town, story):
    core = kept_told_town.open()
    hear(core, story)
    core.stop()
    core = kept_told_town.open()
    rows = core._chain.store.lookups.list_rows()
    core._chain.store.fold.clear()
    core.stop()
    core = kept_told_town.open()
    again = core._chain.store.lookups.list_rows()
    for one, other in ((rows.history, again.history), (rows.references, again.references)):
        assert sorted(one) == sorted(other)
    assert rows.transactions == again.transactions
    assert len(list(rows.history)) > 250
    check(core)
