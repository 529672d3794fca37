"""An earlier system's daily export, line by line: whose points moved, how many, why, when, and what was left.

    customer,kind,points,balance,day,order
    10021,earn,45,1245,2026-03-01,A-1007
    10021,redeem,200,1045,2026-03-01,A-1011

`customer` is looked up in the book that `commonpoint import` keeps; an export with pseudonyms has `member`
instead. `balance` and `order` may be missing, as columns or in a line. Points have no sign: the kind says
which way they went. For a refund or a return, `order` is the order that it undoes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from ledger.values import BALANCE_MAX
from node.keystore import Unusable
from node.migration.cells import Unread, read_customer, read_day, read_member, read_reference, read_whole
from node.migration.movements import KINDS, Movement
from node.migration.table import Fault, Row, Table

REQUIRED: Final = ("kind", "points", "day")
OPTIONAL: Final = ("customer", "member", "order", "balance")


def read_exports(
    table: Table, *, members: Mapping[str, str], kinds: Mapping[str, str]
) -> Iterator[Movement | Fault]:
    """Every line, as the movement it says or why it cannot be compared. Raises `Unusable` without a
    customer.
    """
    if ("customer" in table.columns) == ("member" in table.columns):
        advice = "The first line names one of them: customer, or member."
        raise Unusable("COLUMNS", advice=advice, found=", ".join(table.columns))
    for row in table:
        yield row if isinstance(row, Fault) else _read(row, members, kinds)


def read_kinds(options: list[str]) -> dict[str, str]:
    """The words of an export, each with what we call it: those of ours, and ``theirs=ours`` as given.

    Raises `Unusable`.
    """
    kinds = {kind: kind for kind in KINDS}
    for option in options:
        theirs, _, ours = option.partition("=")
        if not theirs or ours not in KINDS:
            raise Unusable("KIND_UNKNOWN", advice=f"Ours are: {', '.join(KINDS)}.", option=option)
        kinds[theirs.strip().lower()] = ours
    return kinds


def _read(row: Row, members: Mapping[str, str], kinds: Mapping[str, str]) -> Movement | Fault:
    cells = row.cells
    whose = "customer" if "customer" in cells else "member"
    values: dict[str, Any] = {"order": "", "balance": None}
    readers: list[tuple[str, Callable[[str], object]]] = [
        (whose, read_customer if whose == "customer" else read_member),
        ("kind", lambda text: _read_kind(text, kinds)),
        ("points", lambda text: read_whole(text, least=0, most=BALANCE_MAX)),
        ("day", read_day),
    ]
    if cells.get("order"):
        readers.append(("order", read_reference))
    if cells.get("balance"):
        readers.append(("balance", lambda text: read_whole(text, least=0, most=BALANCE_MAX)))
    for column, read in readers:
        try:
            values[column] = read(cells[column])
        except Unread as error:
            return Fault(row.line, column.upper(), f"{column}: {error}")
    holder = values[whose]
    member = members.get(holder) if whose == "customer" else holder
    if member is None:
        return Fault(row.line, "CUSTOMER_UNKNOWN", f"customer: {holder} is not in the book")
    return Movement(
        member,
        values["kind"],
        values["order"],
        values["day"],
        values["points"],
        values["balance"],
        row.line,
        holder,
    )


def _read_kind(text: str, kinds: Mapping[str, str]) -> str:
    kind = kinds.get(text.lower())
    if kind is None:
        raise Unread(f"{text[:24]!a} is none of {', '.join(kinds)}; --kind says what it means")
    return kind
