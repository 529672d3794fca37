"""What is said of an order never contradicts what is still open about it.

A call may fail in a way that leaves nothing of itself behind, while an earlier call for the same order is
still open: its reply was lost, by this process or one before it, or another process has it in hand. Then
"nothing was taken" would be true of the call and a lie about the order. So whatever fails is first held to
the outbox: as long as that has the order in an open transaction, or in its queue, its fate is unknown.

And before an order is sent, what is open of it is settled: asked for again with a fresh points code, it is
answered with what the first bytes did, and only if they surely did nothing is the fresh code used.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Any, Final, Generic, NamedTuple, TypeVar

from merchant_sdk.client.core import Signed
from merchant_sdk.client.history import keep_in
from merchant_sdk.client.settling import Settler
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


_Name = tuple[str, str]
"""Kind and number of an order."""
_NAMES_MAX: Final = 64
"""So many transactions' orders are remembered, and no more."""


class _Place(NamedTuple):
    """Where an order stands whose fate is open."""

    transaction_id: str
    number: int = 0
    message: Any = None
    """None where this SDK cannot read the transaction."""


class Minding:
    """What fails within says `unknown` as long as one of these orders is open."""

    __slots__ = ("_names", "_recall")

    def __init__(self, recall: Recall[Any], names: Sequence[OrderName | None]) -> None:
        self._recall = recall
        self._names = names

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, CommonpointError):
            told = await self._recall.tell(error, self._names)
            if told is not error:
                raise told from error


class Recall(Generic[R]):
    """What the outbox of one participant knows of an order."""

    def __init__(self, outbox: Outbox, sender: str) -> None:
        self._outbox = outbox
        self._sender = sender
        self._names: dict[str, frozenset[_Name] | None] = {}
        """Transaction → the orders in it, as far as they were read."""

    def minding(self, *names: OrderName | None) -> Minding:
        """What fails within says `unknown` as long as one of these orders is open."""
        return Minding(self, names)

    async def tell(self, error: CommonpointError, names: Sequence[OrderName | None]) -> CommonpointError:
        """The error to raise: this one, unless an order of these is open."""
        if error.fate == "unknown":
            return error
        wanted = [name for name in names if name is not None]
        try:
            return await self._compare(error, wanted)
        except OutboxError as failed:
            if isinstance(error, NotSent | RefusedByNode) and wanted:
                # Nobody can say what is open.
                return UnknownOutcome(
                    "", f"{failed.detail}; now: {error.detail or error.code}", code=error.code
                )
            return error

    async def find_open(self, messages: Sequence[Any]) -> set[int]:
        """Which of these orders, by their place, may stand in a transaction whose fate is open and that
        nobody living has in hand. One look for all of them.
        """
        return await keep_in(self._outbox, self._pick_open, messages)

    def _pick_open(self, messages: Sequence[Any]) -> set[int]:
        is_open = frozenset[_Name]().union(*filter(None, self._list_names(but_in_hand=True)))
        if not is_open:
            return set()
        names = [get_name(message) for message in messages]
        return {place for place, name in enumerate(names) if name is not None and name[:2] in is_open}

    def _may_be_open(self, name: OrderName, *, but_in_hand: bool) -> bool:
        found = self._list_names(but_in_hand=but_in_hand)
        return any(names is None or name[:2] in names for names in found)

    def _list_names(self, *, but_in_hand: bool) -> list[frozenset[_Name] | None]:
        """For each open transaction the orders in it; None where only another version of the SDK can read it.

        Each is read once: where one of a thousand is turned down, many look at what else is under way.
        """
        known = self._names
        ids = self._outbox.list_open_ids(self._sender, but_in_hand=but_in_hand)
        found = {each: known[each] if each in known else self._read_names(each) for each in ids}
        # Never changed in place: with a file, several threads look at once.
        self._names = found if len(known) > _NAMES_MAX else known | found
        return list(found.values())

    def _read_names(self, transaction_id: str) -> frozenset[_Name] | None:
        pending = self._outbox.find(self._sender, transaction_id)
        if pending is None:
            # Another process was quicker.
            return frozenset()
        try:
            messages = Signed.read(pending).transaction.messages
        except ConfigurationError:
            return None
        return frozenset((name.kind, name.number) for name in map(get_name, messages) if name is not None)

    async def settle_first(self, settler: Settler[R], message: Any) -> Committed[R] | None:
        """What came of this order when it was asked for before, in other bytes; None where it is to be sent.

        Raises `UnknownOutcome` where nobody can say yet.
        """
        name = get_name(message)
        if name is None:
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
        if not await keep_in(self._outbox, partial(self._may_be_open, name, but_in_hand=but_in_hand)):
            return []
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
