"""The custodian's own book: which customer has which pseudonym. It never leaves the machine.

A folder of mode 0700, its files of mode 0600:

    members.csv    customer,member: one line a customer, only ever added to
    begun.json     the chain and participant it is for, and when each import was begun
    sent.jsonl     what was signed (`node.migration.journal`)

A pseudonym is random: nothing that is known of a customer leads to it, and once its line is deleted nothing
ever does. New lines are on the disk before the ledger hears of them, so a crash anywhere loses no customer
and doubles none: the worst that is left is a line whose member was never enrolled. Whoever loses this folder
cannot say any more whose points are whose.
"""

from __future__ import annotations

import csv
import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from node import keystore
from node.keystore import Unusable
from node.migration.cells import Unread, read_customer, read_member

MEMBERS_FILE: Final = "members.csv"
_BEGUN_FILE: Final = "begun.json"
_LOCK_FILE: Final = "lock"
_HEAD: Final = b"customer,member\n"
_LETTERS: Final = "0123456789abcdefghjkmnpqrstvwxyz"


class Begun(Struct, frozen=True):
    """An import that was begun. Never on the wire."""

    program: str
    series: str
    occurred_at: int
    """What its messages say, whenever they are sent: so the same line is the same message for ever."""


class _Pinned(Struct):
    """What the folder is for. Never on the wire."""

    chain: str
    participant: str
    begun: list[Begun] = msgspec.field(default_factory=list)


class MemberBook:
    """The book, open and this process's alone."""

    def __init__(self, folder: Path, pinned: _Pinned) -> None:
        self._folder = folder
        self._pinned = pinned
        self._members = read_members(folder / MEMBERS_FILE)
        self._file = (folder / MEMBERS_FILE).open("ab")

    def __len__(self) -> int:
        return len(self._members)

    def find(self, customer: str) -> str | None:
        """The customer's pseudonym, if there is one."""
        return self._members.get(customer)

    def take_up(self, customers: Iterable[str]) -> int:
        """Every one of these customers has a pseudonym that is on the disk; how many are new."""
        lines: list[str] = []
        for customer in customers:
            if customer not in self._members:
                self._members[customer] = make_member()
                lines.append(f"{customer},{self._members[customer]}\n")
        if lines:
            self._file.write("".join(lines).encode())
            self._file.flush()
            os.fsync(self._file.fileno())
        return len(lines)

    def begin(self, program: str, series: str, *, now: int) -> Begun:
        """The import into this series, as it was begun first."""
        for each in self._pinned.begun:
            if (each.program, each.series) == (program, series):
                return each
        begun = Begun(program, series, now)
        self._pinned.begun.append(begun)
        _write_pinned(self._folder, self._pinned)
        return begun

    def close(self) -> None:
        """The file is closed."""
        self._file.close()


@contextmanager
def open_book(folder: Path, *, chain: str, participant: str) -> Iterator[MemberBook]:
    """The book of this participant on this chain, made where there is none.

    Raises `Unusable`: another process has it, it is another's, or others may read it.
    """
    if not folder.exists():
        keystore.make_folder(folder)
    if not folder.is_dir():
        raise Unusable("NOT_A_FOLDER", advice="Name a folder.", path=str(folder))
    keystore.check_mode(folder, allowed=0o700)
    descriptor = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            advice = "Another import is running with it: wait for its end."
            raise Unusable("STATE_IN_USE", advice=advice, path=str(folder)) from None
        book = MemberBook(folder, _open_pinned(folder, chain=chain, participant=participant))
        try:
            yield book
        finally:
            book.close()
    finally:
        os.close(descriptor)


def read_members(path: Path, *, may_cut: bool = True) -> dict[str, str]:
    """Customer → pseudonym, as the file has them; a last line that a crash cut short was never used.

    Raises `Unusable`.
    """
    advice = "Restore it from its backup. It says whose points are whose."
    if not path.is_file():
        raise Unusable("STATE_UNREADABLE", advice="Name the folder of an import.", path=str(path))
    keystore.check_mode(path, allowed=0o600)
    if may_cut:
        _cut_torn_line(path)
    members: dict[str, str] = {}
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        for number, cells in enumerate(csv.reader(file), start=1):
            try:
                if number == 1 and cells == ["customer", "member"]:
                    continue
                customer, member = read_customer(cells[0]), read_member(cells[1])
            except (Unread, IndexError) as error:
                raise Unusable(
                    "STATE_UNREADABLE", advice=advice, path=str(path), line=number, reason=str(error)
                ) from None
            if customer in members:
                raise Unusable(
                    "STATE_UNREADABLE", advice=advice, path=str(path), line=number, reason="customer twice"
                )
            members[customer] = member
    return members


def make_member() -> str:
    """A new pseudonym: 130 random bits."""
    return "m_" + "".join(_LETTERS[each & 31] for each in secrets.token_bytes(26))


def _cut_torn_line(path: Path) -> None:
    """The file ends with a whole line."""
    data_end = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, data_end - 256))
        tail = file.read()
    kept = tail.rfind(b"\n") + 1
    if kept != len(tail):
        os.truncate(path, data_end - len(tail) + kept)


def _open_pinned(folder: Path, *, chain: str, participant: str) -> _Pinned:
    path = folder / _BEGUN_FILE
    if not path.exists():
        # This file comes last, so a folder with it is whole.
        members = folder / MEMBERS_FILE
        if not members.exists():
            keystore.write_private(members, _HEAD)
        pinned = _Pinned(chain, participant)
        _write_pinned(folder, pinned)
        return pinned
    try:
        pinned = msgspec.json.decode(keystore.read_private(path), type=_Pinned)
    except msgspec.MsgspecError as error:
        raise Unusable(
            "STATE_UNREADABLE", advice="Restore it from its backup.", path=str(path), reason=str(error)
        ) from None
    if (pinned.chain, pinned.participant) != (chain, participant):
        advice = "Each chain and participant has a folder of its own: name another with --state."
        raise Unusable("STATE_OF_ANOTHER", advice=advice, chain=pinned.chain, participant=pinned.participant)
    return pinned


def _write_pinned(folder: Path, pinned: _Pinned) -> None:
    """The file is replaced whole, and is on the disk."""
    path, fresh = folder / _BEGUN_FILE, folder / f"{_BEGUN_FILE}.new"
    fresh.unlink(missing_ok=True)
    keystore.write_private(fresh, msgspec.json.encode(pinned) + b"\n")
    fresh.replace(path)
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
