"""Orders are asked for one by one and travel together; whatever can be done once for all of them is.

    calls ─▶ lane ─▶ moments ─▶ what is open of them ─▶ one transaction ─▶ each its own result
             (of a purpose)     └─ settled first, each by itself

The outbox is looked at once for a group: for the moments that its orders were given before, and for whether
one of them is still open in other bytes. Such an order leaves the group and is settled by itself
(`merchant_sdk.client.settling`), which may take a node's time; the others go on at once. Where nothing came
of it then, it goes with a later group.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Generic, TypeVar

from ledger.keys import Signer
from merchant_sdk.client.core import MESSAGE_BYTES_MAX, Core
from merchant_sdk.client.dating import Dates, get_date
from merchant_sdk.client.grouping import Call, Grouping, Lane
from merchant_sdk.client.recalling import Recall
from merchant_sdk.client.settling import Settler
from merchant_sdk.records import Dated
from merchant_sdk.requests import check_message
from merchant_sdk.results import Committed

R = TypeVar("R")


class Orders(Generic[R]):
    """The orders of one participant that are on their way. Belongs to one event loop."""

    def __init__(
        self,
        *,
        core: Core[R],
        recall: Recall[R],
        dates: Dates[R],
        open_settler: Callable[[], Awaitable[Settler[R]]],
        grouping: Grouping,
    ) -> None:
        self._core = core
        self._recall = recall
        self._dates = dates
        self._open_settler = open_settler
        self._grouping = grouping.check()
        self._lanes: dict[str, Lane[Committed[R]]] = {}
        """By the purpose of the key that signs."""
        self._lane_of: dict[type, Lane[Committed[R]]] = {}
        self._alone: set[asyncio.Task[None]] = set()
        """Orders that are settled by themselves."""

    def get_lane(self, message: Any) -> Lane[Committed[R]]:
        """The lane in which a message of this kind travels. Raises `ConfigurationError` where no key signs
        it.
        """
        lane = self._lane_of.get(type(message))
        return self._open_lane(message) if lane is None else lane

    def _open_lane(self, message: Any) -> Lane[Committed[R]]:
        purpose = self._core.choose_purpose([message])
        lane = self._lanes.get(purpose)
        if lane is None:
            lane = Lane(partial(self._send, self._core.signers[purpose]), self._grouping)
            self._lanes[purpose] = lane
        self._lane_of[type(message)] = lane
        return lane

    def cut(self, messages: Iterable[Any]) -> Iterator[list[Any]]:
        """The messages in groups that a transaction can hold and one key may sign. Raises `InvalidRequest` or
        `ConfigurationError` at the first that is none or that no key signs.
        """
        group: list[Any] = []
        lane, size = None, 0
        for message in messages:
            length = len(check_message(message)) + 1
            wanted = self.get_lane(message)
            is_full = len(group) == self._grouping.messages or size + length > MESSAGE_BYTES_MAX
            if group and (is_full or wanted is not lane):
                yield group
                group, size = [], 0
            lane = wanted
            group.append(message)
            size += length
        if group:
            yield group

    async def drain(self) -> None:
        """Everything that was asked has its outcome."""
        while self._alone or any(lane.is_busy for lane in self._lanes.values()):
            for lane in self._lanes.values():
                await lane.drain()
            if self._alone:
                await asyncio.wait(self._alone)

    async def _send(self, signer: Signer, calls: list[Call[Committed[R]]]) -> Sequence[Committed[R]]:
        settler = await self._open_settler()
        try:
            await self._dates.date(calls)
            for call in await self._find_open(settler, calls):
                # It is its own task's now, whatever becomes of the others.
                calls.remove(call)
                self._settle_alone(settler, call)
            if not calls:
                return []
            return await settler.submit(
                [call.message for call in calls], signer=signer, dated=_list_dated(calls)
            )
        finally:
            self._dates.forget(_list_dated(calls))

    async def _find_open(
        self, settler: Settler[R], calls: Sequence[Call[Committed[R]]]
    ) -> list[Call[Committed[R]]]:
        """The calls whose order may be open already, in other bytes or in these."""
        if all(call.is_settled for call in calls):
            return []
        found = await self._recall.find_open([call.message for call in calls])
        found.update(place for place, call in enumerate(calls) if settler.is_open(call.data))
        return [call for place, call in enumerate(calls) if place in found and not call.is_settled]

    def _settle_alone(self, settler: Settler[R], call: Call[Committed[R]]) -> None:
        task = asyncio.get_running_loop().create_task(self._settle(settler, call))
        self._alone.add(task)
        task.add_done_callback(self._alone.discard)

    async def _settle(self, settler: Settler[R], call: Call[Committed[R]]) -> None:
        """The call hears what came of its order, or travels with a later group."""
        try:
            result = await settler.ask_again(call.data)
            if result is None:
                result = await self._recall.settle_first(settler, call.message)
        except asyncio.CancelledError:
            call.future.cancel()
            raise
        except Exception as error:  # noqa: BLE001  # whoever waits hears it, whatever it is
            self._dates.forget(_list_dated([call]))
            if not call.future.done():
                call.future.set_exception(error)
            return
        if result is None and not call.future.done():
            call.is_settled = True
            self.get_lane(call.message).put(call)
            return
        self._dates.forget(_list_dated([call]))
        if result is not None and not call.future.done():
            call.future.set_result(result)


def _list_dated(calls: Sequence[Call[Any]]) -> list[Dated]:
    return [get_date(call.message) for call in calls if call.is_dated]
