"""What a bundle tells, put together for people and for programs: what happened, what is still open, who owes
whom.

Everything is read from entries that were verified. What is open is open *as far as these entries show*, under
the horizons that the ledger began with; a later change of parameters is not in the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from msgspec import UNSET, Struct

from contracts.mechanics.parameters import PARAMETERS
from ledger.calendar import get_day
from ledger.genesis import Origin
from ledger.outcome import Leg, Lot
from node.bundle.keyring import KnownKey
from node.bundle.naming import Entry, Name
from node.bundle.verifying import Verified

_SHOWN: Final = ("points", "balance", "debt", "repaid")
_LOTS: Final = ("lots", "expired", "released", "received")


class Event(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One entry, told. Never on the wire."""

    index: int
    kind: str
    code: str
    height: int | None = None
    time: int | None = None
    """When its block was made, where a transaction says so."""
    sender: str | None = None
    key: str | None = None
    key_purpose: str | None = None
    key_source: str | int | None = None
    message: Any
    """As it stands in the ledger."""
    outcome: dict[str, Any]


class Open(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """Something that may still happen to the order. Never on the wire."""

    what: str
    """``refundable``, ``returnable``, ``held``."""
    index: int
    reference: str
    points: int | None = None
    of_points: int | None = None
    micros: int | None = None
    of_micros: int | None = None
    until_day: int | None = None
    until_time: int | None = None


class Owed(Struct, frozen=True, kw_only=True):
    """Who owes whom through this order, all its entries together. Never on the wire."""

    source: str
    destination: str
    micros: int


class Story(Struct, frozen=True, kw_only=True):
    """The whole. Never on the wire."""

    events: list[Event]
    open: list[Open]
    owed: list[Owed]


def tell_story(verified: Verified) -> Story:
    """What happened, what is open, who owes whom."""
    done = [entry for entry in verified.entries if entry.is_done]
    return Story(
        events=[_tell(entry, verified.signed_by.get(entry.place)) for entry in verified.entries],
        open=_find_open(done, verified.origin),
        owed=_net([leg for entry in done for leg in _get_list(entry, "legs")]),
    )


def get_points(entry: Entry) -> int:
    """The points an entry moved: as the rule computed them, or as its lots add up."""
    told = entry.outcome.points
    if told is not UNSET:
        return told
    return sum(lot.points for lot in get_lots(entry, "lots"))


def get_lots(entry: Entry, name: str) -> list[Lot]:
    """A list of lots in an entry's outcome; empty where there is none."""
    lots: list[Lot] = _get_list(entry, name)
    return lots


def _get_list(entry: Entry, name: str) -> list[Any]:
    value = getattr(entry.outcome, name)
    return [] if value is UNSET else value


def _tell(entry: Entry, key: KnownKey | None) -> Event:
    transaction = entry.transaction
    outcome: dict[str, Any] = {
        name: getattr(entry.outcome, name)
        for name in (*_SHOWN, *_LOTS, "legs", "first", "original", "events")
        if getattr(entry.outcome, name) is not UNSET
    }
    return Event(
        index=entry.place,
        kind=entry.kind,
        code=entry.outcome.code,
        height=None if transaction is None else transaction.height,
        time=None if transaction is None else transaction.time,
        sender=entry.sender,
        key=None if key is None else key.key,
        key_purpose=None if key is None else key.purpose,
        key_source=None if key is None else key.source,
        message=entry.message,
        outcome=outcome,
    )


def _find_open(done: list[Entry], origin: Origin) -> list[Open]:
    """What may still be refunded, returned, captured or released."""
    begun = {each.name: each.value for each in origin.settings.parameters}
    horizon = begun.get("refund_horizon_days", PARAMETERS["refund_horizon_days"].default)
    undone: dict[Name, list[Entry]] = {}
    for entry in done:
        if entry.target is not None:
            undone.setdefault(entry.target, []).append(entry)
    found: list[Open] = []
    for entry in done:
        if entry.name is None:
            continue
        followers = undone.get(entry.name, [])
        until = _get_day(entry, origin) + horizon
        if entry.kind == "redeem":
            found += _find_refundable(entry, entry, followers, until)
        elif entry.kind == "hold":
            ended = [each for each in followers if each.kind in ("capture", "release", "lapse")]
            if not ended:
                found.append(
                    Open(
                        what="held",
                        index=entry.place,
                        reference=entry.name[2],
                        points=get_points(entry),
                        until_time=entry.message.expires,
                    )
                )
            for each in ended:
                if each.kind == "capture":
                    found += _find_refundable(entry, each, followers, until)
        elif entry.kind in ("earn", "award") and getattr(entry.message, "amount", UNSET) is not UNSET:
            found += _find_returnable(entry, followers, until)
    return found


def _find_refundable(original: Entry, taken: Entry, followers: list[Entry], until: int) -> list[Open]:
    points = get_points(taken)
    refunded = sum(each.message.points for each in followers if each.kind == "refund")
    return [
        Open(
            what="refundable",
            index=taken.place,
            reference="" if original.name is None else original.name[2],
            points=points - refunded,
            of_points=points,
            until_day=until,
        )
    ]


def _find_returnable(entry: Entry, followers: list[Entry], until: int) -> list[Open]:
    amount = entry.message.amount
    returned = sum(each.message.amount for each in followers if each.kind == "return_order")
    return [
        Open(
            what="returnable",
            index=entry.place,
            reference=entry.message.reference,
            micros=amount - returned,
            of_micros=amount,
            until_day=until,
        )
    ]


def _get_day(entry: Entry, origin: Origin) -> int:
    return get_day(entry.message.occurred_at, utc_offset_minutes=origin.settings.utc_offset_minutes)


def _net(legs: Iterable[Leg]) -> list[Owed]:
    """Each pair once, in the direction in which something is left."""
    sums: Counter[tuple[str, str]] = Counter()
    for leg in legs:
        pair = (leg.source, leg.destination)
        if pair[0] > pair[1]:
            sums[pair[1], pair[0]] -= leg.micros
        else:
            sums[pair] += leg.micros
    owed: list[Owed] = []
    for (one, other), micros in sorted(sums.items()):
        source, destination = (one, other) if micros > 0 else (other, one)
        if micros:
            owed.append(Owed(source=source, destination=destination, micros=abs(micros)))
    return owed
