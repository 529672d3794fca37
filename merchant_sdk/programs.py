"""What a program's points are worth, and how they may be spent: what a till asks before it takes them.

A series has pars of its own, so points of one program need not all be worth the same; which ones are taken
is decided when they are taken, soonest expiry first. `Program.par_redeem` is therefore the least of them:
whoever takes that much off a bill is never owed less, the operator's commission aside. What was really
settled is in the `legs` of the result.

It is the node's word for the `height` it names, and pars can change at an announced height.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec import Struct

from merchant_sdk.errors import Unverified


class Series(Struct, frozen=True, kw_only=True):
    """One vintage of a program, with the pars that hold in the next block."""

    series: str
    opened: int
    """The height from which it is the one that is issued, until the next."""
    expiry_months: int
    """Its points lapse at the end of the month so many months after they were earned; 0 = never."""
    par_accrue: int
    """Micros that a partner pays for a point earned."""
    par_redeem: int
    """Micros that the issuer pays for a point spent elsewhere."""


class ProgramPolicy(Struct, frozen=True, kw_only=True):
    """How a program's points may be spent and given away (`Merchant.set_policy`)."""

    cooling_days: int
    gifts: Literal["allowed", "forbidden"]
    order_share_basis_points: int
    points_order: int
    shortfall: Literal["debt", "absorb", "block"]


class Program(Struct, frozen=True, kw_only=True):
    """A program as it stands at `height`."""

    program: str
    issuer: str
    name: str
    spend_per_point: int
    """Micros of spend that earn one point."""
    series: tuple[Series, ...]
    policy: ProgramPolicy
    height: int

    @property
    def par_redeem(self) -> int | None:
        """Micros that a point spent is worth at the least; None before the first series is open."""
        return min((each.par_redeem for each in self.series if each.opened <= self.height + 1), default=None)


class _Pars(Struct, frozen=True):
    height: int
    par_accrue: int
    par_redeem: int


class _SeriesRow(Struct, frozen=True):
    expiry_months: int
    opened: int
    pars: list[_Pars]
    series: str


class _ProgramAnswer(Struct, frozen=True, kw_only=True):
    height: int
    issuer: str
    name: str
    policy: ProgramPolicy
    program: str
    series: list[_SeriesRow]
    spend_per_point: int


_DECODER: Final = msgspec.json.Decoder(_ProgramAnswer)


def read_program(data: bytes) -> Program:
    """The program in a node's answer. Raises `Unverified` where it is none."""
    try:
        answer = _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Unverified("ANSWER_MALFORMED", facts={"reason": str(error)[:200]}) from None
    return Program(
        program=answer.program,
        issuer=answer.issuer,
        name=answer.name,
        spend_per_point=answer.spend_per_point,
        series=tuple(_read_series(row, height=answer.height + 1) for row in answer.series),
        policy=answer.policy,
        height=answer.height,
    )


def _read_series(row: _SeriesRow, *, height: int) -> Series:
    if not row.pars:
        raise Unverified("ANSWER_MALFORMED", "a series has pars")
    # Ascending by height, the announced ones behind; before its opening a series has its opening pars.
    pars = [each for each in row.pars if each.height <= height] or row.pars[:1]
    return Series(
        series=row.series,
        opened=row.opened,
        expiry_months=row.expiry_months,
        par_accrue=pars[-1].par_accrue,
        par_redeem=pars[-1].par_redeem,
    )
