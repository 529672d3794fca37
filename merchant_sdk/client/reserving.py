"""Points are held for a till, and the till comes to know of them whatever becomes of the call.

An allowance is written down before its hold is asked for. If the reply is lost, or the program killed, it
waits there until the outbox knows what came of the hold: made, and the allowance is open; surely not made,
and there is none. Under a number of the caller's own, an allowance is reserved once, however often it is
asked for.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, Final

import msgspec
from msgspec import Struct, structs

from contracts.messages import MESSAGE_DECODER, Hold
from contracts.messages.reject_codes import OK
from merchant_sdk.client.connection import Connection
from merchant_sdk.client.core import Signed
from merchant_sdk.errors import CommonpointError, ConfigurationError, RejectedByLedger
from merchant_sdk.order_names import OrderName
from merchant_sdk.outbox import Outbox
from merchant_sdk.outbox_orders import Stored
from merchant_sdk.results import ALREADY_DONE, EntryOutcome
from merchant_sdk.till_store import AllowanceError, Row, TillStore


class _Answer(Struct):
    """What stands in the answer to a transaction, as far as it matters here; it was proven when it came."""

    outcomes: list[EntryOutcome]
    time: int


_ANSWER: Final = msgspec.json.Decoder(_Answer)


async def reserve(connection: Connection[Any], store: TillStore, wanted: Row) -> Row:
    """The allowance wanted, its hold made; or the one that was reserved under its number before."""
    while True:
        row = await asyncio.to_thread(store.ask, wanted)
        check_same(row, member=wanted.member, program=wanted.program, points=wanted.points)
        if row.state != "asked":
            return row
        # What was asked for before stays as it was; only the member's consent may have had to be renewed.
        asked: Any = MESSAGE_DECODER.decode(row.hold)
        anew: Any = MESSAGE_DECODER.decode(wanted.hold)
        hold: Hold = structs.replace(asked, consent=anew.consent)
        try:
            done = await connection.ask(hold)
        except CommonpointError as error:
            if error.fate == "unknown":
                raise
            await asyncio.to_thread(store.refuse, row.reference)
            if row.reference == wanted.reference or not isinstance(error, RejectedByLedger):
                raise
            # The hold of then surely was not made and will not be, so this one is another.
            continue
        return await asyncio.to_thread(partial(store.open, row.reference, time=done.time))


def check_same(row: Row, *, member: str, program: str, points: int) -> None:
    """The allowance is for this. Raises `AllowanceError` where its number stands for something else."""
    if (row.member, row.program, row.points) != (member, program, points):
        raise AllowanceError(
            "ORDER_CONFLICT", "something else was reserved under this number", {"points": row.points}
        )


def adopt(store: TillStore, outbox: Outbox, sender: str) -> None:
    """Every allowance whose hold turned out to be made is open; those of which none was made are gone.

    Asks nobody: the outbox knows what came of the transactions, or that it is not known yet.
    """
    for row in store.list_asked():
        name = OrderName("hold", row.reference, row.program)
        stored = outbox.find_transactions(sender, name)
        times = [time for each in stored if (time := _read_time(each, name)) is not None]
        if times:
            store.open(row.reference, time=times[0])
        elif stored and all(each.state != "waiting" for each in stored):
            store.refuse(row.reference)
        elif not stored:
            store.refuse_rested(row.reference)


def _read_time(stored: Stored, name: OrderName) -> int | None:
    """The time of the block in which this hold was made; None where it was not made in this transaction."""
    if stored.answer is None:
        return None
    try:
        messages = Signed.read(stored.pending).transaction.messages
        answer = _ANSWER.decode(stored.answer)
    except (ConfigurationError, msgspec.MsgspecError):
        # Another version of the SDK wrote it; asking for the hold again tells.
        return None
    for message, outcome in zip(messages, answer.outcomes, strict=True):
        if name.is_of(message) and outcome.code in (OK, ALREADY_DONE):
            return answer.time
    return None
