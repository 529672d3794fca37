"""From signed bytes to a proven result, through every way in which that can fail half-way.

    sign ─▶ store ─▶ send ─▶ prove ─▶ accept ─▶ mark done
             │         │        └────────┴─▶ Unverified: evidence kept, bytes stay in the outbox
             │         ├─▶ NotSent, RefusedByNode: nothing was taken, ended for good
             │         └─▶ UnknownOutcome: the bytes stay, and `flush` finds out
             └─ a crash from here on leaves bytes in the outbox

`flush` sends the very same bytes again: a node answers them as it did the first time, however late. Where it
says that they expired, it is asked for the transaction by its id; and only when it knows none are the same
messages signed anew. Their references see to it that nothing moves twice even then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

from ledger.keys import Signer
from ledger.log.policy import Policy
from ledger.transaction import Transaction
from merchant_sdk.client.core import Core, Signed
from merchant_sdk.client.reading import Reader
from merchant_sdk.errors import (
    CommonpointError,
    InvalidRequest,
    NotFound,
    NotSent,
    RefusedByNode,
    UnknownOutcome,
    Unverified,
)
from merchant_sdk.outbox import Outbox
from merchant_sdk.records import Dated, Evidence, TrustedNote
from merchant_sdk.results import Committed, Resent
from merchant_sdk.transport import Transport
from merchant_sdk.trust import Link, Trust

R = TypeVar("R")
T = TypeVar("T")


class Submitter(Generic[R]):
    """Sends the transactions of one participant and believes only what is proven."""

    def __init__(
        self, *, core: Core[R], transport: Transport, reader: Reader, outbox: Outbox, trust: Trust
    ) -> None:
        self._core = core
        self._transport = transport
        self._reader = reader
        self._outbox = outbox
        self._trust = trust
        self._trusting = asyncio.Lock()

    @property
    def policy(self) -> Policy:
        """The policy that judges checkpoints."""
        return self._trust.policy

    async def submit(
        self,
        messages: Sequence[Any],
        *,
        signer: Signer | None = None,
        transaction_id: str | None = None,
        not_after: int | None = None,
        atomic: bool = False,
        dated: Iterable[Dated] = (),
    ) -> list[Committed[R]]:
        """One proven result a message. Raises as `merchant_sdk.errors` says."""
        core = self._core
        known = await self._find_signed(messages, transaction_id, atomic=atomic)
        if known is not None:
            return await self._submit_again(known)
        signed = core.sign(
            messages, signer=signer, transaction_id=transaction_id, not_after=not_after, atomic=atomic
        )
        await self._keep(self._outbox.put, signed.pending, dated)
        try:
            return await self._deliver(signed)
        except NotSent:
            await self._end(signed, "withdrawn")
            raise
        except RefusedByNode as refusal:
            if not_after is not None or not core.learn(refusal):
                await self._end(signed, "refused")
                raise
        # Nothing was taken, and now we know what time it is there.
        anew = core.sign(messages, signer=signer, transaction_id=transaction_id, atomic=atomic)
        await self._replace(signed, anew)
        try:
            return await self._deliver(anew)
        except (NotSent, RefusedByNode):
            await self._end(anew, "refused")
            raise

    async def flush(self) -> list[Resent[R]]:
        """What came of every transaction in the outbox that nobody has in hand."""
        claimed = await self._keep(self._outbox.claim, self._core.participant)
        found = []
        for pending in claimed:
            try:
                signed = Signed.read(pending)
                results = await self._resend(signed)
            except CommonpointError as error:
                # Where it is ended by now, this changes nothing.
                await self._keep(self._outbox.release, pending)
                found.append(Resent[R](transaction_id=pending.id, error=error))
            else:
                found.append(Resent[R](transaction_id=pending.id, results=tuple(results)))
        return found

    async def accept(self, note: str) -> None:
        """A signed checkpoint met elsewhere belongs to the history we trust. Raises `Unverified`."""
        async with self._trusting:
            await self._follow(note, self._trust.accept(note))
        await self._keep(self._outbox.save_note, self._get_trusted_note())

    async def _deliver(self, signed: Signed) -> list[Committed[R]]:
        trusted_size = self._trust.trusted_size
        try:
            data = await self._transport.send_transaction(
                signed.pending.data, transaction_id=signed.id, trusted_size=trusted_size
            )
            return await self._believe(signed, data, trusted_size)
        except RefusedByNode as refusal:
            if refusal.code == "BAD_SIZES":
                # The node does not know the tree it proved to us: before it is a refusal, that is a finding.
                await self._explain_size(signed)
            raise
        except (UnknownOutcome, asyncio.CancelledError):
            await self._keep(self._outbox.release, signed.pending)
            raise
        except Unverified as error:
            error.transaction_id = signed.id
            await self._keep_evidence(error)
            await self._keep(self._outbox.release, signed.pending)
            raise

    async def _believe(self, signed: Signed, data: bytes, trusted_size: int) -> list[Committed[R]]:
        """The results in the answer, once it has proven itself (the steps of `merchant_sdk.trust`)."""
        proven = self._trust.prove(signed.transaction, data)
        note = proven.answer.checkpoint
        async with self._trusting:
            link = self._trust.accept(note, trusted_size=trusted_size, proof=proven.answer.consistency)
            if link is not None:
                try:
                    await self._follow(note, link)
                except (NotSent, RefusedByNode) as error:
                    detail = "the answer's place in the history could not be checked"
                    raise UnknownOutcome(signed.id, detail, reason=str(error)) from None
        results = self._core.read_results(signed, proven)
        await self._keep(
            lambda: self._outbox.mark_done(signed.pending, answer=data, trusted=self._get_trusted_note())
        )
        return results

    async def _follow(self, note: str, link: Link | None) -> None:
        while link is not None:
            data = await self._reader.get_consistency(link)
            link = self._trust.accept_link(note, link, data)

    async def _submit_again(self, signed: Signed) -> list[Committed[R]]:
        await self._keep(self._outbox.put, signed.pending)
        try:
            return await self._resend(signed)
        except NotSent as error:
            # Not this time; but whether it was taken the time before is still not known.
            await self._keep(self._outbox.release, signed.pending)
            raise UnknownOutcome(signed.id, error.detail) from None

    async def _resend(self, signed: Signed) -> list[Committed[R]]:
        try:
            return await self._deliver(signed)
        except RefusedByNode as refusal:
            if refusal.code != "EXPIRED":
                if not refusal.may_retry:
                    await self._end(signed, "refused")
                raise
            self._core.learn(refusal)
        found = await self._look_up(signed)
        if found is not None:
            return found
        transaction = signed.transaction
        anew = self._core.sign(transaction.messages, atomic=transaction.header.atomic is True)
        await self._replace(signed, anew)
        try:
            return await self._deliver(anew)
        except (NotSent, RefusedByNode) as error:
            if error.may_retry:
                # The order is still to be carried out, and only the outbox remembers it.
                await self._keep(self._outbox.release, anew.pending)
            else:
                await self._end(anew, "refused")
            raise

    async def _look_up(self, signed: Signed) -> list[Committed[R]] | None:
        trusted_size = self._trust.trusted_size
        header = signed.transaction.header
        try:
            data = await self._reader.get_transaction(
                header.sender, header.id, digest=header.digest, trusted_size=trusted_size
            )
        except NotFound:
            return None
        return await self._believe(signed, data, trusted_size)

    async def _find_signed(
        self, messages: Sequence[Any], transaction_id: str | None, *, atomic: bool
    ) -> Signed | None:
        """What was signed under this id before: it is sent again as it is, never signed twice."""
        if transaction_id is None:
            return None
        pending = await self._keep(self._outbox.find, self._core.participant, transaction_id)
        if pending is None:
            return None
        signed = Signed.read(pending)
        if not _is_same(signed.transaction, messages, atomic=atomic):
            raise InvalidRequest(
                "other messages were sent under this transaction id", transaction_id=transaction_id
            )
        return signed

    async def _explain_size(self, signed: Signed) -> None:
        error = self._trust.find_shrinkage(await self._reader.get_checkpoint())
        if error is not None:
            error.transaction_id = signed.id
            await self._keep_evidence(error)
            await self._end(signed, "refused")
            raise error

    async def _keep_evidence(self, error: Unverified) -> None:
        if error.evidence:
            evidence = Evidence(error.code, error.evidence["found"], error.evidence["trusted"])
            await self._keep(self._outbox.save_evidence, evidence)

    async def _replace(self, old: Signed, anew: Signed) -> None:
        # In this order: a crash between leaves both, and both may be sent; the other order could lose the
        # message.
        await self._keep(self._outbox.put, anew.pending)
        if old.id != anew.id:
            await self._end(old, "signed anew")

    async def _end(self, signed: Signed, why: str) -> None:
        await self._keep(lambda: self._outbox.mark_ended(signed.pending, why=why))

    async def _keep(self, act: Callable[..., T], *arguments: Any) -> T:
        """Do something with the outbox: a file waits for the disk, and that must not hold up the loop."""
        if self._outbox.is_durable:
            return await asyncio.to_thread(act, *arguments)
        return act(*arguments)

    def _get_trusted_note(self) -> TrustedNote:
        return TrustedNote(self._trust.chain, self._trust.trusted_size, self._trust.note or "")


def _is_same(transaction: Transaction, messages: Sequence[Any], *, atomic: bool) -> bool:
    is_atomic = transaction.header.atomic is True
    return is_atomic == atomic and list(transaction.messages) == list(messages)
