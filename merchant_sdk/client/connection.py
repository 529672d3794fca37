"""What one merchant keeps open: the nodes it asks, the chain it trusts, the outbox, and a lane for each of
its keys.

Nothing happens until something is asked. Then a node is met (`merchant_sdk.client.meeting`): its genesis is
held to the pinned chain string, its newest checkpoint to the one trusted last, which is taken from the
outbox. From there on everything is proven against that. What is only queued needs no node.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Generic, TypeVar

from msgspec import structs

from ledger.genesis import Origin
from ledger.keys import Signer
from ledger.log.policy import Policy
from merchant_sdk.client.core import Core
from merchant_sdk.client.grouping import Call, Lane
from merchant_sdk.client.meeting import Meeting
from merchant_sdk.client.queueing import tell_what_waits
from merchant_sdk.client.reading import Reader
from merchant_sdk.client.recalling import Recall
from merchant_sdk.client.settling import Settler
from merchant_sdk.client.submission import Submitter
from merchant_sdk.errors import ConfigurationError, NotSent, RefusedByNode, Unverified
from merchant_sdk.order_names import get_name
from merchant_sdk.outbox import Outbox
from merchant_sdk.outbox_orders import DATED_MILLIS
from merchant_sdk.receipt import Receipt
from merchant_sdk.records import Dated
from merchant_sdk.requests import Asked, check_message, get_reference
from merchant_sdk.results import Committed, Resent
from merchant_sdk.settings import Settings
from merchant_sdk.tokens import TokenKeeper
from merchant_sdk.transport import Transport
from merchant_sdk.trust import Trust, make_policy

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
        self.recall = Recall[R](outbox, core.participant)
        self._settings = settings
        self._transport = transport
        self._group_seconds = group_seconds
        self._program = program
        signer = next(iter(core.signers.values()))
        subject = f"participant:{core.participant}"
        tokens = TokenKeeper(subject=subject, signer=signer, chain=core.chain)
        self.reader = Reader(transport, tokens)
        transport.authorize = lambda url: tokens.get_at(transport, url)
        self._meeting = Meeting(transport, outbox=outbox, chain=core.chain, begin=self._begin)
        transport.greet = self._meeting.greet
        self._opening = asyncio.Lock()
        self._is_closed = False
        self._submitter: Submitter[R] | None = None
        self._settler: Settler[R] | None = None
        self._lanes: dict[str, Lane[Committed[R]]] = {}
        self._dates: dict[tuple[str, str, str], int] = {}
        """The moments given to orders that are on their way and not in the outbox yet."""

    async def open(self) -> Settler[R]:
        """The chain is known and is the pinned one, and trust begins where it ended. Or `Unverified`."""
        if self._is_closed:
            raise ConfigurationError("this merchant is closed")
        if self._settler is not None:
            return self._settler
        async with self._opening:
            if self._settler is None:
                await self._transport.meet()
                settler = Settler(self._get_submitter())
                await settler.begin()
                self._settler = settler
        return self._settler

    def _begin(self, origin: Origin, time: int) -> Submitter[R]:
        """The first node was met, whose genesis is the pinned chain's."""
        if self._submitter is None:
            policy = self._settings.policy or make_policy(origin)
            self.core.meet(origin, time=time)
            if self.core.is_simulated:
                self._transport.wait_for_answers()
            trust = Trust(origin=origin, policy=policy, note=self.outbox.load_note(self.core.chain))
            self._submitter = Submitter(
                core=self.core,
                transport=self._transport,
                reader=self.reader,
                outbox=self.outbox,
                trust=trust,
            )
        return self._submitter

    def _get_submitter(self) -> Submitter[R]:
        if self._submitter is None:
            raise ConfigurationError("no node was met yet")
        return self._submitter

    async def get_policy(self) -> Policy:
        """The policy that judges checkpoints."""
        await self.open()
        return self._get_submitter().policy

    async def ask(self, message: Any, *, is_dated: bool = True) -> Committed[R]:
        """The result of one message, grouped with what else is asked. Raises as `merchant_sdk.errors` says.

        Without its moment (``is_dated``) it gets the one that the same order was given before, or now.
        """
        check_message(message)
        async with self.recall.minding(get_name(message)):
            result = await self._ask(message, is_dated=is_dated)
            error = result.get_error()
            if error is not None:
                raise error
        return result

    async def _ask(self, message: Any, *, is_dated: bool) -> Committed[R]:
        signer = self.core.choose_signer([message])
        settler = await self.open()
        if not is_dated:
            moment = await self.find_date(type(message), message.program, get_reference(message))
            message = structs.replace(message, occurred_at=moment)
        data = check_message(message)
        result = await settler.ask_again(data)
        if result is None:
            result = await self.recall.settle_first(settler, message)
        if result is None:
            result = await self._ask_in_lane(signer, Asked(message, data, not is_dated))
        return result

    async def _ask_in_lane(self, signer: Signer, asked: Asked) -> Committed[R]:
        lane = self._lanes.get(signer.key_id)
        if lane is None:
            lane = self._lanes[signer.key_id] = Lane(self._send, group_seconds=self._group_seconds)
        return await lane.add(asked)

    async def queue(self, messages: Sequence[Any], *, is_dated: bool = True) -> None:
        """The messages are in the outbox, synced, and `flush` signs and sends them, in this order.

        Needs no node, and an outbox in a file. What is not dated gets the moment it is queued at.
        """
        if not self.outbox.is_durable:
            raise ConfigurationError("queueing needs an outbox in a file: give outbox= or COMMONPOINT_OUTBOX")
        if self._is_closed:
            raise ConfigurationError("this merchant is closed")
        dated = []
        given = []
        for message in messages:
            check_message(message)
            self.core.choose_signer([message])
            if not is_dated:
                moment = await self.find_date(type(message), message.program, get_reference(message))
                message = structs.replace(message, occurred_at=moment)  # noqa: PLW2901
                dated.append(_get_date(message))
            given.append(check_message(message))
        try:
            await asyncio.to_thread(self.outbox.queue, self.core.participant, given, dated)
        finally:
            self._forget_dates(dated)

    async def submit(
        self, messages: Sequence[Any], *, transaction_id: str | None, not_after: int | None, atomic: bool
    ) -> list[Committed[R]]:
        """The results of these messages as one transaction of their own."""
        for message in messages:
            check_message(message)
        async with self.recall.minding(*map(get_name, messages)):
            settler = await self.open()
            return await settler.submit(
                messages, transaction_id=transaction_id, not_after=not_after, atomic=atomic
            )

    async def flush(self) -> list[Resent[R]]:
        """What came of everything in the outbox. Without a line all of it is as open as before."""
        try:
            settler = await self.open()
        except (NotSent, RefusedByNode) as error:
            return await tell_what_waits(self.outbox, self.core.participant, error)
        return await settler.flush()

    async def fetch_receipt(self, index: int) -> Receipt:
        """A verified receipt, of the history we trust."""
        await self.open()
        submitter = self._get_submitter()
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
        if self._settler is not None:
            await self._settler.close()
        await self._transport.close()
        self.outbox.close()

    async def find_date(self, kind_of_message: Any, program: str, reference: str) -> int:
        """The moment that this order was given before, or now."""
        # The moment is part of what makes two orders the same: with another one, asking again would be
        # another order.
        kind = kind_of_message.__struct_config__.tag
        key = (kind, program, reference)
        if key in self._dates:
            return self._dates[key]
        find = self.outbox.find_occurred_at
        arguments = {"kind": kind, "program": program, "reference": reference}
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
        settler = await self.open()
        messages = [call.asked.message for call in calls]
        dated = [_get_date(call.asked.message) for call in calls if call.asked.is_dated_by_us]
        try:
            return await settler.submit(messages, dated=dated)
        finally:
            self._forget_dates(dated)

    def _forget_dates(self, dated: Sequence[Dated]) -> None:
        # They are in the outbox now.
        for each in dated:
            self._dates.pop((each.kind, each.program, each.reference), None)


def _get_date(message: Any) -> Dated:
    kind = message.__struct_config__.tag
    return Dated(kind, message.program, get_reference(message), message.occurred_at)
