"""How the demo's alliance decides and settles: its constitution, its clocks, what stands behind debts.

Every merchant votes, the greater ones with more weight, and so does the clearing house, which also attests
covers. What changes a price, a parameter or the constitution is enacted ten blocks after it has passed at the
earliest; what settles something between two, at once. Weeks are cut by the blocks themselves.

As elsewhere in the demo the terms are invented, and nothing is fetched from anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, get_args

from ledger.genesis import Constitution, Voter, VotingKind, VotingRule
from scripts.year.alliance import MERCHANTS, OPERATOR, TERMS
from scripts.year.purchases import Purchase

WEIGHTS: Final[Mapping[str, int]] = {
    "bakery": 1,
    "beauty": 1,
    OPERATOR: 1,
    "florist": 1,
    "fresh": 3,
    "kitchen": 2,
    "petrol": 2,
    "pharmacy": 2,
    "travel": 1,
}
"""In order of ids, which is also the order of ballots in a block."""
WINDOW_DAYS: Final = 7
PARAMETERS: Final[Mapping[str, int]] = {"payment_seconds": 4 * 86_400, "window_days": WINDOW_DAYS}
BRANDS: Final[Mapping[str, int]] = {"Fresh Market": 3, "Fresh Express": 2}
"""How what the supermarket is paid is split."""
APPROVE_BASIS_POINTS: Final = 6_667
_APPROVE: Final = {"emergency": 3_334, "resume": 7_500, "constitution": 7_500, "settlement": 5_001}
_NOTICE_HEIGHTS: Final = 10
_AT_ONCE: Final = ("emergency", "settlement")
_COVER_LEAST_MICROS: Final = 25_000_000
_SHARE_OF_ALL: Final = 10_000
"""A merchant may sell little and still owe for others' points: its cover is this part of all that is sold."""
_COVER_WEEKS: Final = 13
_WEEKS: Final = 52
_WHOLE_MICROS: Final = 1_000_000
FUND_MICROS: Final = 10_000_000


def make_constitution() -> Constitution:
    """Who votes, and what each kind of decision takes."""
    return Constitution(
        minimum_voters=5,
        rules=[
            VotingRule(
                approve_basis_points=_get_approval(kind),
                kind=kind,
                notice_heights=0 if kind in _AT_ONCE else _NOTICE_HEIGHTS,
            )
            for kind in get_args(VotingKind)
        ],
        trustee=OPERATOR,
        voters=[Voter(participant=name, weight=weight) for name, weight in WEIGHTS.items()],
    )


def choose_ballots(kind: VotingKind, *, against: Iterable[str]) -> dict[str, bool]:
    """Who votes, in order of ids, up to the ballot with which it has passed; whether each is for it."""
    refusing = set(against)
    needed = _get_approval(kind) * sum(WEIGHTS.values())
    ballots: dict[str, bool] = {}
    weight = 0
    for name, own in WEIGHTS.items():
        ballots[name] = name not in refusing
        weight += own * ballots[name]
        if weight * 10_000 >= needed:
            return ballots
    raise ValueError(f"{sorted(refusing)} against it are too many")


def compute_covers(purchases: Iterable[Purchase]) -> dict[str, int]:
    """What stands behind each merchant's debts, micros: what its own points of a quarter are worth.

    In whole units of the currency, and never less than a little share of all that is sold. Follows from what
    is bought in the run, so that a small one has small covers.
    """
    cents: dict[str, int] = dict.fromkeys(TERMS, 0)
    for purchase in purchases:
        cents[purchase.merchant] += purchase.cents
    least = max(_COVER_LEAST_MICROS, sum(cents.values()) // _SHARE_OF_ALL // 100 * _WHOLE_MICROS)
    covers = {}
    for terms in MERCHANTS:
        points = cents[terms.participant] * 10_000 // terms.spend_per_point
        worth = points * terms.par_redeem * _COVER_WEEKS // _WEEKS
        covers[terms.participant] = max(least, -(-worth // _WHOLE_MICROS) * _WHOLE_MICROS)
    return covers


def compute_cap(cover: int) -> int:
    """What a participant with this cover may owe by vote: four fifths of it."""
    return cover * 4 // 5


def _get_approval(kind: VotingKind) -> int:
    return _APPROVE.get(kind, APPROVE_BASIS_POINTS)
