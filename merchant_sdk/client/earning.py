"""Points come: by a purchase, by a kindness, by an opening balance or a correction; and go again with goods
that come back.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from msgspec import UNSET

from contracts.messages import Adjust, Award, ImportBalance, ReturnOrder
from contracts.messages.earning import AwardReason
from merchant_sdk.amounts import Amount, get_micros
from merchant_sdk.client.asking import Asking, C, R
from merchant_sdk.client.originals import Order, find_original, list_parts
from merchant_sdk.errors import CommonpointError, InvalidRequest
from merchant_sdk.points_code import PointsCode
from merchant_sdk.requests import make_earn, read_amount, read_consent, read_day
from merchant_sdk.results import Committed


class EarningVerbs(Asking[R, C]):
    """The verbs by which points are issued and taken back."""

    async def earn(
        self,
        member: str,
        amount: Amount,
        reference: str,
        *,
        program: str | None = None,
        occurred_at: int | None = None,
    ) -> Committed[R]:
        """Points for a purchase of ``amount`` ("45.60"), net of what was paid with points.

        They are ours unless ``program`` says whose; the purchase was now unless ``occurred_at`` says when.
        """
        try:
            message = make_earn(
                member=member,
                amount=amount,
                reference=reference,
                program=program or await self._get_program(program),
                occurred_at=occurred_at,
            )
        except CommonpointError as error:
            await self._fail(error, "earn", reference, program)
        return await self._connection.ask(message, is_dated=occurred_at is not None)

    async def award(
        self,
        member: str,
        points: int,
        reference: str,
        *,
        reason: AwardReason,
        amount: Amount | None = None,
        program: str | None = None,
        occurred_at: int | None = None,
    ) -> Committed[R]:
        """Points that you computed yourself, out of your bonus budget or a partner's grant.

        ``reason`` is sign_in, review, referral, task, campaign, birthday, bonus or goodwill. With the
        ``amount`` of the order it was given for, it can be returned with that order.
        """
        async with self._minding("award", reference, program):
            message = Award(
                amount=read_amount(amount),
                member=member,
                occurred_at=occurred_at or 0,
                points=points,
                program=await self._get_program(program),
                reason=reason,
                reference=reference,
            )
            return await self._ask(message, occurred_at)

    async def return_order(
        self,
        order: Order,
        reference: str,
        amount: Amount | None = None,
        *,
        program: str | None = None,
        occurred_at: int | None = None,
    ) -> Committed[R]:
        """Goods came back: the points earned on ``amount`` of the order are given up.

        Without an amount it is all of the order that has not come back yet. ``order`` is the number under
        which they were earned, or the result of then; ``reference`` is the return's own number.
        """
        async with self._minding("return_order", reference, program):
            original = await find_original(self._connection, order, kinds=("earn", "award"), program=program)
            moment = occurred_at
            micros = None if amount is None else get_micros(amount)
            if micros is None or original.rows is not None:
                parts = await list_parts(self._connection, original, kind="return_order")
                for part in parts:
                    # Asked for again, it is the same return and not one more.
                    if part.reference == reference and micros in (None, part.amount):
                        micros, moment = part.amount, occurred_at or part.occurred_at
                if micros is None:
                    if original.message.amount is UNSET:
                        raise InvalidRequest(
                            "this award was given for no order, so nothing of it can come back"
                        )
                    micros = original.message.amount - sum(part.amount for part in parts)
                    if micros <= 0:
                        raise InvalidRequest("all of this order came back already", order=original.reference)
            message = ReturnOrder(
                amount=micros,
                member=original.member,
                occurred_at=moment or 0,
                original=original.reference,
                original_day=original.day,
                original_type="award" if original.kind == "award" else "earn",
                program=original.program,
                reference=reference,
            )
            return await self._ask(message, moment)

    async def import_balance(
        self,
        member: str,
        points: int,
        reference: str,
        *,
        series: str,
        earned_day: date | int,
        expires_day: date | int,
        program: str | None = None,
        occurred_at: int | None = None,
    ) -> Committed[R]:
        """An opening balance from an earlier system, with the dates it had there. Needs your govern key.

        Days are `datetime.date`, or the ledger's day numbers; ``expires_day`` is the last day of use.
        """
        async with self._minding("import_balance", reference, program):
            message = ImportBalance(
                earned_day=read_day(earned_day),
                expires_day=read_day(expires_day),
                member=member,
                occurred_at=occurred_at or 0,
                points=points,
                program=await self._get_program(program),
                reference=reference,
                series=series,
            )
            return await self._ask(message, occurred_at)

    async def adjust(
        self,
        member: PointsCode | str,
        points: int,
        reference: str,
        *,
        direction: Literal["give", "take"],
        reason: Literal["correction", "goodwill", "migration"] = "correction",
        program: str | None = None,
        occurred_at: int | None = None,
    ) -> Committed[R]:
        """A correction that everybody concerned can see. Needs your govern key.

        To ``give``, ``member`` is the member's id; to ``take``, it is their consent
        (`Wallet.consent_for_adjust`).
        """
        async with self._minding("adjust", reference, program):
            code = read_consent(member, purpose="adjust") if direction == "take" else None
            if code is None and not isinstance(member, str):
                raise InvalidRequest("to give points needs no consent: pass the member's id")
            message = Adjust(
                consent=UNSET if code is None else code.consent,
                direction=direction,
                member=str(member) if code is None else code.member,
                occurred_at=occurred_at or 0,
                points=points,
                program=await self._get_program(program) if code is None else code.program,
                reason=reason,
                reference=reference,
            )
            return await self._ask(message, occurred_at)
