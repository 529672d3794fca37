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


class PausedError(RejectedByLedger):
    """The alliance lets this rest: the kind of message, the program, or a participant."""

    what_to_do = "No points moved. Take money; shop.government().halt says what rests."


class ProposalError(RejectedByLedger):
    """It cannot be decided like this, or not any more."""

    what_to_do = "Nothing was decided. Look at shop.proposal(id) and shop.government()."


class SettlementError(RejectedByLedger):
    """The window does not wait for this, or not from us."""

    what_to_do = "Nothing was signed. Look at shop.window(number) and shop.statement(number)."


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
    PausedError: ("PARTICIPANT_REMOVED", "PARTICIPANT_SUSPENDED", "RULE_PAUSED", "PROGRAM_PAUSED"),
    ProposalError: (
        "PROPOSAL_FINAL",
        "PROPOSAL_EXPIRED",
        "PROPOSAL_TOO_LONG",
        "TOO_MANY_PROPOSALS",
        "CONFIGURATION_CHANGED",
        "ALREADY_VOTED",
        "BELOW_THRESHOLD",
        "NOT_SUSPENDED",
        "OPERATOR_STAYS",
        "BELOW_MINIMUM_VOTERS",
        "PARTICIPANT_OWES",
        "THRESHOLD_TOO_LOW",
        "PARAMETER_HAS_NO_TRIAL",
        "TRIAL_MALFORMED",
        "PAR_RISE_NEEDS_NO_VOTE",
        "CAP_ABOVE_COVER",
        "RULEBOOK_NOT_AHEAD",
        "ENGINE_IS_SOLO",
        "ENGINE_SWITCHED",
        "POLICY_MALFORMED",
        "VALIDATORS_MALFORMED",
        "PAUSE_MALFORMED",
        "ALREADY_PAUSED",
        "NOT_PAUSED",
    ),
    SettlementError: (
        "WINDOW_NOT_CLOSED",
        "TOO_MANY_WINDOWS",
        "WINDOW_NOT_CONFIRMED",
        "STATEMENT_DIFFERS",
        "LINE_UNKNOWN",
        "ALREADY_SIGNED",
        "NO_DISPUTE",
        "ALREADY_ATTESTED",
        "NOTHING_OWED",
    ),
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
        "PROPOSAL_UNKNOWN",
        "TRIAL_UNKNOWN",
        "WINDOW_UNKNOWN",
        "TRANSFER_UNKNOWN",
    ),
    AlreadyExists: (
        "PARTICIPANT_EXISTS",
        "KEY_EXISTS",
        "PROGRAM_EXISTS",
        "SERIES_EXISTS",
        "MEMBER_EXISTS",
        "MEMBER_KEY_EXISTS",
        "PROPOSAL_EXISTS",
    ),
    NotEntitled: (
        "NOT_OPERATOR",
        "NOT_ISSUER",
        "NOT_CUSTODIAN",
        "NOT_A_TILL",
        "PROGRAM_FORBIDS_GIFTS",
        "VOTE_REQUIRED",
        "NOT_A_VOTER",
        "NOT_PROPOSER",
        "NOT_IN_WINDOW",
        "NOT_IN_TRANSFER",
        "NOT_TRUSTEE",
    ),
    LimitExceeded: (
        "AMOUNT_TOO_LARGE",
        "PARAMETER_OUT_OF_BOUNDS",
        "DEBIT_CAP",
        "ISSUER_CAP",
        "ORDER_CEILING",
        "TILL_LIMIT",
        "BONUS_BUDGET_EXHAUSTED",
        "ISSUANCE_EXHAUSTED",
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
