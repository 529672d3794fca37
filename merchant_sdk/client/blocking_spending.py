"""Points go, and come back by a refund: the verbs of `merchant_sdk.client.spending`, blocking."""

from __future__ import annotations

from merchant_sdk.amounts import Amount
from merchant_sdk.client.blocking import Blocking, Done
from merchant_sdk.client.originals import Order
from merchant_sdk.client.spending import HOLD_SECONDS
from merchant_sdk.held import Held
from merchant_sdk.points_code import PointsCode
from merchant_sdk.receipt import Receipt
from merchant_sdk.results import Quote


class BlockingSpending(Blocking):
    """The verbs by which points are spent, moved and given back."""

    def redeem(
        self,
        code: PointsCode | str,
        points: int,
        reference: str,
        *,
        program: str | None = None,
        amount: Amount | None = None,
        without_code: bool = False,
        occurred_at: int | None = None,
    ) -> Done:
        """Take ``points`` in payment, with the points code that a member shows.

        ``amount`` is the whole order's, where the issuer's ceilings depend on it. With ``without_code`` the
        first argument is the id of a member of ours, on your till's own word that it is they who pay.
        """
        return self._run(
            self._verbs.redeem(
                code,
                points,
                reference,
                program=program,
                amount=amount,
                without_code=without_code,
                occurred_at=occurred_at,
            )
        )

    def hold(
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
    ) -> Held[Receipt, Done]:
        """Set ``points`` aside for an order, for ``seconds`` or until ``expires``: then capture or release.

        Paid as in `redeem`; the code is one for a hold (`Wallet.consent_for_hold`).
        """
        return self._run(
            self._verbs.hold(
                code,
                points,
                reference,
                seconds=seconds,
                expires=expires,
                program=program,
                amount=amount,
                without_code=without_code,
                occurred_at=occurred_at,
            )
        )

    def capture(self, order: Order, points: int | None = None, *, program: str | None = None) -> Done:
        """Take ``points`` of what is held for an order, all unless told, once; the rest goes back.

        ``order`` is the hold's number, or what `hold` gave.
        """
        return self._run(self._verbs.capture(order, points, program=program))

    def release(self, order: Order, *, program: str | None = None) -> Done:
        """Give back all that is held for an order: its number, or what `hold` gave."""
        return self._run(self._verbs.release(order, program=program))

    def refund(
        self,
        order: Order,
        reference: str,
        points: int | None = None,
        *,
        program: str | None = None,
        occurred_at: int | None = None,
    ) -> Done:
        """Give back ``points`` that were spent on an order, all that is not back yet unless told.

        ``order`` is the number under which they were spent (redeemed, or held and captured), or the result of
        then; ``reference`` is the refund's own number. The same lots come back.
        """
        return self._run(
            self._verbs.refund(order, reference, points, program=program, occurred_at=occurred_at)
        )

    def gift(
        self, code: PointsCode | str, points: int, reference: str, *, occurred_at: int | None = None
    ) -> Done:
        """Move points to another member as they are, dates kept: the giver's consent says to whom
        (`Wallet.consent_for_gift`).
        """
        return self._run(self._verbs.gift(code, points, reference, occurred_at=occurred_at))

    def quote(self, *, program: str, series: str, target: str, points: int) -> Quote:
        """What exchanging up to ``points`` of a series would bring now."""
        return self._run(self._verbs.quote(program=program, series=series, target=target, points=points))

    def exchange(
        self,
        code: PointsCode | str,
        quote: Quote,
        reference: str,
        *,
        recipient_code: PointsCode | str | None = None,
        occurred_at: int | None = None,
    ) -> Done:
        """Carry out the exchange quoted, with the member's consent (`Wallet.consent_for_exchange`).

        Delivered to another member, ``recipient_code`` is that member's consent
        (`Wallet.consent_to_receive`).
        """
        return self._run(
            self._verbs.exchange(
                code, quote, reference, recipient_code=recipient_code, occurred_at=occurred_at
            )
        )
