"""A day's trade as signed bytes: the same in the process that dies and in the one that looks afterwards.

Whatever order the transactions are taken in, the balances come out the same: who spends, spends what the same
transaction earned. So what a ledger holds at the end can be said beforehand, by plain addition.
"""

from __future__ import annotations

import random
from typing import Any, NamedTuple

from contracts.messages import Capture, Hold, Refund, Release
from tests.contracts.cast import DAY_MILLIS, FRESH, PETROL, START, TODAY, member_id
from tests.node.engine.town import Town

MEMBERS = 9


class Trade(NamedTuple):
    """What is sent, and what it must come to."""

    begin: list[bytes]
    """Sent first, one after the other."""
    rest: list[bytes]
    """Sent in any order."""
    points: dict[int, int]
    """Member → balance, once all of it was taken."""

    @property
    def all(self) -> list[bytes]:
        """Every transaction, in the order of its number."""
        return [*self.begin, *self.rest]


def _refund(number: int, *, points: int, member: int) -> Refund:
    """Some of what was spent under this number comes back."""
    return Refund(
        member=member_id(member),
        occurred_at=START,
        original=f"spend-{number}",
        original_day=TODAY,
        original_type="redeem",
        points=points,
        program="leaf",
        reference=f"back-{number}",
    )


def _hold_and_end(number: int, *, held: int, taken: int, member: int) -> list[Any]:
    """Points are set aside, and some of them taken; or all given back, where none are."""
    order: dict[str, Any] = {"member": member_id(member), "occurred_at": START, "program": "leaf"}
    hold = Hold(**order, expires=START + DAY_MILLIS, points=held, reference=f"hold-{number}")
    order |= {"hold": hold.reference, "hold_day": TODAY}
    return [hold, Capture(**order, points=taken) if taken else Release(**order)]


def make_trade(town: Town, *, seed: int, count: int) -> Trade:
    """`count` transactions of one to thirty messages."""
    draw = random.Random(seed)
    points = dict.fromkeys(range(1, MEMBERS + 1), 0)
    rest = []
    for number in range(count):
        sender = PETROL if draw.random() < 0.3 else FRESH
        messages: list[Any] = []
        for line in range(draw.choice((1, 2, 5, 12, 30))):
            reference, member = number * 100 + line, draw.randint(1, MEMBERS)
            earned = draw.randint(1, 50)
            messages.append(town.earn(reference, points=earned, member=member, sender=sender))
            points[member] += earned
            if sender == FRESH and draw.random() < 0.4:
                spent = draw.randint(1, earned)
                messages.append(town.redeem(reference, points=spent, member=member))
                points[member] -= spent
                if draw.random() < 0.3:
                    back = draw.randint(1, spent)
                    messages.append(_refund(reference, points=back, member=member))
                    points[member] += back
            elif sender == FRESH and draw.random() < 0.3:
                held, taken = earned, draw.randint(0, earned)
                messages += _hold_and_end(reference, held=held, taken=taken, member=member)
                points[member] -= taken
            if draw.random() < 0.1:
                # Turned down, and on record: no purchase brings that much.
                messages.append(town.earn(reference, points=10**9 + 1, reference=f"too-much-{reference}"))
        rest.append(town.sign(sender, f"trade-{seed}-{number}", *messages))
    return Trade(town.begin(members=MEMBERS), rest, points)
