"""What is said of an order never contradicts what is still open about it.

A call may fail in a way that leaves nothing of itself behind, while an earlier call for the same order is
still open: its reply was lost, by this process or one before it, or another process has it in hand. Then
"nothing was taken" would be true of the call and a lie about the order. So whatever fails is first held to
the outbox: as long as that has the order in an open transaction, or in its queue, its fate is unknown.

And before an order is sent, what is open of it is settled: asked for again with a fresh points code, it is
answered with what the first bytes did, and only if they surely did nothing is the fresh code used.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final, Generic, NamedTuple, TypeVar

from merchant_sdk.client.core import Signed
from merchant_sdk.client.settling import Settler
from merchant_sdk.client.submission import keep_in
from merchant_sdk.errors import (
    CommonpointError,
    ConfigurationError,
    NotSent,
    OutboxError,
    RefusedByNode,
    RejectedByLedger,
    UnknownOutcome,
)
from merchant_sdk.order_names import OrderName, get_name, is_same_content
from merchant_sdk.outbox import Outbox
from merchant_sdk.outbox_orders import DATED_MILLIS
from merchant_sdk.results import Committed

R = TypeVar("R")

_SAME_ORDER_MILLIS: Final = 2 * DATED_MILLIS
"""A reference is looked up on its day and the day before: what lies further apart is not the same order."""


class _Place(NamedTuple):
    """Where an order stands whose fate is open."""

    transaction_id: str
    number: int = 0
    message: Any = None
    """None where this SDK cannot read the transaction."""


class Recall(Generic[R]):
    """What the outbox of one participant knows of an order."""

    def __init__(self, outbox: Outbox, sender: str) -> None:
        self._outbox = outbox
        self._sender = sender
        self._look: asyncio.Task[bool] | None = None
        """Begins at the end of this turn of the event loop; who asks before then shares it."""

    @asynccontextmanager
    async def minding(self, *names: OrderName | None) -> AsyncIterator[None]:
        """What fails within says `unknown` as long as one of these orders is open."""
        try:
            yield
        except CommonpointError as error:
            told = error
            if error.fate != "unknown":
                told = await self._tell(error, [name for name in names if name is not None])
            if told is error:
                raise
            raise told from error

    async def settle_first(self, settler: Settler[R], message: Any) -> Committed[R] | None:
        """What came of this order when it was asked for before, in other bytes; None where it is to be sent.

        Raises `UnknownOutcome` where nobody can say yet.
        """
        name = get_name(message)
        if name is None or not await self._is_any_free():
            return None
        for place in await self._find(name, but_in_hand=True):
            if place.message is None or not _is_near(place.message, message):
                continue
            results = await settler.settle(place.transaction_id)
            if results is None:
                # Another process was quicker.
                continue
            result = results[place.number]
            if result.is_ok and is_same_content(result.message, message):
                return result
        return None

    async def _is_any_free(self) -> bool:
        """Whether anything at all is there to be settled: of thousands of calls at once, one has to look."""
        if self._look is None:
            self._look = asyncio.get_running_loop().create_task(self._look_once())
        return await asyncio.shield(self._look)

    async def _look_once(self) -> bool:
        # From here on it is begun: what is let go later is for the next one to see.
        self._look = None
        try:
            return await keep_in(self._outbox, self._outbox.is_any_free, self._sender)
        except OutboxError:
            # Whoever looks for an order of their own is told.
            return True

    async def _tell(self, error: CommonpointError, names: list[OrderName]) -> CommonpointError:
        """The error to raise: this one, unless an order of these is open."""
        try:
            return await self._compare(error, names)
        except OutboxError as failed:
            if isinstance(error, NotSent | RefusedByNode) and names:
                # Nobody can say what is open.
                return UnknownOutcome(
                    "", f"{failed.detail}; now: {error.detail or error.code}", code=error.code
                )
            return error

    async def _compare(self, error: CommonpointError, names: list[OrderName]) -> CommonpointError:
        settled = error.committed if isinstance(error, RejectedByLedger) else None
        for name in names:
            for place in await self._find(name):
                if settled is None or place.transaction_id != settled.transaction_id:
                    return _leave_open(error, place.transaction_id, "an earlier call for this order is open")
            carrier = await keep_in(self._outbox, partial(self._outbox.find_queued, self._sender, name))
            if carrier is not None and (settled is None or carrier != settled.transaction_id):
                return _leave_open(error, carrier, "this order waits in the queue")
        return error

    async def _find(self, name: OrderName, *, but_in_hand: bool = False) -> list[_Place]:
        search = partial(self._outbox.find_open, self._sender, name, but_in_hand=but_in_hand)
        places = []
        for pending in await keep_in(self._outbox, search):
            try:
                transaction = Signed.read(pending).transaction
            except ConfigurationError:
                # It may well be the order; only another version of the SDK can tell.
                places.append(_Place(pending.id))
                continue
            for number, message in enumerate(transaction.messages):
                if name.is_of(message):
                    places.append(_Place(pending.id, number, message))
                    break
        return places


def _leave_open(error: CommonpointError, transaction_id: str, why: str) -> CommonpointError:
    if isinstance(error, NotSent | RefusedByNode | RejectedByLedger):
        return UnknownOutcome(transaction_id, f"{why}; now: {error.detail or error.code}", code=error.code)
    # What is wrong with this call stays the news; but it does not say that nothing was taken.
    error.transaction_id = transaction_id
    error.what_to_do = f"{error.what_to_do} Besides, {why}: call flush()."
    return error


def _is_near(one: Any, other: Any) -> bool:
    moments = [getattr(each, "occurred_at", 0) for each in (one, other)]
    return bool(abs(moments[0] - moments[1]) < _SAME_ORDER_MILLIS)
