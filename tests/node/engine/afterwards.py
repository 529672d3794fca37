"""What a town does with points after they were earned and spent: holds, returns, gifts, corrections, limits.

Part of `tests.node.engine.story`: it names orders out of the same few names, so much of it finds its original
and much does not.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from msgspec import UNSET

from contracts.messages import (
    Adjust,
    Award,
    Capture,
    Gift,
    Hold,
    ImportBalance,
    Refund,
    Release,
    ReturnOrder,
    SetDebitCap,
    SetPolicy,
    SetTillLimits,
)
from ledger.calendar import get_day
from tests.contracts.cast import FRESH, PETROL, make_signer, member_id

UTC_OFFSET_MINUTES = 480


class Afterwards:
    """Draws messages that go back to earlier ones, or set what later ones may do."""

    def __init__(
        self,
        draw: random.Random,
        *,
        members: int,
        name: Callable[[], str],
        now: Callable[[], int],
        consent: Callable[..., Any],
        keyed: range,
    ) -> None:
        self._draw = draw
        self._members = members
        self._name = name
        self._now = now
        self._consent = consent
        self._keyed = keyed
        self._said: list[tuple[str, str, str, str, str, int]] = []
        """(sender, kind, program, reference, member, day) of what may be undone."""

    def remember(self, sender: str, message: Any) -> Any:
        """A message that later ones may go back to."""
        kind = message.__struct_config__.tag
        day = get_day(message.occurred_at, utc_offset_minutes=UTC_OFFSET_MINUTES)
        self._said.append((sender, kind, message.program, message.reference, message.member, day))
        return message

    def _find(self, sender: str, *kinds: str) -> dict[str, Any]:
        """One of the sender's, mostly a recent one, or somebody else's by mistake."""
        own = [each for each in self._said[-60:] if each[0] == sender and each[1] in kinds]
        said = self._draw.choice(own or self._said or [(sender, kinds[0], "leaf", "none", member_id(1), 0)])
        return {"program": said[2], "reference": said[3], "member": said[4], "day": said[5], "kind": said[1]}

    def hold(self, sender: str) -> Any:
        member, points = self._draw.choice(self._keyed), self._draw.randint(1, 60)
        consent = self._consent(member, points, purpose="hold", counterparty=sender)
        return self.remember(
            sender,
            Hold(
                amount=self._draw.choice((UNSET, 500_000_000)),
                consent=consent,
                expires=self._now() + self._draw.choice((60_000, 90_000_000, 500_000_000)),
                member=member_id(member),
                occurred_at=self._now(),
                points=points,
                program="leaf",
                reference=self._name(),
            ),
        )

    def capture(self, sender: str) -> Any:
        found = self._find(sender, "hold")
        return Capture(
            hold=found["reference"],
            hold_day=found["day"],
            member=found["member"],
            occurred_at=self._now(),
            points=self._draw.choice((1, 5, 20, 60)),
            program=found["program"],
        )

    def release(self, sender: str) -> Any:
        found = self._find(sender, "hold")
        return Release(
            hold=found["reference"],
            hold_day=found["day"],
            member=found["member"],
            occurred_at=self._now(),
            program=found["program"],
        )

    def refund(self, sender: str) -> Any:
        found = self._find(sender, "redeem", "hold")
        return Refund(
            member=found["member"],
            occurred_at=self._now(),
            original=found["reference"],
            original_day=found["day"],
            original_type=found["kind"] if found["kind"] in ("redeem", "hold") else "redeem",
            points=self._draw.randint(1, 30),
            program=found["program"],
            reference=self._name(),
        )

    def return_order(self, sender: str) -> Any:
        found = self._find(sender, "earn", "award")
        return ReturnOrder(
            amount=self._draw.randint(1, 60_000_000),
            member=found["member"],
            occurred_at=self._now(),
            original=found["reference"],
            original_day=found["day"],
            original_type=found["kind"] if found["kind"] in ("earn", "award") else "earn",
            program=found["program"],
            reference=self._name(),
        )

    def award(self, sender: str) -> Any:
        return self.remember(
            sender,
            Award(
                amount=self._draw.choice((UNSET, 30_000_000)),
                member=member_id(self._draw.randint(1, self._members)),
                occurred_at=self._now(),
                points=self._draw.randint(1, 50),
                program="leaf",
                reason="campaign",
                reference=self._name(),
            ),
        )

    def gift(self, _sender: str) -> Any:
        member, points = self._draw.choice(self._keyed), self._draw.randint(1, 40)
        recipient = member_id(self._draw.randint(1, self._members))
        return Gift(
            consent=self._consent(member, points, purpose="gift", counterparty=recipient),
            member=member_id(member),
            occurred_at=self._now(),
            points=points,
            program="leaf",
            recipient=recipient,
            reference=self._name(),
        )

    def adjust(self, sender: str) -> Any:
        member, points = self._draw.choice(self._keyed), self._draw.randint(1, 40)
        direction = self._draw.choice(("give", "take"))
        takes = direction == "take"
        consent = self._consent(member, points, purpose="adjust", counterparty=sender) if takes else UNSET
        return Adjust(
            consent=consent,
            direction=direction,
            member=member_id(member),
            occurred_at=self._now(),
            points=points,
            program="leaf",
            reason="correction",
            reference=self._name(),
        )

    def import_balance(self, _sender: str) -> Any:
        today = get_day(self._now(), utc_offset_minutes=UTC_OFFSET_MINUTES)
        return ImportBalance(
            earned_day=today - 10,
            expires_day=today + self._draw.choice((-1, 5, 30)),
            member=member_id(self._draw.randint(1, self._members)),
            occurred_at=self._now(),
            points=self._draw.randint(1, 90),
            program="leaf",
            reference=self._name(),
            series="leaf-1",
        )

    def set_policy(self, _sender: str) -> Any:
        return SetPolicy(
            bonus_day=500,
            bonus_total=50_000,
            cooling_days=self._draw.choice((0, 0, 3)),
            gifts=self._draw.choice(("allowed", "allowed", "forbidden")),
            order_share_basis_points=self._draw.choice((10_000, 5_000)),
            points_order=self._draw.choice((10**9, 50)),
            program="leaf",
            shortfall=self._draw.choice(("debt", "absorb", "block")),
        )

    def set_till_limits(self, sender: str) -> Any:
        return SetTillLimits(
            key=make_signer(sender, self._draw.choice(("till", "transact"))).key_id,
            points_day=200,
            points_order=60,
            step_up=40,
        )

    def set_debit_cap(self, _sender: str) -> Any:
        return SetDebitCap(
            cap=self._draw.choice((10**12, 20_000_000)), participant=self._draw.choice((FRESH, PETROL))
        )
