"""Whatever goes wrong, a merchant hears three things: what happened, whether it can still happen, what to do.

    CommonpointError
    ├── ConfigurationError     a key, an address or a setting is missing or does not fit; nothing was sent
    ├── InvalidRequest         an argument cannot be right (a float, a malformed id); nothing was sent
    ├── NotSent                no byte of it reached a node; nothing was taken, nor will be
    ├── RefusedByNode          a node turned the request away; nothing was recorded
    │   └── NotFound           it does not exist, or is not yours to see
    ├── RejectedByLedger       it was executed and turned down; that is recorded, and no points moved
    │   ├── InsufficientPoints
    │   ├── ConsentError       the member has not agreed, or not to this
    │   ├── GrantError         the issuer has not allowed this, or no more of it
    │   ├── ReferenceConflict  this order number was used for something else
    │   ├── OccurredAtError    the purchase lies too far from the ledger's time
    │   ├── QuoteError         the exchange is not what was quoted
    │   ├── UnknownToLedger    no such member, program, series, participant or key
    │   ├── AlreadyExists      the id or key is taken
    │   ├── NotEntitled        somebody else may do this, not the sender
    │   ├── LimitExceeded      more than a message, an account or a parameter can hold
    │   └── AtomicAborted      another message of the same atomic transaction failed
    ├── OutboxError            the outbox cannot be read or written, so nothing new is sent
    ├── UnknownOutcome         it was submitted, and is not known to be committed: `flush()` finds out
    └── Unverified             an answer does not prove itself; both signed notes are kept as evidence

``fate`` says in one word what became of what was asked:

- ``refused``: it was turned down, by the ledger (that is recorded) or by a node (nothing is). It is over.
- ``not_sent``: no byte of it ever left for a node, from this process or one before it. It is over.
- ``unknown``: it may have happened, or may yet. ``transaction_id`` names it, the outbox keeps it, and asking
  again is safe: by `flush`, or by the same call under the same reference.

Whatever is not surely one of the first two is ``unknown``: an answer cut short, a fault of the server, a page
from something between us and the node, an answer that does not prove itself. That a node refused is that
node's word; it signs none. A question (a balance, a receipt) moves nothing, so one that got no answer counts
as not sent.

``may_retry`` says whether the very same call, made again, is safe and can succeed; ``what_to_do`` says it to
a person. Codes are those of docs/spec/messages.md and api.md and never change. ALREADY_DONE is no error: the
result says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from contracts.messages.reject_codes import REJECT_CODES
from merchant_sdk.advice import REFUSALS, REFUSALS_THAT_PASS, REJECTIONS, REJECTIONS_THAT_PASS

Fate = Literal["refused", "not_sent", "unknown"]
"""What became of what was asked."""

_TOLD_MAX: Final = 200


class CommonpointError(Exception):
    """What all errors of the SDK share."""

    may_retry: bool = False
    """The very same call may be made again, and can succeed."""
    what_to_do: str = "Read the code and the facts."
    settled: Fate = "not_sent"
    """What became of it where nothing is left open."""
    transaction_id: str | None = None
    """The transaction that is still open, where one is: then, and only then, the fate is unknown."""

    def __init__(self, code: str, detail: str = "", facts: Mapping[str, Any] | None = None) -> None:
        self.code = code
        self.detail = detail
        self.facts: dict[str, Any] = dict(facts or {})
        told = ", ".join(f"{name}={_tell(value)}" for name, value in sorted(self.facts.items()))
        text = f"{code}: {detail}" if detail else code
        super().__init__(f"{text} ({told})" if told else text)

    @property
    def fate(self) -> Fate:
        """``refused``, ``not_sent`` or ``unknown``: whether what was asked can still happen."""
        return self.settled if self.transaction_id is None else "unknown"

    def __reduce__(self) -> tuple[Any, ...]:
        # Python would call the class with the text alone; each of ours is made from more than that.
        return _remake, (type(self), self.args, self.__dict__)


def _tell(value: object) -> str:
    # Facts may come from a server that means no good: an endless text, a number too long to be written out.
    try:
        return repr(value)[:_TOLD_MAX]
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} that cannot be shown"


def _remake(
    kind: type[CommonpointError], arguments: tuple[Any, ...], fields: dict[str, Any]
) -> CommonpointError:
    error = kind.__new__(kind, *arguments)
    error.args = arguments
    error.__dict__.update(fields)
    return error


class ConfigurationError(CommonpointError):
    """A key, an address or a setting is missing or does not fit. Nothing was sent."""

    what_to_do = "Correct the setting that the message names."

    def __init__(self, detail: str, **facts: object) -> None:
        super().__init__("CONFIGURATION", detail, facts)


class InvalidRequest(CommonpointError, ValueError):
    """An argument cannot be right whatever the ledger's state is. Nothing was sent."""

    what_to_do = "Correct the argument that the message names; nothing was sent."

    def __init__(self, detail: str, **facts: object) -> None:
        super().__init__("INVALID_REQUEST", detail, facts)


class NotSent(CommonpointError):
    """No byte of it reached a node. Nothing was taken, and nothing of it will be sent later.

    To a question (which moves nothing) it says only that no answer came.
    """

    may_retry = True
    what_to_do = "Nothing was taken. Call again, when the network or the node is back."

    def __init__(self, detail: str, **facts: object) -> None:
        super().__init__("NOT_SENT", detail, facts)


