"""Points go: spent at once, or held and captured; exchanged, given away; and come back by a refund."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import structs

from contracts.messages import Capture, Gift, Hold, Refund, Release
from merchant_sdk.amounts import Amount
from merchant_sdk.client.asking import Asking, C, R
from merchant_sdk.client.originals import Order, Original, find_original, list_parts
from merchant_sdk.errors import CommonpointError, InvalidRequest, NotFound
from merchant_sdk.held import Held
from merchant_sdk.order_names import get_number
from merchant_sdk.points_code import PointsCode
from merchant_sdk.requests import make_exchange, make_redeem, read_consent
from merchant_sdk.results import Committed, Quote

HOLD_SECONDS: Final = 3_600


class SpendingVerbs(Asking[R, C]):
    """The verbs by which points are spent, moved and given back."""

    _capture_with: Callable[..., C]
    """The face's own `capture`: what a hold completes itself with."""
    _release_with: Callable[..., C]

    async def redeem(
        self,
        code: PointsCode | str,
        points: int,
        reference: str,
        *,
        program: str | None = None,
        amount: Amount | None = None,
        without_code: bool = False,
        occurred_at: int | None = None,
    ) -> Committed[R]:
        """Take ``points`` in payment, with the points code that a member shows.

        ``amount`` is the whole order's, where the issuer's ceilings depend on it. With ``without_code`` the
        first argument is the id of a member of ours, on your till's own word that it is they who pay.
        """
        try:
            found, points_of = await self._read_payment(
                code, program, purpose="redeem", without_code=without_code
            )
            message = make_redeem(
                code=found,
                points=points,
                reference=reference,
                program=points_of,
                amount=amount,
                occurred_at=occurred_at,
            )
        except CommonpointError as error:
            await self._fail(error, "redeem", reference, program)
        return await self._connection.ask(message, is_dated=occurred_at is not None)

    async def hold(
        self,
        code: PointsCode | str,
        points: int,
        reference: str,
        *,
        seconds: int = HOLD_SECONDS,
        expires: int | None = None,
        program: str | None = None,
        amount: Amount | None = None,
        without_code: bool = False,
        occurred_at: int | None = None,
    ) -> Held[R, C]:
        """Set ``points`` aside for an order, for ``seconds`` or until ``expires``: then capture or release.

        Paid as in `redeem`; the code is one for a hold (`Wallet.consent_for_hold`).
        """
        async with self._minding("hold", reference, program):
            found, program = await self._read_payment(
                code, program, purpose="hold", without_code=without_code
            )
            moment = occurred_at
            if moment is None:
                # Asked for again it ends when it was to end the first time, so the moment comes first.
                await self._connection.open()
                moment = await self._connection.dates.find(Hold, program, reference)
            payment = make_redeem(
                code=found,
                points=points,
                reference=reference,
                program=program,
                amount=amount,
                occurred_at=moment,
            )
            message = Hold(
                amount=payment.amount,
                consent=payment.consent,
                expires=moment + seconds * 1000 if expires is None else expires,
                member=payment.member,
                occurred_at=moment,
                points=points,
                program=program,
                reference=reference,
            )
            return self._make_held(await self._ask(message, occurred_at))

    async def capture(
        self, order: Order, points: int | None = None, *, program: str | None = None
    ) -> Committed[R]:
        """Take ``points`` of what is held for an order, all unless told, once; the rest goes back.

        ``order`` is the hold's number, or what `hold` gave.
        """
        async with self._minding("capture", get_number(order), program):
            original = await find_original(self._connection, order, kinds=("hold",), program=program)
            message = Capture(
                hold=original.reference,
                hold_day=original.day,
                member=original.member,
                occurred_at=0,
                points=original.message.points if points is None else points,
                program=original.program,
            )
            return await self._complete(message, original, kind="capture")

    async def release(self, order: Order, *, program: str | None = None) -> Committed[R]:
        """Give back all that is held for an order: its number, or what `hold` gave."""
        async with self._minding("release", get_number(order), program):
            original = await find_original(self._connection, order, kinds=("hold",), program=program)
            message = Release(
                hold=original.reference,
                hold_day=original.day,
                member=original.member,
                occurred_at=0,
                program=original.program,
            )
            return await self._complete(message, original, kind="release")

    async def refund(
        self,
        order: Order,
        reference: str,
        points: int | None = None,
        *,
        program: str | None = None,
        occurred_at: int | None = None,
    ) -> Committed[R]:
        """Give back ``points`` that were spent on an order, all that is not back yet unless told.

        ``order`` is the number under which they were spent (redeemed, or held and captured), or the result of
        then; ``reference`` is the refund's own number. The same lots come back.
        """
        async with self._minding("refund", reference, program):
            original = await find_original(self._connection, order, kinds=("redeem", "hold"), program=program)
            moment = occurred_at
            if points is None or original.rows is not None:
                parts = await list_parts(self._connection, original, kind="refund")
                for part in parts:
                    # Asked for again, it is the same refund and not one more.
                    if part.reference == reference and points in (None, part.points):
                        points, moment = part.points, occurred_at or part.occurred_at
                if points is None:
                    points = await self._count_spent(original) - sum(part.points for part in parts)
                    if points <= 0:
                        raise InvalidRequest("all of this order is back already", order=original.reference)
            message = Refund(
                member=original.member,
                occurred_at=moment or 0,
                original=original.reference,
                original_day=original.day,
                original_type="hold" if original.kind == "hold" else "redeem",
                points=points,
                program=original.program,
                reference=reference,
            )
            return await self._ask(message, moment)

    async def gift(
        self, code: PointsCode | str, points: int, reference: str, *, occurred_at: int | None = None
    ) -> Committed[R]:
        """Move points to another member as they are, dates kept: the giver's consent says to whom
        (`Wallet.consent_for_gift`).
        """
        found = read_consent(code, purpose="gift")
        message = Gift(
            consent=found.consent,
            member=found.member,
            occurred_at=occurred_at or 0,
            points=points,
            program=found.program,
            recipient=found.acceptor,
            reference=reference,
        )
        return await self._ask(message, occurred_at)

    async def quote(self, *, program: str, series: str, target: str, points: int) -> Quote:
        """What exchanging up to ``points`` of a series would bring now."""
        return await self._connection.reader.get_quote(
            program=program, series=series, target=target, points=points
        )

    async def exchange(
        self,
        code: PointsCode | str,
        quote: Quote,
        reference: str,
        *,
        recipient_code: PointsCode | str | None = None,
        occurred_at: int | None = None,
    ) -> Committed[R]:
        """Carry out the exchange quoted, with the member's consent (`Wallet.consent_for_exchange`).

        Delivered to another member, ``recipient_code`` is that member's consent
        (`Wallet.consent_to_receive`).
        """
        found = read_consent(code, purpose="exchange")
        message = make_exchange(
            code=found,
            quote=quote,
            reference=reference,
            occurred_at=occurred_at,
            recipient_code=None
            if recipient_code is None
            else read_consent(recipient_code, purpose="receive"),
        )
        return await self._ask(message, occurred_at)

    async def _complete(self, message: Any, original: Original, *, kind: str) -> Committed[R]:
        moment = None
        if original.rows is not None:
            for part in await list_parts(self._connection, original, kind=kind):
                # Asked for again, after a restart even, it is still the very same.
                if structs.replace(part, occurred_at=0) == message:
                    moment = part.occurred_at
        return await self._ask(structs.replace(message, occurred_at=moment or 0), moment)

    async def _count_spent(self, original: Original) -> int:
        spent: int = original.message.points
        if isinstance(original.message, Hold):
            captures = await list_parts(self._connection, original, kind="capture")
            if not captures:
                facts = {"reference": original.reference}
                raise NotFound("NOT_FOUND", status=404, detail="this hold was not captured", facts=facts)
            spent = captures[0].points
        return spent

    def _make_held(self, done: Committed[R]) -> Held[R, C]:
        fields = {name: getattr(done, name) for name in done.__struct_fields__}
        return Held(capture_with=self._capture_with, release_with=self._release_with, **fields)
