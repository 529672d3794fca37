"""What must hold after every block, read from the ledger's own tables and from nothing else."""

from __future__ import annotations

import base64
from collections import Counter, defaultdict
from typing import Any

from nacl import bindings

from tests.properties.machine import Machine
from tests.properties.model import Model
from tests.properties.model_exposure import find_owed
from tests.properties.model_state import CAME, WENT, LotKey
from tests.properties.model_trust import find_log_keys, make_vkey
from tests.properties.model_values import LOTS_MAX, NEVER, unspell
from tests.properties.promises_of_settlement import find_due
from tests.properties.witness import Witness

Rows = dict[tuple[str, str], dict[LotKey, int]]


def like_of(lot: Any) -> LotKey:
    return lot.expires, lot.opened, lot.series, lot.original, lot.spendable_from


def check_sums(machine: Machine) -> None:
    """Points of each program are conserved, no lot is negative, and all that is owed sums to zero."""
    there: Counter[str] = Counter()
    for key, account in machine.rows("account"):
        assert account.lots or account.held, key
        assert all(lot.points > 0 for lot in (*account.lots, *account.held))
        assert account.points == sum(lot.points for lot in (*account.lots, *account.held))
        for lots in (account.lots, account.held):
            order = [like_of(lot) for lot in lots]
            assert order == sorted(set(order))
        assert len({like_of(lot) for lot in (*account.lots, *account.held)}) <= LOTS_MAX
        there[key.split("|")[1]] += account.points
    supply: Counter[str] = Counter()
    for key, points in machine.rows("tally"):
        program, word = key.split("|")
        assert points >= 0
        assert word in CAME | WENT
        supply[program] += points if word in CAME else -points
    assert dict(machine.rows("supply")) == {key: supply[key] for key, _ in machine.rows("supply")}
    assert {program: points for program, points in supply.items() if points} == there
    check_held(machine)
    check_owed(machine)


def check_held(machine: Machine) -> None:
    """What accounts hold is what open holds say, and only what is free is due to lapse."""
    said: Counter[tuple[str, LotKey]] = Counter()
    due = set()
    offset = machine.origin.settings.utc_offset_minutes
    for key, hold in machine.rows("hold"):
        if hold.final_content:
            assert not hold.lots
            continue
        assert hold.lots
        due.add(f"{-(-hold.expires // 60_000):010}|h|{key}")
        for lot in hold.lots:
            said[f"{hold.member}|{key.split('|')[3]}", like_of(lot)] += lot.points
    kept: Counter[tuple[str, LotKey]] = Counter()
    for key, account in machine.rows("account"):
        for lot in account.held:
            kept[key, like_of(lot)] += lot.points
        days = {lot.expires for lot in account.lots if lot.expires < NEVER}
        due |= {f"{(day + 1) * 1_440 - offset:010}|e|{key}" for day in days}
    assert kept == said
    must, may = find_due(machine)
    assert {key for key, _ in machine.rows("due")} == due
    assert must <= {key for key, _ in machine.rows("clock")} <= must | may


def check_owed(machine: Machine) -> None:
    """Positions are what legs made them, and sum to zero."""
    positions = dict(machine.rows("position"))
    assert sum(positions.values()) == 0
    owed: Counter[str] = Counter()
    debits: Counter[str] = Counter()
    for key, micros in machine.rows("owed"):
        source, destination, _ = key.split("|")
        assert micros > 0
        owed[source] -= micros
        owed[destination] += micros
        debits[source] += micros
    assert positions == owed
    assert dict(machine.rows("debit")) == debits


def read_accounts(machine: Machine, day: int) -> tuple[Rows, Rows]:
    """What is free, as of a day, and what is held."""
    free: Rows = defaultdict(Counter)
    held: Rows = defaultdict(Counter)
    for key, account in machine.rows("account"):
        member, program = key.split("|")
        for lot in account.lots:
            like = like_of(lot)
            free[member, program][like if like[4] > day else (*like[:4], 0)] += lot.points
        for lot in account.held:
            held[member, program][like_of(lot)] += lot.points
    return free, held


def check_agreement(machine: Machine, model: Model, witness: Witness) -> None:
    """The ledger, the model and the witness know the same accounts and the same debts."""
    state, day = model.state, model.block_at(model.time).day
    free, held = read_accounts(machine, day)
    assert free == {
        account: dict(state.free(*account, day)) for account, lots in state.accounts.items() if lots
    }
    kept: Rows = defaultdict(Counter)
    for slot, hold in state.open_holds.items():
        for like, points in hold.lots:
            kept[hold.member, slot[2]][like] += points
    assert held == kept
    seen: dict[tuple[str, str], Counter[tuple[int, str, int]]] = defaultdict(Counter)
    for account, lots in free.items():
        for like, points in lots.items():
            seen[account][like[0], like[2], like[3]] += points
    assert seen == {account: lots for account, lots in witness.lots.items() if lots}
    check_debts(machine, model, witness)
    check_trust(machine, model)


def check_trust(machine: Machine, model: Model) -> None:
    """Engine, validators and policies are those that were voted for."""
    engines = model.state.engines
    for table in ("engine", "validators"):
        rows = [(key, tuple_of(row)) for key, row in machine.rows(table)]
        assert rows == ([(table, tuple(engines[table]))] if engines else [])
    policies = [(key, tuple_of(row)) for key, row in machine.rows("trust")]
    trusted = model.state.policies_of_trust.items()
    assert policies == [(f"{epoch:08}", tuple(trust)) for epoch, trust in trusted]


def check_signed(note: str, model: Model) -> None:
    """The checkpoint is of this height's tree, under a key that judges it, and its line is that key's."""
    body, _, line = note.partition("\n\n")
    assert body.split("\n")[:2] == [model.chain, str(model.size)]
    dash, name, encoded = line.removesuffix("\n").split(" ")
    assert (dash, name) == ("—", model.chain)
    data = base64.b64decode(encoded)
    keys = find_log_keys(model.state, chain=model.chain, height=model.height)
    hashes = {bytes.fromhex(make_vkey(name, key).split("+")[1]): key for key in keys}
    bindings.crypto_sign_open(data[4:] + f"{body}\n".encode(), unspell(hashes[data[:4]]))


def tuple_of(record: Any) -> tuple[Any, ...]:
    """A record's fields in order."""
    return tuple(getattr(record, name) for name in record.__struct_fields__)


def check_debts(machine: Machine, model: Model, witness: Witness) -> None:
    """What is owed in money, in points, and for open holds."""
    state = model.state
    positions = dict(machine.rows("position"))
    assert positions == state.positions
    assert positions == {who: witness.positions[who] for who in positions}
    assert set(witness.positions) <= set(positions)
    assert dict(machine.rows("owed")) == {"|".join(pair): micros for pair, micros in state.owed.items()}
    tallies = {"|".join(slot): points for slot, points in state.tallies.items() if points}
    assert {key: points for key, points in machine.rows("tally") if points} == tallies
    debts = {"|".join(account): points for account, points in state.debts.items() if points}
    assert dict(machine.rows("debt")) == debts
    assert debts == {"|".join(account): points for account, points in witness.debts.items() if points}
    exposures = {key: exposure.held - exposure.relieved for key, exposure in machine.rows("exposure")}
    legs = dict(machine.rows("debit"))
    for who in state.participants:
        assert exposures.get(who, 0) + legs.get(who, 0) == find_owed(state, who)