class RefusedByNode(CommonpointError):
    """A node turned the request away: nothing was recorded. ``status`` is the HTTP status."""

    settled = "refused"

    def __init__(
        self, code: str, *, status: int, detail: str = "", facts: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(code, detail, facts)
        self.status = status
        self.may_retry = code in REFUSALS_THAT_PASS
        if self.may_retry:
            self.what_to_do = "Nothing was taken. Call again in a moment."
        else:
            self.what_to_do = REFUSALS.get(
                code, 'Nothing was recorded. Look the code up in "The HTTP API" (api.md) and "Messages".'
            )


class NotFound(RefusedByNode):
    """It does not exist, or it is not yours to see: a node gives both the same answer."""


class RejectedByLedger(CommonpointError):
    """It was executed and turned down. The entry with its code stands in the log; no points moved."""

    settled = "refused"
    what_to_do = "No points moved. Decide at the till what to do instead."

    def __init__(self, code: str, facts: Mapping[str, Any] | None = None, *, committed: Any = None) -> None:
        super().__init__(code, REJECT_CODES.get(code, ""), facts)
        self.committed = committed
        """The result as it stands in the log, with its index and receipt."""
        self.may_retry = code in REJECTIONS_THAT_PASS
        self.what_to_do = REJECTIONS.get(code, type(self).what_to_do)

    def __reduce__(self) -> tuple[Any, ...]:
        # The result leads back to the client it came from, which does not travel to another process.
        return _remake, (type(self), self.args, {**self.__dict__, "committed": None})


class InsufficientPoints(RejectedByLedger):
    """The member has too few spendable points."""

    what_to_do = "No points moved. Ask for fewer points, or take the rest in money."


class ConsentError(RejectedByLedger):
    """The member has not agreed, or not to this."""

    what_to_do = "No points moved. Ask the member to show a fresh points code for this shop and sum."


class GrantError(RejectedByLedger):
    """The issuer has not allowed this, or no more of it."""

    what_to_do = "No points moved. The issuer of these points has to grant it."


class ReferenceConflict(RejectedByLedger):
    """Something else succeeded under this reference before; ``facts["first"]`` says where."""

    what_to_do = "No points moved. Give this order a number of its own; see the first entry's receipt."


class OccurredAtError(RejectedByLedger):
    """The purchase lies too far from the ledger's time."""

    what_to_do = "No points moved. Check the till's clock and the order's date."


class QuoteError(RejectedByLedger):
    """The exchange is not what was quoted."""

    what_to_do = "No points moved. Ask for a new quote and let the member agree to it."


class UnknownToLedger(RejectedByLedger):
    """There is no such member, program, series, participant or key."""

    what_to_do = "No points moved. Check the id."


class AlreadyExists(RejectedByLedger):
    """The id or key is taken."""

    what_to_do = "Choose another id, or look up what stands under this one."


class NotEntitled(RejectedByLedger):
    """Somebody else may do this, not the sender."""

    what_to_do = "Ask the participant that may."


class LimitExceeded(RejectedByLedger):
    """More than a message, an account or a parameter can hold."""

    what_to_do = "No points moved. Ask for less."


class AtomicAborted(RejectedByLedger):
    """Another message of the same atomic transaction failed, so none of it counts."""

    what_to_do = "No points moved. Look at the message that failed; without it the others may be sent again."


class OutboxError(CommonpointError):
    """The outbox cannot be read or written: a full disk, a damaged file. Without it nothing is sent.

    With a ``transaction_id`` the bytes had been stored before, so that one is unknown; else nothing was sent.
    """

    may_retry = True
    what_to_do = (
        "Make room, or mend the file, and make the same call again: "
        "under the same reference nothing moves twice."
    )

    def __init__(self, detail: str, **facts: object) -> None:
        super().__init__("OUTBOX", detail, facts)


class UnknownOutcome(CommonpointError):
    """It was submitted, and is not known to be committed. Points may have moved.

    The signed bytes stay in the outbox; `flush` sends exactly those again, or looks them up, and finds out.
    """

    may_retry = True
    what_to_do = (
        "Do not send this order under another reference. Call flush(), or make the same call again: "
        "under the same reference nothing moves twice."
    )

    def __init__(self, transaction_id: str, detail: str = "", **facts: object) -> None:
        super().__init__("UNKNOWN_OUTCOME", detail, {"transaction_id": transaction_id, **facts})
        self.transaction_id = transaction_id


class Unverified(CommonpointError):
    """An answer, a proof or a file does not show what it claims. Treat it as not committed, and as an alarm.

    `merchant_sdk.LogContradiction` where what the log itself signed is contradictory: a file shows it.
    ``evidence`` holds what was compared: where two signed notes of the log contradict each other, both. With
    a ``transaction_id`` it is about the answer to that transaction, which stays in the outbox.
    """

    what_to_do = "Do not count on this answer. Keep the evidence and show it to the alliance's auditor."

    def __init__(
        self,
        code: str,
        detail: str = "",
        facts: Mapping[str, Any] | None = None,
        *,
        evidence: Mapping[str, str] | None = None,
        transaction_id: str | None = None,
    ) -> None:
        super().__init__(code, detail, facts)
        self.evidence: dict[str, str] = dict(evidence or {})
        self.transaction_id = transaction_id
