"""The verbs of a till whose line may fail: earn later, and spend from an allowance reserved before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from msgspec import UNSET

from contracts.messages import MESSAGE_DECODER, Capture, Earn, Hold, Release
from ledger.codec import encode
from merchant_sdk.amounts import Amount
from merchant_sdk.client.asking import Asking, C, R
from merchant_sdk.client.reserving import adopt, check_same, reserve
from merchant_sdk.errors import CommonpointError, ConfigurationError, RejectedByLedger
from merchant_sdk.points_code import PointsCode
from merchant_sdk.records import Queued
from merchant_sdk.requests import check_message, check_reference, make_earn, read_amount
from merchant_sdk.results import Committed
from merchant_sdk.till import SETTLE_SECONDS, SPEND_SECONDS, Allowance
from merchant_sdk.till_store import Row, TillClock, TillStore

T = TypeVar("T")


class OfflineVerbs(Asking[R, C]):
    """The verbs by which a till works without a line."""

    _outbox_path: str | None
    _till_store: TillStore | None = None
    _settle_with: Callable[[Allowance[C]], C]
    """The face's own `settle_allowance`: what an allowance settles itself with."""

    async def earn_later(
        self,
        member: str,
        amount: Amount,
        reference: str,
        *,
        program: str | None = None,
        occurred_at: int | None = None,
    ) -> Queued:
        """Points for a purchase, as `earn`, but only written down: synced to the outbox, sent by `flush`.

        Needs no line, an outbox in a file, and to know the program: name it here or where you make the
        merchant. What came of it, points or a rejection, is among the results of that `flush`.
        """
        try:
            program = await self._get_program(program)
        except CommonpointError as error:
            if isinstance(error, ConfigurationError):
                raise
            raise ConfigurationError("without a line nobody can say your program: give program=") from None
        moment = occurred_at
        if moment is None:
            moment = await self._connection.dates.find(Earn, program, reference)
        message = make_earn(
            member=member, amount=amount, reference=reference, program=program, occurred_at=moment
        )
        await self._connection.queue([message], is_dated=occurred_at is not None)
        return Queued(reference=reference, program=program, occurred_at=moment)

    def count_queued(self) -> int:
        """How many earnings wait to be sent, or are not known to be committed or turned down."""
        return self._connection.outbox.count_queued(self._connection.core.participant)

    async def reserve(
        self,
        code: PointsCode | str,
        points: int,
        *,
        reference: str | None = None,
        seconds: int = SPEND_SECONDS,
        settle_seconds: int = SETTLE_SECONDS,
        program: str | None = None,
        amount: Amount | None = None,
        without_code: bool = False,
    ) -> Allowance[C]:
        """An allowance: ``points`` are held for this till, to be spent for ``seconds`` without a line.

        Paid as in `hold`. ``settle_seconds`` more are left for the line to come back. Needs an outbox in a
        file. Under a ``reference`` of yours it is reserved once, however often you ask; without one each call
        is another. If the reply is lost, `allowances` has it as soon as `flush` found out that it was made.
        """
        store = self._open_till()
        number = check_reference(reference) if reference is not None else ""
        known = await _act(store.find, number) if number else None
        async with self._minding("hold", None if known is None else known.reference, program):
            found, program = await self._read_payment(
                code, program, purpose="hold", without_code=without_code
            )
            member = found.member if isinstance(found, PointsCode) else found
            await _act(self._adopt, store)
            known = await _act(store.find, number) if number else None
            if known is not None and known.state != "asked":
                # It is held, so this needs no line.
                check_same(known, member=member, program=program, points=points)
                return Allowance(store, known, self._settle_with)
            await self._connection.open()
            core = self._connection.core
            now = core.get_time()
            until = now + seconds * 1000
            hold = Hold(
                amount=read_amount(amount),
                consent=found.consent if isinstance(found, PointsCode) else UNSET,
                expires=until + settle_seconds * 1000,
                member=member,
                occurred_at=now,
                points=points,
                program=program,
                # Chosen by nobody: another till cannot ask for the same hold and take it for its own.
                reference=f"till-{core.ids()}",
            )
            wanted = Row(
                reference=hold.reference,
                chain=core.chain,
                sender=core.participant,
                member=hold.member,
                program=program,
                points=points,
                hold_day=core.get_day(now),
                expires=hold.expires,
                spend_until=until,
                hold=check_message(hold),
                state="asked",
                asked=core.get_machine_time(),
                ahead=0,
                latest=0,
                attempts=0,
                ending=None,
                number=number,
            )
            row = await reserve(self._connection, store, wanted)
        return Allowance(store, row, self._settle_with)

    def allowances(self) -> list[Allowance[C]]:
        """Every allowance of this file that is still to be settled: ask at every start. Needs no line.

        One whose reply was lost is among them as soon as `flush` found out that its points are held.
        """
        store = self._open_till()
        self._adopt(store)
        return [Allowance(store, row, self._settle_with) for row in store.list_unsettled()]

    async def settle_allowance(self, allowance: Allowance[Any]) -> Committed[R]:
        """Capture what was spent of an allowance, once, and give the rest back: what `settle` does."""
        store, reference = self._open_till(), allowance.reference
        await self._connection.open()
        ending = await _act(store.begin_settling, reference, self._make_ending)
        try:
            done = await self._connection.ask(MESSAGE_DECODER.decode(ending))
        except RejectedByLedger as rejection:
            if rejection.code.startswith("OCCURRED_"):
                await _act(store.date_anew, reference)
            else:
                await _act(store.end, reference, "lost")
            raise
        except CommonpointError as error:
            if error.fate == "not_sent":
                await _act(store.take_back, reference)
            raise
        await _act(store.end, reference, "settled")
        return done

    def _make_ending(self, row: Row, spent: int) -> bytes:
        now = self._connection.core.get_time()
        message: Capture | Release
        if spent:
            message = Capture(row.reference, row.hold_day, row.member, now, spent, row.program)
        else:
            message = Release(row.reference, row.hold_day, row.member, now, row.program)
        data: bytes = encode(message)
        return data

    def _adopt(self, store: TillStore) -> None:
        adopt(store, self._connection.outbox, self._connection.core.participant)

    def _open_till(self) -> TillStore:
        if self._outbox_path is None:
            raise ConfigurationError("an offline till needs an outbox in a file: give outbox=")
        if self._till_store is None:
            core = self._connection.core
            clock = TillClock(core.get_machine_time, is_told=core.is_told_time)
            self._till_store = TillStore(
                self._outbox_path, chain=core.chain, sender=core.participant, clock=clock
            )
        return self._till_store


async def _act(act: Callable[..., T], *arguments: Any) -> T:
    """Do something with the file: it waits for the disk, and that must not hold up the loop."""
    return await asyncio.to_thread(act, *arguments)
