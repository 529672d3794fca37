"""Bank accounts for payment files: they are in no ledger, so whoever pays keeps them in a file of their own.

A CSV file with the columns `participant`, `name`, `iban` or `account` (where there are no IBANs), and `bic`
(may be empty where the bank needs none). An IBAN is held against its own check digits; an account number has
none. That an account is whose it is said to be cannot be seen here: keep the file as you keep a cheque book.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from ledger.errors import CommonpointError

_IBAN: Final = re.compile(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}")
_BIC: Final = re.compile(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?")
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9./ -]{1,34}")
_NAME_CHARACTERS_MAX: Final = 140
_BYTES_MAX: Final = 16 * 1024 * 1024
_ADVICE: Final = {
    "ACCOUNT_MISSING": "Add a line for it: participant,name,iban,bic",
    "ACCOUNTS_MALFORMED": "Its first line names the columns: participant,name,iban,bic (or account for iban)",
}


class Unpayable(CommonpointError):
    """A payment file cannot be made."""

    @property
    def advice(self) -> str | None:
        """What can be done about it."""
        return _ADVICE.get(self.code)


class Account(NamedTuple):
    """Where somebody pays from or is paid."""

    name: str
    iban: str
    """Empty where there is none."""
    other: str
    """The account's number where there is no IBAN."""
    bic: str
    """Empty where it is not needed."""


def read_accounts(path: Path) -> dict[str, Account]:
    """Participant → account. Raises `Unpayable` with the line that cannot be taken."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            text = file.read(_BYTES_MAX)
    except (OSError, UnicodeError) as error:
        raise Unpayable("ACCOUNTS_MALFORMED", path=str(path), reason=str(error)[:200]) from None
    rows = csv.DictReader(text.splitlines())
    if not {"participant", "name"} <= set(rows.fieldnames or ()):
        raise Unpayable("ACCOUNTS_MALFORMED", path=str(path), line=1)
    accounts: dict[str, Account] = {}
    for row in rows:
        participant = (row["participant"] or "").strip()
        if participant in accounts:
            raise Unpayable("ACCOUNTS_MALFORMED", line=rows.line_num, participant=participant, reason="twice")
        accounts[participant] = _read_account(row, line=rows.line_num)
    return accounts


def find_account(accounts: Mapping[str, Account], participant: str) -> Account:
    """Whose account. Raises `Unpayable` ``ACCOUNT_MISSING``."""
    if participant not in accounts:
        raise Unpayable("ACCOUNT_MISSING", participant=participant)
    return accounts[participant]


def _read_account(row: Mapping[str, str | None], *, line: int) -> Account:
    def get(column: str) -> str:
        return (row.get(column) or "").strip()

    account = Account(get("name"), get("iban").replace(" ", "").upper(), get("account"), get("bic").upper())
    for column, is_good in (
        ("name", 1 <= len(account.name) <= _NAME_CHARACTERS_MAX),
        ("iban", not account.iban or is_iban(account.iban)),
        ("account", bool(account.iban) or _ACCOUNT.fullmatch(account.other) is not None),
        ("bic", not account.bic or _BIC.fullmatch(account.bic) is not None),
    ):
        if not is_good:
            raise Unpayable("ACCOUNTS_MALFORMED", line=line, column=column)
    return account


def is_iban(text: str) -> bool:
    """Whether these are an IBAN's characters with the check digits that belong to them (ISO 13616)."""
    if _IBAN.fullmatch(text) is None:
        return False
    turned = text[4:] + text[:4]
    return int("".join(str(int(character, 36)) for character in turned)) % 97 == 1
