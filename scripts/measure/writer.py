"""The writer of a load: draws the messages of a mix from a seed.

A capture names a hold, and a refund a redemption, of *earlier* load: whatever is completed or undone was made
beforehand, in transactions of their own that are sent before the measured ones.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any, Final

from msgspec import UNSET

from contracts.messages import Capture, Earn, Exchange, Gift, Hold, Redeem, Refund
from ledger.calendar import get_day
from ledger.values import MESSAGES_MAX
from scripts.measure import mixes
from scripts.measure.alliance import ISSUERS, MERCHANTS, OPENING_HEIGHT, SERIES, UTC_OFFSET_MINUTES
from scripts.measure.envelopes import Envelope, Pen
from scripts.measure.members import Members

_HOLD_MILLIS: Final = 500_000_000
_SPREAD_MILLIS: Final = 600_000
"""Purchases are told within so long of happening."""


class Writer:
    """Draws the messages of a mix: the measured ones, and beforehand what they complete or undo."""

    def __init__(
        self,
        pen: Pen,
        members: Members,
        *,
        mix: str,
        batch: int,
        dice: random.Random,
        first_acceptor: int = 0,
    ) -> None:
        self._pen = pen
        self._members = members
        self._mix = mix
        self._dice = dice
        self._elsewhere_share = mixes.get_elsewhere_share(mix)
        self._acceptor = first_acceptor
        self._accepted = 0
        self._batch = batch
        self.before = Envelope(pen, MESSAGES_MAX)
        """What is sent beforehand."""
        self.measured = Envelope(pen, batch)
        self.messages_before = 0

    def write(self, count: int) -> Iterator[str]:
        """``count`` measured messages are drawn; yields each one's kind, so that the caller may empty the
        envelopes.
        """
        for kind in mixes.deal(self._mix, count, self._dice):
            sender, message = self._draw(kind)
            self.measured.add(sender, message)
            yield kind
        self.before.finish()
        self.measured.finish()

    def _draw(self, kind: str) -> tuple[str, Any]:
        if kind == mixes.EARN:
            number = self._members.draw(self._dice)
            home = self._members.get_home(number)
            return home, self._earn(number, home)
        if kind == mixes.PARTNER_EARN:
            acceptor = self._choose_acceptor()
            number = self._draw_foreign(acceptor, with_key=False)
            return acceptor, self._earn(number, self._members.get_home(number))
        if kind == mixes.REDEEM_HOME:
            return self._redeem_home()
        if kind in (mixes.REDEEM_ELSEWHERE, mixes.HOLD):
            return self._spend_elsewhere(kind)
        if kind == mixes.CAPTURE:
            return self._capture()
        if kind == mixes.REFUND:
            return self._refund()
        return self._give() if kind == mixes.GIFT else self._exchange()

    def _choose_acceptor(self) -> str:
        """One merchant after the other, each for a transaction's worth of messages, so that those fill up."""
        if self._accepted == self._batch:
            self._accepted = 0
            self._acceptor += 1
        self._accepted += 1
        return MERCHANTS[self._acceptor % len(MERCHANTS)]

    def _draw_foreign(self, acceptor: str, *, with_key: bool) -> int:
        while True:
            number = self._members.draw_with_key(self._dice) if with_key else self._members.draw(self._dice)
            if self._members.get_home(number) != acceptor:
                return number

    def _earn(self, number: int, program: str) -> Earn:
        return Earn(
            amount=self._dice.randrange(1_000_000, 300_000_000, 10_000),
            member=self._members.get_id(number),
            occurred_at=self._draw_moment(),
            program=program,
            reference=self._pen.make_reference(),
        )

    def _redeem_home(self) -> tuple[str, Redeem]:
        """At the custodian's own till, for its own program, the till's word is enough."""
        number = self._members.draw(self._dice)
        home = self._members.get_home(number)
        return home, Redeem(
            consent=UNSET,
            member=self._members.get_id(number),
            occurred_at=self._draw_moment(),
            points=self._dice.randrange(1, 20),
            program=home,
            reference=self._pen.make_reference(),
        )

    def _spend_elsewhere(self, kind: str) -> tuple[str, Any]:
        acceptor = self._choose_acceptor()
        number = self._draw_foreign(acceptor, with_key=True)
        home, points, moment = (
            self._members.get_home(number),
            self._dice.randrange(1, 20),
            self._draw_moment(),
        )
        member, reference = self._members.get_id(number), self._pen.make_reference()
        if kind == mixes.HOLD:
            consent = self._consent(number, "hold", points, acceptor)
            expires = self._pen.time + _HOLD_MILLIS
            return acceptor, Hold(
                consent=consent,
                expires=expires,
                member=member,
                occurred_at=moment,
                points=points,
                program=home,
                reference=reference,
            )
        consent = self._consent(number, "redeem", points, acceptor)
        return acceptor, Redeem(
            consent=consent,
            member=member,
            occurred_at=moment,
            points=points,
            program=home,
            reference=reference,
        )

    def _capture(self) -> tuple[str, Capture]:
        acceptor, hold = self._send_before(self._spend_elsewhere(mixes.HOLD))
        return acceptor, Capture(
            hold=hold.reference,
            hold_day=self._get_day(hold.occurred_at),
            member=hold.member,
            occurred_at=self._pen.time,
            points=self._dice.randrange(1, hold.points + 1),
            program=hold.program,
        )

    def _refund(self) -> tuple[str, Refund]:
        is_elsewhere = self._dice.random() < self._elsewhere_share
        drawn = self._spend_elsewhere(mixes.REDEEM_ELSEWHERE) if is_elsewhere else self._redeem_home()
        sender, original = self._send_before(drawn)
        return sender, Refund(
            member=original.member,
            occurred_at=self._pen.time,
            original=original.reference,
            original_day=self._get_day(original.occurred_at),
            original_type="redeem",
            points=self._dice.randrange(1, original.points + 1),
            program=original.program,
            reference=self._pen.make_reference(),
        )

    def _send_before(self, drawn: tuple[str, Any]) -> tuple[str, Any]:
        self.before.add(*drawn)
        self.messages_before += 1
        return drawn

    def _give(self) -> tuple[str, Gift]:
        number = self._members.draw_with_key(self._dice)
        home, points = self._members.get_home(number), self._dice.randrange(1, 20)
        recipient = number
        while recipient == number:
            recipient = self._members.draw(self._dice, home=home)
        other = self._members.get_id(recipient)
        return home, Gift(
            consent=self._consent(number, "gift", points, other),
            member=self._members.get_id(number),
            occurred_at=self._draw_moment(),
            points=points,
            program=home,
            recipient=other,
            reference=self._pen.make_reference(),
        )

    def _exchange(self) -> tuple[str, Exchange]:
        number = self._members.draw_with_key(self._dice)
        home, points = self._members.get_home(number), self._dice.randrange(1, 20)
        target = self._dice.choice([issuer for issuer in ISSUERS if issuer != home])
        member = self._members.get_id(number)
        return home, Exchange(
            consent=self._consent(number, "exchange", points, member, least=points, target=target),
            least=points,
            member=member,
            occurred_at=self._draw_moment(),
            points=points,
            program=home,
            rate_height=OPENING_HEIGHT,
            recipient=member,
            reference=self._pen.make_reference(),
            series=SERIES,
            target=target,
        )

    def _consent(self, number: int, purpose: Any, points: int, counterparty: str, **more: Any) -> Any:
        return self._members.consent(
            number,
            purpose,
            chain=self._pen.chain,
            time=self._pen.time,
            program=self._members.get_home(number),
            points=points,
            counterparty=counterparty,
            nonce=self._dice.randbytes(16),
            **more,
        )

    def _draw_moment(self) -> int:
        return self._pen.time - self._dice.randrange(_SPREAD_MILLIS)

    @staticmethod
    def _get_day(moment: int) -> int:
        return get_day(moment, utc_offset_minutes=UTC_OFFSET_MINUTES)
