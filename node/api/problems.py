"""Problems: every way in which the API says no, as RFC 9457 `application/problem+json` with a stable code.

A 4xx is the asker's to mend and says what was found; a 5xx is ours and says nothing of our insides. What
somebody may not see and what does not exist are one problem, byte for byte, so `NOT_FOUND` carries no facts
at all.

The codes themselves are the specification's (docs/spec/messages.md and api.md); nothing is decided here.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from contracts.messages.reject_codes import REJECT_CODES
from ledger.codec import INTEGER_MAX
from ledger.errors import CommonpointError

MEDIA_TYPE: Final = "application/problem+json"
_FACT_CHARACTERS_MAX: Final = 200
_RESERVED: Final = frozenset({"type", "title", "status", "detail", "code"})
_encode: Final = msgspec.json.Encoder(order="sorted").encode


class Kind(NamedTuple):
    """One code: its HTTP status, what it means, what to do."""

    status: int
    title: str
    advice: str


_MEND: Final = "Not as it is: mend the request."
_NEW: Final = "Sign anew and send again."

CODES: Final[dict[str, Kind]] = {
    # A transaction is refused, in the order of the checks.
    "TOO_LARGE": Kind(413, "More bytes than may be sent", _MEND),
    "MALFORMED": Kind(400, "Not JSON of the right shape, or a value out of its bounds", _MEND),
    "NOT_CANONICAL": Kind(400, "Not the canonical bytes of what it says", _MEND),
    "TOO_MANY_MESSAGES": Kind(400, "More messages than one transaction may hold", _MEND),
    "EMPTY": Kind(400, "A transaction without a message", _MEND),
    "COUNT_MISMATCH": Kind(400, "The count is not the number of messages", _MEND),
    "WRONG_CHAIN": Kind(400, "Made for another chain", _MEND),
    "DIGEST_MISMATCH": Kind(400, "The digest is not that of the messages", _MEND),
    "EXPIRED": Kind(400, "Its time is over", _NEW),
    "NOT_AFTER_TOO_FAR": Kind(400, "Its expiry lies too far ahead", _NEW),
    "UNKNOWN_KEY": Kind(401, "No such key of this subject", _MEND),
    "KEY_NOT_VALID": Kind(401, "The key is revoked, or not yet valid", "With another key."),
    "NOT_IN_FORCE": Kind(400, "No rule in force takes one of its messages", "When the rulebook has one."),
    "WRONG_PURPOSE": Kind(403, "The key's purpose does not cover this", "With another key."),
    "SIGNATURE_INVALID": Kind(401, "The signature does not verify", _MEND),
    "ID_CONFLICT": Kind(409, "The same sender and id stand for something else", "Under a new id."),
    # The rim.
    "UNAUTHENTICATED": Kind(401, "A token is needed", "With a token."),
    "TOKEN_INVALID": Kind(401, "The token is not, or no longer, good", "With a fresh token."),
    "NOT_FOUND": Kind(404, "Not found", "No."),
    "METHOD_NOT_ALLOWED": Kind(405, "No such method here", "No."),
    "BAD_REQUEST": Kind(400, "A parameter is missing, unknown, given twice or out of bounds", _MEND),
    "BAD_SIZES": Kind(400, "Not two sizes of this log, the older first", _MEND),
    "TIME_BACKWARDS": Kind(400, "Earlier than the newest block", _MEND),
    "NONCE_USED": Kind(409, "This nonce was used before", "With a new nonce."),
    "BUSY": Kind(429, "Too much at once; nothing was taken", "After Retry-After."),
    "NOT_YET": Kind(503, "The ledger has not reached this height", "Yes."),
    "NOT_WITNESSED": Kind(409, "Too few witnesses have cosigned a tree that holds it", "Yes, in a moment."),
    "NOT_READY": Kind(503, "The node does not take transactions now", "Yes, elsewhere or later."),
    "STORAGE_LOW": Kind(
        503, "The node's disk is nearly full; nothing new is taken", "Yes, elsewhere or later."
    ),
    "ENGINE_SWITCHED": Kind(503, "Validators make the blocks now, and this node none", "At a validator."),
    "STOPPING": Kind(503, "The node is stopping", "The same signed bytes, elsewhere or later."),
    "INTERNAL": Kind(500, "A fault of this node, which has logged it", "The same signed bytes."),
}
"""Every code of the API, beside the reject codes that a quote may answer with."""


class Problem(NamedTuple):
    """A problem ready to be sent."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]


def make_problem(code: str, facts: dict[str, object] | None = None, *, detail: str | None = None) -> Problem:
    """The problem of this code. A code that is not in the table is a rule's: 400, with the rule's own
    words.
    """
    kind = CODES.get(code) or Kind(400, REJECT_CODES.get(code, "Refused"), _MEND)
    body: dict[str, Any] = {} if code == "NOT_FOUND" else _make_facts(facts or {})
    body |= {
        "code": code,
        "detail": detail or kind.title + ".",
        "status": kind.status,
        "title": kind.title,
        "type": f"/problems/{code}",
    }
    data = _encode(body)
    headers = [
        (b"content-type", MEDIA_TYPE.encode("ascii")),
        (b"content-length", b"%d" % len(data)),
        (b"cache-control", b"no-store"),
    ]
    if kind.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if code in ("BUSY", "NOT_YET", "NOT_READY", "STORAGE_LOW", "STOPPING"):
        seconds = body.get("retry_after_seconds", 1)
        headers.append((b"retry-after", b"%d" % seconds))
    return Problem(kind.status, data, tuple(headers))


def describe_error(error: CommonpointError) -> Problem:
    """The problem that a refusal or a rejection is."""
    return make_problem(error.code, error.facts)


def _make_facts(facts: dict[str, object]) -> dict[str, Any]:
    """What was found, in bounds and as JSON: a fact may hold whatever a stranger sent."""
    return {name: _make_fact(value) for name, value in facts.items() if name not in _RESERVED}


def _make_fact(value: object) -> str | int | bool:
    if isinstance(value, bool) or (isinstance(value, int) and abs(value) <= INTEGER_MAX):
        return value
    if isinstance(value, int):
        return "an integer beyond 2^53"
    text = value if isinstance(value, str) else repr(value)
    # Lone surrogates and control characters are shown by name, so that they reach nobody's terminal as they
    # are.
    return text[:_FACT_CHARACTERS_MAX].encode("unicode_escape", "backslashreplace").decode("ascii")
