"""Commonpoint for merchants: earn and spend points across an alliance, and prove every line of it.

    from merchant_sdk import Merchant

    with Merchant("fresh", "https://node.example", key="…", chain="alliance/5f…") as shop:
        print(shop.earn("m_…", "45.60", reference="A-1029").points)

This is the public list; whatever is not on it may change. docs/how-to/merchant.md tells how to use it. The
messages for `submit` are in `contracts.messages`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from contracts.messages.enrolment import MemberKey
from merchant_sdk.amounts import Micros, format_micros
from merchant_sdk.contradictions import LogContradiction
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
from merchant_sdk.held import Held
from merchant_sdk.points_code import PointsCode
from merchant_sdk.programs import Program
from merchant_sdk.qr import QR
from merchant_sdk.receipt import Receipt
from merchant_sdk.records import Evidence
from merchant_sdk.rejections import (
    HoldError,
    PausedError,
    ProposalError,
    ReturnError,
    SettlementError,
    StepUpRequired,
)
from merchant_sdk.results import Balance, Committed, HistoryEntry, Position, Quote, Resent
from merchant_sdk.settings import load_signer
from merchant_sdk.wallet import Wallet, make_member_id

if TYPE_CHECKING:
    from merchant_sdk.client.asynchronous import AsyncMerchant
    from merchant_sdk.client.synchronous import Merchant
    from merchant_sdk.government import Government, Proposal
    from merchant_sdk.policies import Policies
    from merchant_sdk.promises import Promised
    from merchant_sdk.statement import Statement
    from merchant_sdk.till import Allowance
    from merchant_sdk.till_store import AllowanceError, Spend
    from merchant_sdk.webhooks import WebhookError, WebhookEvent, Webhooks
    from merchant_sdk.windows import Exposure, OpenWindow, Window, Windows

__all__ = [
    "QR",
    "Allowance",
    "AllowanceError",
    "AlreadyExists",
    "AsyncMerchant",
    "AtomicAborted",
    "Balance",
    "Committed",
    "CommonpointError",
    "ConfigurationError",
    "ConsentError",
    "Evidence",
    "Exposure",
    "Government",
    "GrantError",
    "Held",
    "HistoryEntry",
    "HoldError",
    "InsufficientPoints",
    "InvalidRequest",
    "LimitExceeded",
    "LogContradiction",
    "MemberKey",
    "Merchant",
    "Micros",
    "NotEntitled",
    "NotFound",
    "NotSent",
    "OccurredAtError",
    "OpenWindow",
    "OutboxError",
    "PausedError",
    "PointsCode",
    "Policies",
    "Position",
    "Program",
    "Promised",
    "Proposal",
    "ProposalError",
    "Quote",
    "QuoteError",
    "Receipt",
    "ReferenceConflict",
    "RefusedByNode",
    "RejectedByLedger",
    "Resent",
    "ReturnError",
    "SettlementError",
    "Spend",
    "Statement",
    "StepUpRequired",
    "UnknownOutcome",
    "UnknownToLedger",
    "Unverified",
    "Wallet",
    "WebhookError",
    "WebhookEvent",
    "Webhooks",
    "Window",
    "Windows",
    "format_micros",
    "load_signer",
    "make_member_id",
]


_LAZY: Final = {
    "Allowance": "merchant_sdk.till",
    "AllowanceError": "merchant_sdk.till_store",
    "AsyncMerchant": "merchant_sdk.client.asynchronous",
    "Exposure": "merchant_sdk.windows",
    "Government": "merchant_sdk.government",
    "Merchant": "merchant_sdk.client.synchronous",
    "OpenWindow": "merchant_sdk.windows",
    "Policies": "merchant_sdk.policies",
    "Promised": "merchant_sdk.promises",
    "Proposal": "merchant_sdk.government",
    "Spend": "merchant_sdk.till_store",
    "Statement": "merchant_sdk.statement",
    "WebhookError": "merchant_sdk.webhooks",
    "WebhookEvent": "merchant_sdk.webhooks",
    "Webhooks": "merchant_sdk.webhooks",
    "Window": "merchant_sdk.windows",
    "Windows": "merchant_sdk.windows",
}
"""Loaded when first named: wallets and receipts need neither loop nor database."""


def __getattr__(name: str) -> Any:
    """What is loaded when it is first named."""
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
