"""How what is open gets settled: by the same call made again, or by `flush`; once, whoever does it.

The very same bytes are sent again: a node answers them as it did the first time, however late. Where it says
that they expired, it is asked for the transaction by its id; and only when it knows none are the same
messages signed anew, under the same references, so that nothing moves twice even if that node was wrong.
Until one of this has happened nothing is said but `UnknownOutcome`: a node that is busy now, or turns a key
away now, does not say what it did when the bytes came first.

`flush` also carries what was queued without a connection (`merchant_sdk.client.queueing`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final, Generic, TypeVar

from ledger.codec import encode
from ledger.keys import Signer
from ledger.transaction import Transaction
from merchant_sdk.client.core import Signed
from merchant_sdk.client.open_messages import OpenMessages
from merchant_sdk.client.queueing import drain
from merchant_sdk.client.submission import Submitter
from merchant_sdk.errors import (
    CommonpointError,
    ConfigurationError,
    InvalidRequest,
    NotSent,
    OutboxError,
    RefusedByNode,
    UnknownOutcome,
    Unverified,
)
from merchant_sdk.records import Dated, Pending
from merchant_sdk.results import Committed, Resent

R = TypeVar("R")

NEVER_TAKEN: Final = frozenset(
    {
        "TOO_LARGE",
        "MALFORMED",
        "NOT_CANONICAL",
        "TOO_MANY_MESSAGES",
        "EMPTY",
        "COUNT_MISMATCH",
        "WRONG_CHAIN",
        "DIGEST_MISMATCH",
        "ID_CONFLICT",
    }
)
"""What the bytes alone decide: turned away with one of these they were never taken, nor will be."""


class Settler(Generic[R]):
    """Finds out what came of one participant's open transactions. Belongs to one event loop."""

    def __init__(self, submitter: Submitter[R]) -> None:
        self._submitter = submitter
        self._outbox = submitter.outbox
        self._sender = submitter.core.participant
        self._open = OpenMessages()
        self._tasks: dict[str, asyncio.Task[list[Committed[R]] | None]] = {}
        submitter.on_open = self._open.remember

    async def begin(self) -> None:
        """What processes before this one left open is known, so that the same call finds it."""
        for pending in await self._submitter.keep(self._outbox.list_free, self._sender):
            # Nobody can ask again for what cannot be read; `flush` says so.
            with suppress(ConfigurationError):
                self._open.remember(Signed.read(pending))

    async def submit(
        self,
        messages: Sequence[Any],
        *,
        signer: Signer | None = None,
        transaction_id: str | None = None,
        not_after: int | None = None,
        atomic: bool = False,
        dated: Sequence[Dated] = (),
    ) -> list[Committed[R]]:
        """One proven result a message: of these messages as they are open, or of a new transaction."""
        if transaction_id is not None:
            known = await self._find_signed(messages, transaction_id, atomic=atomic)
            if known is not None:
                await self._submitter.keep(self._outbox.put, known.pending)
                return await self._run(known.id, self._resend(known)) or []
        elif self._open:
            found = self._open.find([encode(message) for message in messages], atomic=atomic)
            results = None if found is None else await self.settle(found)
            if results is not None:
                return results
        return await self._submitter.submit(
            messages,
            signer=signer,
            transaction_id=transaction_id,
            not_after=not_after,
            atomic=atomic,
            store=partial(self._outbox.put, dated=dated),
        )

    def is_open(self, message: bytes) -> bool:
        """Whether this message stands in a transaction whose fate is open, as far as this process knows."""
        return self._open.get(message) is not None

    async def ask_again(self, message: bytes) -> Committed[R] | None:
        """What came of this message, if it stands in a transaction whose fate is open; else None."""
        place = self._open.get(message)
        if place is None or place.atomic:
            return None
        results = await self.settle(place.id)
        return None if results is None else results[place.number]

    async def flush(self) -> list[Resent[R]]:
        """What came of every transaction in the outbox that nobody has in hand, and of the queue."""
        found: list[Resent[R]] = []
        is_away = False
        tried: set[str] = set()
        while claimed := await self._submitter.keep(
            partial(self._outbox.claim, self._sender, limit=10, but_not=tried)
        ):
            for pending in claimed:
                tried.add(pending.id)
                if is_away:
                    # One was enough to find that out.
                    await self._submitter.keep(self._outbox.release, pending)
                    error: CommonpointError = UnknownOutcome(pending.id, "no node could be reached")
                    found.append(Resent[R](transaction_id=pending.id, error=error))
                    continue
                found.append(await self._try(pending.id, self._resend_stored(pending)))
                is_away = isinstance(getattr(found[-1].error, "__cause__", None), NotSent)
        if not any(isinstance(each.error, UnknownOutcome | Unverified) for each in found):
            found += await drain(self._submitter)
        return found

    async def close(self) -> None:
        """Nobody works on anything; what is open stays in the outbox."""
        for task in list(self._tasks.values()):
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _try(self, transaction_id: str, work: Coroutine[Any, Any, list[Committed[R]]]) -> Resent[R]:
        try:
            results = await self._run(transaction_id, work)
        except CommonpointError as error:
            return Resent[R](transaction_id=transaction_id, error=error)
        return Resent[R](transaction_id=transaction_id, results=tuple(results or ()))

    async def settle(self, transaction_id: str) -> list[Committed[R]] | None:
        """The results of an open transaction; None where it is in others' hands, or ended."""
        task = self._tasks.get(transaction_id)
        if task is not None:
            return await asyncio.shield(task)
        return await self._run(transaction_id, self._take_up(transaction_id))

    async def _run(
        self, transaction_id: str, work: Coroutine[Any, Any, list[Committed[R]] | None]
    ) -> list[Committed[R]] | None:
        """The work's results. Who asks for the same meanwhile waits for it; who gives up does not stop it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[transaction_id] = task
        task.add_done_callback(partial(self._finish, transaction_id))
        return await asyncio.shield(task)

    def _finish(self, transaction_id: str, task: asyncio.Task[list[Committed[R]] | None]) -> None:
        if self._tasks.get(transaction_id) is task:
            del self._tasks[transaction_id]
        if not task.cancelled():
            # Whoever gave up waiting does not hear it; the outbox knows.
            task.exception()

    async def _take_up(self, transaction_id: str) -> list[Committed[R]] | None:
        claimed = await self._submitter.keep(partial(self._outbox.claim, self._sender, only=transaction_id))
        if claimed:
            return await self._resend_stored(claimed[0])
        other = self._tasks.get(transaction_id)
        if other is not None and other is not asyncio.current_task():
            # `flush` was quicker.
            return await asyncio.shield(other)
        self._open.forget(transaction_id)
        return None

    async def _resend_stored(self, pending: Pending) -> list[Committed[R]]:
        try:
            signed = Signed.read(pending)
        except ConfigurationError as error:
            await self._submitter.keep(self._outbox.release, pending)
            damaged = OutboxError(error.detail, **error.facts)
            damaged.transaction_id = pending.id
            raise damaged from None
        return await self._resend(signed)

    async def _resend(self, signed: Signed) -> list[Committed[R]]:
        """The results of what is in our hands and may have been taken before. Or `UnknownOutcome`.

        `RefusedByNode` only of what surely never was taken, and is ended.
        """
        submitter = self._submitter
        self._open.forget(signed.id)
        try:
            return await submitter.deliver(signed)
        except NotSent as error:
            raise await self._leave_open(signed, error) from error
        except Unverified as error:
            if error.transaction_id is None:
                await submitter.let_go(signed)
                error.transaction_id = signed.id
            raise
        except RefusedByNode as refusal:
            if refusal.code != "EXPIRED" and refusal.code not in NEVER_TAKEN:
                raise await self._leave_open(signed, refusal) from None
            said = refusal
        submitter.learn(said)
        try:
            found = await submitter.look_up(signed)
        except (NotSent, RefusedByNode, Unverified) as error:
            if error.transaction_id is not None:
                raise
            raise await self._leave_open(signed, error) from error
        if found is not None:
            return found
        if said.code != "EXPIRED":
            raise await submitter.end(signed, "refused", said) from None
        return await self._sign_anew(signed)

    async def _sign_anew(self, signed: Signed) -> list[Committed[R]]:
        submitter, transaction = self._submitter, signed.transaction
        try:
            anew = submitter.core.sign(transaction.messages, atomic=transaction.header.atomic is True)
        except (ConfigurationError, InvalidRequest) as error:
            # The key that signed it is not at hand any more; whoever has it finds the bytes.
            await submitter.let_go(signed)
            error.transaction_id = signed.id
            raise
        await submitter.replace(signed, anew)
        try:
            return await submitter.deliver(anew)
        except NotSent as error:
            raise await self._leave_open(anew, error) from error
        except Unverified as error:
            if error.transaction_id is None:
                await submitter.let_go(anew)
                error.transaction_id = anew.id
            raise
        except RefusedByNode as refusal:
            # The order is still to be carried out, and only the outbox remembers it.
            if refusal.may_retry or submitter.learn(refusal):
                raise await self._leave_open(anew, refusal) from None
            raise await submitter.end(anew, "refused", refusal) from None

    async def _leave_open(self, signed: Signed, error: CommonpointError) -> UnknownOutcome:
        await self._submitter.let_go(signed)
        return UnknownOutcome(signed.id, error.detail or error.code, code=error.code)

    async def _find_signed(
        self, messages: Sequence[Any], transaction_id: str, *, atomic: bool
    ) -> Signed | None:
        """What was signed under this id before: it is sent again as it is, never signed twice."""
        pending = await self._submitter.keep(self._outbox.find, self._sender, transaction_id)
        if pending is None:
            return None
        try:
            signed = Signed.read(pending)
        except ConfigurationError as error:
            error.transaction_id = transaction_id
            raise
        if not _is_same(signed.transaction, messages, atomic=atomic):
            raise InvalidRequest(
                "other messages were sent under this transaction id", transaction_id=transaction_id
            )
        return signed


def _is_same(transaction: Transaction, messages: Sequence[Any], *, atomic: bool) -> bool:
    is_atomic = transaction.header.atomic is True
    return is_atomic == atomic and list(transaction.messages) == list(messages)
