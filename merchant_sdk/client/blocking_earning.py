"""Points come, and go with goods that come back: the verbs of `merchant_sdk.client.earning`, blocking."""

from __future__ import annotations

from datetime import date
from typing import Literal

from contracts.messages.earning import AwardReason
from merchant_sdk.amounts import Amount
from merchant_sdk.client.blocking import Blocking, Done
from merchant_sdk.client.originals import Order
from merchant_sdk.points_code import PointsCode


class BlockingEarning(Blocking):
    """The verbs by which points are issued and taken back."""

    def earn(
        self,
        member: str,
        amount: Amount,
        reference: str,
        *,
        program: str | None = None,
        occurred_at: int | None = None,
    ) -> Done:
        """Points for a purchase of ``amount`` ("45.60"), net of what was paid with points.

        They are ours unless ``program`` says whose; the purchase was now unless ``occurred_at`` says when.
        """
        return self._run(
            self._verbs.earn(member, amount, reference, program=program, occurred_at=occurred_at)
        )

    def award(
        self,
        member: str,
        points: int,
        reference: str,
        *,
        reason: AwardReason,
        amount: Amount | None = None,
        program: str | None = None,
        occurred_at: int | None = None,
    ) -> Done:
        """Points that you computed yourself, out of your bonus budget or a partner's grant.

        ``reason`` is sign_in, review, referral, task, campaign, birthday, bonus or goodwill. With the
        ``amount`` of the order it was given for, it can be returned with that order.
        """
        return self._run(
            self._verbs.award(
                member,
                points,
                reference,
                reason=reason,
                amount=amount,
                program=program,
                occurred_at=occurred_at,
            )
        )

    def return_order(
        self,
        order: Order,
        reference: str,
        amount: Amount | None = None,
        *,
        program: str | None = None,
        occurred_at: int | None = None,
    ) -> Done:
        """Goods came back: the points earned on ``amount`` of the order are given up.

        Without an amount it is all of the order that has not come back yet. ``order`` is the number under
        which they were earned, or the result of then; ``reference`` is the return's own number.
        """
        return self._run(
            self._verbs.return_order(order, reference, amount, program=program, occurred_at=occurred_at)
        )

    def import_balance(
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
    ) -> Done:
        """An opening balance from an earlier system, with the dates it had there. Needs your govern key.

        Days are `datetime.date`, or the ledger's day numbers; ``expires_day`` is the last day of use.
        """
        return self._run(
            self._verbs.import_balance(
                member,
                points,
                reference,
                series=series,
                earned_day=earned_day,
                expires_day=expires_day,
                program=program,
                occurred_at=occurred_at,
            )
        )

    def adjust(
        self,
        member: PointsCode | str,
        points: int,
        reference: str,
        *,
        direction: Literal["give", "take"],
        reason: Literal["correction", "goodwill", "migration"] = "correction",
        program: str | None = None,
        occurred_at: int | None = None,
    ) -> Done:
        """A correction that everybody concerned can see. Needs your govern key.

        To ``give``, ``member`` is the member's id; to ``take``, it is their consent
        (`Wallet.consent_for_adjust`).
        """
        return self._run(
            self._verbs.adjust(
                member,
                points,
                reference,
                direction=direction,
                reason=reason,
                program=program,
                occurred_at=occurred_at,
            )
        )
