"""Holding intake promises: the same signed bytes are sent once more, and whoever alone decides what the next
block holds signs by when it will be that.

    ask ──▶ verified ──▶ kept in the outbox ──▶ check: in the log by then?  ── yes ─▶ settled
                                                  │ no, and its time is over
                                                  └─▶ one evidence file ────────────▶ settled

A promise is about one signed transaction and outlives it: bytes that expired and were signed anew under
another id do not release whoever promised the first ones. Where several make the blocks nobody promises.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

import msgspec

from ledger import errors as core_errors
from ledger.codec import encode
from ledger.evidence import BrokenPromise, Finding
from ledger.promise import Promise, read_promise
from ledger.receipt import read_receipt
from merchant_sdk.client.core import Signed
from merchant_sdk.client.reading import Reader
from merchant_sdk.client.submission import Submitter
from merchant_sdk.contradictions import write_file
from merchant_sdk.errors import CommonpointError, NotFound, RefusedByNode, Unverified
from merchant_sdk.outbox_trust import HeldPromise
from merchant_sdk.promises import LEARN, Promised, make_evidence, verify_absence, verify_promise
from merchant_sdk.records import Evidence, Pending
from merchant_sdk.transport import Transport

_PATH: Final = "/v1/transactions?promise=yes"
_JSON: Final = {"content-type": "application/json"}
_HOLD_SECONDS: Final = 5.0
"""So long somebody who hears that an outcome is unknown waits for a promise about it besides."""
_NOBODY_PROMISES: Final = frozenset({"NOT_FOUND"})


class _Time(msgspec.Struct, frozen=True):
    """The block time of the head, as a node tells it."""

    time: int


_TIME: Final = msgspec.json.Decoder(_Time)


class PromiseDesk:
    """Gets promises about the transactions of one participant, and holds whoever made them to it."""

    def __init__(
        self, submitter: Submitter[Any], *, transport: Transport, reader: Reader, after_seconds: float | None
    ) -> None:
        self._submitter = submitter
        self._outbox = submitter.outbox
        self._sender = submitter.core.participant
        self._transport = transport
        self._reader = reader
        self._after_seconds = after_seconds or 0.0

    async def hold_soon(self, signed: Signed) -> None:
        """A promise is held about what still waits after a while. Whoever waits does not hear of it."""
        await asyncio.sleep(self._after_seconds)
        await self.hold(signed)

    async def hold(self, signed: Signed) -> None:
        """A promise is held about it, where a node gives one soon."""
        # What is told is the fate of a transaction; that there is no promise about it changes none of that.
        with suppress(CommonpointError, TimeoutError):
            async with asyncio.timeout(_HOLD_SECONDS):
                await self._ask(signed.pending)

    async def ask_all(self) -> list[Promised]:
        """A promise for everything whose fate is open, as far as the node gives one; all that are held.

        Raises `NotSent` or `RefusedByNode` where nobody can be asked now, `Unverified` of what is no promise.
        """
        for pending in await self._submitter.keep(self._outbox.list_unpromised, self._sender):
            await self._ask(pending)
        held = await self._submitter.keep(self._outbox.list_promises, self._sender)
        return [_tell(each, state="open") for each in held]

    async def check_all(self) -> list[Promised]:
        """How each promise that is held stands by now. What is settled is told once."""
        found = []
        for held in await self._submitter.keep(self._outbox.list_promises, self._sender):
            try:
                told = await self._check(held)
            except CommonpointError as error:
                told = _tell(held, state="open", error=error)
            if told.state in {"kept", "broken", "void"}:
                await self._submitter.keep(self._outbox.settle_promise, held.pending)
            found.append(told)
        return found

    async def _ask(self, pending: Pending) -> None:
        try:
            answered = await self._transport.ask(
                "POST", _PATH, headers=_JSON, body=pending.data, of_leader=True, status=202
            )
        except RefusedByNode as refusal:
            if refusal.code in _NOBODY_PROMISES or not refusal.may_retry:
                # Nobody promises here, or this will not be taken any more; what came of it `flush` finds out.
                return
            raise
        header = Signed.read(pending).transaction.header
        trust = self._submitter.trust
        try:
            verify_promise(answered.data, header, trust.policies)
        except Unverified as error:
            if error.code not in LEARN or not await self._submitter.learn_policies(answered.url):
                self._transport.distrust(answered.url)
                raise
            verify_promise(answered.data, header, trust.policies)
        await self._submitter.keep(self._outbox.save_promise, HeldPromise(pending, answered.data))

    async def _check(self, held: HeldPromise) -> Promised:
        promise = read_promise(held.promise)
        signed = Signed.read(held.pending)
        # Once more where it comes into a block between the two questions.
        for _ in range(2):
            try:
                results = await self._submitter.find(signed)
            except NotFound:
                told = await self._check_absence(held, promise)
                if told is not None:
                    return told
            except RefusedByNode as refusal:
                if refusal.code != "ID_CONFLICT":
                    raise
                return _tell(held, state="void")
            else:
                if results[0].time <= promise.by:
                    return _tell(held, state="kept")
                return await self._show_late(held, promise, results[0].index)
        is_over = await self._ask_time() > promise.by
        return _tell(held, state="withheld" if is_over else "open")

    async def _check_absence(self, held: HeldPromise, promise: Promise) -> Promised | None:
        """How it stands where the log lacks the transaction; None where the node does not sign that."""
        try:
            answered = await self._reader.get_absence(promise.sender, promise.id)
        except NotFound:
            return None
        policies = self._submitter.trust.policies
        try:
            absence = verify_absence(answered.data, promise, policies)
        except Unverified as error:
            if error.code not in LEARN or not await self._submitter.learn_policies(answered.url):
                raise
            absence = verify_absence(answered.data, promise, policies)
        if absence.time <= promise.by:
            return _tell(held, state="open")
        origin = self._submitter.trust.origin
        return await self._show(
            held, *make_evidence(promise, origin, policies, absence=absence), against=answered.data
        )

    async def _show_late(self, held: HeldPromise, promise: Promise, index: int) -> Promised:
        answered = await self._reader.get_receipt(index)
        trust = self._submitter.trust
        try:
            receipt = read_receipt(answered.data)
        except core_errors.Refused as error:
            raise Unverified(error.code, "this receipt does not hold", error.facts) from None
        return await self._show(
            held,
            *make_evidence(promise, trust.origin, trust.policies, receipt=receipt),
            against=answered.data,
        )

    async def _show(
        self, held: HeldPromise, evidence: BrokenPromise, finding: Finding, *, against: bytes
    ) -> Promised:
        """The evidence stands in one file, however often this is begun, and in the outbox."""
        if not finding.is_proven:
            raise Unverified(finding.code, "this does not show what became of a promise", finding.facts)
        data = encode(evidence) + b"\n"
        path = None
        if self._outbox.path is not None:
            path = await asyncio.to_thread(write_file, self._outbox.path, data, named_by=held.promise)
        kept = Evidence(finding.code, against.decode(), held.promise.decode())
        await self._submitter.keep(self._outbox.save_evidence, kept)
        return _tell(held, state="broken", evidence_file=path, evidence_data=data)

    async def _ask_time(self) -> int:
        data = await self._transport.request("GET", "/v1/chain", headers={})
        try:
            return _TIME.decode(data).time
        except (msgspec.MsgspecError, UnicodeError) as error:
            raise Unverified("ANSWER_MALFORMED", facts={"reason": str(error)[:200]}) from None


def _tell(held: HeldPromise, **known: Any) -> Promised:
    promise = read_promise(held.promise)
    return Promised(transaction_id=promise.id, by=promise.by, promise=held.promise, **known)
