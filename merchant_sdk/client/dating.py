"""An order that comes without its moment is given one: the same whenever it is asked for again within a day.

The moment is part of what makes two orders the same: with another one, asking again would be another order.
So the one that was given is kept with the transaction that carries it, in the outbox; until it stands there,
it is kept here. Orders that travel together are looked up together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

from msgspec import structs

from ledger.codec import INTEGER_MAX, encode
from merchant_sdk.client.core import Core
from merchant_sdk.client.grouping import Call
from merchant_sdk.client.history import keep_in
from merchant_sdk.errors import ConfigurationError
from merchant_sdk.outbox import Outbox
from merchant_sdk.outbox_orders import DATED_MILLIS
from merchant_sdk.records import Dated
from merchant_sdk.requests import get_reference

R = TypeVar("R")


class _Key(NamedTuple):
    """By what an order is known here."""

    kind: str
    program: str
    reference: str


class Dates(Generic[R]):
    """The moments that one participant's orders were given. Belongs to one event loop."""

    def __init__(self, outbox: Outbox, core: Core[R]) -> None:
        self._outbox = outbox
        self._core = core
        self._given: dict[_Key, int] = {}
        """Those of orders that are on their way and not in the outbox yet."""
        self._looking = asyncio.Lock()

    async def find(self, kind_of_message: Any, program: str, reference: str) -> int:
        """The moment that this order was given before, or now."""
        (moment,) = await self._look_up([_Key(kind_of_message.__struct_config__.tag, program, reference)])
        return moment

    async def date(self, calls: Iterable[Call[Any]]) -> None:
        """Each call that came without a moment has the one that its order was given before, or now."""
        due = [call for call in calls if call.is_dated_by_us and not call.is_dated]
        if not due:
            return
        moments = await self._look_up([_get_key(call.message) for call in due])
        for call, moment in zip(due, moments, strict=True):
            call.message = structs.replace(call.message, occurred_at=moment)
            call.data = encode(call.message)
            call.is_dated = True

    def forget(self, dated: Sequence[Dated]) -> None:
        """They are in the outbox now, or were not sent."""
        for each in dated:
            self._given.pop(_Key(each.kind, each.program, each.reference), None)

    async def _look_up(self, keys: Sequence[_Key]) -> list[int]:
        # One after the other: an order looked up twice at once must not be given two moments.
        async with self._looking:
            wanted = list({key for key in keys if key not in self._given})
            if wanted:
                found = await keep_in(
                    self._outbox, partial(self._outbox.list_moments, self._core.participant, wanted)
                )
                self._give(wanted, found)
            return [self._given[key] for key in keys]

    def _give(self, keys: Sequence[_Key], found: Sequence[int | None]) -> None:
        now = self._core.get_time()
        if not 0 <= now <= INTEGER_MAX:
            raise ConfigurationError("the clock given to this merchant tells no time of a ledger", time=now)
        for key, moment in zip(keys, found, strict=True):
            # After a day of the ledger's time the same number may be another order's.
            self._given[key] = now if moment is None or abs(now - moment) >= DATED_MILLIS else moment


def get_date(message: Any) -> Dated:
    """The order's moment, as the outbox keeps it."""
    return Dated(*_get_key(message), message.occurred_at)


def _get_key(message: Any) -> _Key:
    return _Key(message.__struct_config__.tag, message.program, get_reference(message))
