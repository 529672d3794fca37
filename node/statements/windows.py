"""What the leaves of a log add up to, window by window, by docs/spec/settlement.md and nothing else.

Each leaf is looked at once. Most say nothing here; of those that do, only who owes whom how much is decoded.
What decides about a window besides (its cut, payments that were attested, an abort or a default by vote, the
payment unit, shares of brands) is followed on the way, so that carries and what was brought over come from
the windows before, recomputed likewise. Each statement must have the hash that the log has for it.

Entries are taken at their word: they are those of the signed log. That they follow the rules is for
`commonpoint verify`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

import msgspec
from msgspec import Struct

from contracts.mechanics.statement import WindowSums, compute_statement, hash_statement
from contracts.messages.statement import Statement
from ledger.codec import encode
from ledger.errors import Unverified
from ledger.genesis import Origin
from ledger.leaves import BLOCK_LEAF_DECODER, TRANSACTION_LEAF_DECODER
from node.statements.decisions import WATCHED, WATCHED_SYSTEM, Decisions

_ENTRY: Final = ord("e")
_SYSTEM: Final = ord("s")
_TRANSACTION: Final = ord("t")
_BLOCK: Final = ord("b")
_KIND_PLACE: Final = len(b'{"@type":"')
_LEGS: Final = b'"legs":[{'
_CUT: Final = b'{"@type":"system","message":{"@type":"cut"'


class _Leg(Struct, frozen=True, gc=False, rename={"source": "from", "destination": "to"}):
    source: str
    micros: int
    reason: str
    destination: str


class _WithLegs(Struct, frozen=True, gc=False):
    legs: list[_Leg] = []


class _Told(Struct, frozen=True, gc=False):
    """As much of an entry as a statement is made from."""

    outcome: _WithLegs


class _CutOutcome(Struct, frozen=True, gc=False):
    code: str
    statement: str


class _CutMessage(Struct, frozen=True, gc=False):
    window: int


class _CutTold(Struct, frozen=True, gc=False):
    message: _CutMessage
    outcome: _CutOutcome


class Moved(NamedTuple):
    """An entry with legs, in the window that is open."""

    place: int
    leaf: bytes
    transaction: bytes
    """The leaf of the transaction it is of; empty for what a block did by itself."""
    legs: list[_Leg]
    window: int


class ClosedWindow(NamedTuple):
    """A window as it was recomputed; the log has the same hash."""

    statement: Statement
    data: bytes
    """The canonical bytes."""
    digest: str


Watch = Callable[[Moved], None]
"""Is shown every entry with legs, as it is added up."""


class _Pending(NamedTuple):
    """A window that was cut; the time of the block that did it is not read yet."""

    sums: WindowSums
    digest: str
    place: int


class Windows:
    """The windows of a log, from its genesis on."""

    def __init__(self, origin: Origin, *, first: int, watch: Watch | None = None) -> None:
        self._origin = origin
        self._index = first
        self._watch = watch
        self._height = 0
        self._number = 1
        self._first_height = 1
        self._previous: str | None = None
        self._lines: dict[tuple[str, str, str], int] = {}
        self._carries: dict[str, int] = {}
        self._pending: _Pending | None = None
        self._waiting: list[tuple[int, bytes, list[_Leg]]] = []
        self.decisions = Decisions(origin)

    def read(self, leaves: Iterable[bytes]) -> Iterator[ClosedWindow]:
        """Every window that was cut, in order. Raises `Unverified` ``STATEMENT_DIFFERS``.

        Leaves that are malformed are `Unverified` ``LEAF_MALFORMED``.
        """
        index = self._index
        transaction = b""
        decode = msgspec.json.Decoder(_Told).decode
        decisions, watch = self.decisions, self._watch
        try:
            for index, leaf in enumerate(leaves, start=index):  # noqa: B020 - it is told in errors
                kind = leaf[_KIND_PLACE]
                if kind == _ENTRY:
                    if _LEGS in leaf:
                        self._add(decode(leaf).outcome.legs, index, leaf, transaction, watch)
                    elif leaf.startswith(WATCHED):
                        decisions.take_entry(leaf, transaction, height=self._height + 1)
                elif kind == _TRANSACTION:
                    transaction = leaf
                    if self._pending is not None:
                        # The block's time stands in each of its transactions; what comes next may be about
                        # the window that was just cut.
                        yield self._close(self._pending, TRANSACTION_LEAF_DECODER.decode(leaf).time)
                elif kind == _BLOCK:
                    self._height += 1
                    if self._pending is not None:
                        yield self._close(self._pending, BLOCK_LEAF_DECODER.decode(leaf).time)
                    for at, system, legs in self._waiting:
                        self._add(legs, at, system, b"", watch)
                    self._waiting.clear()
                elif kind == _SYSTEM:
                    if leaf.startswith(WATCHED_SYSTEM):
                        decisions.take_system(leaf, height=self._height + 1)
                    if leaf.startswith(_CUT):
                        self._cut(leaf, index)
                    elif _LEGS in leaf:
                        # By the time of the cut a block has owed nothing yet: whatever it does by itself
                        # is of the window that is open when it ends.
                        self._waiting.append((index, leaf, decode(leaf).outcome.legs))
        except (msgspec.MsgspecError, UnicodeError, IndexError) as error:
            raise Unverified("LEAF_MALFORMED", index=index, reason=str(error)[:200]) from None

    def _add(
        self, legs: list[_Leg], index: int, leaf: bytes, transaction: bytes, watch: Watch | None
    ) -> None:
        """The open window has these legs too."""
        lines = self._lines
        for leg in legs:
            key = (leg.source, leg.destination, leg.reason)
            lines[key] = lines.get(key, 0) + leg.micros
        if watch is not None:
            watch(Moved(index, leaf, transaction, legs, self._number))

    def _cut(self, leaf: bytes, index: int) -> None:
        """The open window ends before this block; what follows is of the next one."""
        told = _CUT_DECODER.decode(leaf)
        height = self._height + 1
        if told.message.window != self._number or self._pending is not None:
            raise Unverified(
                "WINDOW_OUT_OF_PLACE", expected=self._number, found=told.message.window, index=index
            )
        sums = WindowSums(
            chain=self._origin.chain,
            currency=self._origin.settings.currency,
            window=self._number,
            first_height=self._first_height,
            last_height=height - 1,
            closed_at=0,
            payment_unit_micros=self.decisions.get_payment_unit(height),
            lines=self._lines,
            brought=self.decisions.take_brought(),
            carries=self._carries,
            brands=dict(self.decisions.brands),
            previous=self._previous,
        )
        self._pending = _Pending(sums, told.outcome.statement, index)
        self._lines = {}
        self._number += 1
        self._first_height = height

    def _close(self, pending: _Pending, closed_at: int) -> ClosedWindow:
        """The statement of a window, whose hash is the log's."""
        statement = compute_statement(msgspec.structs.replace(pending.sums, closed_at=closed_at))
        data: bytes = encode(statement)
        digest = hash_statement(data)
        if digest != pending.digest:
            raise Unverified(
                "STATEMENT_DIFFERS",
                window=statement.window,
                expected=pending.digest,
                found=digest,
                index=pending.place,
            )
        self._pending = None
        self._previous = digest
        self._carries = {
            each.participant: int(each.carry_after) for each in statement.positions if each.carry_after != "0"
        }
        self.decisions.remember(statement)
        return ClosedWindow(statement, data, digest)


_CUT_DECODER: Final = msgspec.json.Decoder(_CutTold)
