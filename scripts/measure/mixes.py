"""The mixes: which share of the messages is of which kind.

*day* is an alliance's ordinary day, where one message in ten carries a member's signed consent; *peak* is a
promotion's rush at the tills, which carries none; *burst* is everybody paying with a points code at once.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Final

EARN: Final = "earn"
PARTNER_EARN: Final = "partner_earn"
REDEEM_HOME: Final = "redeem_home"
REDEEM_ELSEWHERE: Final = "redeem_elsewhere"
HOLD: Final = "hold"
CAPTURE: Final = "capture"
EXCHANGE: Final = "exchange"
GIFT: Final = "gift"
REFUND: Final = "refund"

MIXES: Final[Mapping[str, Mapping[str, int]]] = {
    "day": {
        EARN: 64,
        PARTNER_EARN: 4,
        REDEEM_HOME: 14,
        REDEEM_ELSEWHERE: 6,
        HOLD: 2,
        CAPTURE: 2,
        EXCHANGE: 1,
        GIFT: 1,
        REFUND: 6,
    },
    "peak": {EARN: 80, REDEEM_HOME: 15, REFUND: 5},
    "burst": {REDEEM_ELSEWHERE: 100},
}
"""Messages of each kind in a hundred."""

WORDS: Final[Mapping[str, str]] = {
    "day": "64 % earn, 4 % partner earn, 14 % redeem at home by till, 6 % redeem elsewhere with a code, 2 %"
    " hold elsewhere, 2 % capture, 1 % exchange, 1 % gift, 6 % refund",
    "peak": "80 % earn, 15 % redeem at home, 5 % refund",
    "burst": "redemptions elsewhere, each with a points code",
}


def deal(mix: str, count: int, dice: random.Random) -> Iterator[str]:
    """The kinds of ``count`` messages: each hundred holds exactly the mix, shuffled."""
    deck = [kind for kind, share in MIXES[mix].items() for _ in range(share)]
    while count > 0:
        dice.shuffle(deck)
        yield from deck[:count]
        count -= len(deck)


def get_elsewhere_share(mix: str) -> float:
    """Which part of the redemptions is made elsewhere: and so which part of the refunds undoes such a one."""
    shares = MIXES[mix]
    home, elsewhere = shares.get(REDEEM_HOME, 0), shares.get(REDEEM_ELSEWHERE, 0)
    return elsewhere / (home + elsewhere)
