"""What a capture, a refund or a return is about is found by the order's number, so a till keeps nothing else.

A node is asked which of our entries name the number; it is believed only as far as the receipt of an entry
proves it: member, program, day and points of the original are taken from there. A result that was handed out
before is proven already, and needs no asking.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeVar

from contracts.messages import Award, Capture, Earn, Hold, Redeem, Release
from contracts.messages.reject_codes import OK
from merchant_sdk.client.connection import Connection
from merchant_sdk.errors import InvalidRequest, NotFound, Unverified
from merchant_sdk.results import Committed, HistoryEntry

R = TypeVar("R")

Order = str | Committed[Any] | HistoryEntry
"""An order: its number, the result it once had, or its line in `shop.order`."""
_KINDS: Final[dict[type, str]] = {
    Earn: "earn",
    Award: "award",
    Redeem: "redeem",
    Hold: "hold",
    Capture: "hold",
}


class Original(NamedTuple):
    """A success of ours that is to be completed or undone."""

    kind: str
    """`earn`, `award`, `redeem` or `hold`."""
    reference: str
    day: int
    """The day of its `occurred_at`."""
    member: str
    program: str
    message: Any
    """What was asked then; for a hold that was captured, the hold or its capture."""
    rows: Sequence[HistoryEntry] | None
    """What a node says about the number; None where it was not asked yet."""


async def find_original(
    connection: Connection[R], order: Order, *, kinds: Sequence[str], program: str | None
) -> Original:
    """The one success of ours that ``order`` means. Raises `NotFound`, or `InvalidRequest` where it is not
    one.
    """
    await connection.open()
    if isinstance(order, Committed):
        return _read(connection, order.message, kinds)
    if isinstance(order, HistoryEntry):
        return _read(connection, await prove(connection, order), kinds)
    rows = await list_rows(connection, order)
    found = [
        row
        for row in rows
        if row.kind in kinds
        and row.outcome.code == OK
        and row.message.get("reference") == order
        and program in (None, row.message.get("program"))
    ]
    if not found:
        detail = f"no {' or '.join(kinds)} of ours under this number"
        raise NotFound("NOT_FOUND", status=404, detail=detail, facts={"reference": order})
    if len(found) > 1 and "redeem" in kinds:
        # A hold that was given up is no spending, whatever was spent under the same number then.
        found = [row for row in found if row.kind != "hold" or any(map(_is_capture, rows))]
    if len(found) > 1:
        raise InvalidRequest(
            _tell_how_to_choose(found), reference=order, entries=[row.index for row in found]
        )
    original = _read(connection, await prove(connection, found[0]), kinds)
    if original.reference != order:
        raise Unverified("RECEIPT_OF_ANOTHER_ENTRY", facts={"asked": order, "found": original.reference})
    return original._replace(rows=rows)


async def list_rows(connection: Connection[R], reference: str) -> list[HistoryEntry]:
    """What a node that has seen all we did says about a number."""
    return await connection.reader.list_order(reference, connection.core.height)


async def prove(connection: Connection[R], row: HistoryEntry) -> Any:
    """The message of this entry, proven, of our own and done. Raises `Unverified`."""
    receipt = await connection.fetch_receipt(row.index)
    if receipt.sender != connection.core.participant or receipt.code != OK:
        facts = {"index": row.index, "sender": receipt.sender, "code": receipt.code}
        raise Unverified("RECEIPT_OF_ANOTHER_ENTRY", "this is no success of ours", facts)
    return receipt.message


async def list_parts(connection: Connection[R], original: Original, *, kind: str) -> list[Any]:
    """The refunds, returns or captures of this original so far, proven, oldest first."""
    rows = original.rows
    if rows is None:
        rows = await list_rows(connection, original.reference)
    parts = []
    for row in rows:
        if row.kind == kind and row.outcome.code == OK:
            message = await prove(connection, row)
            if _is_part(message, original):
                parts.append(message)
    return parts


def _tell_how_to_choose(found: Sequence[HistoryEntry]) -> str:
    if len({row.message.get("program") for row in found}) == len(found):
        return "orders of ours in several programs have this number: pass program="
    # Of other days, or an earning beside an award: no argument tells those apart.
    return "several orders of ours have this number: pass the one that is meant, a line of shop.order(number)"


def _is_capture(row: HistoryEntry) -> bool:
    return row.kind == "capture" and row.code == OK


def _is_part(message: Any, original: Original) -> bool:
    if isinstance(message, Capture | Release):
        named = ("hold", message.hold, message.hold_day)
    else:
        named = (message.original_type, message.original, message.original_day)
    return (*named, message.program, message.member) == (
        original.kind,
        original.reference,
        original.day,
        original.program,
        original.member,
    )


def _read(connection: Connection[R], message: Any, kinds: Sequence[str]) -> Original:
    kind = _KINDS.get(type(message))
    if kind is None or kind not in kinds:
        raise InvalidRequest(f"this is no {' or '.join(kinds)}", found=type(message).__name__)
    if isinstance(message, Capture):
        reference, day = message.hold, message.hold_day
    else:
        reference, day = message.reference, connection.core.get_day(message.occurred_at)
    return Original(kind, reference, day, message.member, message.program, message, None)
