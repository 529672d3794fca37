"""What a node keeps in memory is a matter of speed: however little it remembers, however often it folds,
whatever it fetches ahead and whenever it is started again, the same blocks come to the same root.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import pytest

from ledger.state import State
from node.audit.replay import Replay
from tests.conftest import FULL
from tests.node.engine.story import Story
from tests.node.engine.town import OUTCOMES, Town

SEEDS = (0, 2, 3, 4, 5, 6) if FULL else (0,)
"""Of stories that have something of everything: in that of 1 nobody gets round to an exchange."""
DAYS = 400 if FULL else 90


class Way(NamedTuple):
    """How a node keeps its state."""

    remembered: int
    fold_records: int
    prefetches: bool
    restart_every: int
    """Blocks between two starts; 0 = never."""


WAYS = {
    "remembers nothing, folds after every block": Way(0, 1, prefetches=True, restart_every=0),
    "remembers a little, folds now and then": Way(7, 40, prefetches=True, restart_every=0),
    "fetches nothing ahead": Way(0, 1, prefetches=False, restart_every=0),
    "starts again and again, folded": Way(0, 1, prefetches=True, restart_every=9),
    "starts again and again": Way(400_000, 60_000, prefetches=True, restart_every=13),
}


def hear(folder, story: list, *, way: Way | None) -> tuple[list[str], list[bytes]]:
    """The checkpoint after each block, and all leaves."""
    folder.mkdir()
    town = Town(folder, kind="simulated")
    core = town.open()
    checkpoints = []
    for number, (time, transactions) in enumerate(story):
        if way is not None and way.restart_every and number % way.restart_every == 0:
            core.stop()
            core = town.open()
        for data in transactions:
            core.submit(data)
        core.cut_block(time)
        checkpoints.append(core.checkpoint)
    leaves = core.read_leaves(0, core.head.size)
    town.close()
    return checkpoints, leaves


@pytest.fixture(scope="module", params=SEEDS)
def told(request, tmp_path_factory):
    """A story, and what a node made of it that kept everything in memory and never folded on the way."""
    folder = tmp_path_factory.mktemp("story")
    story = list(Story(Town(folder, kind="simulated"), request.param).tell(days=DAYS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("node.engine.solo._QUIET_SECONDS", 60.0)
        checkpoints, leaves = hear(folder / "ledger", story, way=None)
    return folder, story, checkpoints, leaves


def test_the_story_has_something_of_everything(told):
    _, _, _, leaves = told
    codes: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for block in Replay.begin(leaves):
        for transaction, answer in zip(block.recorded.transactions, block.executed.answers, strict=True):
            for message, outcome in zip(transaction.messages, answer.outcomes, strict=True):
                code = OUTCOMES.decode(outcome).code
                codes[code] += 1
                if code == "OK":
                    kinds[type(message).__name__] += 1
        for message in block.executed.system:
            kinds[type(message).__name__] += 1
    assert {"Earn", "Redeem", "Exchange", "Expire", "Enrol", "RevokeGrant", "SetMemberChoice"} <= set(kinds)
    assert {"ReplaceMemberKey", "AddMemberKey", "Grant", "AddKey", "SetParameter"} <= set(kinds)
    assert {"RevokeKey", "AnnouncePar"} <= set(kinds)
    assert {"Hold", "Capture", "Release", "Lapse", "Refund", "ReturnOrder", "Award"} <= set(kinds)
    assert {"Gift", "Adjust", "ImportBalance", "SetPolicy", "SetTillLimits", "SetDebitCap"} <= set(kinds)
    assert {"ALREADY_DONE", "REFERENCE_CONFLICT", "ATOMIC_ABORTED", "INSUFFICIENT_POINTS"} <= set(codes)
    assert {"CONSENT_USED", "GRANT_MISSING", "GRANT_EXPIRED", "KEY_EXISTS", "QUOTE_EXPIRED"} <= set(codes)


@pytest.mark.parametrize("name", WAYS)
def test_the_root_does_not_depend_on_what_is_remembered(told, monkeypatch, name):
    folder, story, checkpoints, leaves = told
    way = WAYS[name]
    monkeypatch.setattr("node.folding.REMEMBERED_RECORDS_MAX", way.remembered)
    monkeypatch.setattr("node.folding.FOLD_RECORDS_MAX", way.fold_records)
    if not way.prefetches:
        monkeypatch.setattr(State, "prefetch", lambda _state, wanted: list(wanted))
    found = hear(folder / name, story, way=way)
    assert found[1] == leaves
    assert found[0] == checkpoints


def test_an_auditor_who_keeps_everything_comes_to_the_same(told):
    *_, leaves = told
    heads = [block.executed.head for block in Replay.begin(leaves)]
    assert heads[-1].size == len(leaves)
