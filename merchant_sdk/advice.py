"""What to do about a code, for people: said once, beside the codes that pass by themselves.

Codes that are not here take the advice of their family in `merchant_sdk.errors`.
"""

from __future__ import annotations

from typing import Final

REFUSALS_THAT_PASS: Final = frozenset({"BUSY", "NOT_READY", "NOT_YET", "STOPPING", "INTERNAL"})
REFUSALS: Final[dict[str, str]] = {
    "UNKNOWN_KEY": "Use a key that this participant has registered.",
    "KEY_NOT_VALID": "Use a key that is valid now; this one is revoked or not valid yet.",
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
        "NO_OPEN_SERIES",
    }
)
REJECTIONS: Final[dict[str, str]] = {
    "CONSENT_KEY_WAITING": "No points moved. The member's new key may spend others' points after its delay.",
    "GRANT_EXHAUSTED": "No points moved. Try again tomorrow, or ask the issuer for a larger budget.",
    "NO_OPEN_SERIES": "No points moved. The issuer has to open a series.",
}
