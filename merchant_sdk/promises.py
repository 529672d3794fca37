"""Intake promises, as a merchant holds them: a log's operator signs that a transaction will be in a block by
a certain time; a promise that was broken ends up in one file that shows it to anybody.

    verify_promise     it is about our transaction, in time, and signed with a key of the log
    make_evidence      that promise, and what breaks it; None where it does not

What breaks it is a receipt of a block that came too late, or the log's own signed statement, made under a
later block time, that there is no such transaction. A log proves what it holds and not what it lacks; an
operator who will not state the one and cannot show the other has said enough for an auditor, who reads the
log, and not enough for a file.

No sockets and no disk here.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import UNSET, Struct

from ledger import errors as core_errors
from ledger.evidence import BrokenPromise, Finding, judge_evidence
from ledger.genesis import Origin
from ledger.policy_chain import PolicyChain
from ledger.promise import Absence, Promise, read_absence, read_promise
from ledger.promise import verify_absence as verify_absence_signature
from ledger.promise import verify_promise as verify_promise_signature
from ledger.receipt import Receipt
from ledger.transaction import Header
from merchant_sdk.errors import CommonpointError, Unverified

LEARN: Final = frozenset({"LOG_KEY_UNKNOWN", "LOG_KEY_RETIRED"})
"""What is found of a key where policies that we have not heard of may say otherwise."""
_DETAIL: Final = "this is no promise about our transaction that the log's key has signed"


class Promised(Struct, frozen=True, kw_only=True):
    """A promise that was made to us, and how it stands."""

    transaction_id: str
    by: int
    """The latest block time at which it is kept, milliseconds UTC."""
    state: Literal["open", "kept", "broken", "withheld", "void"]
    """``open``: the log's time has not come to that. ``kept`` and ``broken``: settled. ``withheld``: it has,
    and the node neither shows the transaction nor signs that there is none: give the promise to the
    alliance's auditor. ``void``: another transaction has taken its id.
    """
    promise: bytes
    """The signed promise."""
    evidence_file: str | None = None
    """Where it was broken: the file that shows it (`commonpoint evidence FILE` checks it)."""
    evidence_data: bytes | None = None
    """What stands in that file: to be kept where the outbox is no file."""
    error: CommonpointError | None = None
    """Why nobody could be asked about it now."""


def verify_promise(data: bytes, header: Header, policies: PolicyChain) -> Promise:
    """The promise about the transaction of this header. Raises `Unverified`."""
    try:
        promise = read_promise(data)
        told = (promise.chain, promise.sender, promise.id, promise.digest)
        if told != (header.chain, header.sender, header.id, header.digest):
            raise Unverified("PROMISE_OF_ANOTHER", _DETAIL, {"found": "/".join(told)})
        if promise.by > header.not_after:
            raise Unverified("PROMISE_TOO_LATE", _DETAIL, {"by": promise.by, "not_after": header.not_after})
        policies.find_promiser(verify_promise_signature(promise), by=promise.by)
    except (core_errors.Refused, core_errors.Unverified) as error:
        raise Unverified(error.code, _DETAIL, error.facts) from None
    return promise


def verify_absence(data: bytes, promise: Promise, policies: PolicyChain) -> Absence:
    """The log's statement that there is no such transaction. Raises `Unverified`."""
    detail = "the node does not state what was asked"
    try:
        absence = read_absence(data)
        told = (absence.chain, absence.sender, absence.id)
        if told != (promise.chain, promise.sender, promise.id):
            raise Unverified("EVIDENCE_OF_ANOTHER", detail, {"found": "/".join(told)})
        policies.find_log(verify_absence_signature(absence), size=absence.size)
    except (core_errors.Refused, core_errors.Unverified) as error:
        raise Unverified(error.code, detail, error.facts) from None
    return absence


def make_evidence(
    promise: Promise,
    origin: Origin,
    policies: PolicyChain,
    *,
    absence: Absence | None = None,
    receipt: Receipt | None = None,
) -> tuple[BrokenPromise, Finding]:
    """The evidence that this makes, and what anybody finds in it. Raises `Unverified`."""
    evidence = BrokenPromise(
        chain=origin.chain,
        genesis=[leaf.decode() for leaf in origin.leaves],
        policies=list(policies.steps),
        promise=promise,
        absence=UNSET if absence is None else absence,
        receipt=UNSET if receipt is None else receipt,
    )
    try:
        return evidence, judge_evidence(evidence, chain=origin.chain)
    except core_errors.Unverified as error:
        raise Unverified(error.code, "this does not show what became of a promise", error.facts) from None
