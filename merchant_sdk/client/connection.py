"""What one merchant keeps open: the nodes it asks, the chain it trusts, the outbox, and a lane for each of
its keys.

Nothing happens until something is asked. Then a node is met (`merchant_sdk.client.meeting`): its genesis is
held to the pinned chain string, its newest checkpoint to the one trusted last, which is taken from the
outbox. From there on everything is proven against that. What is only queued needs no node.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any, Generic, TypeVar

from msgspec import structs

from ledger.genesis import Origin
from ledger.log.policy import Policy
from ledger.policy_chain import derive_policy
from ledger.policy_steps import PolicyStep
from merchant_sdk.client.core import Core
from merchant_sdk.client.dating import Dates, get_date
from merchant_sdk.client.grouping import Grouping
from merchant_sdk.client.meeting import Meeting
from merchant_sdk.client.orders import Orders
from merchant_sdk.client.promising import PromiseDesk
from merchant_sdk.client.queueing import tell_what_waits
from merchant_sdk.client.reading import Reader
from merchant_sdk.client.recalling import Recall
from merchant_sdk.client.receipts import Receipts
from merchant_sdk.client.settling import Settler
from merchant_sdk.client.streaming import stream
from merchant_sdk.client.submission import Submitter
from merchant_sdk.errors import CommonpointError, ConfigurationError, NotSent, RefusedByNode
from merchant_sdk.order_names import get_name
from merchant_sdk.origins import compute_anchor
from merchant_sdk.outbox import Outbox
from merchant_sdk.policies import Policies, read_stored_steps
from merchant_sdk.requests import check_message, get_reference
from merchant_sdk.results import Committed, Resent
from merchant_sdk.settings import Settings
from merchant_sdk.tokens import TokenKeeper
from merchant_sdk.transport import Transport
from merchant_sdk.trust import Trust

R = TypeVar("R")


class Connection(Receipts, Generic[R]):
    """Everything behind the verbs. Belongs to one event loop."""

    def __init__(
        self,
        settings: Settings,
        *,
        core: Core[R],
        transport: Transport,
        outbox: Outbox,
        grouping: Grouping,
        program: str | None,
        wait_with: Callable[[int, float], Any],
        promise_seconds: float | None = None,
    ) -> None:
        self._wait_with = wait_with
        self._promise_seconds = promise_seconds
        self._promises: PromiseDesk | None = None
        self.core = core
        self.outbox = outbox
        self.recall = Recall[R](outbox, core.participant)
        self.dates = Dates(outbox, core)
        self._settings = settings
        self._transport = transport
        self._program = program
        signer = next(iter(core.signers.values()))
        subject = f"participant:{core.participant}"
        tokens = TokenKeeper(subject=subject, signer=signer, chain=core.chain)
        self.reader = Reader(transport, tokens)
        transport.authorize = lambda url: tokens.get_at(transport, url)
        self._meeting = Meeting(
            transport, outbox=outbox, chain=core.chain, load_steps=self._load_steps, begin=self._begin
        )
        transport.greet = self._meeting.greet
        self._opening = asyncio.Lock()
        self._is_closing = False
        """Nothing new is taken: what was asked before is still answered."""
        self._is_closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._submitter: Submitter[R] | None = None
        self._settler: Settler[R] | None = None
        self._orders = Orders(
            core=core, recall=self.recall, dates=self.dates, open_settler=self.open, grouping=grouping
        )

    async def open(self) -> Settler[R]:
        """The chain is known and is the pinned one, and trust begins where it ended. Or `Unverified`."""
        if self._is_closed:
            raise ConfigurationError("this merchant is closed")
        loop = asyncio.get_running_loop()
        if self._loop not in (None, loop):
            raise ConfigurationError("this merchant is another event loop's: make one for each")
        self._loop = loop
        if self._settler is not None:
            return self._settler
        async with self._opening:
            if self._settler is None:
                await self._transport.meet()
                settler = Settler(self._get_submitter())
                await settler.begin()
                self._settler = settler
        return self._settler

    def _check_open(self) -> None:
        if self._is_closing:
            raise ConfigurationError("this merchant is closed")

    def _load_steps(self, origin: Origin) -> list[PolicyStep]:
        """The policies that were accepted before this start. Raises `Unverified` where they do not read."""
        anchor = compute_anchor(self._settings.policy or derive_policy(origin))
        return read_stored_steps(self.outbox.load_steps(origin.chain, anchor=anchor))

    def _begin(self, origin: Origin, time: int, steps: Sequence[PolicyStep]) -> Submitter[R]:
        """The first node was met, whose genesis is the pinned chain's."""
        if self._submitter is None:
            given = self._settings.policy
            self.core.meet(origin, time=time)
            if self.core.is_simulated:
                self._transport.wait_for_answers()
            trust = Trust(
                origin=origin,
                policy=given or derive_policy(origin),
                note=self.outbox.load_note(self.core.chain),
                steps=steps,
                is_strict=given is not None,
            )
            self._submitter = Submitter(
                core=self.core,
                transport=self._transport,
                reader=self.reader,
                outbox=self.outbox,
                trust=trust,
                anchor=compute_anchor(given or derive_policy(origin)),
            )
            self._promises = PromiseDesk(
                self._submitter,
                transport=self._transport,
                reader=self.reader,
                after_seconds=self._promise_seconds,
            )
            if self._promise_seconds is not None:
                self._submitter.promiser = self._promises
        return self._submitter

    def _get_submitter(self) -> Submitter[R]:
        if self._submitter is None:
            raise ConfigurationError("no node was met yet")
        return self._submitter

    async def open_promises(self) -> PromiseDesk:
        """Who asks for intake promises and checks them."""
        await self.open()
        if self._promises is None:
            raise ConfigurationError("no node was met yet")
        return self._promises

    async def get_policy(self) -> Policy:
        """The policy that judges checkpoints."""
        await self.open()
        return self._get_submitter().trust.policy

    async def get_policies(self) -> Policies:
        """Every policy that was accepted, from the one we began with."""
        await self.open()
        known = self._get_submitter().trust.policies
        return Policies(known.epochs[0].policy, known.steps, epoch=known.epochs[0].epoch)

    async def ask(self, message: Any, *, is_dated: bool = True) -> Committed[R]:
        """The result of one message, grouped with what else is asked. Raises as `merchant_sdk.errors` says.

        Without its moment (``is_dated``) it gets the one that the same order was given before, or now.
        """
        self._check_open()
        data = check_message(message)
        try:
            lane = self._orders.get_lane(message)
            if self._loop is not asyncio.get_running_loop() or self._settler is None or self._is_closed:
                await self.open()
            result = await lane.add(message, data, is_dated_by_us=not is_dated)
            error = result.get_error()
            if error is not None:
                raise error
        except CommonpointError as failed:
            told = await self.recall.tell(failed, (get_name(message),))
            if told is failed:
                raise
            raise told from failed
        return result

    async def queue(self, messages: Sequence[Any], *, is_dated: bool = True) -> None:
        """The messages are in the outbox, synced, and `flush` signs and sends them, in this order.

        Needs no node, and an outbox in a file. What is not dated gets the moment it is queued at.
        """
        if not self.outbox.is_durable:
            raise ConfigurationError("queueing needs an outbox in a file: give outbox= or COMMONPOINT_OUTBOX")
        self._check_open()
        dated = []
        given = []
        for message in messages:
            check_message(message)
            self.core.choose_signer([message])
            if not is_dated:
                moment = await self.dates.find(type(message), message.program, get_reference(message))
                message = structs.replace(message, occurred_at=moment)  # noqa: PLW2901
                dated.append(get_date(message))
            given.append(check_message(message))
        try:
            await asyncio.to_thread(self.outbox.queue, self.core.participant, given, dated)
        finally:
            self.dates.forget(dated)

    async def submit(
        self, messages: Sequence[Any], *, transaction_id: str | None, not_after: int | None, atomic: bool
    ) -> list[Committed[R]]:
        """The results of these messages as one transaction of their own."""
        self._check_open()
        for message in messages:
            check_message(message)
        async with self.recall.minding(*map(get_name, messages)):
            settler = await self.open()
            return await settler.submit(
                messages, transaction_id=transaction_id, not_after=not_after, atomic=atomic
            )

    async def submit_all(self, messages: Iterable[Any]) -> AsyncGenerator[list[Committed[R]], None]:
        """The results of these messages, a list a transaction, in their order (`streaming`)."""
        submit = partial(self.submit, transaction_id=None, not_after=None, atomic=False)
        async with aclosing(stream(self._orders.cut(messages), submit)) as groups:
            async for results in groups:
                yield results

    async def flush(self) -> list[Resent[R]]:
        """What came of everything in the outbox. Without a line all of it is as open as before."""
        try:
            settler = await self.open()
        except (NotSent, RefusedByNode) as error:
            return await tell_what_waits(self.outbox, self.core.participant, error)
        return await settler.flush()

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
        if self._is_closing:
            return
        # First of all: threads that go on calling would keep it open for ever.
        self._is_closing = True
        await self._orders.drain()
        self._is_closed = True
        if self._settler is not None:
            await self._settler.close()
        await self._transport.close()
        self.outbox.close()
