"""What must hold of windows and votes after every block, read from the ledger's own tables and the log."""

from __future__ import annotations

import json
from collections import Counter
from hashlib import sha256
from typing import Any

from tests.properties.machine import Machine
from tests.properties.model import Model
from tests.properties.model_exposure import ALERTING, find_limit, find_owed
from tests.properties.model_records import Block
from tests.properties.model_values import canonical, spell
from tests.properties.witness import Witness

END = ("settled", "aborted")


def find_due(machine: Machine) -> tuple[set[str], set[str]]:
    """Which clocks of proposals and windows have to be set, and which others may be."""
    must, may = set(), set()
    for name, proposal in machine.rows("proposal"):
        if proposal.state == "open":
            must.add(f"{-(-proposal.expires // 60_000):010}|p|{name}")
    for name, window in machine.rows("window"):
        key = f"{-(-window.due_at // 60_000):010}|w|{name}"
        if window.state == "confirmed" or (window.state == "closed" and not window.disputed):
            must.add(key)
        elif window.state == "closed":
            may.add(key)
    return must, may


def check_statement(text: str) -> dict[str, Any]:
    """Nets, units and carries sum to zero, and the transfers settle the units exactly."""
    statement: dict[str, Any] = json.loads(text)
    positions = statement["positions"]
    unit = statement["payment_unit_micros"]
    assert canonical(statement) == text.encode()
    for amount in ("net", "carry_before", "carry_after", "units"):
        assert sum(int(position[amount]) for position in positions) == 0
    left = {position["participant"]: position["units"] for position in positions}
    for position in positions:
        whole = position["units"] * unit
        before, after = int(position["carry_before"]), int(position["carry_after"])
        assert int(position["net"]) + before == whole + after
        assert abs(after) < unit
        brands = [share["units"] for share in position.get("brands", ())]
        assert not brands or (sum(brands) == position["units"] > 0 <= min(brands))
    for transfer in statement["transfers"]:
        assert transfer["units"] > 0
        left[transfer["from"]] += transfer["units"]
        left[transfer["to"]] -= transfer["units"]
    assert not any(left.values())
    assert len(statement["transfers"]) <= max(0, len(positions) - 1)
    return statement


def check_windows(machine: Machine, model: Model, witness: Witness) -> None:
    """Every statement is the model's, byte for byte, and its lines are the legs of its heights."""
    windows = dict(machine.rows("window"))
    texts = dict(machine.rows("statement"))
    assert set(windows) == set(texts) == {f"{number:06}" for number in model.state.windows}
    for number, window in model.state.windows.items():
        key = f"{number:06}"
        statement = check_statement(texts[key])
        assert texts[key].encode() == canonical(window.statement)
        digest = spell(sha256(texts[key].encode()).digest())
        assert digest == windows[key].statement == witness.clerk.cuts[number][1]
        lines = {(row["from"], row["to"], row["reason"]): int(row["micros"]) for row in statement["lines"]}
        assert lines == witness.clerk.find_lines(number)
        assert windows[key].state == window.stands
    check_left_over(machine, model)


def check_left_over(machine: Machine, model: Model) -> None:
    """Carries sum to zero, and what was brought over is what the model brought."""
    carries = {who: micros for who, micros in machine.rows("carry") if micros}
    assert sum(carries.values()) == 0
    assert carries == {who: micros for who, micros in model.state.carries.items() if micros}
    brought = {key: micros for key, micros in machine.rows("brought") if micros}
    debts = model.state.brought.items()
    assert sorted(brought.values()) == sorted(micros for _, micros in debts if micros)
    for (source, destination, window), micros in debts:
        assert micros == brought[f"{source}|{destination}|{window:06}"]


def check_unsettled(model: Model) -> None:
    """What everybody owes is what its windows that are not at their end say, its open holds aside."""
    owed: Counter[str] = Counter()
    for window in model.state.windows.values():
        if window.stands not in END:
            for row in (*window.statement["lines"], *window.statement["brought"]):
                owed[row["from"]] += int(row["micros"])
    for legs in model.state.legs.values():
        for leg in legs:
            owed[leg["from"]] += leg["micros"]
    for (source, _, _), micros in model.state.brought.items():
        owed[source] += micros
    for (acceptor, _, program, _, _), hold in model.state.open_holds.items():
        issuer = model.state.programs[program].issuer
        if issuer != acceptor:
            owed[issuer] += sum(n * par for (_, n), par in zip(hold.lots, hold.pars, strict=True))
    assert {who: find_owed(model.state, who) for who in owed} == dict(owed)


def watch_limits(model: Model) -> None:
    """After every success that adds to a debt, its debtor owes no more than it may."""
    decide = model.decide

    def decide_watched(block: Block, sender: str, message: dict[str, Any]) -> dict[str, Any]:
        issuer = model.issuer_of(message)
        debtors = {sender, issuer} - {""} if message["@type"] in ALERTING else set()
        before = {who: find_owed(model.state, who) for who in debtors}
        outcome = decide(block, sender, message)
        for who, owed in before.items():
            limit = find_limit(model.state, block, who)
            after = find_owed(model.state, who)
            assert limit is None or after <= max(limit, owed), message
        return outcome

    model.decide = decide_watched  # type: ignore[method-assign]
