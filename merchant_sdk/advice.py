"""What to do about a code, for people: said once, beside the codes that pass by themselves.

Codes that are not here take the advice of their family in `merchant_sdk.errors`.
"""

from __future__ import annotations

from typing import Final

REFUSALS_THAT_PASS: Final = frozenset(
    {
        "BUSY",
        "ENGINE_SWITCHED",
        "NOT_READY",
        "NOT_WITNESSED",
        "NOT_YET",
        "STORAGE_LOW",
        "STOPPING",
        "INTERNAL",
    }
)
REFUSALS: Final[dict[str, str]] = {
    "UNKNOWN_KEY": "Use a key that this participant has registered.",
    "KEY_NOT_VALID": "Use a key that is valid now; this one is revoked or not valid yet.",
    "NOT_IN_FORCE": "The alliance's rulebook does not take this message yet; ask the operator when it will.",
    "WRONG_PURPOSE": "Sign with a key of the purpose that this message asks for.",
    "SIGNATURE_INVALID": "Check which key file is configured.",
    "WRONG_CHAIN": "The node runs another ledger; check the address and the chain.",
    "EXPIRED": "Check this machine's clock.",
    "NOT_AFTER_TOO_FAR": "Check this machine's clock, or ask for a shorter lifetime.",
    "ID_CONFLICT": "Another transaction stands under this id; leave the choice of ids to the SDK.",
    "NOT_FOUND": "It does not exist, or this participant may not see it.",
}
REJECTIONS_THAT_PASS: Final = frozenset(
    {
        "OCCURRED_IN_FUTURE",
        "CONSENT_KEY_WAITING",
        "CUSTODY_GRANT_EXHAUSTED",
        "GRANT_EXHAUSTED",
        "BONUS_BUDGET_EXHAUSTED",
        "NO_OPEN_SERIES",
        "ISSUANCE_EXHAUSTED",
        "PARTICIPANT_SUSPENDED",
        "RULE_PAUSED",
        "PROGRAM_PAUSED",
        "TOO_MANY_PROPOSALS",
    }
)
REJECTIONS: Final[dict[str, str]] = {
    "CONSENT_KEY_WAITING": "No points moved. The member's new key may spend others' points after its delay.",
    "GRANT_EXHAUSTED": "No points moved. Try again tomorrow, or ask the issuer for a larger budget.",
    "NO_OPEN_SERIES": "No points moved. The issuer has to open a series.",
    "BONUS_BUDGET_EXHAUSTED": "No points moved. Try again tomorrow, or set a policy with a larger budget.",
    "DEBIT_CAP": "No points moved. Take no more of these points until the operator raises your cap.",
    "ISSUER_CAP": "No points moved. These points still work at their issuer; take money, or other points.",
    "ORDER_CEILING": "No points moved. Take fewer points and the rest in money; say the order's amount=.",
    "TILL_LIMIT": "No points moved. Take fewer points, or ask the member to show a points code.",
    "STEP_UP_REQUIRED": "No points moved. Ask the member to show a points code, and call again with it.",
    "NOT_A_TILL": "Name a key of yours whose purpose is till.",
    "HOLD_EXPIRED": "No points moved. Let the hold end later than now.",
    "HOLD_TOO_LONG": "No points moved. Hold for a shorter time.",
    "HOLD_UNKNOWN": "No points moved. Check the number: it is the hold's own, made by this participant.",
    "HOLD_FINAL": (
        "No points moved. The hold was captured, released or lapsed: see shop.order(reference). "
        "If it lapsed, take the points anew."
    ),
    "CAPTURE_ABOVE_HOLD": "No points moved. Capture at most what is held, and take the rest in money.",
    "ORIGINAL_UNKNOWN": "No points moved. Check the order's number, and that you are who took it.",
    "REFUND_TOO_LATE": "No points moved. It is too late for the ledger; make it good otherwise.",
    "REFUND_ABOVE_ORIGINAL": "No points moved. See shop.order(reference) for what came back already.",
    "TOO_MANY_REFUNDS": "No points moved. One order comes back in at most 16 parts.",
    "CLAWBACK_BLOCKED": "No points moved. The member spent them; the issuer's policy lets it rest there.",
    "DEBT_LIMIT": "No points moved. The member owes as many points as an account may.",
    "ACCOUNTS_MUST_DIFFER": "No points moved. A gift goes to another member.",
    "PROGRAM_FORBIDS_GIFTS": "No points moved. The issuer does not let these points be given away.",
    "IMPORT_CLOSED": "No points moved. Award the points, or adjust, instead.",
    "IMPORT_DATES": "No points moved. Check earned_day and expires_day against the series' policy.",
    "ISSUANCE_EXHAUSTED": "No points moved. Try again tomorrow, or propose a larger issuance budget.",
    "PARTICIPANT_REMOVED": "No points moved. This participant has left the alliance.",
    "PARTICIPANT_SUSPENDED": "No points moved. Take money until the alliance ends the suspension.",
    "VOTE_REQUIRED": "Nothing changed. Propose it, so that the alliance can vote on it.",
    "NOT_A_VOTER": "Nothing was decided. Ask an organisation that has a vote to propose it.",
    "PROPOSAL_UNKNOWN": "Nothing was decided. Check the proposal's id: shop.proposals() lists them.",
    "PROPOSAL_EXISTS": "Propose it under another id; one that was taken is never free again.",
    "PROPOSAL_TOO_LONG": "Let it expire sooner: the parameter proposal_seconds_max says how far ahead.",
    "CONFIGURATION_CHANGED": "Nothing was decided. Propose it anew, for the voters and rules of today.",
    "ALREADY_VOTED": "A ballot is final, whichever of your keys signed it.",
    "NOTICE_TOO_SHORT": "Nothing changed. Let it hold from a later height: the alliance demands notice.",
    "HEIGHT_NOT_AHEAD": "Nothing changed. Name a height that lies further ahead.",
    "CAP_ABOVE_COVER": "Nothing changed. The trustee has to attest more cover first.",
    "WINDOW_UNKNOWN": "Nothing was signed. Check the number: shop.windows() lists those that were cut.",
    "TRANSFER_UNKNOWN": "Nothing was attested. Check the number: shop.window(number).transfers lists them.",
    "NOT_TRUSTEE": "Only the trustee attests cover: shop.government().trustee says who that is.",
    "STATEMENT_DIFFERS": "Nothing was signed. Fetch the statement anew; if it differs still, ask an auditor.",
    "LINE_UNKNOWN": "Nothing was signed. Dispute lines of yours: shop.statement(number).lines_of(us).",
}
