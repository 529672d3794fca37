"""What a merchant gets back: results that were proven before they were handed out, and what a node says when
asked.

A `Committed` is proven: it stands in the log under a checkpoint that the policy believes, in a history that
continues the one seen before. What was read (`Balance`, `HistoryEntry`, `Quote`, …) is the node's word for
the height it names; the receipt of an entry proves it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from contracts.messages.reject_codes import OK
from ledger.outcome import Draw, Event, Leg, Lot
from merchant_sdk.amounts import format_micros
from merchant_sdk.errors import CommonpointError, RejectedByLedger
from merchant_sdk.rejections import make_rejection

ALREADY_DONE: Final = "ALREADY_DONE"
R = TypeVar("R")


class EntryOutcome(Struct, frozen=True, gc=False, kw_only=True):
    """What came of one message. What a later rulebook adds is left aside: the leaf's hash covers it."""

    balance: int | UnsetType = UNSET
    code: str
    debt: int | UnsetType = UNSET
    draws: tuple[Draw, ...] = ()
    events: tuple[Event, ...] = ()
    expired: tuple[Lot, ...] = ()
    first: int | UnsetType = UNSET
    legs: tuple[Leg, ...] = ()
    lots: tuple[Lot, ...] = ()
    original: int | UnsetType = UNSET
    points: int | UnsetType = UNSET
    """Only where a rule computed them; the results' own `points` knows those that were asked for, too."""
    received: tuple[Lot, ...] = ()
    released: tuple[Lot, ...] = ()
    repaid: int | UnsetType = UNSET
    statement: str | UnsetType = UNSET
    """The hash of a window's statement, where it was cut."""


OUTCOME_DECODER: Final = msgspec.json.Decoder(EntryOutcome)


class Committed(Struct, Generic[R], frozen=True, kw_only=True):
    """One message and what came of it, as it stands in the log for ever."""

    message: Any
    """What was asked."""
    outcome: EntryOutcome
    index: int
    """Index of the entry in the log."""
    height: int
    """Ledger height of its block."""
    time: int
    """The block's time, milliseconds UTC."""
    transaction_id: str
    fetch_receipt: Callable[[int], R]

    @property
    def code(self) -> str:
        """``OK``, or why the ledger turned it down."""
        return self.outcome.code

    @property
    def already_done(self) -> bool:
        """The same order succeeded before, and nothing moved again; `first` says where."""
        return self.outcome.code == ALREADY_DONE

    @property
    def is_ok(self) -> bool:
        """Done now, or done before."""
        return self.outcome.code in (OK, ALREADY_DONE)

    @property
    def first(self) -> int | None:
        """The index of the entry that took the reference, where that was an earlier one."""
        return _or_none(self.outcome.first)

    @property
    def points(self) -> int | None:
        """Points earned, taken or moved; None where nothing moved now."""
        return read_points(self.outcome, getattr(self.message, "points", None))

    @property
    def balance(self) -> int | None:
        """Points on the account that the message names, after it; what is held is still among them."""
        return _or_none(self.outcome.balance)

    @property
    def debt(self) -> int | None:
        """Points that the account owes after it, where that changed: a return took more than there was."""
        return _or_none(self.outcome.debt)

    @property
    def repaid(self) -> int | None:
        """Of the points earned, those that went against the account's debt instead of into it."""
        return _or_none(self.outcome.repaid)

    @property
    def original(self) -> int | None:
        """The index of the entry that this one completes or undoes."""
        return _or_none(self.outcome.original)

    @property
    def lots(self) -> tuple[Lot, ...]:
        """The lots that moved, in the order taken."""
        return self.outcome.lots

    @property
    def released(self) -> tuple[Lot, ...]:
        """Lots that went back from a hold."""
        return self.outcome.released

    @property
    def expired(self) -> tuple[Lot, ...]:
        """Lots that should have come back but whose time is over: they lapsed at once."""
        return self.outcome.expired

    @property
    def received(self) -> tuple[Lot, ...]:
        """For an exchange, the lots of the target program."""
        return self.outcome.received

    @property
    def legs(self) -> tuple[Leg, ...]:
        """Who owes whom through this entry."""
        return self.outcome.legs

    @property
    def events(self) -> tuple[Event, ...]:
        """What others may want to hear."""
        return self.outcome.events

    def receipt(self) -> R:
        """The receipt of the entry in which it was done, verified; from an `AsyncMerchant`, to be awaited."""
        return self.fetch_receipt(self.index if self.first is None else self.first)

    def get_error(self) -> RejectedByLedger | None:
        """The typed error of a message that was turned down."""
        if self.is_ok:
            return None
        facts: dict[str, Any] = {"index": self.index, "height": self.height}
        if self.first is not None:
            facts["first"] = self.first
        return make_rejection(self.outcome.code, facts, committed=self)


