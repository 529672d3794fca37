"""From signed bytes to a proven result, through every way in which that can fail half-way.

    sign ─▶ store ─▶ send ─▶ prove ─▶ accept ─▶ mark done
             │         │        └────────┴─▶ Unverified: evidence kept, bytes stay in the outbox
             │         ├─▶ NotSent, RefusedByNode: nothing was taken, ended for good
             │         └─▶ UnknownOutcome: the bytes stay; the same call or `flush` finds out
             └─ a crash from here on leaves bytes in the outbox

An error whose fate is not unknown is one thing with the transaction being ended in the outbox, by us, while
we had it in hand. Where that cannot be said (another process took it up, the disk fails), it is unknown.

How what is open gets settled is `merchant_sdk.client.settling`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Generic, NoReturn, Protocol, TypeVar

from ledger.keys import Signer
from merchant_sdk.claims import Answer, Proven
from merchant_sdk.client.core import Core, Signed
from merchant_sdk.client.history import History
from merchant_sdk.client.reading import Reader
from merchant_sdk.errors import (
    CommonpointError,
    NotFound,
    NotSent,
    OutboxError,
    RefusedByNode,
    UnknownOutcome,
    Unverified,
)
from merchant_sdk.outbox import Outbox
from merchant_sdk.records import Pending
from merchant_sdk.results import Committed
from merchant_sdk.transport import Answered, Transport
from merchant_sdk.trust import Trust

R = TypeVar("R")
_TIME_MAX: Final = 2**52
"""No ledger's clock stands later, whatever a server says."""


class Promiser(Protocol):
    """Who gets a node's signed promise about a transaction."""

    async def hold_soon(self, signed: Signed) -> None:
        """Once it has waited for a while."""
        ...

    async def hold(self, signed: Signed) -> None:
        """Now, as far as a node gives one."""
        ...


