"""Every sum over windows holds over honest ones, whatever became of them, and each of them can fail."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from contracts.mechanics.settlement_records import OpenWindow
from contracts.messages.actions import DeclareDefault
from ledger.errors import InvalidBlock
from node.audit.settled import verify_settlement
from tests.contracts.alliance import Alliance
from tests.contracts.cast import CINEMA, FRESH, OPERATOR, PETROL
from tests.contracts.windows import agree_all, attest, cut_window, decide, settle, trade


@pytest.fixture
def alliance() -> Alliance:
    """Six windows: settled, aborted with one payment attested, settled with what that left, in default,
    confirmed and closed; and something in the open one.
    """
    alliance = Alliance().open()
    trade(alliance, 1)
    settle(alliance)
    trade(alliance, 2)
    agree_all(alliance, cut_window(alliance))
    for who in (FRESH, PETROL):
        assert attest(alliance, who, 0, 2).code == "OK"
    alliance.wait(days=7, seconds=60)
    trade(alliance, 3)
    assert alliance.get("window", "000002").state == "aborted"
    assert settle(alliance) == 3
    trade(alliance, 4)
    agree_all(alliance, cut_window(alliance))
    trade(alliance, 5)
    decide(alliance, DeclareDefault(FRESH, 4))
    agree_all(alliance, cut_window(alliance))
    cut_window(alliance)
    alliance.check()
    return alliance


def test_honest_windows_add_up(alliance):
    states = [window.state for _, window in alliance.state.list_records("window")]
    assert states == ["settled", "aborted", "settled", "settled", "confirmed", "closed"]
    verify_settlement(alliance.state)


def change(alliance, table, key, **fields):
    alliance.put(table, key, replace(alliance.get(table, key), **fields))


def forge_statement(alliance):
    text = alliance.get("statement", "000001")
    alliance.put("statement", "000001", text.replace('"closed_at"', '"closed_at" '))


def add(table, key, micros):
    return lambda alliance: alliance.put(table, key, (alliance.get(table, key) or 0) + micros)


def relieve(alliance):
    found = alliance.get("exposure", FRESH)
    change(alliance, "exposure", FRESH, relieved=found.relieved + 1)


def unpay(alliance):
    first, *others = alliance.get("window", "000001").transfers
    change(alliance, "window", "000001", transfers=(replace(first, payee_reference=""), *others))


def pay_more(alliance):
    first, *others = alliance.get("window", "000001").transfers
    change(alliance, "window", "000001", transfers=(replace(first, units=first.units + 1), *others))


def paid(alliance, key="000005"):
    transfers = alliance.get("window", key).transfers
    return tuple(replace(one, payer_reference="x", payee_reference="x") for one in transfers)


def pay_what_was_brought(alliance):
    change(alliance, "window", "000002", transfers=paid(alliance, "000002"))


#   what a broken rule could leave, and what the audit says of it
FAULTS = [
    ("STATEMENT_HASH", forge_statement),
    ("STATEMENT_HASH", lambda it: it.put("statement", "000004", None)),
    ("STATEMENT_DIFFERS", lambda it: change(it, "window", "000001", closed_at=5)),
    ("WINDOWS_NOT_CONSECUTIVE", lambda it: it.put("window", "000002", None)),
    ("WINDOWS_NOT_CONSECUTIVE", lambda it: change(it, "window", "000002", first_height=1)),
    ("OPEN_WINDOW", lambda it: it.put("open_window", "open_window", None)),
    ("OPEN_WINDOW", lambda it: it.put("open_window", "open_window", OpenWindow(3, 9, 0, 0))),
    ("WINDOW_DIFFERS", pay_more),
    ("WINDOW_DIFFERS", lambda it: change(it, "window", "000001", debits=())),
    ("WINDOW_DIFFERS", lambda it: change(it, "window", "000001", parties=(FRESH,))),
    ("SETTLED_UNPAID", unpay),
    ("CARRIES_DIFFER", add("carry", CINEMA, 1)),
    ("STATED_DIFFERS", add("stated", f"{FRESH}|{PETROL}|redeem", 1)),
    ("STATED_ABOVE_OWED", lambda it: it.put("owed", f"{FRESH}|{CINEMA}|redeem", 1)),
    ("BROUGHT_DIFFERS", add("brought", f"{FRESH}|{OPERATOR}|000001", 1)),
    ("BROUGHT_DIFFERS", pay_what_was_brought),
    ("RELIEF_DIFFERS", relieve),
    ("RELIEF_DIFFERS", add("debit", PETROL, 1)),
    ("RELIEF_DIFFERS", lambda it: change(it, "window", "000005", state="settled", transfers=paid(it))),
]


@pytest.mark.parametrize(("code", "break_it"), FAULTS)
def test_each_fault_is_found(alliance, code, break_it):
    break_it(alliance)
    with pytest.raises(InvalidBlock) as found:
        verify_settlement(alliance.state)
    assert found.value.code == code
