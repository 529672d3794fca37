"""A window's statement, checked before it is signed: its bytes, its hash, and that its arithmetic is right.

`Statement.read` takes canonical bytes and no others, so that what was read is what the hash is of.
`Statement.verify` recomputes from the lines what everybody is owed, the whole units, the carries and the
transfers, as docs/spec/settlement.md has them. Whether the lines themselves are right only who they are about
can say: compare yours (`lines_of`) with your own books, and dispute those that differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from heapq import heapify, heappop, heapreplace
from itertools import pairwise
from typing import NamedTuple

import msgspec
from msgspec import UnsetType

from contracts.messages.statement import (
    STATEMENT_DECODER,
    BroughtLine,
    StatementLine,
    StatementPosition,
    StatementTransfer,
)
from contracts.messages.statement import Statement as Content
from ledger.codec import encode, sha256, to_base64url
from merchant_sdk.amounts import format_micros
from merchant_sdk.errors import Unverified

_ROUNDING = "rounding:"


class Line(NamedTuple):
    """A line of a statement, and its place: what a dispute names."""

    place: int
    payer: str
    payee: str
    """Who is owed; `rounding:` and a participant is that participant's own account."""
    reason: str
    micros: int

    @property
    def amount(self) -> str:
        """In units of the settlement currency, as people write it."""
        return format_micros(self.micros)


class Statement:
    """A window's statement as it was read."""

    def __init__(self, data: bytes, content: Content) -> None:
        self.data = data
        """The canonical bytes. Keep them: their hash is in the log."""
        self.content = content
        """Field by field, as docs/spec/settlement.md has it."""
        self.hash = to_base64url(sha256(data))
        """What a countersignature names."""

    @classmethod
    def read(cls, data: bytes) -> Statement:
        """The statement in these bytes. Raises `Unverified` ``STATEMENT_MALFORMED``."""
        try:
            content = STATEMENT_DECODER.decode(data)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise Unverified("STATEMENT_MALFORMED", facts={"reason": str(error)[:200]}) from None
        if encode(content) != data:
            raise Unverified("STATEMENT_MALFORMED", "these are not its canonical bytes")
        return cls(data, content)

    @property
    def window(self) -> int:
        """Its number."""
        return self.content.window

    @property
    def previous(self) -> str | None:
        """The hash of the statement before; None for the first."""
        found = self.content.previous
        return None if isinstance(found, UnsetType) else found

    def lines_of(self, participant: str) -> list[Line]:
        """The lines in which a participant stands, on either side."""
        return [
            Line(place, line.source, line.destination, line.reason, int(line.micros))
            for place, line in enumerate(self.content.lines)
            if participant in (line.source, line.destination.removeprefix(_ROUNDING))
        ]

    def position_of(self, participant: str) -> StatementPosition | None:
        """What the window comes to for a participant; None where it does not stand in it."""
        return next((each for each in self.content.positions if each.participant == participant), None)

    def transfers_of(self, participant: str) -> dict[int, StatementTransfer]:
        """The payments a participant makes or gets, by the number an attestation names."""
        return {
            place: each
            for place, each in enumerate(self.content.transfers)
            if participant in (each.source, each.destination)
        }

    def verify(self, previous: Statement | None = None) -> None:
        """Everything in it follows from its lines, and from the statement before where that is given.

        Raises `Unverified` ``STATEMENT_WRONG``.
        """
        content = self.content
        self._check(_is_ordered([(*_get_pair(line), line.reason) for line in content.lines]), "lines")
        self._check(_is_ordered([(*_get_pair(line), line.window) for line in content.brought]), "brought")
        nets = _sum_nets([*content.lines, *content.brought])
        before = {each.participant: int(each.carry_before) for each in content.positions}
        names = [each.participant for each in content.positions]
        carried = {name: carry for name, carry in before.items() if carry}
        self._check(names == sorted({*nets, *carried}), "positions")
        self._check(not sum(before.values()), "carry_before")
        self._check_units(nets, before)
        units = {each.participant: each.units for each in content.positions}
        told = [(each.source, each.destination, each.units) for each in content.transfers]
        self._check(told == _compute_transfers(units), "transfers")
        if previous is not None:
            self._check_link(previous, carried)
        elif content.window == 1:
            self._check(self.previous is None and not carried and content.first_height == 1, "previous")

    def _check(self, holds: bool, part: str) -> None:  # noqa: FBT001  # what is checked, then what it is of
        if not holds:
            facts = {"part": part, "window": self.window, "statement": self.hash}
            raise Unverified("STATEMENT_WRONG", "the statement does not add up", facts)

    def _check_units(self, nets: Mapping[str, int], before: Mapping[str, int]) -> None:
        unit = self.content.payment_unit_micros
        total = 0
        for each in self.content.positions:
            name = each.participant
            self._check(int(each.net) == nets.get(name, 0), "net")
            amount = int(each.net) + before[name]
            units = (total + amount) // unit - total // unit if amount else 0
            total += amount
            self._check(each.units == units, "units")
            self._check(int(each.carry_after) == amount - units * unit, "carry_after")
            if not isinstance(each.brands, UnsetType):
                self._check(sum(brand.units for brand in each.brands) == units, "brands")

    def _check_link(self, previous: Statement, carried: Mapping[str, int]) -> None:
        before = previous.content
        self._check(self.previous == previous.hash and self.content.chain == before.chain, "previous")
        self._check(self.content.window == before.window + 1, "window")
        self._check(self.content.first_height == before.last_height + 1, "first_height")
        left = {
            each.participant: int(each.carry_after) for each in before.positions if each.carry_after != "0"
        }
        self._check(carried == left, "carry_before")


def _get_pair(line: StatementLine | BroughtLine) -> tuple[str, str]:
    return line.source, line.destination


def _is_ordered(keys: list[tuple[str, str, str]] | list[tuple[str, str, int]]) -> bool:
    """Whether they ascend, each once."""
    return all(one < other for one, other in pairwise(keys))


def _sum_nets(lines: list[StatementLine | BroughtLine]) -> dict[str, int]:
    """What everybody who stands in the lines is owed, less what they owe; nothing is somebody, too."""
    nets: Counter[str] = Counter()
    for line in lines:
        nets[line.source] -= int(line.micros)
        nets[line.destination.removeprefix(_ROUNDING)] += int(line.micros)
    return dict(nets)


def _compute_transfers(units: Mapping[str, int]) -> list[tuple[str, str, int]]:
    """While anybody owes, who owes most pays who is owed most; of equals the first by id."""
    payers = [(amount, name) for name, amount in units.items() if amount < 0]
    payees = [(-amount, name) for name, amount in units.items() if amount > 0]
    heapify(payers)
    heapify(payees)
    transfers = []
    # What everybody is paid sums to zero by now: as long as one owes, another is owed.
    while payers and payees:
        (owes, payer), (owed, payee) = payers[0], payees[0]
        amount = min(-owes, -owed)
        transfers.append((payer, payee, amount))
        for heap, left, name in ((payers, owes + amount, payer), (payees, owed + amount, payee)):
            if left:
                heapreplace(heap, (left, name))
            else:
                heappop(heap)
    return transfers
