"""A till whose line may fail: the verbs of `merchant_sdk.client.offline`, blocking."""

from __future__ import annotations

from typing import Any

from merchant_sdk.amounts import Amount
from merchant_sdk.client.blocking import Blocking, Done
from merchant_sdk.points_code import PointsCode
from merchant_sdk.records import Queued
from merchant_sdk.till import SETTLE_SECONDS, SPEND_SECONDS, Allowance


class BlockingOffline(Blocking):
    """The verbs by which a till works without a line."""

    def earn_later(
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
        return self._run(
            self._verbs.earn_later(member, amount, reference, program=program, occurred_at=occurred_at)
        )

    def count_queued(self) -> int:
        """How many earnings wait to be sent, or are not known to be committed or turned down."""
        return self._verbs.count_queued()

    def reserve(
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
    ) -> Allowance[Done]:
        """An allowance: ``points`` are held for this till, to be spent for ``seconds`` without a line.

        Paid as in `hold`. ``settle_seconds`` more are left for the line to come back. Needs an outbox in a
        file. Under a ``reference`` of yours it is reserved once, however often you ask; without one each call
        is another. If the reply is lost, `allowances` has it as soon as `flush` found out that it was made.
        """
        return self._run(
            self._verbs.reserve(
                code,
                points,
                reference=reference,
                seconds=seconds,
                settle_seconds=settle_seconds,
                program=program,
                amount=amount,
                without_code=without_code,
            )
        )

    def allowances(self) -> list[Allowance[Done]]:
        """Every allowance of this file that is still to be settled: ask at every start. Needs no line.

        One whose reply was lost is among them as soon as `flush` found out that its points are held.
        """
        return self._verbs.allowances()

    def settle_allowance(self, allowance: Allowance[Any]) -> Done:
        """Capture what was spent of an allowance, once, and give the rest back: what `settle` does."""
        return self._run(self._verbs.settle_allowance(allowance))
