"""What one merchant keeps open: the nodes it asks, the chain it trusts, the outbox, and a lane for each of
its keys.

Nothing happens until something is asked. Then the chain's genesis is fetched and held to the pinned chain
string, and the checkpoint trusted last is taken from the outbox. From there on everything is proven against
that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from msgspec import structs

from ledger.log.policy import Policy
from merchant_sdk.client.core import Core
from merchant_sdk.client.grouping import Call, Lane
from merchant_sdk.client.reading import Reader
from merchant_sdk.client.submission import Submitter
from merchant_sdk.errors import ConfigurationError, Unverified
from merchant_sdk.outbox import DATED_MILLIS, Outbox
from merchant_sdk.receipt import Receipt
from merchant_sdk.records import Dated
from merchant_sdk.requests import Asked, check_message
from merchant_sdk.results import Committed, Resent
from merchant_sdk.settings import Settings
from merchant_sdk.tokens import TokenKeeper
from merchant_sdk.transport import Transport
from merchant_sdk.trust import Trust, make_policy, read_origin

R = TypeVar("R")


class Connection(Generic[R]):
    """Everything behind the verbs. Belongs to one event loop."""

    def __init__(
        self,
        settings: Settings,
        *,
        core: Core[R],
        transport: Transport,
        outbox: Outbox,
        group_seconds: float,
        program: str | None,
    ) -> None:
        self.core = core
        self.outbox = outbox
        self._settings = settings
        self._transport = transport
        self._group_seconds = group_seconds
        self._program = program
        signer = next(iter(core.signers.values()))
        subject = f"participant:{core.participant}"
        self.reader = Reader(transport, TokenKeeper(subject=subject, signer=signer, chain=core.chain))
        self._opening = asyncio.Lock()
        self._is_closed = False
        self._submitter: Submitter[R] | None = None
        self._lanes: dict[str, Lane[Committed[R]]] = {}
        self._dates: dict[tuple[str, str, str], int] = {}
        """The moments given to orders that are on their way and not in the outbox yet."""

    async def open(self) -> Submitter[R]:
        """The chain is known and is the pinned one, and trust begins where it ended. Or `Unverified`."""
        if self._is_closed:
            raise ConfigurationError("this merchant is closed")
        if self._submitter is not None:
            return self._submitter
        async with self._opening:
            if self._submitter is None:
                answer = await self.reader.get_chain()
                origin = read_origin(answer.genesis, chain=self.core.chain)
                policy = self._settings.policy or make_policy(origin)
                self.core.meet(origin, time=answer.time)
                if self.core.is_simulated:
                    self._transport.wait_for_answers()
                note = self.outbox.load_note(self.core.chain)
                trust = Trust(origin=origin, policy=policy, note=note)
                self._submitter = Submitter(
                    core=self.core,
                    transport=self._transport,
                    reader=self.reader,
                    outbox=self.outbox,
                    trust=trust,
                )
        return self._submitter

    async def get_policy(self) -> Policy:
        """The policy that judges checkpoints."""
        return (await self.open()).policy

    async def ask(self, message: Any, *, is_dated: bool = True) -> Committed[R]:
        """The result of one message, grouped with what else is asked. Raises as `merchant_sdk.errors` says.

        Without its moment (``is_dated``) it gets the one that the same order was given before, or now.
        """
        data = check_message(message)
        signer = self.core.choose_signer([message])
        if self._submitter is None or self._is_closed:
            await self.open()
        if not is_dated:
            message = structs.replace(message, occurred_at=await self._find_date(message))
            data = check_message(message)
        lane = self._lanes.get(signer.key_id)
        if lane is None:
            lane = self._lanes[signer.key_id] = Lane(self._send, group_seconds=self._group_seconds)
        result = await lane.add(Asked(message, data, not is_dated))
        error = result.get_error()
        if error is not None:
            raise error
        return result

    async def submit(
        self, messages: Sequence[Any], *, transaction_id: str | None, not_after: int | None, atomic: bool
    ) -> list[Committed[R]]:
        """The results of these messages as one transaction of their own."""
        for message in messages:
            check_message(message)
        submitter = await self.open()
        return await submitter.submit(
            messages, transaction_id=transaction_id, not_after=not_after, atomic=atomic
        )

    async def flush(self) -> list[Resent[R]]:
        """What came of everything in the outbox."""
        return await (await self.open()).flush()

    async def fetch_receipt(self, index: int) -> Receipt:
        """A verified receipt, of the history we trust."""
        submitter = await self.open()
        data = await self.reader.get_receipt(index)
        receipt = Receipt.read(data, policy=submitter.policy)
        if receipt.index != index:
            raise Unverified("RECEIPT_OF_ANOTHER_ENTRY", facts={"asked": index, "found": receipt.index})
        await submitter.accept(receipt.note)
        return receipt

    async def get_program(self) -> str:
        """Our own program, where we have one and no more."""
        if self._program is None:
            rows = await self.reader.list_programs()
            ours = [row.program for row in rows if row.issuer == self.core.participant]
            if len(ours) != 1:
                raise ConfigurationError("say which program: we issue none or several", ours=ours)
            (self._program,) = ours
        return self._program

    async def close(self) -> None:
        """What was asked is answered, then everything is closed."""
        if self._is_closed:
            return
        for lane in self._lanes.values():
            await lane.drain()
        self._is_closed = True
        await self._transport.close()
        self.outbox.close()

    async def _find_date(self, message: Any) -> int:
        # The moment is part of what makes two orders the same: with another one, asking again would be
        # another order.
        kind = message.__struct_config__.tag
        key = (kind, message.program, message.reference)
        if key in self._dates:
            return self._dates[key]
        find = self.outbox.find_occurred_at
        arguments = {"kind": kind, "program": message.program, "reference": message.reference}
        if self.outbox.is_durable:
            found = await asyncio.to_thread(find, self.core.participant, **arguments)
        else:
            found = find(self.core.participant, **arguments)
        now = self.core.get_time()
        # After a day of the ledger's time the same number may be another order's.
        if found is None or abs(now - found) >= DATED_MILLIS:
            found = now
        return self._dates.setdefault(key, found)

    async def _send(self, calls: list[Call[Committed[R]]]) -> list[Committed[R]]:
        submitter = await self.open()
        messages = [call.asked.message for call in calls]
        dated = [_get_date(call.asked) for call in calls if call.asked.is_dated_by_us]
        try:
            return await submitter.submit(messages, dated=dated)
        finally:
            # They are in the outbox now.
            for each in dated:
                self._dates.pop((each.kind, each.program, each.reference), None)


def _get_date(asked: Asked) -> Dated:
    message = asked.message
    kind = message.__struct_config__.tag
    return Dated(kind, message.program, message.reference, message.occurred_at)
