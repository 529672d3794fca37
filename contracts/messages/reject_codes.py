"""Every code a recorded outcome may carry. Appended, never renamed: the code is part of the history, its text
is not.
"""

from __future__ import annotations

from typing import Final

OK: Final = "OK"

REJECT_CODES: Final[dict[str, str]] = {
    # every message with a reference
    "OCCURRED_IN_FUTURE": "The purchase lies further ahead of the ledger's time than the alliance allows.",
    "OCCURRED_TOO_LONG_AGO": "The purchase lies further back than the alliance remembers references.",
    "ALREADY_DONE": "This very request succeeded before; nothing moved again.",
    "REFERENCE_CONFLICT": "Another request succeeded under this reference before.",
    "ATOMIC_ABORTED": "Another message of the same atomic transaction failed, so none of it counts.",
    # consent
    "CONSENT_MISSING": "The member has not agreed, and the sender's own word is not enough here.",
    "CONSENT_WRONG_COUNTERPARTY": "The member's consent is made out to somebody else.",
    "CONSENT_EXPIRED": "The member's consent is no longer valid.",
    "CONSENT_TOO_LONG": "The consent's expiry lies further ahead than the alliance allows.",
    "CONSENT_TOO_SMALL": "The member agreed to fewer points.",
    "CONSENT_ABOVE_OPEN_LIMIT": "An open points code does not cover that many points.",
    "CONSENT_KEY_UNKNOWN": "The consent is signed with a key that may not speak for this member.",
    "CONSENT_KEY_WAITING": "The member's new key still waits before it may spend other issuers' points.",
    "CONSENT_NOT_CUSTODIAN": "The member has a key of their own; the custodian's word is not enough.",
    "CUSTODY_GRANT_MISSING": "The custodian may not speak for this issuer's points.",
    "CUSTODY_GRANT_EXHAUSTED": "What the custodian may release of this issuer's points is used up.",
    "CONSENT_SIGNATURE_INVALID": "The consent's signature does not verify.",
    "CONSENT_USED": "This consent was used before.",
    # registry
    "NOT_OPERATOR": "Only the operator may do this.",
    "PARTICIPANT_EXISTS": "This participant id is taken.",
    "PARTICIPANT_UNKNOWN": "There is no such participant.",
    "KEY_REFUSED": "The public key is not a canonical Ed25519 point of prime order.",
    "KEY_EXISTS": "This key is registered already.",
    "KEY_UNKNOWN": "The sender has no such key.",
    "KEY_ALREADY_REVOKED": "This key is revoked already.",
    "LAST_GOVERN_KEY": "A participant keeps at least one govern key.",
    "GOVERN_KEY_MISSING": "A participant needs a govern key.",
    "PARAMETER_UNKNOWN": "There is no such parameter.",
    "PARAMETER_OUT_OF_BOUNDS": "The parameter's bounds do not allow this value.",
    "HEIGHT_NOT_AHEAD": "The effective height must lie ahead.",
    "PROGRAM_EXISTS": "This program id is taken.",
    "PROGRAM_UNKNOWN": "There is no such program.",
    "NOT_ISSUER": "Only the program's issuer may do this.",
    "SERIES_EXISTS": "This series id is taken.",
    "SERIES_UNKNOWN": "The program has no such series.",
    "NOTICE_TOO_SHORT": "The alliance demands a longer notice.",
    "PAR_BELOW_FLOOR": "The par lies below the alliance's floor.",
    "PAR_OUTSIDE_BAND": "The par falls further below the series' opening than the band allows.",
    "PAR_ACCRUE_BELOW_REDEEM": "The accrual par would lie below a redemption par now or announced.",
    "PAR_NOT_IN_ORDER": "An announcement for this or a later height stands already.",
    "GRANT_TO_SELF": "An issuer needs no grant for its own program.",
    "GRANT_UNKNOWN": "There is no such grant.",
    "GRANT_MISSING": "The issuer has not granted this.",
    "GRANT_EXPIRED": "The issuer's grant has ended.",
    "GRANT_EXHAUSTED": "The issuer's grant is used up for today or altogether.",
    "TOO_MANY_ANNOUNCED": "As many changes lie ahead already as may.",
    # enrolment
    "MEMBER_EXISTS": "This member id is taken.",
    "MEMBER_UNKNOWN": "There is no such member.",
    "NOT_CUSTODIAN": "Only the member's custodian may do this.",
    "MEMBER_KEY_EXISTS": "The member has a key already; replace it instead.",
    "MEMBER_KEY_MISSING": "The member has no key of their own.",
    "POSSESSION_INVALID": "The new key has not signed for itself.",
    "NO_REPLACEMENT_PENDING": "There is no key replacement to stop.",
    # value
    "NO_OPEN_SERIES": "The program has no series open for issuing.",
    "AMOUNT_TOO_LARGE": "The order would earn more points than one message may move.",
    "INSUFFICIENT_POINTS": "The member has too few spendable points.",
    "LOT_LIMIT": "The account has as many lots as it may have.",
    "BALANCE_LIMIT": "The account would hold more points than an account may.",
    "PROGRAMS_MUST_DIFFER": "Points are exchanged between two programs.",
    "QUOTE_EXPIRED": "The rates have changed since the quote.",
    "BELOW_LEAST": "The member would receive fewer points than they accepted.",
    "EXCHANGE_TOO_SMALL": "Too few points for a single point of the target.",
    # limits
    "DEBIT_CAP": "The sender owes as much as it may.",
    "ISSUER_CAP": "The issuer owes as much as it may; its points still work at home.",
    "ORDER_CEILING": "The issuer allows fewer points for such an order.",
    "TILL_LIMIT": "This till may not spend that many points on its own word.",
    "STEP_UP_REQUIRED": "For that many points the member must be asked.",
    "NOT_A_TILL": "This key is not a till's.",
    "BONUS_BUDGET_EXHAUSTED": "The issuer's budget for awards is used up for today or altogether.",
    # holds
    "HOLD_EXPIRED": "The hold would be over before it begins.",
    "HOLD_TOO_LONG": "The hold would last longer than the alliance allows.",
    "HOLD_UNKNOWN": "The sender has no such hold.",
    "HOLD_FINAL": "The hold was captured or released, or its time is over.",
    "CAPTURE_ABOVE_HOLD": "Fewer points are held.",
    # what came back
    "ORIGINAL_UNKNOWN": "The sender has no such success.",
    "REFUND_TOO_LATE": "The original lies further back than the alliance lets things be returned.",
    "REFUND_ABOVE_ORIGINAL": "More would come back than there was.",
    "TOO_MANY_REFUNDS": "The original came back in as many parts already as may be.",
    "CLAWBACK_BLOCKED": "The member no longer has the points that are due back.",
    "DEBT_LIMIT": "The member would owe more points than an account may.",
    # a gift, an opening balance
    "ACCOUNTS_MUST_DIFFER": "Points are given to somebody else.",
    "PROGRAM_FORBIDS_GIFTS": "The issuer does not let these points be given away.",
    "IMPORT_CLOSED": "The program takes no more opening balances.",
    "IMPORT_DATES": "These points could not have these dates in this series.",
}
"""Code → what it tells a person."""
