"""Postings: points move from one account to another, a positive number at a time.

A posting has a source, a destination and a lot, so an unbalanced one cannot be written. A member's account
has two parts, what is free and what is held; everything else is one of a closed list of system accounts per
program, whose running tallies are the program's history in a few numbers: what came into supply less what
left it is what members have.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from ledger.errors import InvariantBroken
from ledger.outcome import Lot

ISSUED_HOME: Final = "issued.home"
ISSUED_PARTNER: Final = "issued.partner"
IMPORTED: Final = "imported"
ADJUSTED_IN: Final = "adjusted.in"
EXCHANGED_IN: Final = "exchanged.in"
REFUNDED_HOME: Final = "refunded.home"
REFUNDED_ELSEWHERE: Final = "refunded.elsewhere"
REDEEMED_HOME: Final = "redeemed.home"
REDEEMED_ELSEWHERE: Final = "redeemed.elsewhere"
EXCHANGED_OUT: Final = "exchanged.out"
EXPIRED: Final = "expired"
CLAWED_BACK: Final = "clawed_back"
ADJUSTED_OUT: Final = "adjusted.out"

INTO_SUPPLY: Final = frozenset(
    {ISSUED_HOME, ISSUED_PARTNER, IMPORTED, ADJUSTED_IN, EXCHANGED_IN, REFUNDED_HOME, REFUNDED_ELSEWHERE}
)
OUT_OF_SUPPLY: Final = frozenset(
    {REDEEMED_HOME, REDEEMED_ELSEWHERE, EXCHANGED_OUT, EXPIRED, CLAWED_BACK, ADJUSTED_OUT}
)
SYSTEM_ACCOUNTS: Final = INTO_SUPPLY | OUT_OF_SUPPLY

HELD_PREFIX: Final = "held:"


def held_by(member: str) -> str:
    """The part of a member's account that is set aside for open holds, as a posting names it."""
    return HELD_PREFIX + member


class Posting(Struct, frozen=True, gc=False):
    """`lot.points` points of `program` move from `source` to `destination`. Never on the wire."""

    program: str
    source: str
    destination: str
    lot: Lot


class Account(Struct, frozen=True, array_like=True, gc=False):
    """One member's points of one program: a state record.

    Lots of one kind (last day, series, first day of use, life) are one; soonest expiry first.
    """

    cooling: int
    """The first day on which a free lot that waits can be used; 0 where none waits."""
    held: tuple[Lot, ...]
    """Set aside for open holds. They neither expire nor can be spent."""
    lots: tuple[Lot, ...]
    """Free."""
    points: int
    """The sum of both."""


EMPTY_ACCOUNT: Final = Account(cooling=0, held=(), lots=(), points=0)


def get_account_key(member: str, program: str) -> str:
    """The state key of one member's account in one program."""
    return f"{member}|{program}"


def ripen(account: Account, day: int) -> Account:
    """The account as it is on ``day``: lots that waited for it are like those that never waited."""
    if not account.cooling or account.cooling > day:
        return account
    lots: tuple[Lot, ...] = ()
    for lot in account.lots:
        is_ripe = 0 < lot.spendable_from <= day
        lots = add_lot(lots, with_points(lot, lot.points, spendable_from=0) if is_ripe else lot)
    return Account(_find_cooling(lots), account.held, lots, account.points)


def credit(account: Account, lot: Lot) -> Account:
    """The account with ``lot`` added to what is free."""
    cooling = account.cooling
    if lot.spendable_from and not 0 < cooling <= lot.spendable_from:
        cooling = lot.spendable_from
    return Account(cooling, account.held, add_lot(account.lots, lot), account.points + lot.points)


def debit(account: Account, lot: Lot) -> Account:
    """The account with ``lot`` taken out of what is free."""
    lots = take_lot(account.lots, lot)
    cooling = _find_cooling(lots) if lot.spendable_from else account.cooling
    return Account(cooling, account.held, lots, account.points - lot.points)


def credit_held(account: Account, lot: Lot) -> Account:
    """The account with ``lot`` added to what is held."""
    return Account(account.cooling, add_lot(account.held, lot), account.lots, account.points + lot.points)


def debit_held(account: Account, lot: Lot) -> Account:
    """The account with ``lot`` taken out of what is held."""
    return Account(account.cooling, take_lot(account.held, lot), account.lots, account.points - lot.points)


def add_lot(lots: tuple[Lot, ...], lot: Lot) -> tuple[Lot, ...]:
    """The lots with one more: merged into its like, or in its place by day and series' opening height."""
    for position, own in enumerate(lots):  # at most LOTS_MAX, usually a handful
        if is_like(own, lot):
            merged = with_points(own, own.points + lot.points)
            return (merged,) if len(lots) == 1 else (*lots[:position], merged, *lots[position + 1 :])
        if own.expires >= lot.expires and _get_place(own) > _get_place(lot):
            return (*lots[:position], lot, *lots[position:])
    return (*lots, lot)


def take_lot(lots: tuple[Lot, ...], lot: Lot) -> tuple[Lot, ...]:
    """The lots without ``lot``.

    A rule that takes more than there is has a fault of its own: `InvariantBroken`, never a negative lot.
    """
    for position, own in enumerate(lots):
        if is_like(own, lot):
            left = own.points - lot.points
            if left < 0:
                break
            kept = (with_points(own, left),) if left else ()
            return (*lots[:position], *kept, *lots[position + 1 :])
    raise InvariantBroken("LOT_OVERDRAWN", lot=lot, lots=lots)


def is_like(one: Lot, other: Lot) -> bool:
    """Whether two lots share one fate, and so are one lot of an account."""
    return (
        one.expires == other.expires
        and one.series == other.series
        and one.spendable_from == other.spendable_from
        and one.original == other.original
    )


def with_points(lot: Lot, points: int, *, spendable_from: int | None = None) -> Lot:
    """The same lot with another number of points, and free from another day where one is given."""
    day = lot.spendable_from if spendable_from is None else spendable_from
    return Lot(lot.expires, lot.opened, lot.original, points, lot.series, day)


def _get_place(lot: Lot) -> tuple[int, int, str, int, int]:
    return lot.expires, lot.opened, lot.series, lot.original, lot.spendable_from


def _find_cooling(lots: tuple[Lot, ...]) -> int:
    return min((lot.spendable_from for lot in lots if lot.spendable_from), default=0)
