"""Messages without end, as many transactions as it takes, several of them under way.

So many are read ahead as are under way, and no more: whoever makes the messages is held back by the node's
pace, and memory stays as it is. The results come in the order of the messages. What happens on the ledger has
an order within each transaction only: messages that need each other's effect belong together in one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Sequence
from typing import Any, Final, TypeVar

T = TypeVar("T")

STREAM_IN_FLIGHT_MAX: Final = 4
"""Enough that the node works on one transaction while others are made, carried and verified."""


async def stream(
    groups: Iterable[Sequence[Any]], submit: Callable[[Sequence[Any]], Coroutine[Any, Any, list[T]]]
) -> AsyncGenerator[list[T], None]:
    """The results of these groups of messages, each a transaction, in their order.

    Raises what the first group raised that did not go well. Whoever goes away, by that or otherwise, leaves
    nothing half-done: what was under way is answered first.
    """
    under_way: deque[asyncio.Task[list[T]]] = deque()
    try:
        for group in groups:
            under_way.append(asyncio.get_running_loop().create_task(submit(group)))
            if len(under_way) == STREAM_IN_FLIGHT_MAX:
                yield await under_way.popleft()
        while under_way:
            yield await under_way.popleft()
    finally:
        await asyncio.gather(*under_way, return_exceptions=True)
