"""Random histories, executed by the ledger and told by the model: the same bytes, and every promise held."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from contracts.mechanics.records import RETENTION
from contracts.messages.reject_codes import REJECT_CODES
from tests.properties.history import History
from tests.properties.landmarks import LANDMARKS, find_landmarks
from tests.properties.machine import Machine, StoredMachine, remember_little
from tests.properties.model import Model
from tests.properties.model_values import PARAMETERS
from tests.properties.promises import check_agreement, check_sums
from tests.properties.witness import Witness

SCALE = 10 if os.environ.get("COMMONPOINT_FULL") == "1" else 1
MESSAGES = 5_000 * SCALE
STORED_MESSAGES = 4_000 * SCALE
SEEDS = ((1, 480), (2, 0), (3, -210), (4, 840))
"""Seed and the chain's UTC offset in minutes."""
REFUSALS = {
    *("WRONG_CHAIN", "DIGEST_MISMATCH", "EXPIRED", "NOT_AFTER_TOO_FAR", "UNKNOWN_KEY", "KEY_NOT_VALID"),
    *("WRONG_PURPOSE", "SIGNATURE_INVALID", "ID_CONFLICT"),
}
"""What is refused of a transaction that could be read at all."""
OUT_OF_REACH = {
    "BALANCE_LIMIT": "a million messages of 10^9 points would get there; test_limits.py begins near it",
}


def show_difference(expected: list[bytes], found: list[bytes]) -> str:
    for number, (model, ledger) in enumerate(zip(expected, found, strict=False)):
        if model != ledger:
            return f"leaf {number} of the block\n  model:  {model.decode()}\n  ledger: {ledger.decode()}"
    return f"{len(expected)} leaves told, {len(found)} made"


def run(history: History, machine: Machine, messages: int, *, audit_every: int) -> None:
    """Blocks until so many messages were asked; model, ledger and witness after each."""
    model = history.model
    witness = Witness(history.genesis, model.chain)
    assert machine.origin.chain == model.chain
    blocks = asked = 0
    while asked < messages:
        time, transactions = history.draw_block()
        block = machine.execute(time, transactions)
        answers, leaves = model.execute(time, transactions)
        refusals = [answer.refusal and answer.refusal.code for answer in block.answers]
        assert refusals == [answer.refusal for answer in answers], transactions
        assert [answer.is_repeat for answer in block.answers] == [answer.is_repeat for answer in answers]
        if leaves != block.leaves:
            pytest.fail(f"height {model.height}, time {time}, {show_difference(leaves, block.leaves)}")
        if leaves:
            witness.read(leaves, time)
        blocks += 1
        if blocks % audit_every == 0:
            check_sums(machine)
        asked += sum(len(answer.outcomes) for answer in answers)
        history.learn(transactions, answers)
    check_sums(machine)
    check_agreement(machine, model, witness)
    assert witness.seen > messages // 50


@pytest.mark.parametrize(("seed", "offset"), SEEDS)
def test_the_ledger_writes_what_the_model_tells(seed, offset):
    print(f"seed {seed}, offset {offset}")
    history = History(seed, utc_offset_minutes=offset)
    run(history, Machine(history.genesis), MESSAGES, audit_every=1)


def test_the_ledger_on_disk_writes_what_the_model_tells(tmp_path: Path, monkeypatch):
    remember_little(monkeypatch)
    history = History(11)
    machine = StoredMachine(history.genesis, path=tmp_path / "ledger.db", log_seed=history.alliance.log_seed)
    twin = Machine(history.genesis)
    execute = machine.execute

    def execute_both(time, transactions):
        block = execute(time, transactions)
        assert twin.execute(time, transactions).leaves == block.leaves
        return block

    monkeypatch.setattr(machine, "execute", execute_both)
    run(history, machine, STORED_MESSAGES, audit_every=50)
    for table in twin.state._tables:
        kept, rows = machine.rows(table), twin.rows(table)
        there = {key for key, _ in kept}
        gone = [row for row in rows if row[0] not in there]
        assert all(may_be_gone(table, *row, model=history.model) for row in gone), table
        assert kept == [row for row in rows if row[0] in there], table
    machine.close()


def may_be_gone(table: str, key: str, record: Any, *, model: Model) -> bool:
    """Whether this is so old that no message can be about it any more."""
    if table == "transaction":
        return bool(record.not_after < model.time)
    today = model.block_at(model.time).day
    return table in RETENTION and int(key[:7]) < today - RETENTION[table]


def test_random_histories_reach_every_code_and_landmark():
    codes: Counter[str] = Counter()
    refusals: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    landmarks: set[str] = set()
    for seed, offset in SEEDS:
        history = History(seed, utc_offset_minutes=offset)
        asked = 0
        while asked < 5_000:
            time, transactions = history.draw_block()
            answers, leaves = history.model.execute(time, transactions)
            history.learn(transactions, answers)
            today = history.model.block_at(time).day
            for leaf in map(json.loads, (leaf for leaf in leaves if b'"code":"OK"' in leaf)):
                kinds[leaf["message"]["@type"]] += 1
                landmarks.update(find_landmarks(leaf["message"], leaf["outcome"], today))
            refusals.update("REPEAT" if answer.is_repeat else str(answer.refusal) for answer in answers)
            codes.update(outcome["code"] for answer in answers for outcome in answer.outcomes)
            asked += sum(len(answer.outcomes) for answer in answers)
    assert set(REJECT_CODES) - set(codes) == set(OUT_OF_REACH)
    assert set(codes) <= {"OK", *REJECT_CODES}
    assert {"REPEAT", *REFUSALS} <= set(refusals)
    assert len(kinds) == 30
    assert min(kinds.values()) >= 5
    assert landmarks == LANDMARKS
    assert codes["OK"] > sum(codes.values()) // 4


def test_the_model_has_the_parameters_of_the_page(repository: Path):
    page = (repository / "docs/spec/messages.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z_]+)` \| ([\d,]+) \| ([\d,]+) … ([\d,^]+) \|", page, re.MULTILINE)

    def number(text: str) -> int:
        base, _, power = text.replace(",", "").partition("^")
        return int(base) ** int(power or 1)

    assert {name: tuple(map(number, values)) for name, *values in rows} == PARAMETERS
