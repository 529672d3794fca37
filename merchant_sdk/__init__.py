"""Commonpoint for merchants: earn and spend points across an alliance, and prove every line of it.

    from merchant_sdk import Merchant

    with Merchant("fresh", "https://node.example", key="…", chain="alliance/5f…") as shop:
        print(shop.earn("m_…", "45.60", reference="A-1029").points)

This is the public list; whatever is not on it may change. docs/how-to/merchant.md tells how to use it. The
messages for `submit` are in `contracts.messages`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from merchant_sdk.amounts import Micros, format_micros
from merchant_sdk.errors import (
    AlreadyExists,
    AtomicAborted,
    CommonpointError,
    ConfigurationError,
    ConsentError,
    GrantError,
    InsufficientPoints,
    InvalidRequest,
    LimitExceeded,
    NotEntitled,
    NotFound,
    NotSent,
    OccurredAtError,
    OutboxError,
    QuoteError,
    ReferenceConflict,
    RefusedByNode,
    RejectedByLedger,
    UnknownOutcome,
    UnknownToLedger,
    Unverified,
)
from merchant_sdk.points_code import PointsCode
from merchant_sdk.receipt import Receipt
from merchant_sdk.records import Evidence
from merchant_sdk.results import Balance, Committed, HistoryEntry, Position, Quote, Resent
from merchant_sdk.settings import load_signer
from merchant_sdk.wallet import Wallet, make_member_id

if TYPE_CHECKING:
    from merchant_sdk.client.asynchronous import AsyncMerchant
    from merchant_sdk.client.synchronous import Merchant

__all__ = [
    "AlreadyExists",
    "AsyncMerchant",
    "AtomicAborted",
    "Balance",
    "Committed",
    "CommonpointError",
    "ConfigurationError",
    "ConsentError",
    "Evidence",
    "GrantError",
    "HistoryEntry",
    "InsufficientPoints",
    "InvalidRequest",
    "LimitExceeded",
    "Merchant",
    "Micros",
    "NotEntitled",
    "NotFound",
    "NotSent",
    "OccurredAtError",
    "OutboxError",
    "PointsCode",
    "Position",
    "Quote",
    "QuoteError",
    "Receipt",
    "ReferenceConflict",
    "RefusedByNode",
    "RejectedByLedger",
    "Resent",
    "UnknownOutcome",
    "UnknownToLedger",
    "Unverified",
    "Wallet",
    "format_micros",
    "load_signer",
    "make_member_id",
]


def __getattr__(name: str) -> Any:
    """The two faces, loaded when first named: wallets and receipts need neither loop nor database."""
    if name == "AsyncMerchant":
        from merchant_sdk.client.asynchronous import AsyncMerchant  # noqa: PLC0415

        return AsyncMerchant
    if name == "Merchant":
        from merchant_sdk.client.synchronous import Merchant  # noqa: PLC0415

        return Merchant
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