class Submitter(History, Generic[R]):
    """Sends the transactions of one participant and believes only what is proven."""

    def __init__(
        self,
        *,
        core: Core[R],
        transport: Transport,
        reader: Reader,
        outbox: Outbox,
        trust: Trust,
        anchor: str,
    ) -> None:
        super().__init__(transport=transport, outbox=outbox, trust=trust, anchor=anchor)
        self.core = core
        self.on_open: Callable[[Signed], None] = lambda _: None
        """Hears of every transaction whose fate is open."""
        self.promiser: Promiser | None = None
        """Who asks for intake promises, where nobody has to say so each time."""
        self._reader = reader

    async def submit(
        self,
        messages: Sequence[Any],
        *,
        signer: Signer | None = None,
        transaction_id: str | None = None,
        not_after: int | None = None,
        atomic: bool = False,
        store: Callable[[Pending], bool],
    ) -> list[Committed[R]]:
        """One proven result a message. Raises as `merchant_sdk.errors` says.

        None at all where ``store`` says that somebody else has these messages in hand.
        """
        signed = self.core.sign(
            messages, signer=signer, transaction_id=transaction_id, not_after=not_after, atomic=atomic
        )
        if not await self._store(signed, store):
            return []
        try:
            return await self.deliver(signed)
        except NotSent as error:
            raise await self.end(signed, "withdrawn", error) from None
        except Unverified as error:
            raise await self._end_if_unsent(signed, error) from None
        except RefusedByNode as refusal:
            if not_after is not None or not self.learn(refusal):
                await self._refuse(signed, refusal)
            first = refusal
        # Nothing was taken, and now we know what time it is there.
        anew = self.core.sign(messages, signer=signer, transaction_id=transaction_id, atomic=atomic)
        await self.replace(signed, anew)
        try:
            return await self.deliver(anew)
        except NotSent:
            # Bytes of the same messages did leave, and were refused: that is what can be said.
            raise await self.end(anew, "refused", first) from None
        except Unverified as error:
            raise await self._end_if_unsent(anew, error) from None
        except RefusedByNode as refusal:
            await self._refuse(anew, refusal)

    async def deliver(self, signed: Signed) -> list[Committed[R]]:
        """The proven results of what is stored and in our hands.

        It still is after `NotSent`, `RefusedByNode` and an `Unverified` without transaction id, which say
        that this time nothing was taken. After anything else it was let go.
        """
        trusted_size = self.trust.trusted_size
        try:
            async with self._holding(signed):
                answered = await self._transport.send_transaction(
                    signed.pending.data, transaction_id=signed.id, trusted_size=trusted_size
                )
        except (NotSent, RefusedByNode, Unverified):
            raise
        except BaseException:
            await self.let_go(signed)
            raise
        return await self._believe(signed, answered, trusted_size)

    async def look_up(self, signed: Signed) -> list[Committed[R]] | None:
        """The proven results of a transaction that is in the log; None where the node knows none.

        Raises `NotSent` or `RefusedByNode` where it cannot be asked.
        """
        trusted_size = self.trust.trusted_size
        try:
            answered = await self._ask_for(signed, trusted_size)
        except NotFound:
            return None
        except RefusedByNode as refusal:
            if refusal.code != "ID_CONFLICT":
                raise
            # What stands under this id is something else, so ours does not and never will.
            return None
        return await self._believe(signed, answered, trusted_size)

    async def find(self, signed: Signed) -> list[Committed[R]]:
        """As `look_up`, and nothing changes in the outbox: what is in somebody's hands stays there.

        Raises `NotFound`, and `RefusedByNode` ``ID_CONFLICT`` where another transaction has this id.
        """
        trusted_size = self.trust.trusted_size
        answered = await self._ask_for(signed, trusted_size)
        try:
            return await self._verify(signed, answered, trusted_size)
        except Unverified as error:
            error.transaction_id = signed.id
            self._transport.distrust(answered.url)
            await self.keep_evidence(error, answered.url)
            raise

    async def _ask_for(self, signed: Signed, trusted_size: int) -> Answered:
        header = signed.transaction.header
        return await self._reader.get_transaction(
            header.sender, header.id, digest=header.digest, trusted_size=trusted_size
        )

    async def end(self, signed: Signed, why: str, error: CommonpointError) -> CommonpointError:
        """What to raise: the error, if the transaction was in our hands and is ended; else it is unknown."""
        try:
            requeued = await self.keep(lambda: self.outbox.mark_ended(signed.pending, why=why))
        except OutboxError as failed:
            await self.let_go(signed)
            failed.transaction_id = signed.id
            return failed
        if requeued == 0:
            return error
        detail = "another process has taken it up" if requeued is None else "its messages are still queued"
        return UnknownOutcome(signed.id, f"{detail}: {error}", code=error.code)

    async def let_go(self, signed: Signed) -> None:
        """Its fate is open, and nobody has it in hand."""
        self.on_open(signed)
        await self._try_to_keep(self.outbox.release, signed.pending)

    async def replace(self, old: Signed, anew: Signed) -> None:
        """The same messages signed anew stand in the old one's place. Or `UnknownOutcome`."""
        try:
            is_ours = await self.keep(self.outbox.replace, old.pending, anew.pending)
        except OutboxError as failed:
            await self.let_go(old)
            failed.transaction_id = old.id
            raise
        if not is_ours:
            raise UnknownOutcome(old.id, "another process has taken it up")

    def learn(self, refusal: RefusedByNode) -> bool:
        """Whether the refusal told us how the ledger's clock stands, so that signing anew may succeed."""
        told = [refusal.facts.get(name, 0) for name in ("time", "allowed")]
        if not all(type(each) is int and 0 <= each <= _TIME_MAX for each in told):
            return False
        return self.core.learn(refusal)

    async def _store(self, signed: Signed, store: Callable[[Pending], bool]) -> bool:
        try:
            return await self.keep(store, signed.pending)
        except OutboxError as error:
            if error.facts.get("sqlite") == "SQLITE_IOERR_FSYNC":
                # It was written and may stand there after all, for the next process to send.
                error.transaction_id = signed.id
            raise

    async def _refuse(self, signed: Signed, refusal: RefusedByNode) -> NoReturn:
        told = await self.end(signed, "refused", refusal)
        if refusal.code == "BAD_SIZES" and told is refusal:
            # The node does not know the tree it proved to us: before it is a refusal, that is a finding.
            try:
                await self._transport.meet()
            except Unverified as error:
                error.settled = "refused"
                raise
            except (NotSent, RefusedByNode):
                raise refusal from None
        raise told from None

    async def _end_if_unsent(self, signed: Signed, error: Unverified) -> CommonpointError:
        return error if error.transaction_id else await self.end(signed, "withdrawn", error)

    async def _believe(self, signed: Signed, answered: Answered, trusted_size: int) -> list[Committed[R]]:
        """The results in the answer, once it has proven itself (the steps of `merchant_sdk.trust`)."""
        try:
            results = await self._verify(signed, answered, trusted_size)
        except Unverified as error:
            error.transaction_id = signed.id
            self._transport.distrust(answered.url)
            await self.keep_evidence(error, answered.url)
            await self.let_go(signed)
            raise
        except BaseException:
            await self.let_go(signed)
            raise
        # It is proven, and stays so where the disk cannot note it: then it is asked about once more.
        trusted = self._get_trusted_note()
        await self._try_to_keep(
            lambda: self.outbox.mark_done(signed.pending, answer=answered.data, trusted=trusted)
        )
        return results

    async def _verify(self, signed: Signed, answered: Answered, trusted_size: int) -> list[Committed[R]]:
        proven = await self._prove(signed, answered)
        await self._place(proven.answer, trusted_size, signed, answered.url)
        return self.core.read_results(signed, proven)

    @asynccontextmanager
    async def _holding(self, signed: Signed) -> AsyncIterator[None]:
        """Who waits for long within, or never hears, holds a promise meanwhile, where that is wished for."""
        if self.promiser is None:
            yield
            return
        asking = asyncio.get_running_loop().create_task(self.promiser.hold_soon(signed))
        try:
            yield
        except UnknownOutcome:
            await self.promiser.hold(signed)
            raise
        finally:
            asking.cancel()

    async def _prove(self, signed: Signed, answered: Answered) -> Proven:
        url = answered.url
        try:
            return self.trust.prove(signed.transaction, answered.data)
        except Unverified as error:
            # The alliance may have decided meanwhile that another key signs.
            if error.code != "LOG_SIGNATURE_MISSING" or not await self.learn_policies(url):
                raise
        return self.trust.prove(signed.transaction, answered.data)

    async def _place(self, answer: Answer, trusted_size: int, signed: Signed, url: str) -> None:
        note = answer.checkpoint
        async with self._trusting:
            link = self.trust.accept(note, trusted_size=trusted_size, proof=answer.consistency)
            try:
                await self._follow(note, link, url)
            except (NotSent, RefusedByNode) as error:
                detail = "the answer's place in the history could not be checked"
                raise UnknownOutcome(signed.id, detail, reason=str(error)) from None
