"""Many orders at once."""

from __future__ import annotations

import asyncio
import itertools

_numbers = itertools.count()


def name_order() -> str:
    return f"B-{next(_numbers)}"


def earn_many(shop, member, count, **more):
    """So many earnings at once, and what came of each."""
    orders = (shop.earn(member, "1", name_order(), **more) for _ in range(count))
    return asyncio.gather(*orders, return_exceptions=True)


def count_messages(sent: list[bytes]) -> list[int]:
    return [data.count(b'"@type"') for data in sent]
