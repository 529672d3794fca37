"""Random histories, executed by the ledger and told by the model: the same bytes, and every promise held."""

from __future__ import annotations

import json
import os
import pickle
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from contracts.mechanics.tables import RETENTION
from contracts.messages.reject_codes import REJECT_CODES
from tests.properties.history import History
from tests.properties.landmarks import LANDMARKS, find_landmarks
from tests.properties.machine import Machine, StoredMachine, remember_little
from tests.properties.model import Answer, Model
from tests.properties.model_values import PARAMETERS
from tests.properties.promises import check_agreement, check_signed, check_sums
from tests.properties.promises_of_settlement import check_unsettled, check_windows, watch_limits
from tests.properties.witness import Witness

SCALE = 5 if os.environ.get("COMMONPOINT_FULL") == "1" else 1
MESSAGES = 10_000
STORED_MESSAGES = 4_000 * SCALE
CHAINS = ((480, False, 0), (0, True, 7), (-210, True, 0), (840, False, 3), (60, True, 1))
"""Offset from UTC in minutes, whether there is a constitution, days between cuts (0: only when told)."""
SEEDS = tuple((seed, *CHAINS[seed % len(CHAINS)]) for seed in range(1, 10 * SCALE + 1))
"""Histories of 10,000 messages each: many of them, since in one that grows long less and less is new."""
REFUSALS = {
    *("WRONG_CHAIN", "DIGEST_MISMATCH", "EXPIRED", "NOT_AFTER_TOO_FAR", "UNKNOWN_KEY", "KEY_NOT_VALID"),
    *("WRONG_PURPOSE", "SIGNATURE_INVALID", "ID_CONFLICT"),
}
"""What is refused of a transaction that could be read at all."""
OUT_OF_REACH = {
    "TOO_MANY_WINDOWS": "nobody cuts 128 before one is settled; tests/contracts/test_attacks_step4.py does",
    "BALANCE_LIMIT": "a million messages of 10^9 points would get there; test_limits.py begins near it",
}


def show_difference(expected: list[bytes], found: list[bytes]) -> str:
    for number, (model, ledger) in enumerate(zip(expected, found, strict=False)):
        if model != ledger:
            return f"leaf {number} of the block\n  model:  {model.decode()}\n  ledger: {ledger.decode()}"
    return f"{len(expected)} leaves told, {len(found)} made"


def run(
    history: History, machine: Machine, messages: int, *, audit_every: int, replays: bool = False
) -> Reached:
    """Blocks until so many messages were asked; model, ledger and witness after each."""
    model = history.model
    witness = Witness(history.genesis, model.chain)
    watch_limits(model)
    reached = Reached()
    blocks_of_leaves: list[list[bytes]] = []
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
            blocks_of_leaves.append(leaves)
            reached.see(leaves, answers, model.block_at(time).day)
            if isinstance(machine, StoredMachine):
                check_signed(machine.chain.checkpoint, model)
        blocks += 1
        if blocks % audit_every == 0:
            check_sums(machine)
            check_unsettled(model)
        asked += sum(len(answer.outcomes) for answer in answers)
        history.learn(transactions, answers)
    check_sums(machine)
    check_agreement(machine, model, witness)
    check_windows(machine, model, witness)
    if replays:
        check_replayed(machine, Machine(history.genesis), blocks_of_leaves)
    assert witness.seen > messages // 80
    return reached


def check_replayed(machine: Machine, fresh: Machine, blocks: list[list[bytes]]) -> None:
    """Who has nothing but the log writes the same leaves and has the same statements."""
    for leaves in blocks:
        *leading, last = map(json.loads, leaves)
        transactions: list[dict[str, Any]] = []
        for leaf in leading:
            if leaf["@type"] == "transaction":
                signed = {"header": leaf["header"], "messages": [], "signature": leaf["signature"]}
                transactions.append(signed)
            elif leaf["@type"] == "entry":
                transactions[-1]["messages"].append(leaf["message"])
        assert fresh.execute(last["time"], transactions).leaves == leaves
    assert fresh.rows("statement") == machine.rows("statement")
    assert fresh.rows("window") == machine.rows("window")


def make_history(seed: int, offset: int, is_constituted: bool, window_days: int) -> History:
    return History(seed, utc_offset_minutes=offset, is_constituted=is_constituted, window_days=window_days)


