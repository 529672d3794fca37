"""Years of a town, a block a day: what a retention is for, and everything that asks for what it lets go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from contracts.mechanics.records import RETENTION_DAYS
from contracts.messages import AddMemberKey, Hold, Redeem, Refund, Release, ReturnOrder
from ledger.calendar import get_day
from tests.contracts.cast import DAY_MILLIS, FRESH, PETROL, START, grant, make_signer, member_id
from tests.contracts.letters import prove_possession, sign_consent
from tests.node.engine.town import Town

DAYS = RETENTION_DAYS + 130
AGES = (1, 30, 179, 181, 399, 401, 801, *range(RETENTION_DAYS - 2, RETENTION_DAYS + 5))
"""Days after which it is asked for again: inside and outside of every horizon there is."""


class Chronicle:
    """A block a day for years: a purchase, points spent elsewhere, a hold, and much that comes too late."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self._key = make_signer(member_id(1))

    def tell(self) -> Iterator[tuple[int, list[bytes]]]:
        """Time and transactions of each block."""
        town = self._town
        for number, data in enumerate(town.begin(members=2)):
            yield START + number, [data]
        key = prove_possession(town.chain, member_id(1), self._key)
        far = START + 2 * DAYS * DAY_MILLIS
        grants = [grant(kind, "leaf", PETROL, expires=far) for kind in ("earn", "redeem")]
        yield START + 10, [town.sign(FRESH, "key", AddMemberKey(key=key, member=member_id(1)))]
        yield START + 11, [town.sign(FRESH, "grants", *grants)]
        for day in range(3, DAYS):
            yield self._now(day), list(self._tell_day(day))

    def _tell_day(self, day: int) -> Iterator[bytes]:
        now = self._now(day)
        fresh: list[Any] = [self._earn(day), self._hold(day)]
        petrol: list[Any] = [self._redeem(day)]
        for age in AGES:
            # Not all of it every day: a few things of each age a week.
            if day - age >= 3 and (day + age) % 7 == 0:
                fresh += [self._earn(day - age), self._return(day - age, now), self._release(day - age, now)]
                petrol += [self._redeem(day - age), self._refund(day - age, now)]
        yield self._sign(FRESH, f"fresh-{day}", now, *fresh)
        yield self._sign(PETROL, f"petrol-{day}", now, *petrol)
        # The id of yesterday, whose time is over, is free; that of today is not.
        yield self._sign(FRESH, f"fresh-{day - 1}", now, self._release(day - 1, now))
        yield self._sign(PETROL, f"petrol-{day}", now, self._refund(day, now))

    def _sign(self, sender: str, name: str, now: int, *messages: Any) -> bytes:
        return self._town.sign(sender, name, *messages, not_after=now + 600_000)

    @staticmethod
    def _now(day: int) -> int:
        return START + day * DAY_MILLIS

    def _day(self, day: int) -> int:
        return get_day(self._now(day), utc_offset_minutes=480)

    def _earn(self, day: int) -> Any:
        reference = f"earned-{day}"
        return self._town.earn(day, points=20, member=1, occurred_at=self._now(day), reference=reference)

    def _hold(self, day: int) -> Any:
        return Hold(
            consent=self._consent(FRESH, 2, self._now(day)),
            expires=self._now(day) + DAY_MILLIS * 3 // 2,
            member=member_id(1),
            occurred_at=self._now(day),
            points=2,
            program="leaf",
            reference=f"held-{day}",
        )

    def _redeem(self, day: int) -> Any:
        return Redeem(
            consent=self._consent(PETROL, 3, self._now(day) + 60_000),
            member=member_id(1),
            occurred_at=self._now(day),
            points=3,
            program="leaf",
            reference=f"spent-{day}",
        )

    def _consent(self, counterparty: str, points: int, expires: int) -> Any:
        return sign_consent(
            self._town.chain,
            self._key,
            counterparty=counterparty,
            expires=expires,
            member=member_id(1),
            points=points,
            program="leaf",
            purpose="hold" if counterparty == FRESH else "redeem",
        )

    def _return(self, day: int, now: int) -> Any:
        return ReturnOrder(
            amount=500_000,
            member=member_id(1),
            occurred_at=now,
            original=f"earned-{day}",
            original_day=self._day(day),
            original_type="earn",
            program="leaf",
            reference=f"back-{now}",
        )

    def _refund(self, day: int, now: int) -> Any:
        return Refund(
            member=member_id(1),
            occurred_at=now,
            original=f"spent-{day}",
            original_day=self._day(day),
            original_type="redeem",
            points=1,
            program="leaf",
            reference=f"back-{now}",
        )

    def _release(self, day: int, now: int) -> Any:
        return Release(
            hold=f"held-{day}",
            hold_day=self._day(day),
            member=member_id(1),
            occurred_at=now,
            program="leaf",
        )
