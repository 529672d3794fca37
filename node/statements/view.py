"""A statement as it is shown: all of it, or one participant's side of it.

Lines and transfers keep their places in the whole statement, since a dispute names a line by its place and an
attestation a transfer. A participant's side has the lines in which it stands, with its rounding account, its
position, and the payments it makes or gets. Nothing is added up here that the statement does not say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec import UnsetType

from contracts.mechanics.statement import ROUNDING_PREFIX
from contracts.messages.statement import BrandUnits, Statement, StatementPosition


class Line(NamedTuple):
    """What one owes another for one reason."""

    place: int
    source: str
    destination: str
    reason: str
    micros: int


class Brought(NamedTuple):
    """What an earlier window left to be paid."""

    source: str
    destination: str
    window: int
    micros: int


class Position(NamedTuple):
    """What a participant pays or is paid."""

    participant: str
    net: int
    carry_before: int
    units: int
    carry_after: int
    brands: tuple[tuple[str, int], ...]


class Transfer(NamedTuple):
    """A payment."""

    place: int
    payer: str
    payee: str
    units: int


class Order(NamedTuple):
    """An entry behind the lines: one leg of it that the participant owes or is owed."""

    entry: int
    """Its index in the log."""
    time: int | None
    """Absent for what a block did by itself."""
    occurred_at: int | None
    kind: str
    reference: str | None
    member: str | None
    program: str | None
    points: int | None
    source: str
    destination: str
    reason: str
    micros: int


class Sheet(NamedTuple):
    """All that is shown of a window."""

    statement: Statement
    digest: str
    """SHA-256 of the statement, as in the log."""
    utc_offset_minutes: int
    names: Mapping[str, str]
    participant: str | None
    """Whose side it is; None = everybody's."""
    lines: Sequence[Line]
    brought: Sequence[Brought]
    positions: Sequence[Position]
    transfers: Sequence[Transfer]
    orders: Sequence[Order]

    def get_name(self, account: str) -> str:
        """The name behind an id or a rounding account, or the id where there is none."""
        whose = account.removeprefix(ROUNDING_PREFIX)
        return self.names.get(whose, whose)

    def get_micros(self, units: int) -> int:
        """What so many payment units come to."""
        return units * self.statement.payment_unit_micros


def make_sheet(
    statement: Statement,
    *,
    digest: str,
    utc_offset_minutes: int,
    names: Mapping[str, str],
    participant: str | None = None,
    orders: Sequence[Order] = (),
) -> Sheet:
    """The statement, or the side of it that ``participant`` stands on."""

    def is_shown(*accounts: str) -> bool:
        return participant is None or any(
            account.removeprefix(ROUNDING_PREFIX) == participant for account in accounts
        )

    return Sheet(
        statement=statement,
        digest=digest,
        utc_offset_minutes=utc_offset_minutes,
        names=names,
        participant=participant,
        lines=[
            Line(place, each.source, each.destination, each.reason, int(each.micros))
            for place, each in enumerate(statement.lines)
            if is_shown(each.source, each.destination)
        ],
        brought=[
            Brought(each.source, each.destination, each.window, int(each.micros))
            for each in statement.brought
            if is_shown(each.source, each.destination)
        ],
        positions=[
            Position(
                each.participant,
                int(each.net),
                int(each.carry_before),
                each.units,
                int(each.carry_after),
                tuple((share.brand, share.units) for share in _list_brands(each)),
            )
            for each in statement.positions
            if is_shown(each.participant)
        ],
        transfers=[
            Transfer(place, each.source, each.destination, each.units)
            for place, each in enumerate(statement.transfers)
            if is_shown(each.source, each.destination)
        ],
        orders=orders,
    )


def _list_brands(position: StatementPosition) -> list[BrandUnits]:
    return [] if isinstance(position.brands, UnsetType) else position.brands


class Balance(NamedTuple):
    """What stands between a participant and one other."""

    other: str
    owed: int
    """To the participant."""
    owes: int


def sum_by_counterparty(sheet: Sheet) -> list[Balance]:
    """Per counterparty what the participant of the sheet is owed and owes, in order of ids.

    Its own rounding account is left out: it owes itself nothing.
    """
    sums: dict[str, list[int]] = {}
    for source, destination, micros in [
        *((each.source, each.destination, each.micros) for each in sheet.lines),
        *((each.source, each.destination, each.micros) for each in sheet.brought),
    ]:
        payer, payee = source.removeprefix(ROUNDING_PREFIX), destination.removeprefix(ROUNDING_PREFIX)
        if payer != payee:
            if payee == sheet.participant:
                sums.setdefault(payer, [0, 0])[0] += micros
            else:
                sums.setdefault(payee, [0, 0])[1] += micros
    return [Balance(other, *both) for other, both in sorted(sums.items())]
