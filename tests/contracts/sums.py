"""What always holds in a ledger's state, by full sums over everything in it.

Lots are supply, supply is tallies; positions are zero; what is set aside is what open holds say; each lot has
its due work and each due work something to do; nothing came back beyond its original.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from contracts.mechanics.due_work import (
    PROPOSAL_DUE,
    WINDOW_DUE,
    get_due_key,
    get_expiry_key,
    get_hold_due_key,
)
from contracts.mechanics.governance_records import AGENDA, PROPOSAL, Agenda, ProposalRecord
from contracts.mechanics.lots import count_kinds
from contracts.mechanics.records import Earned, HoldRecord, Spent
from contracts.mechanics.settlement_records import WindowRecord
from contracts.messages.actions import Action, AdmitParticipant, RecoverKeys
from contracts.messages.registry import ParticipantKey
from ledger.codec import from_base64url
from ledger.keys import key_id
from ledger.outcome import Lot
from ledger.posting import EMPTY_ACCOUNT, INTO_SUPPLY, OUT_OF_SUPPLY, Account, credit, get_account_key
from ledger.rule import BlockContext
from ledger.state import State
from ledger.values import BALANCE_MAX, LOTS_MAX

WAITING = ("closed", "confirmed")
"""States of a window that is not settled."""


def check_sums(state: State, context: BlockContext) -> None:
    """All of it holds in this state, which must be whole in memory."""
    due = _check_accounts(state, context) | _check_holds(state)
    assert {key for key, _ in state.list_records("due")} == due
    clocks = _check_agenda(state) | _list_window_due(state)
    assert {key for key, _ in state.list_records("clock")} == clocks
    _check_debts(state)
    _check_unsettled(state)


def _check_accounts(state: State, context: BlockContext) -> set[str]:
    """Accounts are in order and make up the supply; returns the due work of what is free."""
    supply: dict[str, int] = {}
    due: set[str] = set()
    for key, found in state.list_records("account"):
        account: Account = found
        for lots in (account.lots, account.held):
            order = [place_of(lot) for lot in lots]
            assert order == sorted(set(order)), key
            assert all(lot.points > 0 for lot in lots), key
            assert all(lot.original < lot.expires <= lot.original + 90 for lot in lots if lot.original), key
        everything = (*account.lots, *account.held)
        assert count_kinds(everything) <= LOTS_MAX, key
        assert 0 < sum(lot.points for lot in everything) == account.points <= BALANCE_MAX, key
        assert all(not lot.spendable_from for lot in account.held), key
        waiting = [lot.spendable_from for lot in account.lots if lot.spendable_from]
        assert account.cooling == min(waiting, default=0), key
        program = key.split("|")[1]
        supply[program] = supply.get(program, 0) + account.points
        keys = {get_expiry_key(context, day=lot.expires, account_key=key) for lot in account.lots}
        due |= {entry for entry in keys if entry is not None}
    assert {name: points for name, points in state.list_records("supply") if points} == supply
    tallies: dict[str, int] = {}
    for key, points in state.list_records("tally"):
        program, name = key.split("|")
        assert name in INTO_SUPPLY | OUT_OF_SUPPLY, key
        tallies[program] = tallies.get(program, 0) + (points if name in INTO_SUPPLY else -points)
    assert {name: points for name, points in tallies.items() if points} == supply
    return due


def _check_holds(state: State) -> set[str]:
    """What accounts and issuers have set aside is what open holds say; returns the holds' due work."""
    held: dict[str, Account] = {}
    reserved: dict[str, int] = {}
    due: set[str] = set()
    for key, record in state.list_records("hold"):
        hold: HoldRecord = record
        assert bool(hold.lots) != bool(hold.final_content), key
        if not hold.lots:
            continue
        program = key.split("|")[3]
        account_key = get_account_key(hold.member, program)
        for lot in hold.lots:
            held[account_key] = credit(held.get(account_key, EMPTY_ACCOUNT), lot)
        if hold.pars:
            issuer = state.get("program", program).issuer
            gross = sum(lot.points * par for lot, par in zip(hold.lots, hold.pars, strict=True))
            reserved[issuer] = reserved.get(issuer, 0) + gross
        due.add(get_hold_due_key(hold.expires, key))
    of_accounts = {key: account.held for key, account in state.list_records("account") if account.held}
    assert of_accounts == {key: account.lots for key, account in held.items()}
    rooms = {name: exposure.held for name, exposure in state.list_records("exposure") if exposure.held}
    assert rooms == reserved
    return due


