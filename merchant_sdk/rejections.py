"""Which error a code of the ledger is: codes are many and grow, the families a till tells apart are few."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from merchant_sdk.errors import (
    AlreadyExists,
    AtomicAborted,
    ConsentError,
    GrantError,
    InsufficientPoints,
    LimitExceeded,
    NotEntitled,
    OccurredAtError,
    QuoteError,
    ReferenceConflict,
    RejectedByLedger,
    UnknownToLedger,
)


class HoldError(RejectedByLedger):
    """The hold is not there any more, or holds less, or cannot be made like this."""

    what_to_do = "No points moved. Look at shop.order(reference), and hold or take the points anew."


class ReturnError(RejectedByLedger):
    """What should come back is not there, or came back already, or it is too late."""

    what_to_do = "No points moved. Look at shop.order(reference) for what came back already."


class StepUpRequired(RejectedByLedger):
    """So many points need the member's own word."""

    what_to_do = "No points moved. Ask the member to show a points code, and call again with it."


_FAMILIES: Final[dict[type[RejectedByLedger], tuple[str, ...]]] = {
    InsufficientPoints: ("INSUFFICIENT_POINTS",),
    HoldError: (
        "HOLD_EXPIRED",
        "HOLD_TOO_LONG",
        "HOLD_UNKNOWN",
        "HOLD_FINAL",
        "CAPTURE_ABOVE_HOLD",
    ),
    ReturnError: (
        "ORIGINAL_UNKNOWN",
        "REFUND_TOO_LATE",
        "REFUND_ABOVE_ORIGINAL",
        "TOO_MANY_REFUNDS",
        "CLAWBACK_BLOCKED",
        "DEBT_LIMIT",
    ),
    StepUpRequired: ("STEP_UP_REQUIRED",),
    GrantError: (
        "CUSTODY_GRANT_MISSING",
        "CUSTODY_GRANT_EXHAUSTED",
        "GRANT_UNKNOWN",
        "GRANT_MISSING",
        "GRANT_EXPIRED",
        "GRANT_EXHAUSTED",
    ),
    ReferenceConflict: ("REFERENCE_CONFLICT",),
    OccurredAtError: ("OCCURRED_IN_FUTURE", "OCCURRED_TOO_LONG_AGO"),
    QuoteError: ("QUOTE_EXPIRED", "BELOW_LEAST", "EXCHANGE_TOO_SMALL", "PROGRAMS_MUST_DIFFER"),
    UnknownToLedger: (
        "PARTICIPANT_UNKNOWN",
        "KEY_UNKNOWN",
        "PARAMETER_UNKNOWN",
        "PROGRAM_UNKNOWN",
        "SERIES_UNKNOWN",
        "MEMBER_UNKNOWN",
        "MEMBER_KEY_MISSING",
    ),
    AlreadyExists: (
        "PARTICIPANT_EXISTS",
        "KEY_EXISTS",
        "PROGRAM_EXISTS",
        "SERIES_EXISTS",
        "MEMBER_EXISTS",
        "MEMBER_KEY_EXISTS",
    ),
    NotEntitled: ("NOT_OPERATOR", "NOT_ISSUER", "NOT_CUSTODIAN", "NOT_A_TILL", "PROGRAM_FORBIDS_GIFTS"),
    LimitExceeded: (
        "AMOUNT_TOO_LARGE",
        "PARAMETER_OUT_OF_BOUNDS",
        "DEBIT_CAP",
        "ISSUER_CAP",
        "ORDER_CEILING",
        "TILL_LIMIT",
        "BONUS_BUDGET_EXHAUSTED",
    ),
    AtomicAborted: ("ATOMIC_ABORTED",),
}
_FAMILY_OF: Final[dict[str, type[RejectedByLedger]]] = {
    code: family for family, codes in _FAMILIES.items() for code in codes
}


def make_rejection(code: str, facts: Mapping[str, Any], *, committed: Any = None) -> RejectedByLedger:
    """The error of the code's family."""
    family = _FAMILY_OF.get(code)
    if family is None:
        # Two families go by name, so that a code added later lands in them too.
        if code.startswith("CONSENT_"):
            family = ConsentError
        else:
            family = LimitExceeded if code.endswith("_LIMIT") else RejectedByLedger
    return family(code, facts, committed=committed)
