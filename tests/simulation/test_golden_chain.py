"""What was once decided stays decided: the golden chain replays to its recorded roots, everywhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.simulation.golden import CHAINS, Replay, read_golden, replay_golden

ELSEWHERE = {
    "another hash seed": {"PYTHONHASHSEED": "1"},
    "yet another hash seed": {"PYTHONHASHSEED": "4242"},
    "a day ahead": {"TZ": "Pacific/Kiritimati"},
    "half an hour off": {"TZ": "America/St_Johns"},
    "the C locale": {"LC_ALL": "C", "PYTHONUTF8": "0"},
    "a locale with its own letters": {"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"},
    "without assertions": {"PYTHONOPTIMIZE": "2"},
}


def ask(repository: Path, *arguments: str, **environment: str) -> str:
    """What the golden script says in another process."""
    told = subprocess.run(
        [sys.executable, "-m", "tests.simulation.golden", *arguments],
        cwd=repository,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert told.returncode == 0, told.stderr
    return told.stdout


@pytest.mark.parametrize("chain", CHAINS)
def test_a_golden_chain_replays_to_every_recorded_root(chain):
    blocks = 0
    for block, size, root in replay_golden(chain):
        assert (size, root) == (block.size, block.root)
        blocks += 1
    assert blocks > 20


@pytest.mark.parametrize(
    ("chain", "messages", "refusals", "rulebooks"), [("chain", 30, 40, {1}), ("voted", 40, 95, {1, 2})]
)
def test_a_golden_chain_holds_many_messages_and_many_refusals_of_one(chain, messages, refusals, rulebooks):
    genesis, blocks = read_golden(chain)
    replay = Replay(genesis)
    kinds: Counter[str] = Counter()
    codes: Counter[str] = Counter()
    versions = set()
    for block in blocks:
        for leaf in replay.execute(block.time, [json.loads(text) for text in block.transactions]):
            entry = json.loads(leaf)
            if "outcome" in entry:
                codes[entry["outcome"]["code"]] += 1
                kinds[entry["message"]["@type"]] += entry["outcome"]["code"] == "OK"
            elif entry["@type"] == "block":
                versions.add(entry["rulebook"])
    assert len(+kinds) >= messages
    assert len(codes) >= refusals
    assert versions == rulebooks


def test_a_changed_transaction_changes_the_root():
    genesis, blocks = read_golden("chain")
    replay = Replay(genesis)
    for number, block in enumerate(blocks):
        transactions = block.transactions[:-1] if number == 1 else block.transactions
        replay.execute(block.time, [json.loads(text) for text in transactions])
        assert (replay.root == block.root) == (number < 1)


@pytest.mark.parametrize("chain", CHAINS)
@pytest.mark.parametrize("environment", ELSEWHERE.values(), ids=ELSEWHERE)
def test_the_root_is_the_same_elsewhere(repository, environment, chain):
    _, blocks = read_golden(chain)
    expected = f"{blocks[-1].size} {blocks[-1].root}\n"
    assert ask(repository, "--replay", chain, **environment) == expected


@pytest.fixture(scope="module")
def drawn_here(repository) -> str:
    return ask(repository, "--drawn", "7", "1500", PYTHONHASHSEED="0", TZ="UTC")


@pytest.mark.parametrize("environment", [{"PYTHONHASHSEED": "77", "TZ": "Asia/Shanghai", "LC_ALL": "C"}])
def test_a_drawn_history_is_the_same_elsewhere(repository, drawn_here, environment):
    assert ask(repository, "--drawn", "7", "1500", **environment) == drawn_here
