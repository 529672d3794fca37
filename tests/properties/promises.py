"""What must hold after every block, read from the ledger's own tables and from nothing else."""

from __future__ import annotations

from collections import Counter

from tests.properties.machine import Machine
from tests.properties.model import Model
from tests.properties.model_values import LOTS_MAX
from tests.properties.witness import Witness

INTO = ("issued.home", "issued.partner", "exchanged.in")
OUT = ("redeemed.home", "redeemed.elsewhere", "exchanged.out", "expired")


def check_sums(machine: Machine) -> None:
    """Points of each program are conserved, no lot is negative, and all that is owed sums to zero."""
    held: Counter[str] = Counter()
    for key, account in machine.rows("account"):
        assert account.lots, key
        assert len(account.lots) <= LOTS_MAX
        assert all(lot.points > 0 for lot in account.lots)
        assert account.points == sum(lot.points for lot in account.lots)
        assert 0 <= account.held <= account.points
        order = [(lot.expires, lot.opened, lot.series, lot.spendable_from) for lot in account.lots]
        assert order == sorted(set(order))
        held[key.split("|")[1]] += account.points
    supply: Counter[str] = Counter()
    for key, points in machine.rows("tally"):
        program, word = key.split("|")
        assert word in (*INTO, *OUT)
        supply[program] += points if word in INTO else -points
    assert dict(machine.rows("supply")) == {key: supply[key] for key, _ in machine.rows("supply")}
    assert {program: points for program, points in supply.items() if points} == held
    positions = dict(machine.rows("position"))
    assert sum(positions.values()) == 0
    owed: Counter[str] = Counter()
    for key, micros in machine.rows("owed"):
        source, destination, _ = key.split("|")
        assert micros > 0
        owed[source] -= micros
        owed[destination] += micros
    assert positions == owed


def check_agreement(machine: Machine, model: Model, witness: Witness) -> None:
    """The ledger, the model and the witness know the same accounts and the same debts."""
    state = model.state
    accounts = {
        tuple(key.split("|")): tuple(
            ((lot.expires, lot.opened, lot.series, lot.spendable_from), lot.points) for lot in account.lots
        )
        for key, account in machine.rows("account")
    }
    assert accounts == {account: lots for account, lots in state.accounts.items() if lots}
    assert {
        account: {(like[0], like[2]): points for like, points in lots} for account, lots in accounts.items()
    } == {account: dict(lots) for account, lots in witness.lots.items() if lots}
    positions = dict(machine.rows("position"))
    assert positions == state.positions
    assert positions == {who: witness.positions[who] for who in positions}
    assert set(witness.positions) <= set(positions)
    owed = {"|".join(pair): micros for pair, micros in state.owed.items()}
    assert dict(machine.rows("owed")) == owed
    tallies = {"|".join(slot): points for slot, points in state.tallies.items() if points}
    assert {key: points for key, points in machine.rows("tally") if points} == tallies