def _check_agenda(state: State) -> set[str]:
    """What is open and what waits is what the proposals say, and so are the keys that nobody else may
    register; returns the clocks of what is open.
    """
    agenda = state.get(AGENDA, AGENDA) or Agenda((), 0, ())
    proposals: dict[str, ProposalRecord] = dict(state.list_records(PROPOSAL))
    being_voted_on = {name: record for name, record in proposals.items() if record.state == "open"}
    waiting = [(record.enacts_at, name) for name, record in proposals.items() if record.state == "passed"]
    standing = [record for record in proposals.values() if record.state in ("open", "passed")]
    proposers = Counter(record.proposer for record in standing)
    assert agenda == Agenda(tuple(sorted(waiting)), len(being_voted_on), tuple(sorted(proposers.items())))
    reserved: Counter[str] = Counter()
    for record in standing:
        reserved.update({key_id(from_base64url(key.public, size=32)) for key in list_keys(record.actions)})
    assert dict(state.list_records("reserved")) == reserved
    for record in proposals.values():
        assert len({*record.yes, *record.no}) == len(record.yes) + len(record.no)
        assert bool(record.enacts_at) == (record.state in ("passed", "enacted", "failed"))
    return {get_due_key(record.expires, PROPOSAL_DUE, name) for name, record in being_voted_on.items()}


def list_keys(actions: Iterable[Action]) -> list[ParticipantKey]:
    """The keys that these actions give to somebody."""
    given = [one.keys for one in actions if isinstance(one, AdmitParticipant)]
    given += [one.add for one in actions if isinstance(one, RecoverKeys)]
    return [key for keys in given for key in keys]


def _check_debts(state: State) -> None:
    """Each one's debits are the sum of what it owes whom; nothing came back beyond its original."""
    assert sum(micros for _, micros in state.list_records("position")) == 0
    debits: dict[str, int] = {}
    for key, micros in state.list_records("owed"):
        debtor = key.split("|")[0]
        debits[debtor] = debits.get(debtor, 0) + micros
    assert dict(state.list_records("debit")) == debits
    assert all(points > 0 for _, points in state.list_records("debt"))
    for key, record in state.list_records("spent"):
        spent: Spent = record
        assert spent.refunded <= sum(lot.points for lot in spent.lots), key
    for key, record in state.list_records("earned"):
        earned: Earned = record
        assert earned.returned <= earned.amount, key


def _list_window_due(state: State) -> set[str]:
    """The due work of windows that wait: for agreement, but where time has run out on a dispute; for pay."""
    due = set()
    for key, record in state.list_records("window"):
        window: WindowRecord = record
        due_key = get_due_key(window.due_at, WINDOW_DUE, key)
        is_stuck = bool(window.disputed) and state.get("clock", due_key) is None
        if window.state == "confirmed" or (window.state == "closed" and not is_stuck):
            due.add(due_key)
    return due


def _check_unsettled(state: State) -> None:
    """What each one owes that is not settled is what lies after the last cut, in windows that wait and in
    what was brought over; whole units and what they leave over lose nothing.
    """
    assert sum(micros for _, micros in state.list_records("carry")) == 0
    unsettled: dict[str, int] = {}
    for key, micros in state.list_records("owed"):
        debtor = key.split("|")[0]
        unsettled[debtor] = unsettled.get(debtor, 0) + micros - (state.get("stated", key) or 0)
    waiting = [dict(window.debits) for _, window in state.list_records("window") if window.state in WAITING]
    waiting += [{key.split("|")[0]: micros} for key, micros in state.list_records("brought")]
    for debits in waiting:
        for name, micros in debits.items():
            unsettled[name] = unsettled.get(name, 0) + micros
    exposures = dict(state.list_records("exposure"))
    for name in unsettled.keys() | exposures.keys():
        relieved = exposures[name].relieved if name in exposures else 0
        assert (state.get("debit", name) or 0) - relieved == unsettled.get(name, 0), name
    for _, window in state.list_records("window"):
        attested = [one for one in window.transfers if one.payer_reference and one.payee_reference]
        assert window.state != "settled" or len(attested) == len(window.transfers)


def place_of(lot: Lot) -> tuple[int, int, str, int, int]:
    """Where a lot stands among an account's."""
    return lot.expires, lot.opened, lot.series, lot.original, lot.spendable_from
