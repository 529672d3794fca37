"""Postings: points move from one account to another, a positive number at a time.

A posting has a source, a destination and a lot, so an unbalanced one cannot be written. One side is a
member's account, or both are; the other is one of a closed list of system accounts per program, whose running
tallies are the program's history in eight numbers: supply = issued + exchanged in − redeemed − exchanged out
− expired.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from ledger.errors import InvariantBroken
from ledger.outcome import Lot

ISSUED_HOME: Final = "issued.home"
ISSUED_PARTNER: Final = "issued.partner"
REDEEMED_HOME: Final = "redeemed.home"
REDEEMED_ELSEWHERE: Final = "redeemed.elsewhere"
EXCHANGED_IN: Final = "exchanged.in"
EXCHANGED_OUT: Final = "exchanged.out"
EXPIRED: Final = "expired"
SYSTEM_ACCOUNTS: Final = frozenset(
    {ISSUED_HOME, ISSUED_PARTNER, REDEEMED_HOME, REDEEMED_ELSEWHERE, EXCHANGED_IN, EXCHANGED_OUT, EXPIRED}
)


class Posting(Struct, frozen=True, gc=False):
    """`lot.points` points of `program` move from `source` to `destination`. Never on the wire."""

    program: str
    source: str
    destination: str
    lot: Lot


class Account(Struct, frozen=True, array_like=True):
    """One member's points of one program: a state record, soonest expiry first."""

    held: int
    """Points set aside for open holds; part of `points`."""
    lots: tuple[Lot, ...]
    points: int
    """The sum of the lots."""


EMPTY_ACCOUNT: Final = Account(held=0, lots=(), points=0)


def get_account_key(member: str, program: str) -> str:
    """The state key of one member's account in one program."""
    return f"{member}|{program}"


def credit(account: Account, lot: Lot) -> Account:
    """The account with ``lot`` added: merged into its like, or placed in order of (expires, opened, …)."""
    lots = account.lots
    position = 0
    for position, own in enumerate(lots):  # at most LOTS_MAX, usually a handful
        if (
            own.expires == lot.expires
            and own.series == lot.series
            and own.spendable_from == lot.spendable_from
        ):
            merged = Lot(own.expires, own.opened, own.points + lot.points, own.series, own.spendable_from)
            return Account(
                account.held, (*lots[:position], merged, *lots[position + 1 :]), account.points + lot.points
            )
        if (own.expires, own.opened, own.series, own.spendable_from) > (
            lot.expires,
            lot.opened,
            lot.series,
            lot.spendable_from,
        ):
            break
    else:
        position = len(lots)
    return Account(account.held, (*lots[:position], lot, *lots[position:]), account.points + lot.points)


def debit(account: Account, lot: Lot) -> Account:
    """The account with ``lot.points`` taken out of the like lot.

    A rule that takes more than there is has a fault of its own: `InvariantBroken`, never a negative lot.
    """
    for position, own in enumerate(account.lots):
        if (
            own.expires == lot.expires
            and own.series == lot.series
            and own.spendable_from == lot.spendable_from
        ):
            left = own.points - lot.points
            if left < 0 or account.points - lot.points < account.held:
                break
            kept = (Lot(own.expires, own.opened, left, own.series, own.spendable_from),) if left else ()
            return Account(
                account.held,
                (*account.lots[:position], *kept, *account.lots[position + 1 :]),
                account.points - lot.points,
            )
    raise InvariantBroken("LOT_OVERDRAWN", lot=lot, account=account)