class Reached:
    """What a history has come through."""

    def __init__(self) -> None:
        self.codes: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.landmarks: set[str] = set()

    def see(self, leaves: list[bytes], answers: list[Answer], today: int) -> None:
        for leaf in map(json.loads, leaves[:-1]):
            if "outcome" not in leaf:
                continue
            message, outcome = leaf["message"], leaf["outcome"]
            self.codes[outcome["code"]] += 1
            if outcome["code"] == "OK":
                self.kinds[message["@type"]] += 1
                self.landmarks.update(find_landmarks(message, outcome, today))
        self.refusals.update("REPEAT" if answer.is_repeat else str(answer.refusal) for answer in answers)


Chain = tuple[int, int, bool, int]


@pytest.fixture(scope="module")
def tell(tmp_path_factory) -> Callable[[Chain], Reached]:
    """Tells a history in ledger and model, once for whoever asks, also in another worker of this run."""
    base = tmp_path_factory.getbasetemp()
    shelf = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "histories"
    shelf.mkdir(exist_ok=True)

    def tell(chain: Chain) -> Reached:
        file = shelf / f"{chain[0]}"
        reached = Reached()
        if file.exists():
            vars(reached).update(pickle.loads(file.read_bytes()))
            return reached
        history = make_history(*chain)
        machine = Machine(history.genesis)
        reached = run(history, machine, MESSAGES, audit_every=15, replays=chain[0] <= 2)
        # It is there whole or not at all.
        draft = shelf / f"{chain[0]}-{os.getpid()}"
        draft.write_bytes(pickle.dumps(vars(reached)))
        draft.rename(file)
        return reached

    return tell


@pytest.mark.parametrize("chain", SEEDS)
def test_the_ledger_writes_what_the_model_tells(tell, chain):
    print(f"seed, offset, constitution, window days: {chain}")
    assert tell(chain).codes["OK"] > MESSAGES // 5


def test_the_ledger_on_disk_writes_what_the_model_tells(tmp_path: Path, monkeypatch):
    remember_little(monkeypatch)
    history = make_history(11, 480, True, 7)
    alliance = history.alliance
    machine = StoredMachine(
        history.genesis,
        path=tmp_path / "ledger.db",
        log_seed=alliance.log_seed,
        find_seed=alliance.find_seed,
    )
    twin = Machine(history.genesis)
    execute = machine.execute

    def execute_both(time, transactions):
        block = execute(time, transactions)
        assert twin.execute(time, transactions).leaves == block.leaves
        return block

    monkeypatch.setattr(machine, "execute", execute_both)
    run(history, machine, STORED_MESSAGES, audit_every=50, replays=True)
    for table in twin.state._tables:
        kept, rows = machine.rows(table), twin.rows(table)
        there = {key for key, _ in kept}
        gone = [row for row in rows if row[0] not in there]
        assert all(may_be_gone(table, *row, model=history.model) for row in gone), table
        assert kept == [row for row in rows if row[0] in there], table
    assert machine.signers > 1
    machine.close()


def may_be_gone(table: str, key: str, record: Any, *, model: Model) -> bool:
    """Whether this is so old that no message can be about it any more."""
    if table == "transaction":
        return bool(record.not_after < model.time)
    today = model.block_at(model.time).day
    return table in RETENTION and int(key[:7]) < today - RETENTION[table]


def test_random_histories_reach_every_code_and_landmark(tell):
    reached = [tell(chain) for chain in SEEDS[:10]]
    codes = sum((each.codes for each in reached), Counter())
    kinds = sum((each.kinds for each in reached), Counter())
    assert set(REJECT_CODES) - set(codes) == set(OUT_OF_REACH)
    assert set(codes) <= {"OK", *REJECT_CODES}
    assert {"REPEAT", *REFUSALS} <= {name for each in reached for name in each.refusals}
    assert len(kinds) == 43
    assert min(kinds.values()) >= 5
    assert {name for each in reached for name in each.landmarks} == LANDMARKS
    assert codes["OK"] > sum(codes.values()) // 4


def test_the_model_has_the_parameters_of_the_page(repository: Path):
    page = (repository / "docs/spec/messages.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `([a-z_]+)` \| ([\d,]+) \| ([\d,]+) … ([\d,^]+) \|", page, re.MULTILINE)

    def number(text: str) -> int:
        base, _, power = text.replace(",", "").partition("^")
        return int(base) ** int(power or 1)

    assert {name: tuple(map(number, values)) for name, *values in rows} == PARAMETERS
