"""A window's statement made from a log, and given out in the form that was asked for.

The whole log is read: what the last leaf shows is that all of them are the signed ones, and nothing is given
out before. The window itself is as it stood when it was cut, whatever came later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from node.keystore import Unusable
from node.statements.accounts import Account
from node.statements.columnar import make_parquet
from node.statements.document import make_pdf
from node.statements.log import Progress, SignedLeaves
from node.statements.orders import OrderBook
from node.statements.page import format_page
from node.statements.paper import make_paper
from node.statements.payments import make_pain001
from node.statements.sources import OpenLog
from node.statements.spreadsheet import format_csv
from node.statements.view import Order, Sheet, make_sheet
from node.statements.windows import ClosedWindow, Windows
from node.statements.wording import Language

Form = Literal["json", "csv", "html", "pdf", "parquet", "pain001"]
WITH_ORDERS: Final = frozenset({"csv", "html", "parquet"})
"""The forms that have room for the orders behind a participant's lines."""


class Recomputed(NamedTuple):
    """A window as the log has it, and what people are to see of it."""

    window: ClosedWindow
    sheet: Sheet


def recompute(
    log: OpenLog,
    *,
    number: int,
    participant: str | None = None,
    with_orders: bool = False,
    progress: Progress | None = None,
) -> Recomputed:
    """The statement of a window, whose hash is the one in the log.

    Raises `Unverified` or `InvalidBlock` where the log does not hold, `Unusable` where it has no such window
    or participant.
    """
    leaves = SignedLeaves(log, progress=progress)
    offset = leaves.origin.settings.utc_offset_minutes
    book = (
        OrderBook(participant, window=number, utc_offset_minutes=offset)
        if participant is not None and with_orders
        else None
    )
    windows = Windows(leaves.origin, first=leaves.first, watch=None if book is None else book.watch)
    remaining = iter(leaves)
    found: ClosedWindow | None = None
    names: Mapping[str, str] = {}
    orders: list[Order] = []
    for each in windows.read(remaining):
        if each.statement.window == number:
            found, names = each, dict(windows.decisions.names)
            orders = [] if book is None else book.list()
            break
    # Later leaves say nothing about this window; that they are the signed ones says that so are all.
    for _ in remaining:
        continue
    if found is None:
        advice = "commonpoint settlement show lists those that were cut; a mirror may be behind."
        raise Unusable("WINDOW_NOT_CUT", advice=advice, window=number)
    if participant is not None and participant not in names:
        advice = "Name a participant by its id, as on the ledger."
        raise Unusable("PARTICIPANT_UNKNOWN", advice=advice, participant=participant)
    sheet = make_sheet(
        found.statement,
        digest=found.digest,
        utc_offset_minutes=offset,
        names=names,
        participant=participant,
        orders=orders,
    )
    return Recomputed(found, sheet)


def export(
    recomputed: Recomputed,
    form: Form,
    *,
    language: Language,
    accounts: Mapping[str, Account] | None = None,
    pay_on: str | None = None,
) -> bytes:
    """The bytes in this form. Raises `Unusable` or `Unpayable`."""
    window, sheet = recomputed
    match form:
        case "json":
            return window.data
        case "csv":
            return format_csv(sheet).encode()
        case "html":
            return format_page(make_paper(sheet, language, with_orders=True)).encode()
        case "pdf":
            paper = make_paper(sheet, language, with_orders=False)
            return make_pdf(paper, closed_at=window.statement.closed_at)
        case "parquet":
            return make_parquet(sheet)
        case "pain001":
            return make_pain001(sheet, accounts or {}, pay_on=pay_on)