class Quote(Struct, frozen=True, kw_only=True):
    """What an exchange would bring at the rates in force at `height`."""

    program: str
    series: str
    target: str
    points: int
    """The most points offered, as asked."""
    points_taken: int
    points_received: int
    least: int
    rate_height: int
    """The height from which both rates hold; across a rate height the quote is dead."""
    valid_to_height: int | None = None
    """The next announced rate height."""
    height: int


class Balance(Struct, frozen=True, kw_only=True):
    """A member's account in one program at `height`."""

    member: str
    program: str
    points: int
    """All of it, what is held included."""
    available: int
    """What can be spent now: neither held nor past its day nor cooling."""
    held: int
    lots: tuple[Lot, ...] = ()
    height: int


class HistoryEntry(Struct, frozen=True, kw_only=True):
    """One entry of the log, as a node shows it: a line of a history, of an order, or an event."""

    index: int
    height: int
    time: int
    message: dict[str, Any]
    """The message as it stands in the log, `@type` and all."""
    outcome: EntryOutcome

    @property
    def kind(self) -> str:
        """The message's `@type`."""
        kind: str = self.message["@type"]
        return kind

    @property
    def code(self) -> str:
        """``OK``, or why the ledger turned it down."""
        return self.outcome.code

    @property
    def points(self) -> int | None:
        """Points earned, taken or moved by it; None where nothing moved."""
        return read_points(self.outcome, self.message.get("points"))


class Position(Struct, frozen=True, kw_only=True):
    """What a participant is owed, less what it owes, at `height`."""

    participant: str
    net_micros: int
    height: int

    @property
    def net(self) -> str:
        """The same in units of the settlement currency, as people write it."""
        return format_micros(self.net_micros)


class Resent(Struct, Generic[R], frozen=True, kw_only=True):
    """What `flush` found out about one transaction of the outbox."""

    transaction_id: str
    """Empty for what still waits to be signed (`earn_later`)."""
    results: tuple[Committed[R], ...] = ()
    """One a message, where it is committed."""
    error: CommonpointError | None = None
    """Why it is not, or is not known to be; without a line, that no node could be asked."""


class EntryText(Struct, frozen=True):
    """An entry as a node shows it, its parts still as bytes."""

    message: Raw
    outcome: Raw


_MESSAGE_DECODER: Final = msgspec.json.Decoder(dict[str, Any])


def read_history_entry(*, index: int, height: int, time: int, entry: EntryText) -> HistoryEntry:
    """A line of a history from what the node shows. Raises `msgspec.MsgspecError` where it is none."""
    message = _MESSAGE_DECODER.decode(entry.message)
    if not isinstance(message.get("@type"), str):
        raise msgspec.ValidationError("an entry's message says which it is")
    return HistoryEntry(
        index=index,
        height=height,
        time=time,
        message=message,
        outcome=OUTCOME_DECODER.decode(entry.outcome),
    )


def read_points(outcome: EntryOutcome, asked: int | None) -> int | None:
    """The points that moved: those the rule computed, else those asked for; None where it did not succeed."""
    if outcome.code != OK:
        return None
    return asked if isinstance(outcome.points, UnsetType) else outcome.points


def _or_none(value: int | UnsetType) -> int | None:
    return None if isinstance(value, UnsetType) else value
